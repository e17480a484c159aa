// Softmax over rows, each while it is in the cache.
#include "autograd/kernels/softmax.hpp"

#include <algorithm>

#include "autograd/kernels/runs.hpp"

namespace xg::kernels {
namespace {

/// What has been written, read back; behind `room` elements another thread may be writing.
template <class T>
struct Written {
  const T* from;
  std::int64_t room;
  Batch<T> at(std::int64_t i) const {
    return i + lanes<T> <= room ? load(from + i) : load_first(from + i, room - i);
  }
};
template <class T>
struct ExpOf {
  Written<T> x;
  Batch<T> at(std::int64_t i) const { return xsimd::exp(x.at(i)); }
};

template <class T>
void softmax_row(bool logarithm, std::int64_t n, std::int64_t room, const T* in, T* out) {
  using V = Batch<T>;
  const Moving<T> x{in};
  const Written<T> y{out, room};
  const Fixed<T> largest{reduce_run<Maximum>(n, Ahead<T>{in})};
  const auto minus = [](const V& a, const V& b) { return a - b; };
  if (logarithm) {
    map_row(minus, n, room, out, x, largest);
    map_row(minus, n, room, out, y, Fixed<T>{xsimd::log(V(reduce_run<Sum>(n, ExpOf<T>{y})))});
  } else {
    map_row([](const V& a, const V& b) { return xsimd::exp(a - b); }, n, room, out, x, largest);
    const Fixed<T> total{reduce_run<Sum>(n, y)};
    map_row([](const V& a, const V& b) { return a / b; }, n, room, out, y, total);
  }
}

template <class T>
void softmax_short_rows(bool logarithm, ShortRows<T> x, std::int64_t room, T* out) {
  using V = Batch<T>;
  const V largest = x.template reduced<Maximum>();
  x.change([&](const V& v) { return v - largest; });
  ShortRows<T> e = x;
  e.change([](const V& v) { return xsimd::exp(v); });
  const V total = e.template reduced<Sum>();
  if (logarithm) {
    const V shift = xsimd::log(total);
    x.change([&](const V& v) { return v - shift; });
    x.store_rows(out, room);
  } else {
    e.change([&](const V& v) { return v / total; });
    e.store_rows(out, room);
  }
}

}  // namespace

template <class T>
void softmax_rows(bool logarithm, std::int64_t rows, std::int64_t count, const T* in, T* out) {
  static_assert(longest_softmax_row <= run_length);
  const std::int64_t grain =
      std::max<std::int64_t>(1, elementwise_grain / std::max<std::int64_t>(1, count));
  for_ranges(rows, grain, [&](std::int64_t r, std::int64_t end) {
    // How much may be written from row r on: behind the last one there is room for a batch.
    const auto room = [&] { return (end - r) * count + (end < rows ? 0 : lanes<T>); };
    if (count <= lanes<T>)
      for (; r < end; r += lanes<T>)
        softmax_short_rows(logarithm, ShortRows<T>(in + r * count, end - r, count), room(),
                           out + r * count);
    for (; r < end; ++r) softmax_row(logarithm, count, room(), in + r * count, out + r * count);
  });
}

template void softmax_rows(bool, std::int64_t, std::int64_t, const float*, float*);
template void softmax_rows(bool, std::int64_t, std::int64_t, const double*, double*);

}  // namespace xg::kernels
