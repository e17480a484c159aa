// Only for the thread sanitizer, which does not see inside the oneTBB library: tells it that a
// loop's body runs after what came before the loop, and before what comes after it. Between the
// iterations nothing is promised, so races among them are found.
#pragma once

#include <sanitizer/tsan_interface.h>

#include_next <tbb/parallel_for.h>
#include <tbb/partitioner.h>

namespace tbb {

/// Cuts as finely as can be, whatever partitioner is asked for: more threads meet, and oneTBB's
/// other partitioners look at each other's tasks.
template <class Index, class Body, class... Partitioner>
void parallel_for_seen_by_tsan(Index first, Index last, const Body& body, Partitioner&&...) {
  struct AtEnd {
    void (*tell)(void*);
    void* what;
    ~AtEnd() { tell(what); }
  };
  char begun, ended;
  __tsan_release(&begun);
  const AtEnd after{__tsan_acquire, &ended};
  parallel_for(
      first, last,
      [&](Index i) {
        __tsan_acquire(&begun);
        const AtEnd done{__tsan_release, &ended};
        body(i);
      },
      simple_partitioner());
}

}  // namespace tbb

#define parallel_for parallel_for_seen_by_tsan
