// Counts what the heap is asked for: a repeated forward and backward pass asks for nothing.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

// The sanitizers bring their own heap.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
std::atomic<std::uint64_t> requests{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  requests.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded))
    return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

/// Requests to the heap of each later call of `step`, at most.
template <class F>
std::uint64_t steady_requests(F step) {
  for (int i = 0; i < 5; ++i) step();
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t before = requests;
    step();
    most = std::max(most, requests - before);
  }
  return most;
}

}  // namespace

TEST_CASE("a training step takes nothing from the heap", "[allocation]") {
  const Tensor x = numbers({10, 784}, 0, 1, 1, DType::float32);
  const Tensor y = numbers({10, 10}, 0, 1, 2, DType::float32);
  std::vector<Parameter> parameters;
  for (const Shape& shape : {Shape{30, 784}, Shape{30}, Shape{10, 30}, Shape{10}})
    parameters.emplace_back(numbers(shape, -0.1, 0.1, 3, DType::float32));
  ParameterRefs refs;
  for (const Parameter& p : parameters) refs.emplace_back("p", p);
  std::vector<Tensor> gradients(refs.size());
  const auto step = [&] {
    const Tape tape;
    Tensor a = x;
    for (std::size_t layer = 0; layer < 4; layer += 2)
      a = sigmoid(matmul(a, transpose(parameters[layer])) + parameters[layer + 1]);
    const Tensor cost = 0.5 * mean(sum(square(a - y), 1));
    const Tensor* const wrt[] = {&refs[0].value(), &refs[1].value(), &refs[2].value(),
                                 &refs[3].value()};
    const NoRecording scope;
    pull_back(cost, ones_like(cost), Inputs(wrt, 4), gradients);
    for (std::size_t i = 0; i < refs.size(); ++i) refs[i].add_scaled(-0.1, gradients[i]);
  };
  CHECK(steady_requests(step) == 0);
}

TEST_CASE("memory does not grow over a hundred thousand training steps", "[allocation]") {
  const Tensor x = numbers({4, 3}), y = numbers({4, 2}, -1, 1, 2);
  const Parameter w(numbers({2, 3}, -1, 1, 3)), b(zeros({2}));
  const ParameterRef refs[] = {{"w", w}, {"b", b}};
  const auto step = [&] {
    const Tape tape;
    const Tensor cost = squared_norm(tanh(linear(x, w, b)) - y);
    const Tensor* const wrt[] = {&w.value(), &b.value()};
    Tensor gradients[2];
    const NoRecording scope;
    gradient(cost, Inputs(wrt, 2), gradients);
    for (std::size_t i = 0; i < 2; ++i) refs[i].add_scaled(-1e-3, gradients[i]);
  };
  for (int i = 0; i < 10; ++i) step();
  const std::uint64_t asked = requests, held = memory_statistics().heap_bytes;
  const std::int64_t in_use = detail::memory_in_use.now;
  for (int i = 0; i < 100'000; ++i) step();
  CHECK(requests == asked);
  CHECK(memory_statistics().heap_bytes == held);
  CHECK(detail::memory_in_use.now == in_use);
}

TEST_CASE("passes through most operations take nothing from the heap", "[allocation]") {
  const Tensor x = numbers({4, 6}, 0.5, 1.5), i{0, 2, 2};
  Tensor result;
  const auto step = [&] {
    const Tape tape;
    Tensor y = x + exp(x) * log(x) / sqrt(x) - tanh(-x);
    y = maximum(y, 1) + relu(y) + clip(y, 0, 1) + where(y > 1, y, square(y)) + pow(y, 3);
    y = softmax(y) + log_softmax(y, {0}) + (y - mean(y, 1, true)) / (1 + var(y, 0));
    y = take(permute(reshape(y, {2, 2, 6}), {2, 0, 1}), i);
    const Tensor loss = sum(y) + max(y) + logsumexp(slice(y, 0, 1, 3));
    const Tensor* const wrt[] = {&x};
    const NoRecording scope;
    pull_back(loss, ones_like(loss), Inputs(wrt, 1), {&result, 1});
  };
  CHECK(steady_requests(step) == 0);
}

TEST_CASE("inference takes nothing from the heap", "[allocation]") {
  const Tensor x = numbers({8, 16}), w = numbers({16, 16}, -1, 1, 2);
  CHECK(steady_requests([&] { softmax(matmul(relu(matmul(x, w)), transpose(w))); }) == 0);
}

#endif
