// Every operation on tensors, as free functions. All take float32 and float64 of any shape, agree
// in type (DTypeError otherwise: nothing is converted silently), and broadcast as NumPy does
// (ShapeError otherwise). Relations, `where` and what moves elements take int64 as well. All can be
// differentiated, to any order, unless it says otherwise.
#pragma once

#include <initializer_list>
#include <span>

#include "autograd/tensor.hpp"

namespace xg {

// Arithmetic -----------------------------------------------------------------------------------

/// Element by element, as are all four and the negation.
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& x);
/// factor * x, as it may also be written.
Tensor scale(const Tensor& x, double factor);

/// The larger and the smaller of two; where they are equal the derivative is shared in halves.
/// NaN if either is.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
/// a to the power b. For b, the derivative at a = 0 is 0.
Tensor pow(const Tensor& a, const Tensor& b);
/// x to a constant power; exact products for small whole exponents.
Tensor pow(const Tensor& x, double exponent);
/// x ln y, and 0 wherever x is 0, whatever number y is: the terms of an entropy.
Tensor xlogy(const Tensor& x, const Tensor& y);

// Functions of each element --------------------------------------------------------------------
// Within about 2.5 units in the last place of the exact value, gelu beyond |x| = 5 excepted.

Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor exp(const Tensor& x);
/// e^x - 1, accurate near 0.
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
/// ln(1 + x), accurate near 0.
Tensor log1p(const Tensor& x);
/// |x|; its derivative is sign(x), 0 at 0.
Tensor abs(const Tensor& x);
/// -1, 0 or 1; its derivative is 0 everywhere.
Tensor sign(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
/// The error function 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.
Tensor erf(const Tensor& x);
/// 1 / (1 + e^-x).
Tensor sigmoid(const Tensor& x);
/// max(x, 0); its derivative at 0 is 0.
Tensor relu(const Tensor& x);
/// x, or slope * x where x < 0; its derivative at 0 is 1 (x = 0 counts as not negative).
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
/// x, or alpha (e^x - 1) where x < 0.
Tensor elu(const Tensor& x, double alpha = 1.0);
/// x Phi(x) with the normal distribution function Phi: the exact form of Hendrycks and Gimpel,
/// arXiv:1606.08415.
Tensor gelu(const Tensor& x);
/// ln(1 + e^x), without overflow.
Tensor softplus(const Tensor& x);
/// x limited to [low, high]; its derivative is 1 inside and on the limits, 0 outside. Throws
/// ValueError if low > high.
Tensor clip(const Tensor& x, double low, double high);

// Comparison and choice ------------------------------------------------------------------------

/// 1 where the relation holds, else 0, in the type of the operands. The derivative is 0.
Tensor equal(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
/// a where `condition` (of any type) is not 0, else b.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// Reductions -----------------------------------------------------------------------------------
// Over `axes` (negative ones count from the last; none named means all), which stay as extents of
// 1 with keepdims. Sums have a fixed order, whatever the number of threads.

Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// The sum of squares.
Tensor squared_norm(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor prod(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// The sum of squared distances from the mean, divided by n - ddof; not finite unless n > ddof.
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double ddof = 0);
/// The derivative is shared equally by all elements that attain it. NaN if there is one. Throws
/// ShapeError over no elements.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Position of the first largest element, counted over `axes` in row-major order, as int64; of the
/// first NaN if there is one. Not differentiable.
Tensor argmax(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// ln(sum(e^x)), without overflow.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// e^x / sum(e^x) and its logarithm, without overflow.
Tensor softmax(const Tensor& x, const Axes& axes = {-1});
Tensor log_softmax(const Tensor& x, const Axes& axes = {-1});
/// Sums `x` down to `shape`, which must broadcast to its shape: the adjoint of broadcast_to.
Tensor sum_to(const Tensor& x, const Shape& shape);

// Linear algebra -------------------------------------------------------------------------------

/// The matrix product: (..., m, k) x (..., k, n) -> (..., m, n), leading axes broadcast; a vector
/// on the left is a row, on the right a column, and its axis is absent from the result. A
/// transposed operand (`matmul(x, transpose(w))`) is never copied.
Tensor matmul(const Tensor& a, const Tensor& b);
/// The affine map of a layer, matmul(x, transpose(weight)) + bias in one operation:
/// x (..., inputs), weight (outputs, inputs), bias (outputs,) -> (..., outputs).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

// Shape and place ------------------------------------------------------------------------------

/// The same elements in another shape; one extent may be -1. No copy.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Axis i of the result is axis axes[i] of x.
Tensor permute(const Tensor& x, const Axes& axes);
/// The last two axes exchanged. No copy until something other than matmul reads the elements.
Tensor transpose(const Tensor& x);
/// Without the axes of extent 1: those named (ShapeError if another), or all.
Tensor squeeze(const Tensor& x, const Axes& axes = {});
/// With an axis of extent 1 before position `axis` of the result.
Tensor expand_dims(const Tensor& x, std::int64_t axis);
/// Repeated along axes of extent 1 and new leading ones (ShapeError if `shape` does not fit).
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// Joined along an existing axis; all other extents must agree.
Tensor concatenate(std::span<const Tensor> parts, std::int64_t axis = 0);
Tensor concatenate(std::initializer_list<Tensor> parts, std::int64_t axis = 0);
/// Joined along a new axis; the shapes must agree.
Tensor stack(std::span<const Tensor> parts, std::int64_t axis = 0);
Tensor stack(std::initializer_list<Tensor> parts, std::int64_t axis = 0);
/// x[start:stop:step] along one axis with Python's rules: negative positions count from the end,
/// positions beyond it are limited to it. Throws ValueError unless step > 0.
Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t stop,
             std::int64_t step = 1);
/// Zeros of `extent` along `axis` with x at start, start + step, ...: the adjoint of slice.
Tensor embed(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t extent,
             std::int64_t step = 1);
/// The rows x[indices[0]], x[indices[1]], ...: shape indices.shape + x.shape[1:]. `indices` is
/// int64; negative ones count from the end (ShapeError out of range). The gradient adds up
/// repeated rows.
Tensor take(const Tensor& x, const Tensor& indices);
/// Zeros of `rows` rows to which row i of x is added at indices[i]: the adjoint of take.
Tensor scatter_add(const Tensor& x, const Tensor& indices, std::int64_t rows);
/// Rows of zeros with a one at each label: shape labels.shape + (classes,). `labels` is int64
/// (ValueError unless 0 <= label < classes). Not differentiable.
Tensor one_hot(const Tensor& labels, std::int64_t classes, DType dtype = DType::float32);
/// The nearest value in another type (towards zero for int64; ValueError if it has none there).
Tensor cast(const Tensor& x, DType dtype);

// Making tensors -------------------------------------------------------------------------------

/// A tensor of one value throughout.
Tensor zeros(const Shape& shape, DType dtype = DType::float64);
Tensor ones(const Shape& shape, DType dtype = DType::float64);
Tensor full(const Shape& shape, double value, DType dtype = DType::float64);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
/// 0, 1, ..., count - 1.
Tensor arange(std::int64_t count, DType dtype = DType::int64);
/// The identity matrix.
Tensor eye(std::int64_t n, DType dtype = DType::float64);

// Numbers beside tensors: a number takes the tensor's type ---------------------------------------

/// The number as a scalar of the type of `like`, recorded with its value if that is floating.
/// Throws DTypeError if `like` is int64 and the number is not whole.
Tensor scalar_like(const Tensor& like, double value);
Tensor scalar_like(const Tensor& like, std::int64_t value);
template <Number S>
Tensor scalar_like(const Tensor& like, S value) {
  if constexpr (std::integral<S>)
    return scalar_like(like, static_cast<std::int64_t>(value));
  else
    return scalar_like(like, static_cast<double>(value));
}

template <Number S>
Tensor operator+(const Tensor& a, S b) {
  return a + scalar_like(a, b);
}
template <Number S>
Tensor operator+(S a, const Tensor& b) {
  return scalar_like(b, a) + b;
}
template <Number S>
Tensor operator-(const Tensor& a, S b) {
  return a - scalar_like(a, b);
}
template <Number S>
Tensor operator-(S a, const Tensor& b) {
  return scalar_like(b, a) - b;
}
template <Number S>
Tensor operator*(const Tensor& a, S b) {
  return scale(a, static_cast<double>(b));
}
template <Number S>
Tensor operator*(S a, const Tensor& b) {
  return scale(b, static_cast<double>(a));
}
template <Number S>
Tensor operator/(const Tensor& a, S b) {
  return a / scalar_like(a, b);
}
template <Number S>
Tensor operator/(S a, const Tensor& b) {
  return scalar_like(b, a) / b;
}
template <Number S>
Tensor operator<(const Tensor& a, S b) {
  return a < scalar_like(a, b);
}
template <Number S>
Tensor operator<(S a, const Tensor& b) {
  return scalar_like(b, a) < b;
}
template <Number S>
Tensor operator<=(const Tensor& a, S b) {
  return a <= scalar_like(a, b);
}
template <Number S>
Tensor operator<=(S a, const Tensor& b) {
  return scalar_like(b, a) <= b;
}
template <Number S>
Tensor operator>(const Tensor& a, S b) {
  return a > scalar_like(a, b);
}
template <Number S>
Tensor operator>(S a, const Tensor& b) {
  return scalar_like(b, a) > b;
}
template <Number S>
Tensor operator>=(const Tensor& a, S b) {
  return a >= scalar_like(a, b);
}
template <Number S>
Tensor operator>=(S a, const Tensor& b) {
  return scalar_like(b, a) >= b;
}
template <Number S>
Tensor maximum(const Tensor& a, S b) {
  return maximum(a, scalar_like(a, b));
}
template <Number S>
Tensor maximum(S a, const Tensor& b) {
  return maximum(scalar_like(b, a), b);
}
template <Number S>
Tensor minimum(const Tensor& a, S b) {
  return minimum(a, scalar_like(a, b));
}
template <Number S>
Tensor minimum(S a, const Tensor& b) {
  return minimum(scalar_like(b, a), b);
}
template <Number S>
Tensor equal(const Tensor& a, S b) {
  return equal(a, scalar_like(a, b));
}
template <Number S>
Tensor equal(S a, const Tensor& b) {
  return equal(scalar_like(b, a), b);
}
template <Number S>
Tensor not_equal(const Tensor& a, S b) {
  return not_equal(a, scalar_like(a, b));
}
template <Number S>
Tensor not_equal(S a, const Tensor& b) {
  return not_equal(scalar_like(b, a), b);
}
template <Number S>
Tensor pow(S a, const Tensor& b) {
  return pow(scalar_like(b, a), b);
}
template <Number S>
Tensor where(const Tensor& condition, const Tensor& a, S b) {
  return where(condition, a, scalar_like(a, b));
}
template <Number S>
Tensor where(const Tensor& condition, S a, const Tensor& b) {
  return where(condition, scalar_like(b, a), b);
}
/// Of two numbers, in the type of the condition.
template <Number S, Number R>
Tensor where(const Tensor& condition, S a, R b) {
  return where(condition, scalar_like(condition, a), scalar_like(condition, b));
}

/// `a += b` gives the handle a new value; other handles keep the old one.
inline Tensor& operator+=(Tensor& a, const auto& b) { return a = a + b; }
inline Tensor& operator-=(Tensor& a, const auto& b) { return a = a - b; }
inline Tensor& operator*=(Tensor& a, const auto& b) { return a = a * b; }
inline Tensor& operator/=(Tensor& a, const auto& b) { return a = a / b; }

}  // namespace xg
