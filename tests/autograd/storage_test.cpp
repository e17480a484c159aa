// The buffer pool: alignment, reuse, and buffers that move between threads.
#include "autograd/storage.hpp"

#include <sys/resource.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <thread>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

// The sanitizer's builds do without a pool, so that every use after free shows.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif

std::uint64_t allocations() { return memory_statistics().heap_allocations; }

}  // namespace

TEST_CASE("buffers are aligned and have room for a vector at their end", "[storage]") {
  std::vector<BufferRef> alive;
  for (std::uint64_t bytes = 0; bytes < 3000; bytes += 7) {
    alive.emplace_back(bytes);
    const BufferRef& b = alive.back();
    REQUIRE(reinterpret_cast<std::uintptr_t>(b.data()) % 64 == 0);
    REQUIRE(b->bytes == bytes);
    std::fill_n(b.data(), bytes, std::byte{1});
    for (std::uint64_t i = 0; i < 64; ++i) b.data()[bytes + i] = std::byte{2};
  }
  for (const BufferRef& b : alive)
    REQUIRE(std::count(b.data(), b.data() + b->bytes, std::byte{1}) == static_cast<long>(b->bytes));
  for (std::uint64_t bytes = 64; bytes < (std::uint64_t{1} << 28); bytes = bytes * 3 / 2)
    REQUIRE(reinterpret_cast<std::uintptr_t>(BufferRef(bytes).data()) % 64 == 0);
}

TEST_CASE("references count", "[storage]") {
  BufferRef a(8);
  CHECK(a.unique());
  {
    const BufferRef b = a;
    CHECK_FALSE(a.unique());
    CHECK(b == a);
  }
  CHECK(a.unique());
  BufferRef moved = std::move(a);
  CHECK_FALSE(static_cast<bool>(a));
  CHECK(moved.unique());
  const BufferRef& self = moved;
  moved = self;
  CHECK(moved.unique());
}

TEST_CASE("the steady state takes nothing from the heap", "[storage]") {
  if (!pooled) return;
  const auto step = [] {
    std::vector<Tensor> alive;
    for (std::int64_t n = 1; n < 200000; n = n * 2 + 1) alive.push_back(zeros({n}));
    return alive.size();
  };
  step();
  const std::uint64_t before = allocations();
  for (int i = 0; i < 100; ++i) step();
  CHECK(allocations() == before);
}

TEST_CASE("buffers that another thread frees come back", "[storage]") {
  if (!pooled) return;
  const auto round = [] {
    std::vector<Tensor> made;
    for (int i = 0; i < 100; ++i) made.push_back(zeros({1000}));
    std::thread([gone = std::move(made)]() mutable { gone.clear(); }).join();
  };
  round();
  const std::uint64_t before = allocations();
  for (int i = 0; i < 50; ++i) round();
  CHECK(allocations() <= before + 100);
}

TEST_CASE("pooled memory can be given back", "[storage]") {
  zeros({5'000'000});
  const std::uint64_t before = memory_statistics().heap_bytes;
  release_pooled_memory();
  CHECK(memory_statistics().heap_bytes <= before - (pooled ? 40'000'000u : 0u));
  CHECK(sum(ones({1000})).item() == 1000);
}

TEST_CASE("tensors may outlive the thread that made them", "[storage]") {
  Tensor t;
  std::thread([&] { t = exp(zeros({100})); }).join();
  CHECK(sum(t).item() == 100);
  std::thread([] {
    thread_local Tensor kept;  // gone only after the thread's pool
    kept = zeros({100});
  }).join();
}

TEST_CASE("lazy buffers can be asked for by many tasks at once", "[storage]") {
  // Large enough for the copies to be parallel loops inside a parallel loop.
  std::vector<Tensor> turned;
  for (int i = 0; i < 40; ++i)
    turned.push_back(transpose(numbers({400, 500}, -1, 1, static_cast<std::uint64_t>(i))));
  std::vector<double> totals(400);
  tbb::parallel_for(std::size_t{0}, totals.size(), [&](std::size_t i) {
    const NoRecording scope;
    totals[i] = turned[i % turned.size()].data<double>()[1];
  });
  for (std::size_t i = 0; i < totals.size(); ++i)
    REQUIRE(totals[i] == transpose(turned[i % turned.size()]).data<double>()[500]);
}

TEST_CASE("absurd sizes are refused", "[storage]") {
  REQUIRE_ERROR(BufferRef(std::uint64_t{1} << 50), ShapeError, "[memory] over 64 TiB");
}

// The sanitizers reserve address space of their own, and end the program rather than refuse.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a tensor for which there is no memory is an error, and what follows works",
          "[storage]") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = std::min<rlim_t>(before.rlim_max, rlim_t{8} << 30);
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  const std::string message = error_of([] { BufferRef(std::uint64_t{16} << 30); }),
                    of_operation =
                        error_of([] { broadcast_to(Tensor(1.), {std::int64_t{1} << 31}); }),
                    of_zeros = error_of([] { zeros({std::int64_t{1} << 31}); });
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK(message.find("[memory] there is no room for a tensor of") == 0);
  CHECK(of_operation.find("[broadcast_to] there is no room for a tensor of") == 0);
  CHECK(of_operation.find("storage_test.cpp:") != std::string::npos);
  CHECK(of_zeros.find("storage_test.cpp:") != std::string::npos);
  CHECK(BufferRef(64).data() != nullptr);
}
#endif
