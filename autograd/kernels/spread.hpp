// Loops over a block of numbers seen as (outer, count, inner) beside others of shape (outer,
// inner): what a reduction over the middle axis spreads back over it.
#pragma once

#include "autograd/kernels/map.hpp"

namespace xg::kernels {

/// out[o][c][i] = f(x[o][c][i], y[o][i]...).
template <class T, class F, class... Y>
void spread(std::int64_t outer, std::int64_t count, std::int64_t inner, T* out, const F& f,
            const T* x, const Y*... y) {
  const std::int64_t row = inner == 1 ? count : inner, n = outer * count * inner;
  const bool streamed = streams_rows<T>(n, row);
  for_ranges(n, elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    // Behind the last element there is room for a batch.
    const std::int64_t limit = end < n ? end : n + lanes<T>;
    for (std::int64_t r = begin / row, at = begin; at < end; ++r) {
      const std::int64_t part = std::min((r + 1) * row, end) - at;
      const auto loop = [&](const auto&... in) {
        if (streamed)
          stream_row(f, part, out + at, in...);
        else
          map_row(f, part, limit - at, out + at, in...);
      };
      if (inner == 1) {
        loop(Moving<T>{x + at}, Fixed<T>{y[r]}...);
      } else {
        const std::int64_t beside = r / count * inner + at - r * row;
        loop(Moving<T>{x + at}, Moving<T>{y + beside}...);
      }
      at += part;
    }
    if (streamed) finish_streaming();
  });
}

}  // namespace xg::kernels
