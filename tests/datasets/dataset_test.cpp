// Data sets in memory: parts of them, one-hot targets, held-out examples, standardisation.
#include "datasets/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "datasets/normaliser.hpp"
#include "tests/support/catch.hpp"

using namespace xg;
using datasets::Dataset;
using datasets::Normaliser;
using datasets::one_hot_targets;

namespace {

// Example i has the input (10 i, 10 i + 1) and the label i % 3.
Dataset examples(std::int64_t n) {
  Dataset result{Tensor::uninitialised({n, 2}, DType::float32), Tensor(),
                 Tensor::uninitialised({n}, DType::int64)};
  for (std::int64_t i = 0; i < n; ++i) {
    result.inputs.exclusive_data<float>()[2 * i] = static_cast<float>(10 * i);
    result.inputs.exclusive_data<float>()[2 * i + 1] = static_cast<float>(10 * i + 1);
    result.labels.exclusive_data<std::int64_t>()[i] = i % 3;
  }
  result.targets = one_hot_targets(result.labels, 3, DType::float64);
  return result;
}

std::vector<std::int64_t> numbers_of(const Dataset& data) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < data.size(); ++i) {
    const auto number = static_cast<std::int64_t>(data.inputs.at({i, 0})) / 10;
    CHECK(data.inputs.at({i, 1}) == static_cast<double>(10 * number + 1));
    CHECK(data.labels.at({i}) == static_cast<double>(number % 3));
    CHECK(data.targets.at({i, number % 3}) == 1.0);
    result.push_back(number);
  }
  return result;
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a slice has the examples of its range", "[datasets]") {
  const Dataset data = examples(7);
  CHECK(data.size() == 7);
  CHECK(Dataset{}.size() == 0);
  CHECK(numbers_of(data.slice(2, 5)) == Numbers{2, 3, 4});
  CHECK(numbers_of(data.slice(0, 3)) == Numbers{0, 1, 2});
  CHECK(data.slice(0, 3).targets.shape() == Shape{3, 3});
  CHECK(data.slice(7, 7).inputs.shape() == Shape{0, 2});
  CHECK(data.slice(0, 0).size() == 0);
}

TEST_CASE("a slice from the start shares memory", "[datasets]") {
  const Dataset data = examples(7);
  for (const std::int64_t end : {0, 3, 7}) {
    const Dataset part = data.slice(0, end);
    CHECK(part.inputs.data<float>() == data.inputs.data<float>());
    CHECK(part.targets.data<double>() == data.targets.data<double>());
    CHECK(part.labels.data<std::int64_t>() == data.labels.data<std::int64_t>());
  }
  CHECK(data.slice(1, 3).inputs.data<float>() != data.inputs.data<float>() + 2);
}

TEST_CASE("a slice of a lazy tensor has its rows", "[datasets]") {
  // Stands for a transposed matrix, whose buffer knows its own number of rows.
  const Tensor source{{1.0, 2.0}, {3.0, 4.0}};
  const auto fill = [](const Buffer& self, std::byte* out) {
    const auto* from = reinterpret_cast<const double*>(self.source->data.load());
    auto* to = reinterpret_cast<double*>(out);
    for (const int i : {0, 2, 1, 3}) *to++ = from[i];
  };
  const Tensor lazy = xg::detail::TensorAccess::make(
      BufferRef::lazy(32, xg::detail::TensorAccess::buffer(source), 2, 2, fill), {2, 2}, 4,
      DType::float64);
  const Tensor first = Dataset{lazy, {}, {}}.slice(0, 1).inputs;
  CHECK(!xg::detail::TensorAccess::buffer(first).is_lazy());
  CHECK(identical(first, Tensor{{1.0, 3.0}}));
  CHECK(identical(Dataset{lazy, {}, {}}.slice(0, 2).inputs, Tensor{{1.0, 3.0}, {2.0, 4.0}}));
}

TEST_CASE("take gathers rows of any rank", "[datasets]") {
  CHECK(numbers_of(examples(7).take(Numbers{6, 0, 3, 3})) == Numbers{6, 0, 3, 3});
  CHECK(examples(7).take({}).inputs.shape() == Shape{0, 2});
  const Dataset images{Tensor{{{1.0, 2.0}, {3.0, 4.0}}, {{5.0, 6.0}, {7.0, 8.0}}}, Tensor{1.5, 2.5},
                       Tensor()};
  const Dataset second = images.take(Numbers{1});
  CHECK(identical(second.inputs, Tensor{{{5.0, 6.0}, {7.0, 8.0}}}));
  CHECK(identical(second.targets, Tensor{2.5}));
  CHECK(!second.labels.defined());
}

TEST_CASE("parts outside the data set are refused", "[datasets]") {
  const Dataset data = examples(7);
  REQUIRE_ERROR(data.slice(-1, 3), ShapeError,
                "[Dataset::slice] expected 0 <= begin <= end <= 7, got begin -1 and end 3");
  REQUIRE_ERROR(data.slice(4, 3), ShapeError, "got begin 4 and end 3");
  REQUIRE_ERROR(data.slice(0, 8), ShapeError, "got begin 0 and end 8");
  REQUIRE_ERROR(data.take(Numbers{0, 7}), ShapeError,
                "[Dataset::take] expected rows from 0 to 6, got 7 at position 1");
  REQUIRE_ERROR(data.take(Numbers{-1}), ShapeError, "got -1 at position 0");
}

TEST_CASE("check refuses tensors that do not belong together", "[datasets]") {
  const Tensor inputs{{1.0, 2.0}, {3.0, 4.0}};
  CHECK_NOTHROW(Dataset{inputs, Tensor{1.0, 2.0}, Tensor{1, 2}}.check());
  CHECK_NOTHROW(Dataset{inputs, Tensor(), Tensor()}.check());
  REQUIRE_ERROR(Dataset{}.check(), ShapeError, "[Dataset] the inputs are undefined");
  REQUIRE_ERROR((Dataset{Tensor(1.0), Tensor(), Tensor()}.check()), ShapeError,
                "[Dataset] expected inputs with an axis of examples, got the shape ()");
  REQUIRE_ERROR(
      (Dataset{inputs, Tensor{1.0, 2.0, 3.0}, Tensor()}.check()), ShapeError,
      "[Dataset] expected one row of targets for each of the 2 inputs, got the shape (3,)");
  REQUIRE_ERROR((Dataset{inputs, Tensor(1.0), Tensor()}.check()), ShapeError, "got the shape ()");
  REQUIRE_ERROR(
      (Dataset{inputs, Tensor(), Tensor{1}}.check()), ShapeError,
      "[Dataset] expected one row of labels for each of the 2 inputs, got the shape (1,)");
  REQUIRE_ERROR((Dataset{inputs, Tensor(), Tensor{{1}, {2}}}.check()), ShapeError,
                "[Dataset] expected labels of shape (2,), got (2, 1)");
  REQUIRE_ERROR((Dataset{inputs, Tensor(), Tensor{1.0, 2.0}}.check()), DTypeError,
                "[Dataset] expected labels of int64, got float64");
  const Dataset wrong{inputs, Tensor{1.0}, Tensor()};
  REQUIRE_ERROR(wrong.slice(0, 1), ShapeError, "row of targets");
  REQUIRE_ERROR(wrong.take(Numbers{0}), ShapeError, "row of targets");
  REQUIRE_ERROR(datasets::split(wrong, 0.5, 1), ShapeError, "row of targets");
}

TEST_CASE("split holds out a random part", "[datasets]") {
  const Dataset data = examples(100);
  const auto [first, second] = datasets::split(data, 0.25, 1);
  const Numbers kept = numbers_of(first), held_out = numbers_of(second);
  CHECK(kept.size() == 75);
  CHECK(held_out.size() == 25);
  CHECK(std::is_sorted(kept.begin(), kept.end()));
  CHECK(std::is_sorted(held_out.begin(), held_out.end()));
  Numbers both;
  std::set_union(kept.begin(), kept.end(), held_out.begin(), held_out.end(),
                 std::back_inserter(both));
  CHECK(both.size() == 100);
  CHECK(held_out.front() < 25);  // neither end of the data set, but all over it
  CHECK(held_out.back() >= 75);

  CHECK(numbers_of(datasets::split(data, 0.25, 1).test) == held_out);
  CHECK(numbers_of(datasets::split(data, 0.25, 2).test) != held_out);
  CHECK(datasets::split(data, 0.0, 1).test.size() == 0);
  CHECK(datasets::split(data, 1.0, 1).train.size() == 0);
  CHECK(datasets::split(examples(3), 0.5, 1).test.size() == 2);
  for (const double fraction : {-0.1, 1.1, std::nan("")})
    REQUIRE_ERROR(datasets::split(data, fraction, 1), ValueError,
                  "[split] expected a fraction from 0 to 1 for the second part, got ");
}

TEST_CASE("one_hot_targets marks the class", "[datasets]") {
  CHECK(identical(one_hot_targets(Tensor{2, 0}, 3), Tensor{{0.f, 0.f, 1.f}, {1.f, 0.f, 0.f}}));
  CHECK(identical(one_hot_targets(Tensor{1}, 2, DType::float64), Tensor{{0.0, 1.0}}));
  CHECK(one_hot_targets(Tensor::full({0}, 0, DType::int64), 2).shape() == Shape{0, 2});
  REQUIRE_ERROR(one_hot_targets(Tensor{0, 3}, 3), ValueError,
                "[one_hot_targets] expected labels from 0 to 2, got 3 at position 1");
  REQUIRE_ERROR(one_hot_targets(Tensor{-1}, 3), ValueError, "got -1 at position 0");
  REQUIRE_ERROR(one_hot_targets(Tensor{0}, 0), ValueError,
                "[one_hot_targets] expected at least one class, got 0");
  REQUIRE_ERROR(one_hot_targets(Tensor{0.0}, 3), DTypeError,
                "[one_hot_targets] expected labels of int64, got float64");
  REQUIRE_ERROR(one_hot_targets(Tensor(), 3), DTypeError, "got an undefined tensor");
  REQUIRE_ERROR(one_hot_targets(Tensor{{0}}, 3), ShapeError,
                "[one_hot_targets] expected labels with one axis, got the shape (1, 1)");
}

TEST_CASE("a normaliser gives mean 0 and standard deviation 1", "[datasets]") {
  const Dataset train{Tensor{{1.0, 5.0, 0.1}, {2.0, 5.0, 0.1}, {6.0, 5.0, 0.1}}, Tensor{1, 2, 3},
                      Tensor()};
  const Normaliser normalise = Normaliser::fit(train);
  const double deviation = std::sqrt(14.0 / 3.0);
  CHECK(normalise.mean.shape() == Shape{3});
  CHECK(std::abs(normalise.mean.at({0}) - 3.0) < 1e-12);
  CHECK(normalise.mean.at({2}) == 0.1);
  CHECK(std::abs(normalise.scale.at({0}) - deviation) < 1e-12);
  CHECK(normalise.scale.at({1}) == 1.0);
  CHECK(normalise.scale.at({2}) == 1.0);

  const Dataset scaled = normalise(train);
  CHECK(identical(scaled.targets, train.targets));
  double sum = 0.0, squares = 0.0;
  for (std::int64_t i = 0; i < 3; ++i) {
    sum += scaled.inputs.at({i, 0});
    squares += scaled.inputs.at({i, 0}) * scaled.inputs.at({i, 0});
    CHECK(scaled.inputs.at({i, 1}) == 0.0);
    CHECK(scaled.inputs.at({i, 2}) == 0.0);
  }
  CHECK(std::abs(sum) < 1e-12);
  CHECK(std::abs(squares - 3.0) < 1e-12);

  const Dataset other{Tensor{{3.0, 7.0, 0.1}}, Tensor(), Tensor()};
  CHECK(std::abs(normalise(other).inputs.at({0, 0})) < 1e-12);
  CHECK(normalise(other).inputs.at({0, 1}) == 2.0);
  const Dataset image{Tensor{{{1.f, 2.f}}, {{3.f, 2.f}}}, Tensor(), Tensor()};
  CHECK(identical(Normaliser::fit(image)(image).inputs, Tensor{{{-1.f, 0.f}}, {{1.f, 0.f}}}));
}

TEST_CASE("a normaliser refuses what it was not fitted on", "[datasets]") {
  const Dataset data{Tensor{{1.0, 2.0}}, Tensor(), Tensor()};
  const Normaliser normalise = Normaliser::fit(data);
  REQUIRE_ERROR(normalise({Tensor{{1.0}}, {}, {}}), ShapeError,
                "[Normaliser] fitted on inputs of shape (2,) each, got inputs of shape (1, 1)");
  REQUIRE_ERROR(normalise({Tensor{{1.f, 2.f}}, {}, {}}), DTypeError,
                "[Normaliser] fitted on float64, got float32");
  REQUIRE_ERROR(Normaliser::fit({Tensor{{1, 2}}, {}, {}}), DTypeError,
                "[Normaliser] expected inputs of float32 or float64, got int64");
  REQUIRE_ERROR(Normaliser::fit({Tensor::full({0, 2}, 0.0), {}, {}}), ValueError,
                "[Normaliser] expected at least one example, got none");
  REQUIRE_ERROR(Normaliser::fit({}), ShapeError, "the inputs are undefined");
  REQUIRE_ERROR(normalise({}), ShapeError, "the inputs are undefined");
}
