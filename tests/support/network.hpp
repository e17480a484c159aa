// Random networks in the two forms that tests compare: modules, and the hand-derived kind.
#pragma once

#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/support/hand_derived.hpp"

namespace xg::test {

inline std::vector<double> doubles(const Tensor& t) {
  const Tensor wide = cast(t, DType::float64);
  const auto values = wide.values<double>();
  return {values.begin(), values.end()};
}

/// max |a - b| / max |b|.
inline double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return largest > 0 ? difference / largest : difference;
}

/// Dense layers with one activation, also on the outputs; `weighted` stops before that last one.
struct DenseNetwork : nn::Module {
  std::vector<nn::Dense> layers;
  nn::Activation activation;

  DenseNetwork(const std::vector<std::int64_t>& sizes, const std::string& activation_name,
               std::uint64_t seed, DType dtype = DType::float64)
      : activation(nn::activation_from_name(activation_name)) {
    for (std::size_t l = 1; l < sizes.size(); ++l)
      layers.emplace_back(sizes[l - 1], sizes[l], nn::DenseOptions{.dtype = dtype});
    nn::initialise(*this, nn::initialisers::scaled_normal, seed);
  }
  nn::Members members() const override {
    nn::Members result;
    for (std::size_t l = 0; l < layers.size(); ++l)
      result.push_back({std::to_string(l), layers[l]});
    return result;
  }
  Tensor forward(const Tensor& x) const override { return activation(weighted(x)); }
  Tensor weighted(const Tensor& x) const {
    Tensor z = layers[0](x);
    for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](activation(z));
    return z;
  }
  Tensor cost(const std::string& name, const Tensor& x, const Tensor& y) const {
    if (name == "quadratic") return nn::quadratic_cost((*this)(x), y);
    if (name == "cross-entropy") return nn::sigmoid_cross_entropy_cost(weighted(x), y);
    return nn::log_likelihood_cost(weighted(x), y);
  }
  hand::Network by_hand(const std::string& activation_name, std::string_view cost_name) const {
    hand::Network result{{}, hand::neuron(activation_name), cost_name};
    for (const nn::Dense& layer : layers)
      result.layers.push_back({static_cast<std::size_t>(layer.weight.shape()[1]),
                               static_cast<std::size_t>(layer.weight.shape()[0]),
                               doubles(layer.weight), doubles(layer.bias)});
    return result;
  }
};

}  // namespace xg::test
