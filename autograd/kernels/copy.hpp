// Copies of runs of elements from place to place.
#pragma once

#include <algorithm>
#include <cstdint>

#include "autograd/kernels/parallel.hpp"

namespace xg::kernels {

/// Calls f(i) for each of `count` pieces of work on `length` elements, several of them, or ranges
/// of several, at a time when they are large.
template <class F>
void for_runs(std::int64_t count, std::int64_t length, const F& f) {
  const std::int64_t grain =
      elementwise_grain / std::clamp<std::int64_t>(length, 1, elementwise_grain);
  for_ranges(count, grain, [&](std::int64_t i, std::int64_t end) {
    for (; i < end; ++i) f(i);
  });
}

/// Copies `count` runs of `length` elements, number i from from(i) to to(i).
template <class From, class To>
void copy_runs(std::int64_t count, std::int64_t length, const From& from, const To& to) {
  const std::int64_t parts = (length + elementwise_grain - 1) / elementwise_grain;
  if (parts <= 1)
    return for_runs(count, length, [&](std::int64_t i) { std::copy_n(from(i), length, to(i)); });
  for_runs(count * parts, elementwise_grain, [&](std::int64_t i) {
    const std::int64_t begin = i % parts * elementwise_grain;
    std::copy_n(from(i / parts) + begin, std::min(elementwise_grain, length - begin),
                to(i / parts) + begin);
  });
}

}  // namespace xg::kernels
