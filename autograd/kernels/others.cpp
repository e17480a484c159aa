// Products of all other factors: the product of those before, left in the result on the way there,
// times that of those after, on the way back.
#include "autograd/kernels/others.hpp"

#include <algorithm>

#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/runs.hpp"
#include "autograd/storage.hpp"

namespace xg::kernels {
namespace {

// Whole batches where there is room, so many elements otherwise.
template <class T>
void put(T* to, const Batch<T>& x, std::int64_t count) {
  if (count >= lanes<T>)
    store(to, x);
  else
    store_first(to, x, count);
}

// One row: lane by lane, each lane's result then times the products of the other lanes.
template <class T>
void others_in_row(std::int64_t n, const T* in, T y, T* out) {
  using V = Batch<T>;
  constexpr std::int64_t side = lanes<T>;
  const V one(T(1));
  const auto at = [&](std::int64_t i) { return first_or(load(in + i), n - i, one); };
  V before = one;
  for (std::int64_t i = 0; i < n; i += side) {
    put(out + i, before, n - i);
    before *= at(i);
  }
  alignas(64) T lane[V::size], factor[V::size];
  before.store_aligned(lane);
  T run = y;
  for (std::size_t k = 0; k < V::size; run *= lane[k++]) factor[k] = run;
  run = 1;
  for (std::size_t k = V::size; k-- > 0; run *= lane[k]) factor[k] *= run;
  V after = V::load_aligned(factor);
  for (std::int64_t i = (n - 1) / side * side; i >= 0; i -= side) {
    put(out + i, load(out + i) * after, n - i);
    after *= at(i);
  }
}

template <class T>
void others_in_short_rows(std::int64_t rows, std::int64_t count, const T* in, const T* y, T* out,
                          std::int64_t room) {
  using V = Batch<T>;
  for (; rows > 0; rows -= lanes<T>, room -= lanes<T> * count) {
    ShortRows<T> x(in, rows, count);
    Square<T> others;
    V run(T(1));
    const auto n = static_cast<std::size_t>(count);
    for (std::size_t k = 0; k < n; run *= x.columns[k++]) others[k] = run;
    run = load(y);
    for (std::size_t k = n; k-- > 0; run *= x.columns[k]) others[k] *= run;
    for (std::size_t k = 0; k < n; ++k) x.columns[k] = others[k];
    x.store_rows(out, room);
    in += lanes<T> * count;
    out += lanes<T> * count;
    y += lanes<T>;
  }
}

// Columns that fit a tile, of rows that are `inner` elements apart.
constexpr std::int64_t tile = 1024;

template <class T>
void others_in_columns(std::int64_t count, std::int64_t inner, std::int64_t width, const T* in,
                       const T* y, T* out) {
  alignas(64) T run[tile];
  const auto step = [&](std::int64_t r, bool back) {
    for (std::int64_t i = 0; i < width; i += lanes<T>) {
      T* const to = out + r * inner + i;
      const Batch<T> factor = load(run + i);
      put(to, back ? load(to) * factor : factor, width - i);
      store(run + i, factor * load(in + r * inner + i));
    }
  };
  std::fill_n(run, tile, T(1));
  for (std::int64_t r = 0; r < count; ++r) step(r, false);
  std::copy_n(y, width, run);
  for (std::int64_t r = count; r-- > 0;) step(r, true);
}

}  // namespace

template <class T>
void products_of_others(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
                        const T* y, T* out) {
  if (outer * count * inner == 0) return;
  const auto grain = [](std::int64_t elements) {
    return std::max<std::int64_t>(1, elementwise_grain / elements);
  };
  if (inner == 1 && count <= lanes<T>)
    return for_ranges(outer, grain(count) / lanes<T> * lanes<T>, [&](std::int64_t o, auto end) {
      const std::int64_t room = (end - o) * count + (end < outer ? 0 : lanes<T>);
      others_in_short_rows(end - o, count, in + o * count, y + o, out + o * count, room);
    });
  // Blocks that stay in the cache with their results. If there are several, the product of the
  // other blocks is a factor for all of a block.
  const std::int64_t most =
      inner == 1 ? 8192 : std::clamp<std::int64_t>(elementwise_grain / inner, 64, 8192);
  const std::int64_t blocks = (count + most - 1) / most, parts = outer * blocks;
  const auto length = [&](std::int64_t k) { return std::min(most, count - k % blocks * most); };
  const auto place = [&](std::int64_t k) {
    return (k / blocks * count + k % blocks * most) * inner;
  };
  BufferRef buffer;
  if (blocks > 1) {
    buffer = BufferRef(static_cast<std::uint64_t>(2 * parts * inner) * sizeof(T));
    T* const products = reinterpret_cast<T*>(buffer.data());
    T* const others = products + parts * inner;
    for_ranges(parts, grain(most * inner), [&](std::int64_t k, std::int64_t end) {
      for (; k < end; ++k)
        reduce(Reduction::product, 1, length(k), inner, in + place(k), products + k * inner);
    });
    products_of_others(outer, blocks, inner, products, y, others);
    y = others;
  }
  const std::int64_t tiles = (inner + tile - 1) / tile;
  for_ranges(parts * tiles, grain(std::min(most, count) * std::min(inner, tile)),
             [&](std::int64_t i, std::int64_t end) {
               for (; i < end; ++i) {
                 const std::int64_t k = i / tiles, column = i % tiles * tile;
                 const std::int64_t at = place(k) + column;
                 if (inner == 1)
                   others_in_row(length(k), in + at, y[k], out + at);
                 else
                   others_in_columns(length(k), inner, std::min(tile, inner - column), in + at,
                                     y + k * inner + column, out + at);
               }
             });
}

template void products_of_others(std::int64_t, std::int64_t, std::int64_t, const float*,
                                 const float*, float*);
template void products_of_others(std::int64_t, std::int64_t, std::int64_t, const double*,
                                 const double*, double*);

}  // namespace xg::kernels
