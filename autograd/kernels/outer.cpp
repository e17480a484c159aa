// Sums of outer products in registers. A library's matrix product is made for longer sums than
// these, and would have to write its result and fetch it again for the update.
#include "autograd/kernels/outer.hpp"

#include <algorithm>
#include <utility>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/simd.hpp"

namespace xg::kernels {
namespace {

// aᵀ b (m, n) for a (k, m) and b (k, n).
template <class T>
struct OuterProducts {
  std::int64_t m, n, k;
  const T *a, *b;
};

// A tile of the result, as large as the registers hold beside a row of it from b and a number of a.
constexpr int tile_rows = 6, tile_batches = sizeof(Batch<float>) == 64 ? 4 : 2;

// f(0), f(1), ..., f(count - 1), each number being a constant, so that an array indexed by it can
// stay in registers.
template <int count, class F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
  (std::make_integer_sequence<int, count>{});
}

// store(offset, sum, count) for the numbers of the tile at row i and column j: `count` of
// them, at an offset of the result. What is given is given by value, so that no store can be
// thought to change it.
template <int rows, int batches, class T, class Store>
[[gnu::always_inline]] inline void tile(OuterProducts<T> x, std::int64_t i, std::int64_t j,
                                        std::int64_t count, Store store) {
  Batch<T> sum[rows][batches];
  unrolled<rows>([&](auto r) { unrolled<batches>([&](auto q) { sum[r][q] = Batch<T>(T(0)); }); });
  const T *a = x.a + i, *b = x.b + j;
  for (std::int64_t p = 0; p < x.k; ++p, a += x.m, b += x.n) {
    Batch<T> row[batches];
    unrolled<batches>([&](auto q) { row[q] = load(b + q * lanes<T>); });
    unrolled<rows>([&](auto r) {
      const Batch<T> number(a[r]);
      unrolled<batches>([&](auto q) { sum[r][q] = sum[r][q] + number * row[q]; });
    });
  }
  unrolled<rows>([&](auto r) {
    unrolled<batches>([&](auto q) { store((i + r) * x.n + j + q * lanes<T>, sum[r][q], count); });
  });
}

// `rows` rows from i on, of the columns [j, end).
template <int rows, class T, class Store>
void columns(const OuterProducts<T>& x, std::int64_t i, std::int64_t j, std::int64_t end,
             const Store& store) {
  constexpr std::int64_t width = tile_batches * lanes<T>;
  for (; j + width <= end; j += width) tile<rows, tile_batches>(x, i, j, lanes<T>, store);
  for (; j + lanes<T> <= end; j += lanes<T>) tile<rows, 1>(x, i, j, lanes<T>, store);
  if (j < end) tile<rows, 1>(x, i, j, end - j, store);
}

// Column by column of tiles, so that their part of b stays near.
template <class T, class Store>
void all(const OuterProducts<T>& x, const Store& store) {
  constexpr std::int64_t width = tile_batches * lanes<T>;
  for (std::int64_t j = 0; j < x.n; j += width) {
    const std::int64_t end = std::min(x.n, j + width);
    std::int64_t i = 0;
    for (; i + tile_rows <= x.m; i += tile_rows) columns<tile_rows>(x, i, j, end, store);
    for (; i < x.m; ++i) columns<1>(x, i, j, end, store);
  }
}

// Whole batches but at the end of a row.
template <class T>
void put(T* to, const Batch<T>& numbers, std::int64_t count) {
  if (count == lanes<T>)
    store(to, numbers);
  else
    store_first(to, numbers, count);
}

template <class T>
const T* numbers(const Buffer* buffer) {
  return reinterpret_cast<const T*>(buffer->data.load(std::memory_order_acquire));
}

// The factors of a lazy product, whose buffer has m as `rows` and k as `columns`.
template <class T>
OuterProducts<T> factors(const Buffer& product) {
  const auto width = static_cast<std::int64_t>(product.bytes / (product.rows * sizeof(T)));
  return {product.rows, width, product.columns, numbers<T>(product.source),
          numbers<T>(product.other)};
}

// The rows' products one after the other. The extents follow from sizes: `b` may be the first rows
// of a longer tensor, `a` has as many bytes as elements.
template <class T>
void fill_outer_products(const Buffer& self, std::byte* to) {
  const std::int64_t count = self.rows;
  const auto m = static_cast<std::int64_t>(self.source->bytes / sizeof(T)) / count;
  const auto n = static_cast<std::int64_t>(self.bytes / self.source->bytes);
  const T *const a = numbers<T>(self.source), *const b = numbers<T>(self.other);
  T* const out = reinterpret_cast<T*>(to);
  const std::int64_t grain = std::max<std::int64_t>(1, elementwise_grain / (m * n));
  for_ranges(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t r = i * m; r < (i + 1) * m; ++r) {
        const Batch<T> number(a[r]);
        for (std::int64_t j = 0; j < n; j += lanes<T>)
          put(out + r * n + j, number * load(b + i * n + j), std::min(n - j, lanes<T>));
      }
  });
}

// Beyond so many multiplications an update had better use both cores.
constexpr std::int64_t most_multiplications = 1'000'000;
// So many rows of b, as wide as a tile, stay in the first-level cache.
constexpr std::int64_t most_terms = 64;
// A smaller result is no trouble to keep.
constexpr std::int64_t least_bytes = 4 << 10;

}  // namespace

template <class T>
BufferRef lazy_product(std::int64_t m, std::int64_t n, std::int64_t k, BufferRef a, BufferRef b) {
  const std::int64_t bytes = m * n * static_cast<std::int64_t>(sizeof(T));
  if (bytes < least_bytes || m * n * k > most_multiplications || k == 0 || k > most_terms ||
      a.is_lazy() || b.is_lazy())
    return {};
  return BufferRef::lazy(
      static_cast<std::uint64_t>(bytes), std::move(a), static_cast<std::uint32_t>(m),
      static_cast<std::uint32_t>(k),
      [](const Buffer& self, std::byte* to) {
        T* const out = reinterpret_cast<T*>(to);
        all(factors<T>(self), [=](std::int64_t at, const Batch<T>& sum, std::int64_t count) {
          put(out + at, sum, count);
        });
      },
      std::move(b));
}

template <class T>
BufferRef lazy_outer_products(std::int64_t count, std::int64_t m, std::int64_t n, BufferRef a,
                              BufferRef b) {
  return BufferRef::lazy(static_cast<std::uint64_t>(count * m * n) * sizeof(T), std::move(a),
                         static_cast<std::uint32_t>(count), 0, fill_outer_products<T>,
                         std::move(b));
}

template <class T>
void add_product(const Buffer& product, T factor, const T* w, T* out) {
  const Batch<T> scale(factor);
  all(factors<T>(product), [=](std::int64_t at, const Batch<T>& sum, std::int64_t count) {
    put(out + at, load(w + at) + scale * sum, count);
  });
}

template BufferRef lazy_product<float>(std::int64_t, std::int64_t, std::int64_t, BufferRef,
                                       BufferRef);
template BufferRef lazy_product<double>(std::int64_t, std::int64_t, std::int64_t, BufferRef,
                                        BufferRef);
template BufferRef lazy_outer_products<float>(std::int64_t, std::int64_t, std::int64_t, BufferRef,
                                              BufferRef);
template BufferRef lazy_outer_products<double>(std::int64_t, std::int64_t, std::int64_t, BufferRef,
                                               BufferRef);
template void add_product(const Buffer&, float, const float*, float*);
template void add_product(const Buffer&, double, const double*, double*);

}  // namespace xg::kernels
