// The order, the sizes and the memory of mini-batches.
#include "datasets/loader.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/support/catch.hpp"

using namespace xg;
using datasets::Batch;
using datasets::Dataset;
using datasets::Loader;
using datasets::LoaderOptions;

namespace {

using Numbers = std::vector<std::int64_t>;

// Example i has the input (i, -i), the target i + 0.5 and the label i.
Dataset examples(std::int64_t n) {
  Dataset result{Tensor::uninitialised({n, 2}, DType::float32),
                 Tensor::uninitialised({n, 1}, DType::float64),
                 Tensor::uninitialised({n}, DType::int64)};
  for (std::int64_t i = 0; i < n; ++i) {
    result.inputs.exclusive_data<float>()[2 * i] = static_cast<float>(i);
    result.inputs.exclusive_data<float>()[2 * i + 1] = static_cast<float>(-i);
    result.targets.exclusive_data<double>()[i] = static_cast<double>(i) + 0.5;
    result.labels.exclusive_data<std::int64_t>()[i] = i;
  }
  return result;
}

Numbers numbers_of(const Batch& batch) {
  batch.check();
  const auto labels = batch.labels.values<std::int64_t>();
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto label = static_cast<double>(labels[static_cast<std::size_t>(i)]);
    CHECK((batch.inputs.at({i, 0}) == label && batch.inputs.at({i, 1}) == -label &&
           batch.targets.at({i, 0}) == label + 0.5));
  }
  return {labels.begin(), labels.end()};
}

template <class Range>
Numbers order_of(Range&& range) {
  Numbers result;
  for (const Batch& batch : range)
    for (const std::int64_t number : numbers_of(batch)) result.push_back(number);
  return result;
}

template <class Range>
Numbers sizes_of(Range&& range) {
  Numbers result;
  for (const auto& batch : range) result.push_back(batch.size());
  return result;
}

Numbers sorted(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Numbers first_numbers(std::int64_t n) {
  Numbers result(static_cast<std::size_t>(n));
  std::iota(result.begin(), result.end(), 0);
  return result;
}

}  // namespace

TEST_CASE("without shuffling the examples come in order", "[datasets][loader]") {
  Loader loader{examples(10), {.batch_size = 3, .shuffle = false}};
  CHECK(order_of(loader) == first_numbers(10));
  CHECK(order_of(loader) == first_numbers(10));
}

TEST_CASE("an epoch has every example once", "[datasets][loader]") {
  for (const std::int64_t batch_size : {1, 2, 3, 10, 32, 100, 1000}) {
    Loader loader{examples(100), {.batch_size = batch_size, .seed = 3}};
    const Numbers order = order_of(loader);
    CHECK(order != first_numbers(100));
    CHECK(sorted(order) == first_numbers(100));
    CHECK(order == order_of(Loader{examples(100), {.batch_size = 7, .seed = 3}}));
  }
}

TEST_CASE("the last batch is kept or dropped", "[datasets][loader]") {
  const auto sizes = [](std::int64_t n, std::int64_t batch_size, bool drop_last) {
    Loader loader{examples(n), {.batch_size = batch_size, .drop_last = drop_last}};
    const Numbers result = sizes_of(loader);
    CHECK(loader.size() == static_cast<std::int64_t>(result.size()));
    CHECK(loader.epoch(0).size() == loader.size());
    return result;
  };
  CHECK(sizes(10, 4, false) == Numbers{4, 4, 2});
  CHECK(sizes(10, 4, true) == Numbers{4, 4});
  CHECK(sizes(8, 4, false) == Numbers{4, 4});
  CHECK(sizes(8, 4, true) == Numbers{4, 4});
  CHECK(sizes(3, 4, false) == Numbers{3});
  CHECK(sizes(3, 4, true).empty());
  CHECK(sizes(3, std::int64_t{1} << 62, false) == Numbers{3});
  CHECK(sizes(0, 4, false).empty());
  CHECK(sizes(0, 4, true).empty());
}

TEST_CASE("every epoch has an order of its own", "[datasets][loader]") {
  const LoaderOptions options{.batch_size = 10, .seed = 1};
  Loader loader{examples(50), options};
  const Numbers first = order_of(loader), second = order_of(loader), third = order_of(loader);
  CHECK(first != second);
  CHECK(second != third);
  CHECK(first != third);

  Loader again{examples(50), options};
  CHECK(order_of(again.epoch(2)) == third);
  CHECK(order_of(again) == first);  // epoch(2) did not count
  CHECK(order_of(again) == second);
  const auto epoch = again.epoch(1);
  CHECK(order_of(epoch) == second);
  CHECK(order_of(epoch) == second);
  CHECK(order_of(Loader{examples(50), {.batch_size = 10, .seed = 2}}) != first);
}

TEST_CASE("a loader works as a temporary", "[datasets][loader]") {
  const Dataset data = examples(10);
  Numbers seen;
  for (const auto& batch : Loader{data, {.batch_size = 4, .seed = 5}})
    for (const std::int64_t number : numbers_of(batch)) seen.push_back(number);
  CHECK(sorted(seen) == first_numbers(10));
  CHECK(seen == order_of(Loader{data, {.batch_size = 3, .seed = 5}}.epoch(0)));
  CHECK(sorted(order_of(Loader{examples(10)}.epoch(7))) == first_numbers(10));
}

TEST_CASE("a batch that is kept stays what it was", "[datasets][loader]") {
  std::vector<Batch> kept;
  Loader loader{examples(20), {.batch_size = 4, .seed = 1}};
  Numbers seen;
  for (const auto& batch : loader) {
    kept.push_back(batch);
    for (const std::int64_t number : numbers_of(batch)) seen.push_back(number);
  }
  Numbers later;
  for (const Batch& batch : kept)
    for (const std::int64_t number : numbers_of(batch)) later.push_back(number);
  CHECK(later == seen);
}

TEST_CASE("an iterator can be advanced by hand", "[datasets][loader]") {
  Loader loader{examples(5), {.batch_size = 2, .shuffle = false}};
  auto batch = loader.begin();
  CHECK(batch->size() == 2);
  CHECK(numbers_of(*batch) == Numbers{0, 1});
  ++batch;
  batch++;
  CHECK(numbers_of(*batch) == Numbers{4});
  CHECK(batch != loader.end());
  CHECK(++batch == loader.end());
}

TEST_CASE("rows of any length, rank and kind are gathered", "[datasets][loader]") {
  const std::int64_t n = 6, wide = 70000;  // a row longer than what is asked for ahead
  Tensor inputs = Tensor::uninitialised({n, 2, wide}, DType::float32);
  for (std::int64_t i = 0; i < inputs.size(); ++i)
    inputs.exclusive_data<float>()[i] = static_cast<float>(i % 65537);
  const Dataset data{inputs, Tensor(), Tensor{0, 1, 2, 3, 4, 5}};
  for (const auto& batch : Loader{data, {.batch_size = 4, .seed = 2}}) {
    CHECK(!batch.targets.defined());
    CHECK(batch.inputs.shape() == Shape{batch.size(), 2, wide});
    const auto labels = batch.labels.values<std::int64_t>();
    CHECK(identical(batch.inputs, data.take(labels).inputs));
  }
  const Dataset empty_rows{Tensor::full({3, 0}, 0.0), Tensor(), Tensor()};
  CHECK(sizes_of(Loader{empty_rows, {.batch_size = 2}}) == Numbers{2, 1});
}

TEST_CASE("batches come from the pool", "[datasets][loader]") {
  Loader loader{examples(1000), {.batch_size = 10}};
  (void)order_of(loader);
  const auto before = memory_statistics().heap_allocations;
  for (const auto& batch : loader) (void)batch.size();
  const auto after = memory_statistics().heap_allocations;
#if defined(__SANITIZE_ADDRESS__)
  CHECK(after >= before);  // the sanitizer's build has no pool
#else
  CHECK(after == before);
#endif
}

TEST_CASE("a loader refuses what it cannot walk through", "[datasets][loader]") {
  REQUIRE_ERROR((Loader{examples(3), {.batch_size = 0}}), ValueError,
                "[Loader] expected a batch_size of at least 1, got 0");
  REQUIRE_ERROR((Loader{examples(3), {.batch_size = -5}}), ValueError, "got -5");
  REQUIRE_ERROR((Loader{examples(3)}.epoch(-1)), ValueError,
                "[Loader] expected an epoch of 0 or more, got -1");
  REQUIRE_ERROR(Loader{Dataset{}}, ShapeError, "[Dataset] the inputs are undefined");
  REQUIRE_ERROR((Loader{Dataset{Tensor{1.0, 2.0}, Tensor{1.0}, Tensor()}}), ShapeError,
                "row of targets");
}
