// Loops over several threads. Work is cut by its size alone, so results do not depend on the number
// of threads.
#pragma once

#include <cstdint>

#include "autograd/function_ref.hpp"

namespace xg::kernels {

using RangeFunction = FunctionRef<void(std::int64_t begin, std::int64_t end)>;

/// As for_ranges, for more than one range.
void for_several_ranges(std::int64_t count, std::int64_t grain, RangeFunction f);

/// Calls `f(begin, end)` on consecutive ranges of [0, count) of `grain` each (the last may be
/// shorter), on several threads if there is more than one range.
template <class F>
void for_ranges(std::int64_t count, std::int64_t grain, const F& f) {
  if (count > grain)
    for_several_ranges(count, grain, f);
  else if (count > 0)
    f(std::int64_t{0}, count);
}

/// While one of these lives on a thread, for_ranges stays on that thread (it still cuts the same
/// ranges): a data-parallel chunk leaves the other cores to the other chunks.
class SerialScope {
 public:
  SerialScope() noexcept;
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;
  SerialScope& operator=(const SerialScope&) = delete;

 private:
  bool before_;
};

/// Elements of a streaming loop that are worth a task of their own.
inline constexpr std::int64_t elementwise_grain = std::int64_t{1} << 16;

}  // namespace xg::kernels
