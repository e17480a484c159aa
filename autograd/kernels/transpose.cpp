// Copies that change the order of axes: of whole runs where the last axis stays, else transposes of
// squares that fit into registers.
#include "autograd/kernels/transpose.hpp"

#include <algorithm>
#include <utility>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/simd.hpp"

namespace xg::kernels {
namespace {

/// A square of as many rows and columns as a batch has elements.
template <class T>
class Square {
 public:
  static constexpr std::size_t side = Batch<T>::size;

  /// out[c][r] = in[r][c], where rows are `in_step` and `out_step` elements apart.
  template <bool streamed>
  static void transpose(const T* in, std::int64_t in_step, T* out, std::int64_t out_step) {
    Row a[side];
    for (Row& row : a) {
      row = std::bit_cast<Row>(load(in));
      in += in_step;
    }
    exchange(a);
    for (const Row& row : a) {
      if constexpr (streamed)
        stream(out, std::bit_cast<Batch<T>>(row));
      else
        store(out, std::bit_cast<Batch<T>>(row));
      out += out_step;
    }
  }

  /// The same where there are fewer rows or columns. Whole batches are loaded, see Buffer.
  static void transpose_part(std::int64_t rows, std::int64_t columns, const T* in,
                             std::int64_t in_step, T* out, std::int64_t out_step) {
    Row a[side]{};
    for (std::int64_t r = 0; r < rows; ++r) a[r] = std::bit_cast<Row>(load(in + r * in_step));
    exchange(a);
    for (std::int64_t c = 0; c < columns; ++c)
      store_first(out + c * out_step, std::bit_cast<Batch<T>>(a[c]), rows);
  }

 private:
  using Row = typename Lanes<T>::Vector;
  using Places = typename Lanes<T>::Places;

  // The elements of a and b in turn, from number `first` on.
  template <std::size_t first, std::size_t... place>
  static Row shuffle(const Row& a, const Row& b, std::index_sequence<place...>) {
    return __builtin_shufflevector(a, b, (first + place / 2 + place % 2 * side)...);
  }
  // A perfect shuffle of all elements moves each bit of a position up by one; as many of them as a
  // column number has bits make it the row number.
  static void exchange(Row (&a)[side]) {
    Row b[side];
    for (std::size_t bit = 1; bit < side; bit *= 2) {
      for (std::size_t r = 0; r < side / 2; ++r) {
        b[2 * r] = shuffle<0>(a[r], a[r + side / 2], Places());
        b[2 * r + 1] = shuffle<side / 2>(a[r], a[r + side / 2], Places());
      }
      for (std::size_t r = 0; r < side; ++r) a[r] = b[r];
    }
  }
};

// Whole lines of a strip of rows are read one after the other, and written to lines that are far
// apart: the fewer at a time, the fewer pages.
constexpr std::int64_t tile_rows = 32, tile_columns = 256;
// Bytes of a result from which on it is written past the cache: less than for a loop that goes
// straight on, because nothing fetches its lines ahead.
constexpr std::int64_t streamed_bytes = std::int64_t{4} << 20;

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
        Square<T>::template transpose<streamed>(from, in_step, to, out_step);
      else
        Square<T>::transpose_part(height, width, from, in_step, to, out_step);
    }
  if constexpr (streamed) finish_streaming();
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
  const std::int64_t strips = (rows + tile_rows - 1) / tile_rows,
                     tiles_of_strip = (columns + tile_columns - 1) / tile_columns,
                     tiles = strips * tiles_of_strip;
  const auto size = static_cast<std::int64_t>(sizeof(T));
  const bool streamed = total * size >= streamed_bytes && rows * size % 64 == 0;
  for_ranges(total / (rows * columns) * tiles,
             grain(std::min(rows, tile_rows) * std::min(columns, tile_columns)),
             [&](std::int64_t i, std::int64_t end) {
               for (; i < end; ++i) {
                 const auto [source, target] = place(i / tiles, q);
                 const std::int64_t r = i % tiles / tiles_of_strip * tile_rows;
                 const std::int64_t c = i % tiles_of_strip * tile_columns;
                 (streamed ? transpose_tile<T, true>
                           : transpose_tile<T, false>)(std::min(tile_rows, rows - r),
                                                       std::min(tile_columns, columns - c),
                                                       in + source + r * from[0] + c, from[0],
                                                       out + target + c * to[q] + r, to[q]);
               }
             });
}

template void permute(const Shape&, const Axes&, const float*, float*);
template void permute(const Shape&, const Axes&, const double*, double*);
template void permute(const Shape&, const Axes&, const std::int64_t*, std::int64_t*);

}  // namespace xg::kernels
