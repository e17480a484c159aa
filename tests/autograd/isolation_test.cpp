// A thread that waits inside a parallel loop must not be given another task while its tape records.
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>

#include "autograd/autograd.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

TEST_CASE("gradients taken in tasks of the caller, slow and quick ones, stay on their own tapes") {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(8);
  const Tensor x = random_uniform({1 << 19}, Key{1}, DType::float64, 0.5, 2);
  const Tensor powers = random_uniform({1 << 19}, Key{2}, DType::float64, 0.5, 2);
  const Tensor small = slice(x, 0, 0, 100);
  std::atomic<int> begun_under_a_foreign_tape = 0;
  arena.execute([&] {
    for (int repetition = 0; repetition < 6; ++repetition)
      tbb::parallel_for(
          0, 48,
          [&](int i) {
            if (Tape::recording()) ++begun_under_a_foreign_tape;
            if (i % 3 == 0)
              gradient([&](const Tensor& v) { return sum(exp(pow(v, powers))); }, x);
            else
              gradient([](const Tensor& v) { return sum(v * v); }, small);
          },
          tbb::simple_partitioner());
  });
  CHECK(begun_under_a_foreign_tape == 0);
}
