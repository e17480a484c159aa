// Products of all other factors: the product of those before, left in the result on the way there,
// times that of those after, on the way back.
#include "autograd/kernels/others.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/runs.hpp"
#include "autograd/storage.hpp"

namespace xg::kernels {
namespace {

// Whole batches where there is room, so many elements otherwise: what lies behind may be another
// thread's, who writes it.
template <class T>
Batch<T> get(const T* from, std::int64_t count) {
  return count >= lanes<T> ? load(from) : load_first(from, count);
}
template <class T>
void put(T* to, const Batch<T>& x, std::int64_t count) {
  if (count >= lanes<T>)
    store(to, x);
  else
    store_first(to, x, count);
}

// Lane by lane the product of all other lanes, times `others`.
template <std::size_t by, class T>
Batch<T> other_lanes(const Batch<T>& groups, const Batch<T>& others) {
  if constexpr (by == Batch<T>::size) {
    return others;
  } else {
    const Batch<T> neighbours = exchanged<by>(groups);
    return other_lanes<2 * by>(groups * neighbours, others * neighbours);
  }
}

// One row, as four chains of batches, each lane by lane; then times what the other chains and lanes
// come to. May write up to `room` elements.
template <class T>
void others_in_row(std::int64_t n, const T* in, T y, T* out, std::int64_t room) {
  using V = Batch<T>;
  constexpr std::int64_t side = lanes<T>, chains = 4, step = chains * side;
  const V one(T(1));
  std::array<V, chains> run{one, one, one, one};
  const auto each = [&](std::int64_t i, const auto& f) {
    if (i + step <= n)
      for (std::int64_t k = 0; k < chains; ++k)
        f(run[static_cast<std::size_t>(k)], i + k * side, load(in + i + k * side));
    else
      for (std::int64_t k = 0; k < chains; ++k)
        if (const std::int64_t at = i + k * side; at < n)
          f(run[static_cast<std::size_t>(k)], at, first_or(load(in + at), n - at, one));
  };
  const auto forward = [&](V& before, std::int64_t at, const V& x) {
    put(out + at, before, room - at);
    before *= x;
  };
  const auto back = [&](V& after, std::int64_t at, const V& x) {
    put(out + at, get(out + at, room - at) * after, room - at);
    after *= x;
  };
  for (std::int64_t i = 0; i < n; i += step) each(i, forward);
  const V low = run[0] * run[1], high = run[2] * run[3];
  const V others = other_lanes<1>(low * high, V(y));
  run = {run[1] * high * others, run[0] * high * others, run[3] * low * others,
         run[2] * low * others};
  for (std::int64_t i = (n - 1) / step * step; i >= 0; i -= step) each(i, back);
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
constexpr std::int64_t tile = 256;

// Of the products on the way there only every fourth row's stay in the result; the way back finds
// those between again, so that less goes through the memory.
template <class T>
void others_in_columns(std::int64_t count, std::int64_t inner, std::int64_t width, const T* in,
                       const T* y, T* out) {
  using V = Batch<T>;
  constexpr std::int64_t group = 4;
  alignas(64) T run[tile];
  // f(batch of `run`, place in the rows from r on, columns left) for each batch of the tile.
  const auto columns = [&](std::int64_t r, const auto& f) {
    for (std::int64_t i = 0; i < width; i += lanes<T>) {
      V factor = load(run + i);
      f(factor, r * inner + i, width - i);
      store(run + i, factor);
    }
  };
  std::fill_n(run, tile, T(1));
  const std::int64_t last = (count - 1) / group * group;
  for (std::int64_t r = 0; r <= last; r += group)
    columns(r, [&](V& before, std::int64_t at, std::int64_t left) {
      put(out + at, before, left);
      if (r < last)
        for (std::int64_t k = 0; k < group; ++k) before *= load(in + at + k * inner);
    });
  std::copy_n(y, width, run);
  const auto back = [&](auto rows, std::int64_t r) {
    columns(r, [&](V& after, std::int64_t at, std::int64_t left) {
      std::array<V, group> before{get(out + at, left)}, x;
      for (std::int64_t k = 0; k < rows; ++k) {
        const auto here = static_cast<std::size_t>(k);
        x[here] = load(in + at + k * inner);
        if (k + 1 < rows) before[here + 1] = before[here] * x[here];
      }
      for (std::int64_t k = rows; k-- > 0;) {
        const auto here = static_cast<std::size_t>(k);
        put(out + at + k * inner, before[here] * after, left);
        after *= x[here];
      }
    });
  };
  back(count - last, last);
  for (std::int64_t r = last; r > 0; r -= group)
    back(std::integral_constant<std::int64_t, group>(), r - group);
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
               // What is written behind a row, its successor overwrites.
               const std::int64_t past = end < parts ? place(end) : outer * count + lanes<T>;
               for (; i < end; ++i) {
                 const std::int64_t k = i / tiles, column = i % tiles * tile;
                 const std::int64_t at = place(k) + column;
                 if (inner == 1)
                   others_in_row(length(k), in + at, y[k], out + at, past - at);
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
