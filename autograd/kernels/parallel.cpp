// The only place of autograd that knows oneTBB.
#include "autograd/kernels/parallel.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <utility>

namespace xg::kernels {
namespace {
thread_local bool serial = false;
}

SerialScope::SerialScope() noexcept : before_(std::exchange(serial, true)) {}
SerialScope::~SerialScope() { serial = before_; }

void for_several_ranges(std::int64_t count, std::int64_t grain, RangeFunction f) {
  const std::int64_t ranges = (count + grain - 1) / grain;
  const auto one = [&](std::int64_t i) { f(i * grain, std::min(count, (i + 1) * grain)); };
  if (!serial) {
    // Isolated: while it waits, this thread must not be given somebody else's task, which would
    // record on the tape that records here.
    tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::int64_t{0}, ranges, one); });
  } else {
    for (std::int64_t i = 0; i < ranges; ++i) one(i);
  }
}

}  // namespace xg::kernels
