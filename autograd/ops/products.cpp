// The matrix product, over any leading axes, and the affine map of a layer.
#include <utility>

#include "autograd/catalogue.hpp"
#include "autograd/forward.hpp"
#include "autograd/kernels/broadcast.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/outer.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using detail::TensorAccess;

// Whether the buffer holds the transpose of what the shape says.
bool is_transposed(const Tensor& x) { return TensorAccess::buffer(x).is_transpose(); }

enum class As { is, transposed };

// The elements from `offset` on, or those of the transpose, as the buffer holds them.
template <class T>
kernels::Matrix<T> operand(const Tensor& x, As as, std::int64_t offset = 0) {
  const BufferRef& buffer = TensorAccess::buffer(x);
  if (!buffer.is_transpose()) return {x.data<T>() + offset, as == As::transposed};
  return {reinterpret_cast<const T*>(buffer->source->data.load(std::memory_order_acquire)) + offset,
          as == As::is};
}

// The product of two matrices, either of them transposed first. What is not recorded goes to the
// kernel at once.
Tensor product(const Tensor& a, As a_as, const Tensor& b, As b_as) {
  const bool ta = a_as == As::transposed, tb = b_as == As::transposed;
  if (Tape::recording() || a.rank() != 2 || b.rank() != 2)
    return matmul(ta ? transpose(a) : a, tb ? transpose(b) : b);
  const std::int64_t m = a.shape()[ta], n = b.shape()[!tb], k = a.shape()[!ta];
  Tensor out = Tensor::uninitialised({m, n}, a.dtype());
  visit_floating(out.dtype(), [&]<class T>(T) {
    kernels::gemm<T>(m, n, k, operand<T>(a, a_as), operand<T>(b, b_as), out.exclusive_data<T>());
  });
  return out;
}

// The sum of the rows of a matrix, likewise.
Tensor sum_of_rows(const Tensor& x) {
  if (Tape::recording()) return sum(x, 0);
  Tensor out = Tensor::uninitialised(x.shape()[1], x.dtype());
  visit_floating(out.dtype(), [&]<class T>(T) {
    kernels::reduce(kernels::Reduction::sum, 1, x.shape()[0], x.shape()[1], x.data<T>(),
                    out.exclusive_data<T>());
  });
  return out;
}

Shape leading(const Shape& shape) { return Shape(shape.data(), shape.size() - 2); }

/// Of tensors with at least two axes each; `matmul` brings vectors into that form.
struct MatMul {
  static constexpr auto name = "matmul";
  static constexpr Keep keeps = Keep::inputs;

  Shape shape(Inputs x) const {
    require_floating(name, x);
    const Shape &a = x[0].shape(), &b = x[1].shape();
    if (a.size() < 2 || b.size() < 2)
      throw ShapeError(detail::text("[matmul] matrices are needed, not ", a, " x ", b));
    const std::int64_t inner = a.back(), rows = b[b.size() - 2];
    if (inner != rows)
      throw ShapeError(
          detail::text("[matmul] inner dimensions differ: ", a, " x ", b,
                       inner == b.back() ? "; did you mean matmul(a, transpose(b))?" : ""));
    if (a.size() == 2 && b.size() == 2) return {a[0], b[1]};
    Shape result = broadcast_shapes(name, leading(a), leading(b));
    result.push_back(a[a.size() - 2]);
    result.push_back(b.back());
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t m = shape[shape.size() - 2], n = shape.back(), k = x[0].shape().back();
    visit_floating(x[0].dtype(), [&]<class T>(T) {
      T* to = out.exclusive_data<T>();
      if (shape.size() == 2)
        return kernels::gemm<T>(m, n, k, operand<T>(x[0], As::is), operand<T>(x[1], As::is), to);
      const Shape a = leading(x[0].shape()), b = leading(x[1].shape());
      const kernels::BroadcastPlan<2> plan(leading(shape), {&a, &b});
      const std::int64_t products = element_count(leading(shape));
      plan.for_each_row(0, products, [&](const auto& offset, std::int64_t, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i, to += m * n)
          kernels::gemm<T>(
              m, n, k, operand<T>(x[0], As::is, (offset[0] + i * plan.row_stride(0)) * m * k),
              operand<T>(x[1], As::is, (offset[1] + i * plan.row_stride(1)) * k * n), to);
      });
    });
    return out;
  }
  // ∂/∂a: g bᵀ, ∂/∂b: aᵀ g. For an operand that is itself a transpose, the transpose of that is
  // computed, so that the gradient of what it was transposed from comes out without a copy.
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    const Tensor &a = r.input(0), &b = r.input(1);
    if (i == 0)
      return is_transposed(a) ? transpose(product(b, As::is, g, As::transposed))
                              : product(g, As::is, b, As::transposed);
    return is_transposed(b) ? transpose(product(g, As::transposed, a, As::is))
                            : product(a, As::transposed, g, As::is);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return i == 0 ? matmul(t, r.input(1)) : matmul(r.input(0), t);
  }
  double flops(const Record& r) const {
    const auto size = static_cast<double>(element_count(r.output_shape()));
    return 2 * static_cast<double>(r.input_shape(0).back()) * size;
  }
  std::string equation() const { return "{0} {1}"; }
  static Rows rows(const Record&) { return Rows::product; }
  static std::vector<Sample<MatMul>> samples() {
    std::vector<Sample<MatMul>> result;
    const std::pair<Shape, Shape> shapes[] = {
        {{3, 4}, {4, 2}},       {{1, 4}, {4, 1}},         {{5, 1}, {1, 3}},    {{1, 1}, {1, 1}},
        {{2, 0}, {0, 3}},       {{0, 2}, {2, 3}},         {{2, 3, 4}, {4, 5}}, {{3, 4}, {2, 4, 5}},
        {{2, 3, 4}, {2, 4, 2}}, {{2, 1, 3, 4}, {5, 4, 2}}};
    for (const auto& [a, b] : shapes)
      result.push_back({{}, {numbers(a, -1, 1, 1), numbers(b, -1, 1, 2)}});
    result.push_back(
        {{}, {transpose(numbers({4, 3}, -1, 1)), transpose(numbers({2, 4}, -1, 1, 2))}});
    result.push_back({{}, {transpose(numbers({2, 4, 3}, -1, 1)), numbers({2, 4, 2}, -1, 1, 2)}});
    result.push_back({{},
                      {numbers({10, 784}, 0, 1), numbers({30, 784}, 0, 1)},
                      "inner dimensions differ: (10, 784) x (30, 784); did you mean"});
    result.push_back({{},
                      {numbers({2, 3, 4}, 0, 1), numbers({3, 4, 2}, 0, 1)},
                      "shapes do not broadcast: (2,) and (3,)"});
    result.push_back({{}, {numbers({2}, 0, 1), numbers({2, 2}, 0, 1)}, "matrices are needed"});
    result.push_back({{}, {Tensor{{1.f}}, Tensor{{1.}}}, "types differ"});
    return result;
  }
  static std::vector<Sample<MatMul>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n / 2);
    return {{{}, {numbers({side, side}, -1, 1, 1), numbers({side, side}, -1, 1, 2)}}};
  }
};

/// aᵀ b of two matrices, the gradient of a weight: not computed before it is read, where that pays.
/// An update may add it to the weight without it ever being there as a whole, and nobody may want
/// more than its tangent.
struct TransposedProduct {
  static constexpr auto name = "transposed_product";
  static constexpr Keep keeps = Keep::inputs;

  Shape shape(Inputs x) const {
    require_floating(name, x);
    const Shape &a = x[0].shape(), &b = x[1].shape();
    if (a.size() != 2 || b.size() != 2 || a[0] != b[0])
      throw ShapeError(detail::text(
          "[transposed_product] two matrices of as many rows are needed, not ", a, " and ", b));
    return {a[1], b[1]};
  }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return unrecorded(x[0], x[1]);
  }
  // ∂/∂a: b gᵀ, ∂/∂b: a g.
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    return i == 0 ? product(r.input(1), As::is, g, As::transposed)
                  : product(r.input(0), As::is, g, As::is);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return i == 0 ? of(t, r.input(1)) : of(r.input(0), t);
  }
  double flops(const Record& r) const {
    return 2 * static_cast<double>(r.input_shape(0)[0]) *
           static_cast<double>(element_count(r.output_shape()));
  }
  std::string equation() const { return "{0}ᵀ {1}"; }
  static std::vector<Sample<TransposedProduct>> samples() {
    std::vector<Sample<TransposedProduct>> result;
    for (const auto& [k, m, n] :
         {std::array{4, 3, 2}, {1, 1, 1}, {5, 1, 17}, {0, 3, 2}, {2, 0, 3}, {9, 5, 33}})
      result.push_back({{}, {numbers({k, m}, -1, 1, 1), numbers({k, n}, -1, 1, 2)}});
    result.push_back(
        {{}, {transpose(numbers({3, 4}, -1, 1)), transpose(numbers({2, 4}, -1, 1, 2))}});
    result.push_back({{},
                      {numbers({3, 4}, 0, 1), numbers({4, 3}, 0, 1)},
                      "as many rows are needed, not (3, 4) and (4, 3)"});
    result.push_back({{}, {Tensor{{1.f}}, Tensor{{1.}}}, "types differ"});
    return result;
  }
  static std::vector<Sample<TransposedProduct>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n / 2);
    return {{{}, {numbers({side, side}, -1, 1, 1), numbers({side, side}, -1, 1, 2)}}};
  }
  /// Recorded for a backward pass it is a transpose and a product, which readers of a tape know.
  static Tensor of(const Tensor& a, const Tensor& b) {
    if (!Tape::recording()) return unrecorded(a, b);
    return detail::Dual::tape() ? xg::apply(TransposedProduct{}, a, b)
                                : product(a, As::transposed, b, As::is);
  }

 private:
  static Tensor unrecorded(const Tensor& a, const Tensor& b) {
    const std::int64_t k = a.shape()[0], m = a.shape()[1], n = b.shape()[1];
    BufferRef lazy = visit_floating(a.dtype(), [&]<class T>(T) {
      return kernels::lazy_product<T>(m, n, k, TensorAccess::buffer(a), TensorAccess::buffer(b));
    });
    if (!lazy) return product(a, As::transposed, b, As::is);
    return TensorAccess::make(std::move(lazy), {m, n}, m * n, a.dtype());
  }
};

/// x wᵀ + b for rows x (m, inputs), w (outputs, inputs) and b (outputs,): one operation where
/// transpose, matmul and add would be three.
struct Linear {
  static constexpr auto name = "linear";
  static constexpr Keep keeps = keep_input(0) | keep_input(1);

  Shape shape(Inputs x) const {
    require_floating(name, x);
    const Shape &in = x[0].shape(), &w = x[1].shape(), &b = x[2].shape();
    if (in.size() != 2 || w.size() != 2 || b.size() != 1 || in[1] != w[1] || b[0] != w[0])
      throw ShapeError(detail::text("[linear] inputs, weight and bias do not fit: ", in, ", ", w,
                                    " and ", b,
                                    "; (m, inputs), (outputs, inputs) and (outputs,) are needed"));
    return {in[0], w[0]};
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t m = shape[0], n = shape[1];
    visit_floating(out.dtype(), [&]<class T>(T) {
      kernels::gemm<T>(m, n, x[0].shape()[1], operand<T>(x[0], As::is),
                       operand<T>(x[1], As::transposed), out.exclusive_data<T>(), x[2].data<T>());
    });
    return out;
  }
  // g w, gᵀ x, and the sum of the rows of g.
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    if (i == 0) return product(g, As::is, r.input(1), As::is);
    return i == 1 ? TransposedProduct::of(g, r.input(0)) : sum_of_rows(g);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    if (i == 0) return product(t, As::is, r.input(1), As::transposed);
    return i == 1 ? product(r.input(0), As::is, t, As::transposed) : t;
  }
  std::string equation() const { return "{0} {1}ᵀ + {2}"; }
  static Rows rows(const Record&) { return Rows::transposed_product; }
  static std::vector<Sample<Linear>> samples() {
    std::vector<Sample<Linear>> result;
    const auto with = [](std::int64_t m, std::int64_t inputs, std::int64_t outputs) {
      return std::vector{numbers({m, inputs}, -1, 1, 1), numbers({outputs, inputs}, -1, 1, 2),
                         numbers({outputs}, -1, 1, 3)};
    };
    for (const auto& [m, in, out] : {std::array{3, 4, 2},
                                     {1, 4, 1},
                                     {5, 1, 17},
                                     {1, 1, 1},
                                     {0, 3, 2},
                                     {2, 0, 3},
                                     {2, 3, 0},
                                     {9, 5, 33}})
      result.push_back({{}, with(m, in, out)});
    result.push_back({{},
                      {transpose(numbers({4, 3}, -1, 1)), transpose(numbers({4, 2}, -1, 1, 2)),
                       numbers({2}, -1, 1, 3)}});
    result.push_back({{},
                      {numbers({3, 4}, -1, 1), numbers({4, 2}, -1, 1), numbers({2}, -1, 1)},
                      "inputs, weight and bias do not fit: (3, 4), (4, 2) and (2,)"});
    result.push_back({{}, {Tensor{{1.f}}, Tensor{{1.}}, Tensor{1.}}, "types differ"});
    return result;
  }
  static double flops(const Record& r) {
    return 2 * static_cast<double>(element_count(r.input_shape(0))) *
           static_cast<double>(r.output_shape()[1]);
  }
  static std::vector<Sample<Linear>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n / 2);
    return {{{},
             {numbers({side, side}, -1, 1, 1), numbers({side, side}, -1, 1, 2),
              numbers({side}, -1, 1, 3)}}};
  }
};

// f, which maps the rows of a matrix, applied to all rows along the last axis of x.
template <class F>
Tensor over_rows(const Tensor& x, const F& f) {
  Shape shape = x.shape();
  const std::int64_t columns = shape.back();
  const std::int64_t rows = element_count(shape.without(shape.size() - 1));
  const Tensor result = f(reshape(x, {rows, columns}));
  shape[shape.size() - 1] = result.extent(1);
  return reshape(result, shape);
}

}  // namespace

std::vector<CatalogueEntry> products() {
  return {entry<MatMul>(), entry<TransposedProduct>(), entry<Linear>()};
}

}  // namespace ops

namespace {

Tensor checked_matmul(const Tensor& a, const Tensor& b) {
  const Tensor* const operands[] = {&a, &b};
  detail::check_defined("matmul", Inputs(operands, 2));
  if (a.rank() == 0 || b.rank() == 0)
    throw ShapeError(detail::text("[matmul] a scalar has no matrix product: ", a.shape(), " x ",
                                  b.shape(), "; write a * b"));
  // Shapes that do not fit are left to the operation, which names them.
  if (a.rank() > 2 && b.rank() == 2 && !ops::is_transposed(a) && a.shape().back() == b.shape()[0])
    return ops::over_rows(a, [&](const Tensor& rows) { return matmul(rows, b); });
  if (a.rank() >= 2 && b.rank() >= 2) return apply(ops::MatMul{}, a, b);
  const Tensor row = a.rank() == 1 ? expand_dims(a, 0) : a;
  const Tensor column = b.rank() == 1 ? expand_dims(b, 1) : b;
  Tensor product;
  try {
    product = matmul(row, column);
  } catch (const ShapeError&) {  // in the shapes that the caller knows
    throw ShapeError(
        detail::text("[matmul] inner dimensions differ: ", a.shape(), " x ", b.shape()));
  }
  Axes gone;
  if (a.rank() == 1) gone.push_back(-2);
  if (b.rank() == 1) gone.push_back(-1);
  return squeeze(product, gone);
}

}  // namespace

Tensor matmul(Operand a, Operand b) {
  return detail::located(a.place(), [&] { return checked_matmul(a, b); });
}

Tensor linear(Operand x, Operand weight, Operand bias) {
  if (x->rank() == 0 || x->rank() == 2) return apply(ops::Linear{}, x, weight, bias);
  return detail::located(x.place(), [&] {
    return ops::over_rows(x, [&](const Tensor& rows) { return linear(rows, weight, bias); });
  });
}

}  // namespace xg
