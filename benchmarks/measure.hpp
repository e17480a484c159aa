// Times of things that take turns, so that whatever else the machine does meets all of them alike.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

namespace measure {

inline double seconds_of(const std::function<void()>& work, long calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (long i = 0; i < calls; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The median seconds of a call of each, from `rounds` rounds in which each is called as often as
/// fills `at_least` seconds. Before that each is called twice, so that buffers exist.
inline std::vector<double> medians(const std::vector<std::function<void()>>& works, int rounds = 7,
                                   double at_least = 5e-4) {
  std::vector<long> calls;
  std::vector<std::vector<double>> times(works.size());
  for (const auto& work : works) {
    work();
    calls.push_back(std::max(1L, std::lround(at_least / seconds_of(work, 1))));
  }
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < works.size(); ++i)
      times[i].push_back(seconds_of(works[i], calls[i]) / static_cast<double>(calls[i]));
  std::vector<double> result;
  for (auto& one : times) {
    std::nth_element(one.begin(), one.begin() + rounds / 2, one.end());
    result.push_back(one[static_cast<std::size_t>(rounds / 2)]);
  }
  return result;
}

/// Keeps a value from being optimised away.
template <class T>
void use(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

}  // namespace measure
