// Copies that change the order of axes: of whole runs where the last axis stays, else transposes of
// squares that fit into registers.
#include "autograd/kernels/transpose.hpp"

#include <algorithm>
#include <utility>

#include "autograd/kernels/map.hpp"

namespace xg::kernels {
namespace {

// out[c][r] = in[r][c] for a square, where rows are `in_step` and `out_step` elements apart.
template <class T, bool streamed>
void transpose_square(const T* in, std::int64_t in_step, T* out, std::int64_t out_step) {
  Square<T> a;
  for (Batch<T>& row : a) {
    row = load(in);
    in += in_step;
  }
  transpose<T>(a);
  for (const Batch<T>& row : a) {
    if constexpr (streamed)
      stream(out, row);
    else
      store(out, row);
    out += out_step;
  }
}

// The same where there are fewer rows or columns. Whole batches are loaded, see Buffer.
template <class T>
void transpose_part(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_step,
                    T* out, std::int64_t out_step) {
  Square<T> a;
  a.fill(Batch<T>(T(0)));
  for (std::int64_t r = 0; r < rows; ++r) a[static_cast<std::size_t>(r)] = load(in + r * in_step);
  transpose<T>(a);
  for (std::int64_t c = 0; c < columns; ++c)
    store_first(out + c * out_step, a[static_cast<std::size_t>(c)], rows);
}

// Whole lines of a strip of rows are read one after the other, and written to lines that are far
// apart: the fewer at a time, the fewer pages.
constexpr std::int64_t tile_rows = 32, tile_columns = 256;
// Bytes of a result from which on it is written past the cache: less than for a loop that goes
// straight on, because nothing fetches its lines ahead.
constexpr std::int64_t streamed_transpose = std::int64_t{4} << 20;

// Where lines of the result are shared between tiles: tall ones, so that few are.
constexpr std::int64_t tall_rows = 256, tall_columns = 64;

template <class T, bool streamed>
void transpose_tile(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_step,
                    T* out, std::int64_t out_step) {
  constexpr std::int64_t side = lanes<T>;
  for (std::int64_t c = 0; c < columns; c += side)
    for (std::int64_t r = 0; r < rows; r += side) {
      const T* const from = in + r * in_step + c;
      T* const to = out + c * out_step + r;
      const std::int64_t height = std::min(side, rows - r), width = std::min(side, columns - c);
      if (height == side && width == side)
        transpose_square<T, streamed>(from, in_step, to, out_step);
      else
        transpose_part(height, width, from, in_step, to, out_step);
    }
  if constexpr (streamed) finish_streaming();
}

// The same past the cache where rows of the result begin anywhere in a line.
template <class T>
void transpose_tall_tile(std::int64_t rows, std::int64_t columns, const T* in, std::int64_t in_step,
                         T* out, std::int64_t out_step) {
  alignas(64) T made[tall_rows * tall_columns + lanes<T>];  // whole batches are read at the end
  transpose_tile<T, false>(rows, columns, in, in_step, made, tall_rows);
  for (std::int64_t c = 0; c < columns; ++c)
    stream_row([](const Batch<T>& x) { return x; }, rows, out + c * out_step,
               Moving<T>{made + c * tall_rows});
  finish_streaming();
}

}  // namespace

template <class T>
void permute(const Shape& shape, const Axes& axes, const T* in, T* out) {
  const std::size_t rank = shape.size();
  const std::int64_t total = element_count(shape);
  if (total == 0) return;
  Extents stride = Extents::filled(rank, 1);
  for (std::size_t i = rank; i-- > 1;) stride[i - 1] = stride[i] * shape[i];
  // The axes of `out` from the innermost on, and how far apart their elements are in both; axes
  // that are neighbours in `in`, too, are one.
  Extents extent, from, to;
  std::int64_t inside = 1;
  for (std::size_t k = rank; k-- > 0;) {
    const auto axis = static_cast<std::size_t>(axes[k]);
    if (shape[axis] == 1) continue;
    if (!extent.empty() && stride[axis] == from.back() * extent.back()) {
      extent[extent.size() - 1] *= shape[axis];
    } else {
      extent.push_back(shape[axis]);
      from.push_back(stride[axis]);
      to.push_back(inside);
    }
    inside *= shape[axis];
  }
  if (extent.empty()) {
    *out = *in;
    return;
  }
  // Where `index` of all axes but the first and number `other` stands in `in` and in `out`.
  const auto place = [&](std::int64_t index, std::size_t other) {
    std::pair<std::int64_t, std::int64_t> result{0, 0};
    for (std::size_t k = 1; k < extent.size(); ++k) {
      if (k == other) continue;
      const std::int64_t i = index % extent[k];
      index /= extent[k];
      result.first += i * from[k];
      result.second += i * to[k];
    }
    return result;
  };
  const auto grain = [](std::int64_t elements) {
    return std::max<std::int64_t>(1, elementwise_grain / elements);
  };
  const std::int64_t rows = extent[0];
  if (from[0] == 1)
    return for_ranges(total / rows, grain(rows), [&](std::int64_t i, std::int64_t end) {
      for (; i < end; ++i) std::copy_n(in + place(i, 0).first, rows, out + i * rows);
    });
  // Rows of `out` are columns of `in`: the axis that is innermost there.
  const auto q = static_cast<std::size_t>(std::find(from.begin(), from.end(), 1) - from.begin());
  const std::int64_t columns = extent[q];
  const auto size = static_cast<std::int64_t>(sizeof(T));
  const bool streamed = total * size >= streamed_transpose, whole_lines = rows * size % 64 == 0;
  const bool tall = streamed && !whole_lines && rows >= tall_rows;
  const auto transpose_one = tall                      ? transpose_tall_tile<T>
                             : streamed && whole_lines ? transpose_tile<T, true>
                                                       : transpose_tile<T, false>;
  const std::int64_t height = tall ? tall_rows : tile_rows,
                     width = tall ? tall_columns : tile_columns,
                     strips = (rows + height - 1) / height,
                     tiles_of_strip = (columns + width - 1) / width,
                     tiles = strips * tiles_of_strip;
  for_ranges(total / (rows * columns) * tiles,
             grain(std::min(rows, height) * std::min(columns, width)),
             [&](std::int64_t i, std::int64_t end) {
               for (; i < end; ++i) {
                 const auto [source, target] = place(i / tiles, q);
                 const std::int64_t r = i % tiles / tiles_of_strip * height;
                 const std::int64_t c = i % tiles_of_strip * width;
                 transpose_one(std::min(height, rows - r), std::min(width, columns - c),
                               in + source + r * from[0] + c, from[0], out + target + c * to[q] + r,
                               to[q]);
               }
             });
}

template void permute(const Shape&, const Axes&, const float*, float*);
template void permute(const Shape&, const Axes&, const double*, double*);
template void permute(const Shape&, const Axes&, const std::int64_t*, std::int64_t*);

}  // namespace xg::kernels
