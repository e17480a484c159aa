// The matrix product, over any leading axes.
#include <utility>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/broadcast.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using detail::TensorAccess;

// Whether the buffer holds the transpose of what the shape says.
bool is_transposed(const Tensor& x) { return TensorAccess::buffer(x).is_lazy(); }

template <class T>
kernels::Matrix<T> operand(const Tensor& x, std::int64_t offset) {
  const BufferRef& buffer = TensorAccess::buffer(x);
  if (!buffer.is_lazy()) return {x.data<T>() + offset, false};
  return {reinterpret_cast<const T*>(buffer->source->data.load(std::memory_order_acquire)) + offset,
          true};
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
        return kernels::gemm<T>(m, n, k, operand<T>(x[0], 0), operand<T>(x[1], 0), to);
      const Shape a = leading(x[0].shape()), b = leading(x[1].shape());
      const kernels::BroadcastPlan<2> plan(leading(shape), {&a, &b});
      const std::int64_t products = element_count(leading(shape));
      plan.for_each_row(0, products, [&](const auto& offset, std::int64_t, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i, to += m * n)
          kernels::gemm<T>(m, n, k, operand<T>(x[0], (offset[0] + i * plan.row_stride(0)) * m * k),
                           operand<T>(x[1], (offset[1] + i * plan.row_stride(1)) * k * n), to);
      });
    });
    return out;
  }
  // ∂/∂a: g bᵀ, ∂/∂b: aᵀ g. For an operand that is itself a transpose, the transpose of that is
  // computed, so that the gradient of what it was transposed from comes out without a copy.
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    const Tensor &a = r.input(0), &b = r.input(1);
    if (i == 0)
      return is_transposed(a) ? transpose(matmul(b, transpose(g))) : matmul(g, transpose(b));
    return is_transposed(b) ? transpose(matmul(transpose(g), a)) : matmul(transpose(a), g);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return i == 0 ? matmul(t, r.input(1)) : matmul(r.input(0), t);
  }
  double flops(const Record& r) const {
    const auto size = static_cast<double>(element_count(r.output_shape()));
    return 2 * static_cast<double>(r.input_shape(0).back()) * size;
  }
  std::string equation() const { return "{0} {1}"; }
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

}  // namespace

std::vector<CatalogueEntry> products() { return {entry<MatMul>()}; }

}  // namespace ops

Tensor matmul(const Tensor& a, const Tensor& b) {
  const Tensor* const operands[] = {&a, &b};
  detail::check_defined("matmul", Inputs(operands, 2));
  if (a.rank() == 0 || b.rank() == 0)
    throw ShapeError(detail::text("[matmul] a scalar has no matrix product: ", a.shape(), " x ",
                                  b.shape(), "; write a * b"));
  // Shapes that do not fit are left to the operation, which names them.
  if (a.rank() > 2 && b.rank() == 2 && !ops::is_transposed(a) && a.shape().back() == b.shape()[0]) {
    // All leading axes of a are rows of one product.
    Shape shape = a.shape();
    const std::int64_t columns = shape.back();
    const std::int64_t rows = element_count(shape.without(shape.size() - 1));
    const Tensor product = matmul(reshape(a, {rows, columns}), b);
    shape[shape.size() - 1] = b.shape().back();
    return reshape(product, shape);
  }
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

}  // namespace xg
