// Only for the thread sanitizer, as parallel_for.h: tells it that a task runs after what came
// before run() and before what comes after wait(). Between tasks nothing is promised.
#pragma once

#include <sanitizer/tsan_interface.h>

#include <memory>
#include <utility>

#include_next <tbb/task_group.h>

namespace tbb {

class task_group_seen_by_tsan : public task_group {
 public:
  using task_group::task_group;
  template <class F>
  void run(F f) {
    auto* const kept = new F(std::move(f));
    __tsan_release(this);
    task_group::run([this, kept] {
      __tsan_acquire(this);
      std::unique_ptr<F>(kept)->operator()();
      __tsan_release(this);
    });
  }
  auto wait() {
    const auto status = task_group::wait();
    __tsan_acquire(this);
    return status;
  }
};

}  // namespace tbb

#define task_group task_group_seen_by_tsan
