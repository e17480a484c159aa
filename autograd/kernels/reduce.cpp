// Reductions in a fixed order: short runs of SIMD lanes, the runs one after the other.
#include "autograd/kernels/reduce.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/runs.hpp"
#include "autograd/storage.hpp"

namespace xg::kernels {
namespace {

// Rows that are combined one after the other before the next run begins.
constexpr std::int64_t run_rows = 256;

template <class R, class T>
void reduce_rows(std::int64_t outer, std::int64_t count, const T* in, T* out) {
  const std::int64_t runs = std::max<std::int64_t>(1, (count + run_length - 1) / run_length);
  if (runs == 1) {
    const std::int64_t grain = outer * count <= elementwise_grain
                                   ? outer
                                   : std::max<std::int64_t>(1, elementwise_grain / count);
    return for_ranges(outer, grain, [&](std::int64_t o, std::int64_t end) {
      if (count <= lanes<T>)
        for (; o < end; o += lanes<T>)
          store_first(out + o, ShortRows<T>(in + o * count, end - o, count).template reduced<R>(),
                      std::min(lanes<T>, end - o));
      for (; o < end; ++o) out[o] = reduce_run<R>(count, Ahead<T>{in + o * count});
    });
  }
  const BufferRef buffer(static_cast<std::uint64_t>(outer * runs) * sizeof(T));
  T* const partial = reinterpret_cast<T*>(buffer.data());
  for_ranges(outer * runs, 2, [&](std::int64_t k, std::int64_t end) {
    for (; k < end; ++k) {
      const std::int64_t begin = k % runs * run_length;
      partial[k] = reduce_run<R>(std::min(run_length, count - begin),
                                 Ahead<T>{in + k / runs * count + begin});
    }
  });
  for (std::int64_t o = 0; o < outer; ++o)
    out[o] = reduce_run<typename R::Parts>(runs, Moving<T>{partial + o * runs});
}

// A few columns whose running values stay in registers.
template <class R, int batches, class T>
void reduce_narrow(std::int64_t count, std::int64_t stride, std::int64_t width, const T* in,
                   T* out) {
  using V = Batch<T>;
  const V identity(static_cast<T>(R::identity));
  std::array<V, batches> total;
  total.fill(identity);
  for (std::int64_t begin = 0; begin < count; begin += run_rows) {
    std::array<V, batches> run;
    run.fill(identity);
    for (std::int64_t r = begin; r < std::min(count, begin + run_rows); ++r)
      for (std::size_t b = 0; b < batches; ++b) {
        const T* const from = in + r * stride + static_cast<std::int64_t>(b) * lanes<T>;
        fetch_ahead(from);
        run[b] = R::combine(run[b], R::of(load(from)));
      }
    for (std::size_t b = 0; b < batches; ++b) total[b] = R::combine(total[b], run[b]);
  }
  for (std::int64_t b = 0; b < batches; ++b)
    store_first(out + b * lanes<T>, total[static_cast<std::size_t>(b)],
                std::min(lanes<T>, width - b * lanes<T>));
}

// Many columns: running values in the first-level cache, whole lines of every row.
template <class R, class T>
void reduce_wide(std::int64_t count, std::int64_t stride, std::int64_t width, const T* in, T* out) {
  constexpr std::int64_t tile = 1024;
  alignas(64) T total[tile], run[tile];
  std::fill_n(total, tile, static_cast<T>(R::identity));
  for (std::int64_t begin = 0; begin < count; begin += run_rows) {
    std::fill_n(run, tile, static_cast<T>(R::identity));
    for (std::int64_t r = begin; r < std::min(count, begin + run_rows); ++r)
      for (std::int64_t i = 0; i < width; i += lanes<T>)
        store(run + i, R::combine(load(run + i), R::of(load(in + r * stride + i))));
    for (std::int64_t i = 0; i < width; i += lanes<T>)
      store(total + i, R::combine(load(total + i), load(run + i)));
  }
  std::copy_n(total, width, out);
}

template <class R, class T>
void reduce_columns(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
                    T* out) {
  constexpr std::int64_t tile = 1024;
  const std::int64_t tiles = (inner + tile - 1) / tile;
  const std::int64_t work = count * std::min(inner, tile);
  const std::int64_t grain = outer * tiles * work <= elementwise_grain
                                 ? outer * tiles
                                 : std::max<std::int64_t>(1, elementwise_grain / work);
  for_ranges(outer * tiles, grain, [&](std::int64_t k, std::int64_t end) {
    for (; k < end; ++k) {
      const std::int64_t o = k / tiles, begin = k % tiles * tile;
      const std::int64_t width = std::min(tile, inner - begin);
      const T* from = in + o * count * inner + begin;
      T* to = out + o * inner + begin;
      if (width <= lanes<T>)
        reduce_narrow<R, 1>(count, inner, width, from, to);
      else if (width <= 2 * lanes<T>)
        reduce_narrow<R, 2>(count, inner, width, from, to);
      else if (width <= 4 * lanes<T> && width > 3 * lanes<T>)
        reduce_narrow<R, 4>(count, inner, width, from, to);
      else
        reduce_wide<R>(count, inner, width, from, to);
    }
  });
}

template <class R, class T>
void reduce_with(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in, T* out) {
  if (inner == 1)
    reduce_rows<R>(outer, count, in, out);
  else
    reduce_columns<R>(outer, count, inner, in, out);
}

}  // namespace

template <class T>
void reduce(Reduction kind, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
            T* out) {
  switch (kind) {
    case Reduction::sum:
      return reduce_with<Sum>(outer, count, inner, in, out);
    case Reduction::squares:
      return reduce_with<Squares>(outer, count, inner, in, out);
    case Reduction::product:
      return reduce_with<Product>(outer, count, inner, in, out);
    case Reduction::maximum:
      return reduce_with<Maximum>(outer, count, inner, in, out);
    case Reduction::minimum:
      return reduce_with<Minimum>(outer, count, inner, in, out);
  }
}

template <class T>
void argmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
            std::int64_t* out) {
  if (outer * inner == 0) return;
  if (inner == 1)
    return for_ranges(outer, std::max<std::int64_t>(1, elementwise_grain / count),
                      [&](std::int64_t o, std::int64_t end) {
                        for (; o < end; ++o) {
                          const T* const row = in + o * count;
                          const T most = reduce_run<Maximum>(count, Ahead<T>{row});
                          const T* const at = std::isnan(most)
                                                  ? std::find_if(row, row + count,
                                                                 [](T x) { return std::isnan(x); })
                                                  : std::find(row, row + count, most);
                          out[o] = at - row;
                        }
                      });
  constexpr std::int64_t tile = 512;
  const std::int64_t tiles = (inner + tile - 1) / tile;
  const std::int64_t work = count * std::min(inner, tile);
  for_ranges(outer * tiles, std::max<std::int64_t>(1, elementwise_grain / work),
             [&](std::int64_t k, std::int64_t end) {
               T best[tile];
               for (; k < end; ++k) {
                 const std::int64_t begin = k % tiles * tile, width = std::min(tile, inner - begin);
                 const T* from = in + k / tiles * count * inner + begin;
                 std::int64_t* const place = out + k / tiles * inner + begin;
                 std::copy_n(from, width, best);
                 std::fill_n(place, width, 0);
                 for (std::int64_t r = 1; r < count; ++r) {
                   from += inner;
                   for (std::int64_t i = 0; i < width; ++i) {
                     const bool better = !(from[i] <= best[i]) && best[i] == best[i];
                     best[i] = better ? from[i] : best[i];
                     place[i] = better ? r : place[i];
                   }
                 }
               }
             });
}

template void argmax(std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t*);
template void argmax(std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t*);
template void reduce(Reduction, std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void reduce(Reduction, std::int64_t, std::int64_t, std::int64_t, const double*, double*);

}  // namespace xg::kernels
