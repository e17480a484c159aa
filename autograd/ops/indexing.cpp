// Operations that choose elements by position, and those that put them back.
#include <algorithm>
#include <functional>
#include <numeric>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/copy.hpp"
#include "autograd/kernels/map.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using detail::text;

/// A tensor seen as (outer, extent, inner) around one axis.
struct Around {
  std::int64_t outer = 1, inner = 1;
  Around(const Shape& shape, std::size_t axis) {
    for (std::size_t i = 0; i < axis; ++i) outer *= shape[i];
    for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  }
};

void require_step(std::string_view name, std::int64_t step) {
  if (step < 1) throw ValueError(text("[", name, "] the step must be positive, not ", step));
}

struct Slice {
  std::int64_t axis, start, stop, step;

  static constexpr auto name = "slice";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    require_step(name, step);
    Shape result = x[0].shape();
    const std::size_t a = normalise_axis(name, axis, result.size());
    const std::int64_t begin = position(start, result[a]), end = position(stop, result[a]);
    result[a] = begin < end ? (end - begin - 1) / step + 1 : 0;
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::size_t a = normalise_axis(name, axis, shape.size());
    const std::int64_t extent = x[0].shape()[a], begin = position(start, extent);
    const Around around(shape, a);
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      const T* const from = x[0].data<T>() + begin * around.inner;
      T* const to = out.exclusive_data<T>();
      // Neighbours are copied together.
      const std::int64_t runs = step == 1 ? 1 : shape[a];
      const std::int64_t length = step == 1 ? shape[a] * around.inner : around.inner;
      kernels::copy_runs(
          around.outer * runs, length,
          [&](std::int64_t i) {
            return from + (i / runs * extent + i % runs * step) * around.inner;
          },
          [&](std::int64_t i) { return to + i * length; });
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Shape in = r.input_shape(0);
    const std::int64_t extent = in[normalise_axis(name, axis, in.size())];
    return embed(g, axis, position(start, extent), extent, step);
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const {
    return slice(t, axis, start, stop, step);
  }
  static double flops(const Record&) { return 0; }
  std::string equation() const {
    return text("{0}[axis ", axis, ": ", start, ":", stop, ":", step, "]");
  }
  static std::vector<Sample<Slice>> samples() {
    const Tensor x = numbers({4, 5, 2}, -1, 1);
    return {{{0, 1, 3, 1}, {x}},
            {{1, 0, 5, 2}, {x}},
            {{-1, 1, 2, 1}, {x}},
            {{1, -3, -1, 1}, {x}},
            {{1, 3, 100, 1}, {x}},
            {{0, 2, 2, 1}, {x}},
            {{0, 3, 1, 1}, {x}},
            {{0, 0, 1, 1}, {numbers({1}, -1, 1)}},
            {{1, 1, 5, 3}, {x}},
            {{0, 0, 4, 0}, {x}, "the step must be positive, not 0"},
            {{3, 0, 1, 1}, {x}, "axis 3 is out of range"}};
  }
  static std::vector<Sample<Slice>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{{1, side / 4, 3 * side / 4, 1}, {numbers({side, side}, -1, 1)}}};
  }

 private:
  static std::int64_t position(std::int64_t p, std::int64_t extent) {
    return std::clamp<std::int64_t>(p < 0 ? p + extent : p, 0, extent);
  }
};

struct Embed {
  std::int64_t axis, start, extent, step;

  static constexpr auto name = "embed";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    require_step(name, step);
    Shape result = x[0].shape();
    const std::size_t a = normalise_axis(name, axis, result.size());
    const std::int64_t room = extent - 1 - start;  // beyond the first position
    if (start < 0 || (result[a] > 0 && (room < 0 || result[a] - 1 > room / step)))
      throw ShapeError(text("[embed] ", result[a], " positions from ", start, " in steps of ", step,
                            " do not fit into ", extent));
    result[a] = extent;
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::size_t a = normalise_axis(name, axis, shape.size());
    const Around around(shape, a);
    // Neighbours are copied together.
    const std::int64_t n = x[0].shape()[a], runs = step == 1 ? std::min<std::int64_t>(n, 1) : n;
    const std::int64_t length = step == 1 ? n * around.inner : around.inner;
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      const T* const in = x[0].data<T>();
      T* const all = out.exclusive_data<T>();
      const std::int64_t block = extent * around.inner;
      kernels::for_runs(around.outer, block, [&](std::int64_t o) {
        const T* from = in + o * runs * length;
        T *to = all + o * block, *const end = to + block;
        if (runs > 0) to = std::fill_n(to, start * around.inner, T(0));
        for (std::int64_t i = 0; i < runs; ++i, from += length) {
          to = std::copy_n(from, length, to);
          if (i + 1 < runs) to = std::fill_n(to, (step - 1) * length, T(0));
        }
        std::fill(to, end, T(0));
      });
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Shape in = r.input_shape(0);
    const std::int64_t n = in[normalise_axis(name, axis, in.size())];
    return slice(g, axis, start, n == 0 ? start : start + (n - 1) * step + 1, step);
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const {
    return embed(t, axis, start, extent, step);
  }
  static double flops(const Record&) { return 0; }
  std::string equation() const {
    return text("embed({0}, axis ", axis, " from ", start, " step ", step, " of ", extent, ")");
  }
  static std::vector<Sample<Embed>> samples() {
    const Tensor x = numbers({2, 3}, -1, 1);
    return {{{0, 1, 4, 1}, {x}},
            {{1, 0, 5, 2}, {x}},
            {{-1, 1, 9, 3}, {x}},
            {{0, 2, 3, 1}, {numbers({0}, -1, 1)}},
            {{0, 3, 4, 1}, {x}, "2 positions from 3 in steps of 1 do not fit into 4"},
            {{0, -1, 4, 1}, {x}, "2 positions from -1 in steps of 1 do not fit into 4"},
            {{0, 0, 4, 0}, {x}, "the step must be positive, not 0"}};
  }
  static std::vector<Sample<Embed>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{{1, side / 2, 2 * side, 1}, {numbers({side, side}, -1, 1)}}};
  }
};

/// Row numbers, checked and counted from the front.
std::int64_t checked_row(std::string_view name, std::int64_t index, std::int64_t rows) {
  if (index < -rows || index >= rows)
    throw ShapeError(text("[", name, "] row ", index, " is out of range for ", rows, " rows"));
  return index < 0 ? index + rows : index;
}

/// `count` random positions below `end`, for samples.
Tensor positions(std::int64_t count, std::int64_t end) {
  return cast(numbers({count}, 0, static_cast<double>(end)), DType::int64);
}

void require_indices(std::string_view name, const Tensor& indices) {
  if (indices.dtype() != DType::int64)
    throw DTypeError(text("[", name, "] indices must be int64, not ", indices.dtype()));
}

struct Take {
  static constexpr auto name = "take";
  static constexpr Keep keeps = keep_input(1);
  Shape shape(Inputs x) const {
    require_indices(name, x[1]);
    if (x[0].rank() == 0) throw ShapeError("[take] a scalar has no rows");
    Shape result = x[1].shape();
    for (std::size_t i = 1; i < x[0].rank(); ++i) result.push_back(x[0].shape()[i]);
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t rows = x[0].shape()[0], width = Around(x[0].shape(), 0).inner;
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      const T* const from = x[0].data<T>();
      const std::int64_t* const indices = x[1].data<std::int64_t>();
      T* const to = out.exclusive_data<T>();
      kernels::copy_runs(
          x[1].size(), width,
          [&](std::int64_t i) { return from + checked_row(name, indices[i], rows) * width; },
          [&](std::int64_t i) { return to + i * width; });
    });
    return out;
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    if (i == 1) return {};
    return scatter_add(g, r.input(1), r.input_shape(0)[0]);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return i == 1 ? Tensor() : take(t, r.input(1));
  }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return "{0}[{1}]"; }
  static std::vector<Sample<Take>> samples() {
    const Tensor x = numbers({4, 3}, -1, 1);
    return {{{}, {x, Tensor{2, 0, 2, -1}}},
            {{}, {x, Tensor{{0, 1}, {1, 1}}}},
            {{}, {x, Tensor(3)}},
            {{}, {numbers({5}, -1, 1), Tensor{4, 4}}},
            {{}, {x, zeros({0}, DType::int64)}},
            {{}, {x, Tensor{4}}, "row 4 is out of range for 4 rows"},
            {{}, {x, Tensor{-5}}, "row -5 is out of range for 4 rows"},
            {{}, {x, Tensor{1.0}}, "indices must be int64, not float64"},
            {{}, {Tensor(1.0), Tensor{0}}, "a scalar has no rows"}};
  }
  static std::vector<Sample<Take>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{{}, {numbers({side, side}, -1, 1), positions(side, side)}}};
  }
};

struct ScatterAdd {
  std::int64_t rows;

  static constexpr auto name = "scatter_add";
  static constexpr Keep keeps = keep_input(1);
  Shape shape(Inputs x) const {
    require_indices(name, x[1]);
    const Shape &in = x[0].shape(), &places = x[1].shape();
    if (in.size() < places.size() || !std::equal(places.begin(), places.end(), in.begin()))
      throw ShapeError(
          text("[scatter_add] rows of shape ", in, " do not match indices of shape ", places));
    Shape result{rows};
    for (std::size_t i = places.size(); i < in.size(); ++i) result.push_back(in[i]);
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t width = Around(shape, 0).inner, count = x[1].size();
    // The rows that go to each place, in their order: those to r are [ends[r - 1], ends[r]).
    const BufferRef buffer(static_cast<std::uint64_t>(rows + count) * sizeof(std::int64_t));
    auto* const ends = reinterpret_cast<std::int64_t*>(buffer.data());
    std::int64_t* const order = ends + rows;
    std::fill_n(ends, rows, 0);
    const auto indices = x[1].values<std::int64_t>();
    for (const std::int64_t index : indices) ++ends[checked_row(name, index, rows)];
    std::exclusive_scan(ends, ends + rows, ends, std::int64_t{0});
    for (std::int64_t k = 0; k < count; ++k)
      order[ends[checked_row(name, indices[static_cast<std::size_t>(k)], rows)]++] = k;
    visit_dtype(x[0].dtype(), [&]<class T>(T) {
      const T* const from = x[0].data<T>();
      T* const to = out.exclusive_data<T>();
      const bool streamed = kernels::streams_rows<T>(out.size(), width);
      kernels::for_runs(rows, width, [&](std::int64_t r) {
        const std::int64_t first = r == 0 ? 0 : ends[r - 1];
        T* const sum = to + r * width;
        const auto begin_with = [&](const auto& in) {
          const auto itself = [](const auto& v) { return v; };
          if (!streamed || ends[r] - first > 1)
            return kernels::map_row(itself, width, width, sum, in);
          kernels::stream_row(itself, width, sum, in);
          kernels::finish_streaming();
        };
        if (first == ends[r])
          begin_with(kernels::Fixed<T>{T(0)});
        else
          begin_with(kernels::Moving<T>{from + order[first] * width});
        for (std::int64_t k = first + 1; k < ends[r]; ++k)
          std::transform(sum, sum + width, from + order[k] * width, sum, std::plus<T>());
      });
    });
    return out;
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    return i == 1 ? Tensor() : take(g, r.input(1));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return i == 1 ? Tensor() : scatter_add(t, r.input(1), rows);
  }
  static double flops(const Record& r) {
    return static_cast<double>(element_count(r.input_shape(0)));
  }
  std::string equation() const { return text("scatter_add({0}, {1}, ", rows, ")"); }
  static std::vector<Sample<ScatterAdd>> samples() {
    return {{{4}, {numbers({3, 2}, -1, 1), Tensor{1, 3, 1}}},
            {{3}, {numbers({2, 2, 2}, -1, 1), Tensor{{0, 1}, {1, -1}}}},
            {{4}, {numbers({3}, -1, 1), Tensor(2)}},
            {{2}, {numbers({0, 2}, -1, 1), zeros({0}, DType::int64)}},
            {{2}, {numbers({1, 2}, -1, 1), Tensor{2}}, "row 2 is out of range for 2 rows"},
            {{2}, {numbers({3}, -1, 1), Tensor{0, 1}}, "do not match indices of shape (2,)"},
            {{2}, {numbers({1}, -1, 1), Tensor{0.}}, "indices must be int64, not float64"}};
  }
  static std::vector<Sample<ScatterAdd>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{{side}, {numbers({side, side}, -1, 1), positions(side, side)}}};
  }
};

struct OneHot {
  std::int64_t classes = 3;
  DType dtype = DType::float64;

  static constexpr auto name = "one_hot";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    require_indices(name, x[0]);
    for (const std::int64_t label : x[0].values<std::int64_t>())
      if (label < 0 || label >= classes)
        throw ValueError(text("[one_hot] label ", label, " is not one of ", classes, " classes"));
    Shape result = x[0].shape();
    result.push_back(classes);
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, dtype);
    visit_dtype(dtype, [&]<class T>(T) {
      const std::int64_t* const labels = x[0].data<std::int64_t>();
      T* const to = out.exclusive_data<T>();
      kernels::write_blocks(out.size(), to, [&](std::int64_t begin, std::int64_t end, T* block) {
        std::fill_n(block, end - begin, T(0));
        for (std::int64_t i = begin / classes; i * classes < end; ++i) {
          // Of the first row and the last, a part may be in another block.
          const auto one = static_cast<std::uint64_t>(i * classes + labels[i] - begin);
          if (one < static_cast<std::uint64_t>(end - begin)) block[one] = 1;
        }
      });
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor&, const Record&) const { return {}; }
  Tensor jvp(std::size_t, const Tensor&, const Record&) const { return {}; }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return text("one_hot({0}, ", classes, ")"); }
  static std::vector<Sample<OneHot>> samples() {
    return {{{3}, {Tensor{0, 2, 1}}},
            {{3}, {Tensor(1)}},
            {{4}, {Tensor{{0, 3}, {1, 1}}}},
            {{3}, {Tensor{0, 3}}, "label 3 is not one of 3 classes"},
            {{3}, {Tensor{-1}}, "label -1 is not one of 3 classes"},
            {{3}, {Tensor{1.0}}, "indices must be int64, not float64"}};
  }
  static std::vector<Sample<OneHot>> at_size(std::int64_t n) {
    return {{{10}, {positions(n / 10, 10)}}};
  }
};

}  // namespace

std::vector<CatalogueEntry> indexing() {
  return {entry<Slice>(), entry<Embed>(), entry<Take>(), entry<ScatterAdd>(), entry<OneHot>()};
}

}  // namespace ops

Tensor slice(Operand x, std::int64_t axis, std::int64_t start, std::int64_t stop,
             std::int64_t step) {
  return apply(ops::Slice{axis, start, stop, step}, x);
}
Tensor embed(Operand x, std::int64_t axis, std::int64_t start, std::int64_t extent,
             std::int64_t step) {
  return apply(ops::Embed{axis, start, extent, step}, x);
}
Tensor take(Operand x, Operand indices) { return apply(ops::Take{}, x, indices); }
Tensor scatter_add(Operand x, Operand indices, std::int64_t rows) {
  return apply(ops::ScatterAdd{rows}, x, indices);
}
Tensor one_hot(Operand labels, std::int64_t classes, DType dtype) {
  return apply(ops::OneHot{classes, dtype}, labels);
}

}  // namespace xg
