// Threads that wait inside a parallel loop must not record somebody else's work.
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include "autograd/autograd.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

TEST_CASE("parallel gradients of large tensors stay on tapes of their own") {
  tbb::task_arena arena(8);
  const auto f = [](const Tensor& x) { return sum(sigmoid(x * x)); };
  std::vector<Tensor> inputs, results(48);
  for (std::size_t i = 0; i < results.size(); ++i)
    inputs.push_back(full({std::int64_t{1} << (15 + i % 5)}, 0.5 + static_cast<double>(i)));
  arena.execute([&] {
    tbb::parallel_for(std::size_t{0}, results.size(),
                      [&](std::size_t i) { results[i] = gradient(f, inputs[i]); });
  });
  const Tape tape;  // under which a tensor of another tape is an error
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK_NOTHROW(results[i] * 2);
    CHECK(results[i].shape() == inputs[i].shape());
  }
}
