// Softmax over rows, each while it is in the cache.
#include "autograd/kernels/softmax.hpp"

#include <algorithm>

#include "autograd/kernels/runs.hpp"
#include "autograd/storage.hpp"

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

// What is computed on the way to the result stands in `made`, which may be `out`.
template <class T>
void softmax_row(bool logarithm, std::int64_t n, std::int64_t room, const T* in, T* made, T* out) {
  using V = Batch<T>;
  const Moving<T> x{in};
  const Written<T> y{made, room};
  const Fixed<T> largest{reduce_run<Maximum>(n, Ahead<T>{in})};
  const auto finish = [&](const auto& f, const V& by) {
    if (made == out)
      map_row(f, n, room, out, y, Fixed<T>{by});
    else
      stream_row(f, n, out, Moving<T>{made}, Fixed<T>{by});
  };
  const auto minus = [](const V& a, const V& b) { return a - b; };
  if (logarithm) {
    map_row(minus, n, room, made, x, largest);
    finish(minus, xsimd::log(V(reduce_run<Sum>(n, ExpOf<T>{y}))));
  } else {
    map_row([](const V& a, const V& b) { return xsimd::exp(a - b); }, n, room, made, x, largest);
    finish([](const V& a, const V& b) { return a * b; }, V(1) / V(reduce_run<Sum>(n, y)));
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
    const V inverse = V(1) / total;
    e.change([&](const V& v) { return v * inverse; });
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
    if (r >= end) return;
    if (!streams_rows<T>(rows * count, count)) {
      for (T* to = out + r * count; r < end; ++r, to += count)
        softmax_row(logarithm, count, room(), in + r * count, to, to);
      return;
    }
    const BufferRef made(static_cast<std::uint64_t>(count) * sizeof(T));
    for (; r < end; ++r)
      softmax_row(logarithm, count, count + lanes<T>, in + r * count,
                  reinterpret_cast<T*>(made.data()), out + r * count);
    finish_streaming();
  });
}

template void softmax_rows(bool, std::int64_t, std::int64_t, const float*, float*);
template void softmax_rows(bool, std::int64_t, std::int64_t, const double*, double*);

}  // namespace xg::kernels
