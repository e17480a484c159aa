// The image data sets: the embedded one, small ones written here, and the real ones if they are
// there.
#include "datasets/images.hpp"

#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <string_view>

#include "datasets/datasets.hpp"
#include "tests/datasets/files.hpp"
#include "tests/support/catch.hpp"

#ifndef XGRAD_DATA_DIR
#define XGRAD_DATA_DIR ""
#endif

using namespace xg;
using datasets::Dataset;
using datasets::mnist;

namespace {

constexpr const char* fashion_directory = "/usr/share/datasets/fashion-mnist";

std::string bytes(std::initializer_list<int> values) {
  std::string result;
  for (const int value : values) result += static_cast<char>(value);
  return result;
}

// Two training images of 1x3 pixels and one test image.
void write_small_mnist(const TemporaryFolder& folder) {
  folder.write("train-images-idx3-ubyte", idx_header(8, {2, 1, 3}) + bytes({0, 51, 255, 1, 2, 3}));
  folder.write("train-labels-idx1-ubyte.gz", gzip(idx_header(8, {2}) + bytes({9, 0})));
  folder.write("t10k-images-idx3-ubyte.gz", gzip(idx_header(8, {1, 1, 3}) + bytes({5, 6, 7})));
  folder.write("t10k-labels-idx1-ubyte", idx_header(8, {1}) + bytes({4}));
}

void check_images(const Dataset& data, std::int64_t n, std::int64_t pixels) {
  data.check();
  REQUIRE(data.inputs.shape() == Shape{n, pixels});
  REQUIRE(data.targets.shape() == Shape{n, 10});
  const float* input = data.inputs.data<float>();
  bool in_range = true;
  for (std::int64_t i = 0; i < data.inputs.size(); ++i)
    in_range = in_range && input[i] >= 0.f && input[i] <= 1.f;
  CHECK(in_range);
  CHECK(identical(data.targets, datasets::one_hot_targets(data.labels, 10)));
}

std::array<int, 10> count_labels(const Dataset& data) {
  std::array<int, 10> result{};
  for (const std::int64_t label : data.labels.values<std::int64_t>())
    ++result[static_cast<std::size_t>(label)];
  return result;
}

}  // namespace

TEST_CASE("digits are embedded", "[datasets][digits]") {
  const auto [train, test] = datasets::digits();
  check_images(train, 1438, 64);
  check_images(test, 359, 64);
  // The first line of the file is a 0, whose first row of pixels is 0 0 5 13 9 1 0 0.
  CHECK(train.labels.at({0}) == 0.0);
  CHECK(train.inputs.at({0, 2}) == 5.0 / 16.0);
  CHECK(train.inputs.at({0, 3}) == 13.0 / 16.0);
  // The digits of lines 0 to 9 are 0 to 9; 4 and 9 are held out.
  CHECK(train.labels.at({3}) == 3.0);
  CHECK(train.labels.at({4}) == 5.0);
  CHECK(test.labels.at({0}) == 4.0);
  CHECK(test.labels.at({1}) == 9.0);
  const auto in_train = count_labels(train), in_test = count_labels(test);
  const std::array<int, 10> published{178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  for (std::size_t digit = 0; digit < 10; ++digit)
    CHECK(in_train[digit] + in_test[digit] == published[digit]);

  const auto wide = datasets::digits(DType::float64);
  CHECK(wide.train.inputs.dtype() == DType::float64);
  CHECK(wide.test.targets.dtype() == DType::float64);
  CHECK(wide.train.inputs.at({0, 3}) == 13.0 / 16.0);
  REQUIRE_ERROR(datasets::digits(DType::int64), DTypeError,
                "[digits] expected float32 or float64, got int64");
}

TEST_CASE("mnist reads a directory", "[datasets][mnist]") {
  const TemporaryFolder folder;
  write_small_mnist(folder);
  const auto [train, test] = mnist(folder.path(), DType::float64);
  CHECK(identical(train.inputs,
                  Tensor{{0.0, 51.0 / 255.0, 1.0}, {1.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0}}));
  CHECK(identical(train.labels, Tensor{9, 0}));
  CHECK(identical(train.targets, datasets::one_hot_targets(Tensor{9, 0}, 10, DType::float64)));
  CHECK(identical(test.inputs, Tensor{{5.0 / 255.0, 6.0 / 255.0, 7.0 / 255.0}}));
  CHECK(identical(test.labels, Tensor{4}));
  CHECK(identical(mnist(folder.path()).train.inputs,
                  Tensor{{0.f, 51.f / 255.f, 1.f}, {1.f / 255.f, 2.f / 255.f, 3.f / 255.f}}));
  CHECK(identical(datasets::fashion_mnist(folder.path()).train.labels, Tensor{9, 0}));
}

TEST_CASE("mnist refuses files that do not fit together", "[datasets][mnist]") {
  const auto refused = [](const std::string& name, const std::string& content,
                          const std::string& reason) {
    const TemporaryFolder folder;
    write_small_mnist(folder);
    folder.write(name, content);
    REQUIRE_FILE_ERROR(mnist(folder.path()),
                       "[mnist] " + (folder.path() / name).string() + ": " + reason);
  };
  const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte.gz";
  refused(labels, idx_header(8, {3}) + bytes({1, 2, 3}),
          "expected a label for each of 2 images, got 3");
  refused(labels, idx_header(8, {1}) + bytes({1}), "expected a label for each of 2 images, got 1");
  refused(labels, idx_header(8, {2}) + bytes({1, 10}),
          "expected labels from 0 to 9, got 10 at position 1");
  refused(images, idx_header(8, {2}) + bytes({1, 1}),
          "expected unsigned bytes (IDX type 8) with 3 axes, got IDX type 8 with the shape (2,)");
  refused(images, idx_header(9, {2, 1, 1}) + bytes({1, 1}), "expected unsigned bytes");
  refused(labels, idx_header(8, {2, 1}) + bytes({1, 1}),
          "expected unsigned bytes (IDX type 8) with 1 axes, got IDX type 8");
  refused(images, idx_header(8, {0, 28, 28}), "expected images, got the shape (0, 28, 28)");
  refused(images, idx_header(8, {2, 0, 28}), "expected images, got the shape (2, 0, 28)");
  refused(images, idx_header(8, {60000, 28, 28}) + "abc",
          "truncated: expected 47040000 bytes of elements for the shape (60000, 28, 28), got 3");
  refused(labels, gzip(idx_header(8, {2}) + "ab").substr(0, 15), "the gzip data is truncated");
  refused(labels, "", "the file is empty");
  refused(images, "text", "not an IDX file");

  const TemporaryFolder folder;
  write_small_mnist(folder);
  folder.write("t10k-images-idx3-ubyte.gz", gzip(idx_header(8, {1, 2, 2}) + "abcd"));
  REQUIRE_FILE_ERROR(
      mnist(folder.path()),
      "[mnist] " + folder.path().string() +
          ": expected images of one size, got 3 pixels for training and 4 for testing");
}

TEST_CASE("missing image files are named", "[datasets][mnist]") {
  const TemporaryFolder folder;
  REQUIRE_FILE_ERROR(
      mnist(folder.path()),
      "[mnist] " + folder.path().string() +
          ": there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
  REQUIRE_FILE_ERROR(
      datasets::fashion_mnist(folder.path()),
      "[fashion_mnist] " + folder.path().string() +
          ": there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz; "
          "Debian's package dataset-fashion-mnist installs Fashion-MNIST in "
          "/usr/share/datasets/fashion-mnist");
  REQUIRE_ERROR(mnist(folder.path(), DType::int64), DTypeError,
                "[mnist] expected float32 or float64, got int64");
  REQUIRE_ERROR(datasets::fashion_mnist(folder.path(), DType::int64), DTypeError,
                "[fashion_mnist] expected float32 or float64, got int64");
}

TEST_CASE("the real MNIST is read", "[datasets][mnist]") {
  const std::filesystem::path directory = std::filesystem::path(XGRAD_DATA_DIR) / "data" / "mnist";
  if (std::string_view(XGRAD_DATA_DIR).empty() || !std::filesystem::exists(directory)) {
    WARN("skipped: XGRAD_DATA_DIR names no folder with data/mnist");
    return;
  }
  const auto [train, test] = mnist(directory);
  check_images(train, 60000, 784);
  check_images(test, 10000, 784);
  CHECK(count_labels(train) ==
        std::array<int, 10>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949});
  CHECK(count_labels(test) ==
        std::array<int, 10>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
  CHECK(train.labels.at({0}) == 5.0);
  CHECK(test.labels.at({0}) == 7.0);
  // The published mean of the training pixels.
  double sum = 0.0;
  for (const float x : train.inputs.values<float>()) sum += static_cast<double>(x);
  CHECK(std::abs(sum / static_cast<double>(train.inputs.size()) - 0.1307) < 5e-5);
}

TEST_CASE("the real Fashion-MNIST is read", "[datasets][mnist]") {
  if (!std::filesystem::exists(fashion_directory)) {
    WARN("skipped: Debian's package dataset-fashion-mnist is not installed");
    return;
  }
  const auto [train, test] = datasets::fashion_mnist();
  check_images(train, 60000, 784);
  check_images(test, 10000, 784);
  for (const int count : count_labels(train)) CHECK(count == 6000);
  for (const int count : count_labels(test)) CHECK(count == 1000);
}
