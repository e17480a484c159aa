// The tape against backpropagation derived by hand from BP1 to BP4, for random networks.
#include "datasets/datasets.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/network.hpp"

using namespace xg;

namespace {

void compare(const std::vector<std::int64_t>& sizes, const std::string& activation,
             const std::string& cost, std::int64_t batch, std::uint64_t seed) {
  CAPTURE(sizes, activation, cost, batch, seed);
  const test::DenseNetwork net(sizes, activation, seed);
  const Tensor x = random_normal({batch, sizes.front()}, Key{seed}.fold("x"), DType::float64);
  const Tensor labels =
      argmax(random_uniform({batch, sizes.back()}, Key{seed}.fold("y"), DType::float64), -1);
  const Tensor y = one_hot(labels, sizes.back(), DType::float64);
  const auto tape = value_and_gradient([&] { return net.cost(cost, x, y); }, net.parameters());
  const auto expected = hand::gradient(net.by_hand(activation, cost), x.data<double>(),
                                       y.data<double>(), static_cast<std::size_t>(batch));
  for (std::size_t l = 0; l < expected.size(); ++l) {
    CAPTURE(l);
    CHECK(test::relative_distance(test::doubles(tape.gradients[2 * l]), expected[l].w) < 1e-12);
    CHECK(test::relative_distance(test::doubles(tape.gradients[2 * l + 1]), expected[l].b) < 1e-12);
  }
}

}  // namespace

TEST_CASE("backpropagation derived by hand: every activation and cost, one to six layers") {
  std::uint64_t seed = 1;
  for (const std::string_view activation : nn::activation_names())
    for (const std::string cost : {"quadratic", "cross-entropy", "log-likelihood"})
      for (std::size_t layers = 1; layers <= 6; ++layers) {
        std::vector<std::int64_t> sizes{5};
        for (std::size_t l = 0; l < layers; ++l)
          sizes.push_back(2 + static_cast<std::int64_t>((seed + l) % 6));
        compare(sizes, std::string(activation), cost, 1 + static_cast<std::int64_t>(seed % 9),
                seed);
        ++seed;
      }
}

TEST_CASE("backpropagation derived by hand: batches of 1 to 65") {
  for (std::int64_t batch = 1; batch <= 65; ++batch)
    compare({7, 6, 4}, batch % 2 ? "sigmoid" : "tanh", batch % 3 ? "quadratic" : "cross-entropy",
            batch, static_cast<std::uint64_t>(batch));
}

TEST_CASE("one neuron's function can be replaced: the book's first exercise") {
  // Neuron 1 of the hidden layer gives sin(z) instead of σ(z).
  const Tensor x = random_normal({4, 3}, Key{1}, DType::float64);
  const Tensor y = random_uniform({4, 2}, Key{2}, DType::float64);
  const test::DenseNetwork net({3, 4, 2}, "sigmoid", 3);
  const Tensor is_modified{0., 1., 0., 0.};
  const auto cost = [&] {
    const Tensor z = net.layers[0](x);
    const Tensor a = where(is_modified, sin(z), sigmoid(z));
    return nn::quadratic_cost(sigmoid(net.layers[1](a)), y);
  };
  const auto tape = value_and_gradient(cost, net.parameters());

  // By hand: only σ'(z) of that neuron becomes cos(z) in BP2.
  const auto layers = net.by_hand("sigmoid", "quadratic").layers;
  std::vector<double> bias(4, 0.0);
  for (std::size_t e = 0; e < 4; ++e) {
    const double *in = x.data<double>() + 3 * e, *want = y.data<double>() + 2 * e;
    double z1[4], a1[4], delta[2];
    for (std::size_t j = 0; j < 4; ++j) {
      z1[j] = layers[0].b[j];
      for (std::size_t k = 0; k < 3; ++k) z1[j] += layers[0].w[3 * j + k] * in[k];
      a1[j] = j == 1 ? std::sin(z1[j]) : hand::sigmoid(z1[j]);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      double z2 = layers[1].b[i];
      for (std::size_t j = 0; j < 4; ++j) z2 += layers[1].w[4 * i + j] * a1[j];
      const double a2 = hand::sigmoid(z2);
      delta[i] = (a2 - want[i]) * a2 * (1 - a2);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      const double back = layers[1].w[j] * delta[0] + layers[1].w[4 + j] * delta[1];
      const double slope = j == 1 ? std::cos(z1[j]) : hand::neuron("sigmoid").derivative(z1[j]);
      bias[j] += back * slope / 4;
    }
  }
  CHECK(test::relative_distance(test::doubles(tape.gradients[1]), bias) < 1e-12);
}
