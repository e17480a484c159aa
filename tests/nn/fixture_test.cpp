// The numbers that the program accompanying the book computes for [784, 30, 10], reproduced.
#include <filesystem>

#include "datasets/datasets.hpp"
#include "optim/optim.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/network.hpp"

using namespace xg;

namespace {

const std::filesystem::path data_dir = XGRAD_DATA_DIR;
const std::filesystem::path folder = data_dir / "fixtures" / "nielsen_784_30_10";

bool fixtures_missing() {
  if (!data_dir.empty() && std::filesystem::exists(folder)) return false;
  WARN("skipped: set XGRAD_DATA_DIR to a folder with fixtures/nielsen_784_30_10 and data/mnist");
  return true;
}

/// The array called `name`; the book's column vectors (n, 1) become (n,).
Tensor fixture(const std::string& name) {
  const Tensor t = datasets::read_npy(folder / (name + ".npy"), DType::float64);
  return t.rank() == 2 && t.shape()[1] == 1 ? reshape(t, {t.shape()[0]}) : t;
}

test::DenseNetwork starting_network() {
  test::DenseNetwork net({784, 30, 10}, "sigmoid", 1);
  const auto parameters = net.parameters();
  for (const auto& [i, name] : {std::pair{0u, "w1"}, {1u, "b1"}, {2u, "w2"}, {3u, "b2"}})
    parameters[i].assign(fixture(name));
  return net;
}

void check_parameters(const test::DenseNetwork& net, const std::string& prefix, double tolerance) {
  const auto parameters = net.parameters();
  for (const auto& [i, name] : {std::pair{0u, "w1"}, {1u, "b1"}, {2u, "w2"}, {3u, "b2"}}) {
    CAPTURE(prefix, name);
    CHECK(test::relative_distance(test::doubles(parameters[i].value()),
                                  test::doubles(fixture(prefix + name))) < tolerance);
  }
}

}  // namespace

TEST_CASE("the book's program: gradients and one update") {
  if (fixtures_missing()) return;
  const test::DenseNetwork net = starting_network();
  const datasets::Batch batch{fixture("batch_x"), fixture("batch_y"), {}};
  const auto cost = [&](const datasets::Batch& b) {
    return nn::quadratic_cost(net(b.inputs), b.targets);
  };
  const auto tape = value_and_gradient([&] { return cost(batch); }, net.parameters());
  const std::pair<std::size_t, const char*> names[] = {
      {0, "grad_sum_w1"}, {1, "grad_sum_b1"}, {2, "grad_sum_w2"}, {3, "grad_sum_b2"}};
  for (const auto& [i, name] : names) {
    CAPTURE(name);
    const Tensor summed = tape.gradients[i] * 10;  // the book's program sums over the batch
    CHECK(test::relative_distance(test::doubles(summed), test::doubles(fixture(name))) < 1e-12);
  }
  optim::SGD sgd{net.parameters(), {.learning_rate = 3.0}};
  sgd.step(batch, cost);
  check_parameters(net, "after_", 1e-12);
}

TEST_CASE("the book's program: three epochs over 10,000 MNIST images") {
  if (fixtures_missing()) return;
  const auto [train, test] = datasets::mnist(data_dir / "data" / "mnist", DType::float64);
  const test::DenseNetwork net = starting_network();
  optim::SGD sgd{net.parameters(), {.learning_rate = 3.0}};
  datasets::Loader loader{train.slice(0, 10000), {.batch_size = 10, .shuffle = false}};
  for (const std::int64_t expected : {7340, 7937, 8770}) {
    for (const auto& batch : loader)
      sgd.step(batch, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });
    CHECK(nn::count_correct(net(test.inputs), test.labels) == expected);
  }
  check_parameters(net, "trained_", 1e-8);
}
