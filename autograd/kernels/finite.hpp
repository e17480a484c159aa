// Whether there is a NaN or an infinity among many numbers, or a 0.
#pragma once

#include <algorithm>
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

/// Whether one of n numbers is 0.
template <class T>
bool has_zero(std::int64_t n, const T* x) {
  const Batch<T> zero(0);
  auto zeros = Batch<T>(1) == zero;
  std::int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) zeros = zeros | (load(x + i) == zero);
  return xsimd::any(zeros) || std::find(x + i, x + n, T(0)) != x + n;
}

}  // namespace xg::kernels
