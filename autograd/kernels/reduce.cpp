// Reductions in a fixed order: short runs of SIMD lanes, the runs one after the other.
#include "autograd/kernels/reduce.hpp"

#include <algorithm>
#include <array>

#include "autograd/kernels/centred.hpp"
#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/runs.hpp"
#include "autograd/storage.hpp"

namespace xg::kernels {
namespace {

// Rows that are combined one after the other before the next run begins.
constexpr std::int64_t run_rows = 256;
// Columns that are reduced together.
constexpr std::int64_t tile = 1024;

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

// Rows of a matrix.
template <class T>
struct Rows {
  const T* from;
  std::int64_t stride;
  Batch<T> at(std::int64_t r, std::int64_t i) const { return load(from + r * stride + i); }
  void fetch(std::int64_t r, std::int64_t i) const { fetch_ahead(from + r * stride + i); }
};

// A few columns whose running values stay in registers.
template <class R, int batches, class In, class T>
void reduce_narrow(std::int64_t count, std::int64_t width, const In& in, T* out) {
  using V = Batch<T>;
  const V identity(static_cast<T>(R::identity));
  std::array<V, batches> total;
  total.fill(identity);
  for (std::int64_t begin = 0; begin < count; begin += run_rows) {
    std::array<V, batches> run;
    run.fill(identity);
    for (std::int64_t r = begin; r < std::min(count, begin + run_rows); ++r)
      for (std::size_t b = 0; b < batches; ++b) {
        const auto i = static_cast<std::int64_t>(b) * lanes<T>;
        in.fetch(r, i);
        run[b] = R::combine(run[b], R::of(in.at(r, i)));
      }
    for (std::size_t b = 0; b < batches; ++b) total[b] = R::combine(total[b], run[b]);
  }
  for (std::int64_t b = 0; b < batches; ++b)
    store_first(out + b * lanes<T>, total[static_cast<std::size_t>(b)],
                std::min(lanes<T>, width - b * lanes<T>));
}

// Many columns: running values in the first-level cache, whole lines of every row.
template <class R, class In, class T>
void reduce_wide(std::int64_t count, std::int64_t width, const In& in, T* out) {
  alignas(64) T total[tile], run[tile];
  std::fill_n(total, tile, static_cast<T>(R::identity));
  for (std::int64_t begin = 0; begin < count; begin += run_rows) {
    std::fill_n(run, tile, static_cast<T>(R::identity));
    for (std::int64_t r = begin; r < std::min(count, begin + run_rows); ++r)
      for (std::int64_t i = 0; i < width; i += lanes<T>)
        store(run + i, R::combine(load(run + i), R::of(in.at(r, i))));
    for (std::int64_t i = 0; i < width; i += lanes<T>)
      store(total + i, R::combine(load(total + i), load(run + i)));
  }
  std::copy_n(total, width, out);
}

// Columns that fit a tile.
template <class R, class In, class T>
void reduce_tile(std::int64_t count, std::int64_t width, const In& in, T* out) {
  if (width <= lanes<T>)
    reduce_narrow<R, 1>(count, width, in, out);
  else if (width <= 2 * lanes<T>)
    reduce_narrow<R, 2>(count, width, in, out);
  else if (width <= 4 * lanes<T> && width > 3 * lanes<T>)
    reduce_narrow<R, 4>(count, width, in, out);
  else
    reduce_wide<R>(count, width, in, out);
}

// one(width, rows, out) for each tile of columns.
template <class T, class Out, class One>
void for_tiles(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in, Out* out,
               const One& one) {
  const std::int64_t tiles = (inner + tile - 1) / tile;
  const std::int64_t work = count * std::min(inner, tile);
  const std::int64_t grain = outer * tiles * work <= elementwise_grain
                                 ? outer * tiles
                                 : std::max<std::int64_t>(1, elementwise_grain / work);
  for_ranges(outer * tiles, grain, [&](std::int64_t k, std::int64_t end) {
    for (; k < end; ++k) {
      const std::int64_t o = k / tiles, begin = k % tiles * tile;
      one(std::min(tile, inner - begin), Rows<T>{in + o * count * inner + begin, inner},
          out + o * inner + begin);
    }
  });
}

template <class R, class T>
void reduce_with(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in, T* out) {
  if (inner == 1) return reduce_rows<R>(outer, count, in, out);
  for_tiles(outer, count, inner, in, out, [&](std::int64_t width, const Rows<T>& rows, T* to) {
    reduce_tile<R>(count, width, rows, to);
  });
}

// What reductions about a centre give: their results or, if `totals` is set, the parts themselves.
template <class C, class T>
struct Results {
  T* out;
  T* totals;
  void write(std::int64_t at, const Part<Batch<T>>& a, std::int64_t count) const {
    const std::int64_t n = std::min(lanes<T>, count);
    store_first(out + at, totals ? a.centre : C::result(a), n);
    if (totals) store_first(totals + at, a.total, n);
  }
};

// Distances of a part that is in the cache; meanwhile the next one, `after` elements on, is
// fetched.
template <class T>
struct Distance {
  const T* from;
  Batch<T> origin;
  std::int64_t after;
  Batch<T> at(std::int64_t i) const {
    __builtin_prefetch(from + i + after);
    return load(from + i) - origin;
  }
};

template <class C, class T>
void reduce_rows_about(std::int64_t outer, std::int64_t count, const T* in,
                       const Results<C, T>& results) {
  using V = Batch<T>;
  const std::int64_t grain =
      std::max<std::int64_t>(1, elementwise_grain / std::clamp<std::int64_t>(count, 1, run_length));
  if (count <= lanes<T>)
    return for_ranges(outer, grain, [&](std::int64_t o, std::int64_t end) {
      for (; o < end; o += lanes<T>) {
        ShortRows<T> x(in + o * count, end - o, count);
        const V centre = C::centre(x.template reduced<typename C::Centre>(), count);
        x.change([origin = C::origin(centre)](const V& v) { return v - origin; });
        const V total = x.template reduced<typename C::Total>();
        results.write(o, {centre, total}, end - o);
      }
    });
  const std::int64_t runs = (count + run_length - 1) / run_length, parts = outer * runs;
  const auto length = [&](std::int64_t run) {
    return std::min(run_length, count - run * run_length);
  };
  const BufferRef buffer(static_cast<std::uint64_t>(2 * parts) * sizeof(T));
  T* const centres = reinterpret_cast<T*>(buffer.data());
  T* const totals = centres + parts;
  for_ranges(parts, grain, [&](std::int64_t k, std::int64_t end) {
    for (; k < end; ++k) {
      const std::int64_t o = k / runs, run = k % runs, n = length(run), at = run * outer + o;
      const T* const from = in + o * count + run * run_length;
      const V centre = C::centre(V(reduce_run<typename C::Centre>(n, Ahead<T>{from})), n);
      store_first(centres + at, centre, 1);
      totals[at] = reduce_run<typename C::Total>(n, Distance<T>{from, C::origin(centre), n});
    }
  });
  for (std::int64_t o = 0; o < outer; o += lanes<T>) {
    Part<V> all{load(centres + o), load(totals + o)};
    for (std::int64_t run = 1; run < runs; ++run)
      all = C::merged(all, run * run_length,
                      Part<V>{load(centres + run * outer + o), load(totals + run * outer + o)},
                      length(run));
    results.write(o, all, outer - o);
  }
}

template <class T>
struct RowDistances {
  Rows<T> rows;
  const T* origin;
  Batch<T> at(std::int64_t r, std::int64_t i) const { return rows.at(r, i) - load(origin + i); }
  void fetch(std::int64_t, std::int64_t) const {}
};

template <class C, class T>
void reduce_tile_about(std::int64_t count, std::int64_t width, const Rows<T>& rows,
                       std::int64_t first, const Results<C, T>& results) {
  using V = Batch<T>;
  const std::int64_t part_rows = std::clamp<std::int64_t>(elementwise_grain / width, 64, 1024);
  alignas(64) T centre[tile], origin[tile], total[tile], all_centre[tile], all_total[tile];
  for (std::int64_t begin = 0; begin == 0 || begin < count; begin += part_rows) {
    const std::int64_t n = std::min(part_rows, count - begin);
    const Rows<T> part{rows.from + begin * rows.stride, rows.stride};
    reduce_tile<typename C::Centre>(n, width, part, centre);
    for (std::int64_t i = 0; i < width; i += lanes<T>) {
      const V at = C::centre(load(centre + i), n);
      store(centre + i, at);
      store(origin + i, C::origin(at));
    }
    reduce_tile<typename C::Total>(n, width, RowDistances<T>{part, origin}, total);
    for (std::int64_t i = 0; i < width; i += lanes<T>) {
      Part<V> all{load(centre + i), load(total + i)};
      if (begin > 0)
        all = C::merged(Part<V>{load(all_centre + i), load(all_total + i)}, begin, all, n);
      store(all_centre + i, all.centre);
      store(all_total + i, all.total);
    }
  }
  for (std::int64_t i = 0; i < width; i += lanes<T>)
    results.write(first + i, {load(all_centre + i), load(all_total + i)}, width - i);
}

template <class C, class T>
void reduce_about(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in, T* out,
                  T* totals = nullptr) {
  const Results<C, T> results{out, totals};
  if (inner == 1) return reduce_rows_about<C>(outer, count, in, results);
  for_tiles(outer, count, inner, in, out, [&](std::int64_t width, const Rows<T>& rows, T* to) {
    reduce_tile_about<C>(count, width, rows, to - out, results);
  });
}

// Where the largest stands, or NaN if there is one.
template <class V>
auto attains(const V& x, const V& largest) {
  return (x == largest) | is_nan(x);
}

template <class T>
void argmax_rows(std::int64_t outer, std::int64_t count, const T* in, std::int64_t* out) {
  using V = Batch<T>;
  const std::int64_t grain = std::max<std::int64_t>(1, elementwise_grain / count);
  for_ranges(outer, grain, [&](std::int64_t o, std::int64_t end) {
    if (count <= lanes<T>)
      for (; o < end; o += lanes<T>) {
        const ShortRows<T> x(in + o * count, end - o, count);
        const V most = x.template reduced<Maximum>();
        V place(T(0));
        for (auto k = static_cast<std::size_t>(count); k-- > 0;)
          place = xsimd::select(attains(x.columns[k], most), V(static_cast<T>(k)), place);
        alignas(64) T places[V::size];
        place.store_aligned(places);
        std::copy_n(places, x.rows, out + o);
      }
    for (; o < end; ++o) {
      const T* const row = in + o * count;
      const V most(reduce_run<Maximum>(count, Ahead<T>{row}));
      std::int64_t at = 0;
      while (!xsimd::any(attains(load(row + at), most))) at += lanes<T>;
      while (!xsimd::any(attains(V(row[at]), most))) ++at;
      out[o] = at;
    }
  });
}

template <class T>
void argmax_tile(std::int64_t count, std::int64_t width, const Rows<T>& rows, std::int64_t* out) {
  using V = Batch<T>;
  constexpr std::int64_t countable = std::int64_t{1} << 20;  // in T
  alignas(64) T best[tile], place[tile];
  std::fill_n(best, tile, static_cast<T>(Maximum::identity));
  std::fill_n(out, width, 0);
  for (std::int64_t begin = 0; begin < count; begin += countable) {
    std::fill_n(place, tile, T(-1));  // not among these rows
    for (std::int64_t r = begin; r < std::min(count, begin + countable); ++r)
      for (std::int64_t i = 0; i < width; i += lanes<T>) {
        const V x = rows.at(r, i), before = load(best + i);
        const auto better = (x > before) | (is_nan(x) & (before == before));
        store(best + i, xsimd::select(better, x, before));
        store(place + i, xsimd::select(better, V(static_cast<T>(r - begin)), load(place + i)));
      }
    for (std::int64_t i = 0; i < width; ++i)
      if (place[i] >= 0) out[i] = begin + static_cast<std::int64_t>(place[i]);
  }
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
    case Reduction::squared_distances:
      return reduce_about<SquaredDistances>(outer, count, inner, in, out);
    case Reduction::log_sum_exp:
      return reduce_about<LogSumExp>(outer, count, inner, in, out);
    case Reduction::maximum_count:
      return reduce_about<Count<Maximum>>(outer, count, inner, in, out);
    case Reduction::minimum_count:
      return reduce_about<Count<Minimum>>(outer, count, inner, in, out);
  }
}

template <class T>
void exponentials(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
                  T* largest, T* sums) {
  reduce_about<LogSumExp>(outer, count, inner, in, largest, sums);
}

template <class T>
void argmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
            std::int64_t* out) {
  if (outer * inner == 0) return;
  if (inner == 1) return argmax_rows(outer, count, in, out);
  for_tiles(outer, count, inner, in, out,
            [&](std::int64_t width, const Rows<T>& rows, std::int64_t* to) {
              argmax_tile(count, width, rows, to);
            });
}

template void argmax(std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t*);
template void argmax(std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t*);
template void exponentials(std::int64_t, std::int64_t, std::int64_t, const float*, float*, float*);
template void exponentials(std::int64_t, std::int64_t, std::int64_t, const double*, double*,
                           double*);
template void reduce(Reduction, std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void reduce(Reduction, std::int64_t, std::int64_t, std::int64_t, const double*, double*);

}  // namespace xg::kernels
