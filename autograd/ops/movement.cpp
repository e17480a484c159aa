// Operations that give elements another place or shape: their derivatives move them back.
#include <algorithm>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/broadcast.hpp"
#include "autograd/kernels/copy.hpp"
#include "autograd/kernels/map.hpp"
#include "autograd/kernels/transpose.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using detail::TensorAccess;
using detail::text;

struct Reshape {
  Shape to;

  static constexpr auto name = "reshape";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    const std::int64_t size = x[0].size();
    Shape result = to;
    const auto unknown = std::find(result.begin(), result.end(), -1);
    if (unknown != result.end()) {
      *unknown = 1;
      const std::int64_t rest = element_count(result);
      *unknown = rest == 0 ? 0 : size / rest;
    }
    if (element_count(result) != size)
      throw ShapeError(
          text("[reshape] ", x[0].shape(), " has ", size, " elements, which do not fill ", to));
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    if (shape == x[0].shape()) return detach(x[0]);  // a transpose stays undone
    return TensorAccess::make(TensorAccess::buffer(x[0]).resolved(), shape, x[0].size(),
                              x[0].dtype());
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return reshape(g, r.input_shape(0));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return reshape(t, r.output_shape());
  }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return text("reshape({0}, ", to, ")"); }
  static Rows rows(const Record&) { return Rows::reshaped; }
  static std::vector<Sample<Reshape>> samples() {
    return {{{Shape{6}}, {numbers({2, 3}, -1, 1)}},
            {{Shape{3, -1}}, {numbers({2, 3}, -1, 1)}},
            {{Shape{}}, {numbers({1, 1}, -1, 1)}},
            {{Shape{1, 1}}, {numbers({}, -1, 1)}},
            {{Shape{0, 5}}, {numbers({2, 0}, -1, 1)}},
            {{Shape{3, 2}}, {transpose(numbers({3, 2}, -1, 1))}},
            {{Shape{4, -1}}, {numbers({2, 3}, -1, 1)}, "has 6 elements, which do not fill (4, -1)"},
            {{Shape{-1, -1}}, {numbers({2, 3}, -1, 1)}, "negative extent"},
            {{Shape{7}}, {numbers({2, 3}, -1, 1)}, "has 6 elements, which do not fill (7,)"}};
  }
};

template <class Stored>
void fill_transpose(const Buffer& self, std::byte* out) {
  const auto* in =
      reinterpret_cast<const Stored*>(self.source->data.load(std::memory_order_acquire));
  auto* to = reinterpret_cast<Stored*>(out);
  const std::int64_t rows = self.rows, columns = self.columns;
  if (rows == 0 || columns == 0) return;
  const auto total = static_cast<std::int64_t>(self.bytes / sizeof(Stored));
  kernels::permute({total / (rows * columns), rows, columns}, {0, 2, 1}, in, to);
}

/// The last two axes exchanged. Left undone until somebody asks for the elements, and undone
/// altogether if x is a transpose itself.
struct Transpose {
  static constexpr auto name = "transpose";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    Shape result = x[0].shape();
    const std::size_t rank = result.size();
    if (rank < 2) throw ShapeError(text("[transpose] two axes are needed, not the shape ", result));
    std::swap(result[rank - 1], result[rank - 2]);
    constexpr std::int64_t limit = 0xffffffff;
    if (result[rank - 1] > limit || result[rank - 2] > limit)
      throw ShapeError(text("[transpose] an extent is over 2^32 - 1: ", x[0].shape()));
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    const std::int64_t size = x[0].size();
    const DType dtype = x[0].dtype();
    if (TensorAccess::buffer(x[0]).is_transpose())
      return TensorAccess::make(TensorAccess::buffer(x[0]).source(), shape, size, dtype);
    const BufferRef buffer = TensorAccess::buffer(x[0]).resolved();
    return TensorAccess::make(
        BufferRef::lazy(static_cast<std::uint64_t>(size) * size_of(dtype), buffer,
                        static_cast<std::uint32_t>(shape.back()),
                        static_cast<std::uint32_t>(shape[shape.size() - 2]),
                        size_of(dtype) == 4 ? fill_transpose<float> : fill_transpose<double>),
        shape, size, dtype);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return transpose(g); }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return transpose(t); }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return "{0}ᵀ"; }
  static std::vector<Sample<Transpose>> samples() {
    return {{{}, {numbers({2, 3}, -1, 1)}},
            {{}, {numbers({40, 33}, -1, 1)}},
            {{}, {numbers({2, 3, 4}, -1, 1)}},
            {{}, {numbers({0, 3}, -1, 1)}},
            {{}, {numbers({1, 5}, -1, 1)}},
            {{}, {transpose(numbers({4, 3}, -1, 1))}},
            {{}, {numbers({3}, -1, 1)}, "two axes are needed, not the shape (3,)"}};
  }
};

struct Permute {
  Axes axes;

  static constexpr auto name = "permute";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    const Shape& in = x[0].shape();
    if (axes.size() != in.size())
      throw ShapeError(text("[permute] ", axes, " does not name each axis of ", in, " once"));
    if (!axes.empty()) normalise_axes(name, axes, in.size());
    Shape result = in;
    for (std::size_t k = 0; k < in.size(); ++k)
      result[k] = in[normalise_axis(name, axes[k], in.size())];
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    const Axes order = normalised();
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      kernels::permute(x[0].shape(), order, x[0].data<T>(), out.exclusive_data<T>());
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const {
    const Axes order = normalised();
    Axes back = order;
    for (std::size_t k = 0; k < order.size(); ++k)
      back[static_cast<std::size_t>(order[k])] = static_cast<std::int64_t>(k);
    return permute(g, back);
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return permute(t, axes); }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return text("permute({0}, ", axes, ")"); }
  static std::vector<Sample<Permute>> samples() {
    return {{{Axes{1, 0}}, {numbers({2, 3}, -1, 1)}},
            {{Axes{1, 0}}, {numbers({40, 33}, -1, 1)}},
            {{Axes{0, 2, 1}}, {numbers({2, 3, 4}, -1, 1)}},
            {{Axes{2, 0, 1}}, {numbers({2, 3, 4}, -1, 1)}},
            {{Axes{-1, 1, 0, 2}}, {numbers({2, 3, 1, 4}, -1, 1)}},
            {{Axes{0, 1}}, {numbers({2, 3}, -1, 1)}},
            {{Axes{1, 0}}, {numbers({0, 3}, -1, 1)}},
            {{Axes{1, 0}}, {transpose(numbers({4, 3}, -1, 1))}},
            {{Axes{0}}, {numbers({5}, -1, 1)}},
            {{Axes{}}, {numbers({}, -1, 1)}},
            {{Axes{0}}, {numbers({2, 3}, -1, 1)}, "(0,) does not name each axis of (2, 3) once"},
            {{Axes{0, 0}}, {numbers({2, 3}, -1, 1)}, "an axis is named twice"},
            {{Axes{0, 2}}, {numbers({2, 3}, -1, 1)}, "axis 2 is out of range"}};
  }

 private:
  Axes normalised() const {
    Axes result = axes;
    for (std::int64_t& axis : result)
      axis = static_cast<std::int64_t>(normalise_axis(name, axis, axes.size()));
    return result;
  }
};

struct BroadcastTo {
  Shape to;

  static constexpr auto name = "broadcast_to";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    if (broadcast_shapes(name, x[0].shape(), to) != to)
      throw ShapeError(text("[broadcast_to] ", x[0].shape(), " cannot become ", to));
    return to;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      const T* in = x[0].data<T>();
      T* const to_all = out.exclusive_data<T>();
      const kernels::BroadcastPlan<1> plan(shape, {&x[0].shape()});
      const bool streamed = kernels::streams_rows<T>(out.size(), plan.row_length());
      const auto rows = [&](const auto& copy_row) {
        kernels::for_ranges(out.size(), kernels::elementwise_grain, [&](auto begin, auto end) {
          plan.for_each_row(begin, end, [&](const auto& offset, std::int64_t at, auto count) {
            copy_row(in + offset[0], count, to_all + at);
          });
          if (streamed) kernels::finish_streaming();
        });
      };
      const bool repeats = plan.row_stride(0) == 0;  // one number for a row
      if (streamed)
        rows([&](const T* from, std::int64_t n, T* to_row) {
          const auto itself = [](const auto& v) { return v; };
          if (repeats)
            kernels::stream_row(itself, n, to_row, kernels::Fixed<T>{*from});
          else
            kernels::stream_row(itself, n, to_row, kernels::Moving<T>{from});
        });
      else
        rows([&](const T* from, std::int64_t n, T* to_row) {
          if (repeats)
            std::fill_n(to_row, n, *from);
          else
            std::copy_n(from, n, to_row);
        });
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return t; }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return text("broadcast({0}, ", to, ")"); }
  static std::vector<Sample<BroadcastTo>> samples() {
    return {{{Shape{2, 3}}, {numbers({3}, -1, 1)}},
            {{Shape{2, 3}}, {numbers({2, 1}, -1, 1)}},
            {{Shape{4, 2, 3}}, {numbers({2, 1}, -1, 1)}},
            {{Shape{2, 3}}, {numbers({}, -1, 1)}},
            {{Shape{2, 3}}, {numbers({2, 3}, -1, 1)}},
            {{Shape{0, 3}}, {numbers({3}, -1, 1)}},
            {{Shape{2}}, {numbers({3}, -1, 1)}, "shapes do not broadcast: (3,) and (2,)"},
            {{Shape{1}}, {numbers({3}, -1, 1)}, "(3,) cannot become (1,)"}};
  }
  static std::vector<Sample<BroadcastTo>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{{Shape{side, side}}, {numbers({side}, -1, 1)}},
            {{Shape{side, side}}, {numbers({side, 1}, -1, 1)}}};
  }
};

/// Joins along an existing axis. `axis` counts from the front or the end.
struct Concatenate {
  std::int64_t axis = 0;

  static constexpr auto name = "concatenate";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    if (x.size() == 0) throw ValueError("[concatenate] at least one tensor is needed");
    Shape result = x[0].shape();
    const std::size_t a = normalise_axis(name, axis, result.size());
    for (std::size_t i = 1; i < x.size(); ++i) {
      require_same_dtype(name, x[0], x[i]);
      Shape other = x[i].shape();
      const bool same_rank = other.size() == result.size();
      const std::int64_t extent = same_rank ? other[a] : 0;
      if (same_rank) other[a] = result[a];
      if (other != result)
        throw ShapeError(text("[concatenate] along axis ", axis, ", tensor ", i, " of shape ",
                              x[i].shape(), " does not fit tensor 0 of shape ", x[0].shape()));
      result[a] += extent;
    }
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::size_t a = normalise_axis(name, axis, shape.size());
    std::int64_t outer = 1, inner = 1;
    for (std::size_t i = 0; i < a; ++i) outer *= shape[i];
    for (std::size_t i = a + 1; i < shape.size(); ++i) inner *= shape[i];
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      T* to = out.exclusive_data<T>();
      for (std::size_t i = 0; i < x.size(); ++i) {
        const T* const from = x[i].data<T>();
        const std::int64_t run = x[i].shape()[a] * inner;
        kernels::copy_runs(
            outer, run, [&](std::int64_t o) { return from + o * run; },
            [&](std::int64_t o) { return to + o * shape[a] * inner; });
        to += run;
      }
    });
    return out;
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    const std::int64_t begin = offset(i, r);
    return slice(g, axis, begin, begin + extent(i, r));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    const Shape shape = r.output_shape();
    return embed(t, axis, offset(i, r), shape[normalise_axis(name, axis, shape.size())]);
  }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return text("concatenate_", axis, "({...})"); }
  static std::vector<Sample<Concatenate>> samples() {
    const Tensor a = numbers({2, 3}, -1, 1, 1), b = numbers({2, 3}, -1, 1, 2);
    return {{{0}, {a, b}},
            {{1}, {a, numbers({2, 1}, -1, 1, 3), b}},
            {{-1}, {a, b}},
            {{0}, {a}},
            {{0}, {numbers({0, 3}, -1, 1), a}},
            {{1}, {numbers({2, 2, 2}, -1, 1), numbers({2, 3, 2}, -1, 1, 2)}},
            {{0}, {}, "at least one tensor is needed"},
            {{0}, {a, numbers({2, 2}, -1, 1)}, "tensor 1 of shape (2, 2) does not fit tensor 0"},
            {{0}, {a, numbers({3}, -1, 1)}, "tensor 1 of shape (3,) does not fit tensor 0"},
            {{2}, {a, b}, "axis 2 is out of range"},
            {{0}, {a, Tensor{{1.f, 2.f, 3.f}}}, "types differ"}};
  }

 private:
  std::int64_t extent(std::size_t i, const Record& r) const {
    const Shape shape = r.input_shape(i);
    return shape[normalise_axis(name, axis, shape.size())];
  }
  std::int64_t offset(std::size_t i, const Record& r) const {
    std::int64_t result = 0;
    for (std::size_t k = 0; k < i; ++k) result += extent(k, r);
    return result;
  }
};

}  // namespace

std::vector<CatalogueEntry> movement() {
  return {entry<Reshape>(), entry<Transpose>(), entry<Permute>(), entry<BroadcastTo>(),
          entry<Concatenate>()};
}

}  // namespace ops

Tensor reshape(Operand x, const Shape& shape) { return apply(ops::Reshape{shape}, x); }

Tensor permute(Operand x, const Axes& axes) {
  // The exchange of the last two axes is left to the operation that need not copy.
  const std::size_t rank = x->rank();
  const auto stays = [&](std::size_t k) { return axes[k] == static_cast<std::int64_t>(k); };
  if (rank >= 2 && axes.size() == rank && axes[rank - 2] == static_cast<std::int64_t>(rank) - 1 &&
      axes[rank - 1] == static_cast<std::int64_t>(rank) - 2) {
    std::size_t fixed = 0;
    while (fixed < rank - 2 && stays(fixed)) ++fixed;
    if (fixed == rank - 2) return transpose(x);
  }
  return apply(ops::Permute{axes}, x);
}

Tensor transpose(Operand x) { return apply(ops::Transpose{}, x); }

Tensor squeeze(Operand x, const Axes& axes) {
  const Shape& shape = x->shape();
  return detail::located(x.place(), [&] {
    Axes gone;
    for (const std::int64_t axis : normalise_axes("squeeze", axes, shape.size())) {
      if (shape[static_cast<std::size_t>(axis)] == 1)
        gone.push_back(axis);
      else if (!axes.empty())
        throw ShapeError(detail::text("[squeeze] axis ", axis, " of ", shape, " is not 1"));
    }
    return reshape(x, reduced_shape(shape, gone, false));
  });
}

Tensor expand_dims(Operand x, std::int64_t axis) {
  const Shape& shape = x->shape();
  return detail::located(x.place(), [&] {
    return reshape(x,
                   shape.with_inserted(normalise_axis("expand_dims", axis, shape.size() + 1), 1));
  });
}

Tensor broadcast_to(Operand x, const Shape& shape) {
  return x->defined() && x->shape() == shape ? x.tensor() : apply(ops::BroadcastTo{shape}, x);
}

Tensor concatenate(std::span<const Tensor> parts, std::int64_t axis, SourceLocation place) {
  return xg::apply(ops::Concatenate{axis}, parts, place);
}
Tensor concatenate(std::initializer_list<Tensor> parts, std::int64_t axis, SourceLocation place) {
  return concatenate(std::span<const Tensor>(parts.begin(), parts.size()), axis, place);
}

Tensor stack(std::span<const Tensor> parts, std::int64_t axis, SourceLocation place) {
  return detail::located(place, [&] {
    std::vector<Tensor> expanded;
    for (const Tensor& part : parts) {
      if (part.shape() != parts[0].shape())
        throw ShapeError(
            detail::text("[stack] shapes differ: ", parts[0].shape(), " and ", part.shape()));
      expanded.push_back(expand_dims(part, axis));
    }
    return concatenate(expanded, axis);
  });
}
Tensor stack(std::initializer_list<Tensor> parts, std::int64_t axis, SourceLocation place) {
  return stack(std::span<const Tensor>(parts.begin(), parts.size()), axis, place);
}

}  // namespace xg
