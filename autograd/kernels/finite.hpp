// Whether there is a NaN or an infinity among many numbers.
#pragma once

#include <atomic>
#include <cstdint>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/simd.hpp"

namespace xg::kernels {

/// Whether each of n numbers is finite. 0 times a number is 0 if and only if it is.
template <class T>
bool all_finite(std::int64_t n, const T* x) {
  std::atomic<bool> result{true};
  for_ranges(n, elementwise_grain, [&](std::int64_t i, std::int64_t end) {
    const Batch<T> zero(0);
    Batch<T> even(0), odd(0);  // two sums, so that one need not wait for the other
    for (; i + 2 * lanes<T> <= end; i += 2 * lanes<T>) {
      even += load(x + i) * zero;
      odd += load(x + i + lanes<T>) * zero;
    }
    T rest = folded<Batch<T>::size / 2, T>(even + odd, [](auto a, auto b) { return a + b; });
    for (; i < end; ++i) rest += x[i] * T(0);
    if (!(rest == 0)) result.store(false, std::memory_order_relaxed);
  });
  return result.load(std::memory_order_relaxed);
}

}  // namespace xg::kernels
