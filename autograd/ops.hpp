// Every operation on tensors, as free functions. All take float32 and float64 of any shape, agree
// in type (DTypeError otherwise: nothing is converted silently), and broadcast as NumPy does
// (ShapeError otherwise). Relations, `where` and what moves elements take int64 as well. All can be
// differentiated, to any order, unless it says otherwise.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "autograd/operand.hpp"

namespace xg {

// Arithmetic -----------------------------------------------------------------------------------

/// Element by element, as are all four and the negation.
Tensor operator+(Operand a, Operand b);
Tensor operator-(Operand a, Operand b);
Tensor operator*(Operand a, Operand b);
Tensor operator/(Operand a, Operand b);
Tensor operator-(Operand x);
/// factor * x, as it may also be written.
Tensor scale(Operand x, double factor);

/// The larger and the smaller of two; where they are equal the derivative is shared in halves.
/// NaN if either is.
Tensor maximum(Operand a, Operand b);
Tensor minimum(Operand a, Operand b);
/// a to the power b. For b, the derivative at a = 0 is 0.
Tensor pow(Operand a, Operand b);
/// x to a constant power; exact products for small whole exponents.
Tensor pow(Operand x, double exponent);
/// x ln y, and 0 wherever x is 0, whatever number y is: the terms of an entropy.
Tensor xlogy(Operand x, Operand y);

// Functions of each element --------------------------------------------------------------------
// Within about 2.5 units in the last place of the exact value, gelu beyond |x| = 5 excepted.

Tensor square(Operand x);
Tensor sqrt(Operand x);
Tensor exp(Operand x);
/// e^x - 1, accurate near 0.
Tensor expm1(Operand x);
Tensor log(Operand x);
/// ln(1 + x), accurate near 0.
Tensor log1p(Operand x);
/// |x|; its derivative is sign(x), 0 at 0.
Tensor abs(Operand x);
/// -1, 0 or 1; its derivative is 0 everywhere.
Tensor sign(Operand x);
Tensor sin(Operand x);
Tensor cos(Operand x);
Tensor tanh(Operand x);
/// The error function 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.
Tensor erf(Operand x);
/// 1 / (1 + e^-x).
Tensor sigmoid(Operand x);
/// max(x, 0); its derivative at 0 is 0.
Tensor relu(Operand x);
/// x, or slope * x where x < 0; its derivative at 0 is 1 (x = 0 counts as not negative).
Tensor leaky_relu(Operand x, double slope = 0.01);
/// x, or alpha (e^x - 1) where x < 0.
Tensor elu(Operand x, double alpha = 1.0);
/// x Phi(x) with the normal distribution function Phi: the exact form of Hendrycks and Gimpel,
/// arXiv:1606.08415.
Tensor gelu(Operand x);
/// ln(1 + e^x), without overflow.
Tensor softplus(Operand x);
/// x limited to [low, high]; its derivative is 1 inside and on the limits, 0 outside. Throws
/// ValueError if low > high.
Tensor clip(Operand x, double low, double high);

// Comparison and choice ------------------------------------------------------------------------

/// 1 where the relation holds, else 0, in the type of the operands. The derivative is 0.
Tensor equal(Operand a, Operand b);
Tensor not_equal(Operand a, Operand b);
Tensor operator<(Operand a, Operand b);
Tensor operator<=(Operand a, Operand b);
Tensor operator>(Operand a, Operand b);
Tensor operator>=(Operand a, Operand b);
/// a where `condition` (of any type) is not 0, else b.
///
/// The branch that is not taken gets the adjoint 0, and every operation that works element by
/// element, every reduction and softmax passes an adjoint, or tangent, of exactly 0 on as 0, even
/// where its derivative is infinite or NaN: the gradient of `where(x > 0, log(x), 0)` is finite
/// everywhere. Sums of products (matmul, einsum, solve and the like) do not. The same holds for a 0
/// that came about otherwise: at x = 0 the gradient of `square(sqrt(x))` is 0.
Tensor where(Operand condition, Operand a, Operand b);

// Reductions -----------------------------------------------------------------------------------
// Over `axes` (negative ones count from the last; none named means all), which stay as extents of
// 1 with keepdims. Sums have a fixed order, whatever the number of threads.

Tensor sum(Operand x, const Axes& axes = {}, bool keepdims = false);
/// The sum of squares.
Tensor squared_norm(Operand x, const Axes& axes = {}, bool keepdims = false);
Tensor mean(Operand x, const Axes& axes = {}, bool keepdims = false);
Tensor prod(Operand x, const Axes& axes = {}, bool keepdims = false);
/// The sum of squared distances from the mean, divided by n - ddof; not finite unless n > ddof.
Tensor var(Operand x, const Axes& axes = {}, bool keepdims = false, double ddof = 0);
/// The derivative is shared equally by all elements that attain it. NaN if there is one. Throws
/// ShapeError over no elements.
Tensor max(Operand x, const Axes& axes = {}, bool keepdims = false);
Tensor min(Operand x, const Axes& axes = {}, bool keepdims = false);
/// Position of the first largest element, counted over `axes` in row-major order, as int64; of the
/// first NaN if there is one. Not differentiable.
Tensor argmax(Operand x, const Axes& axes = {}, bool keepdims = false);
/// ln(sum(e^x)), without overflow.
Tensor logsumexp(Operand x, const Axes& axes = {}, bool keepdims = false);
/// e^x / sum(e^x) and its logarithm, without overflow.
Tensor softmax(Operand x, const Axes& axes = {-1});
Tensor log_softmax(Operand x, const Axes& axes = {-1});
/// Sums `x` down to `shape`, which must broadcast to its shape: the adjoint of broadcast_to.
Tensor sum_to(Operand x, const Shape& shape);

// Linear algebra -------------------------------------------------------------------------------

/// The matrix product: (..., m, k) x (..., k, n) -> (..., m, n), leading axes broadcast; a vector
/// on the left is a row, on the right a column, and its axis is absent from the result. A
/// transposed operand (`matmul(x, transpose(w))`) is never copied.
Tensor matmul(Operand a, Operand b);
/// The affine map of a layer, matmul(x, transpose(weight)) + bias in one operation:
/// x (..., inputs), weight (outputs, inputs), bias (outputs,) -> (..., outputs).
Tensor linear(Operand x, Operand weight, Operand bias);
/// Sums of products in the notation of NumPy: a letter for each axis, as in "ij,jk->ik" (the matrix
/// product), "bij,bj->bi", "ij->ji" or "ii->i" (a diagonal). Letters that are not behind the arrow
/// are summed over; without an arrow the result has those that occur once, in alphabetical order.
/// Throws ValueError for text that cannot be read ("..." is not supported), ShapeError if letters
/// and shapes do not fit.
Tensor einsum(std::string_view subscripts, Operand a);
Tensor einsum(std::string_view subscripts, Operand a, Operand b);

// Of small dense square matrices a (n, n), through LAPACK. A matrix in whose elimination a pivot is
// exactly 0 is singular: a ValueError.

/// The x with a x = b, for b (n,) or the columns of b (n, k). A triangular a, such as a Cholesky
/// factor, is noticed, and takes less than half the time.
Tensor solve(Operand a, Operand b);
/// Where it is to be multiplied by something, `solve` is quicker and more accurate.
Tensor inverse(Operand a);
/// ln |det a|, without overflow.
Tensor logdet(Operand a);
/// The lower triangular l with l lᵀ = a. Of an `a` that is not symmetric, (a + aᵀ) / 2 is taken, so
/// that the gradient is symmetric. Throws ValueError unless that is positive definite.
Tensor cholesky(Operand a);

// Shape and place ------------------------------------------------------------------------------

/// The same elements in another shape; one extent may be -1. No copy.
Tensor reshape(Operand x, const Shape& shape);
/// Axis i of the result is axis axes[i] of x.
Tensor permute(Operand x, const Axes& axes);
/// The last two axes exchanged. No copy until something other than matmul reads the elements.
Tensor transpose(Operand x);
/// Without the axes of extent 1: those named (ShapeError if another), or all.
Tensor squeeze(Operand x, const Axes& axes = {});
/// With an axis of extent 1 before position `axis` of the result.
Tensor expand_dims(Operand x, std::int64_t axis);
/// Repeated along axes of extent 1 and new leading ones (ShapeError if `shape` does not fit).
Tensor broadcast_to(Operand x, const Shape& shape);
/// Joined along an existing axis; all other extents must agree.
Tensor concatenate(std::span<const Tensor> parts, std::int64_t axis = 0,
                   SourceLocation place = SourceLocation::current());
Tensor concatenate(std::initializer_list<Tensor> parts, std::int64_t axis = 0,
                   SourceLocation place = SourceLocation::current());
/// Joined along a new axis; the shapes must agree.
Tensor stack(std::span<const Tensor> parts, std::int64_t axis = 0,
             SourceLocation place = SourceLocation::current());
Tensor stack(std::initializer_list<Tensor> parts, std::int64_t axis = 0,
             SourceLocation place = SourceLocation::current());
/// x[start:stop:step] along one axis with Python's rules: negative positions count from the end,
/// positions beyond it are limited to it. Throws ValueError unless step > 0.
Tensor slice(Operand x, std::int64_t axis, std::int64_t start, std::int64_t stop,
             std::int64_t step = 1);
/// Zeros of `extent` along `axis` with x at start, start + step, ...: the adjoint of slice.
Tensor embed(Operand x, std::int64_t axis, std::int64_t start, std::int64_t extent,
             std::int64_t step = 1);
/// The rows x[indices[0]], x[indices[1]], ...: shape indices.shape + x.shape[1:]. `indices` is
/// int64; negative ones count from the end (ShapeError out of range). The gradient adds up
/// repeated rows.
Tensor take(Operand x, Operand indices);
/// Zeros of `rows` rows to which row i of x is added at indices[i]: the adjoint of take.
Tensor scatter_add(Operand x, Operand indices, std::int64_t rows);
/// Rows of zeros with a one at each label: shape labels.shape + (classes,). `labels` is int64
/// (ValueError unless 0 <= label < classes). Not differentiable.
Tensor one_hot(Operand labels, std::int64_t classes, DType dtype = DType::float32);
/// The nearest value in another type (towards zero for int64; ValueError if it has none there).
Tensor cast(Operand x, DType dtype);

// Making tensors -------------------------------------------------------------------------------

/// A tensor of one value throughout.
Tensor zeros(const Shape& shape, DType dtype = DType::float64,
             SourceLocation place = SourceLocation::current());
Tensor ones(const Shape& shape, DType dtype = DType::float64,
            SourceLocation place = SourceLocation::current());
Tensor full(const Shape& shape, double value, DType dtype = DType::float64,
            SourceLocation place = SourceLocation::current());
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
/// 0, 1, ..., count - 1.
Tensor arange(std::int64_t count, DType dtype = DType::int64,
              SourceLocation place = SourceLocation::current());
/// The identity matrix.
Tensor eye(std::int64_t n, DType dtype = DType::float64,
           SourceLocation place = SourceLocation::current());

// Numbers beside tensors: a number takes the tensor's type ---------------------------------------

/// The number as a scalar of the type of `like`, recorded with its value if that is floating.
/// Throws DTypeError if `like` is int64 and the number is not whole.
Tensor scalar_like(Operand like, double value);
Tensor scalar_like(Operand like, std::int64_t value);
template <Number S>
Tensor scalar_like(Operand like, S value) {
  if constexpr (std::integral<S>)
    return scalar_like(like, static_cast<std::int64_t>(value));
  else
    return scalar_like(like, static_cast<double>(value));
}

template <Number S>
Tensor operator+(Operand a, S b) {
  return a + Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator+(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) + b;
}
template <Number S>
Tensor operator-(Operand a, S b) {
  return a - Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator-(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) - b;
}
template <Number S>
Tensor operator*(Operand a, S b) {
  return scale(a, static_cast<double>(b));
}
template <Number S>
Tensor operator*(S a, Operand b) {
  return scale(b, static_cast<double>(a));
}
template <Number S>
Tensor operator/(Operand a, S b) {
  return a / Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator/(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) / b;
}
template <Number S>
Tensor operator<(Operand a, S b) {
  return a < Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator<(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) < b;
}
template <Number S>
Tensor operator<=(Operand a, S b) {
  return a <= Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator<=(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) <= b;
}
template <Number S>
Tensor operator>(Operand a, S b) {
  return a > Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator>(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) > b;
}
template <Number S>
Tensor operator>=(Operand a, S b) {
  return a >= Operand(scalar_like(a, b), a.place());
}
template <Number S>
Tensor operator>=(S a, Operand b) {
  return Operand(scalar_like(b, a), b.place()) >= b;
}
template <Number S>
Tensor maximum(Operand a, S b) {
  return maximum(a, Operand(scalar_like(a, b), a.place()));
}
template <Number S>
Tensor maximum(S a, Operand b) {
  return maximum(Operand(scalar_like(b, a), b.place()), b);
}
template <Number S>
Tensor minimum(Operand a, S b) {
  return minimum(a, Operand(scalar_like(a, b), a.place()));
}
template <Number S>
Tensor minimum(S a, Operand b) {
  return minimum(Operand(scalar_like(b, a), b.place()), b);
}
template <Number S>
Tensor equal(Operand a, S b) {
  return equal(a, Operand(scalar_like(a, b), a.place()));
}
template <Number S>
Tensor equal(S a, Operand b) {
  return equal(Operand(scalar_like(b, a), b.place()), b);
}
template <Number S>
Tensor not_equal(Operand a, S b) {
  return not_equal(a, Operand(scalar_like(a, b), a.place()));
}
template <Number S>
Tensor not_equal(S a, Operand b) {
  return not_equal(Operand(scalar_like(b, a), b.place()), b);
}
template <Number S>
Tensor pow(S a, Operand b) {
  return pow(Operand(scalar_like(b, a), b.place()), b);
}
template <Number S>
Tensor where(Operand condition, Operand a, S b) {
  return where(condition, a, Operand(scalar_like(a, b), a.place()));
}
template <Number S>
Tensor where(Operand condition, S a, Operand b) {
  return where(condition, Operand(scalar_like(b, a), b.place()), b);
}
/// Of two numbers, in the type of the condition.
template <Number S, Number R>
Tensor where(Operand condition, S a, R b) {
  return where(condition, Operand(scalar_like(condition, a), condition.place()),
               Operand(scalar_like(condition, b), condition.place()));
}

/// `a += b` gives the handle a new value; other handles keep the old one.
inline Tensor& operator+=(Tensor& a, Operand b) { return a = Operand(a, b.place()) + b; }
inline Tensor& operator-=(Tensor& a, Operand b) { return a = Operand(a, b.place()) - b; }
inline Tensor& operator*=(Tensor& a, Operand b) { return a = Operand(a, b.place()) * b; }
inline Tensor& operator/=(Tensor& a, Operand b) { return a = Operand(a, b.place()) / b; }
template <Number S>
Tensor& operator+=(Tensor& a, S b) {
  return a = Operand(a, SourceLocation()) + b;
}
template <Number S>
Tensor& operator-=(Tensor& a, S b) {
  return a = Operand(a, SourceLocation()) - b;
}
template <Number S>
Tensor& operator*=(Tensor& a, S b) {
  return a = Operand(a, SourceLocation()) * b;
}
template <Number S>
Tensor& operator/=(Tensor& a, S b) {
  return a = Operand(a, SourceLocation()) / b;
}

}  // namespace xg
