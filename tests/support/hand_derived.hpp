// Backpropagation as the book derives it by hand (chapter 2), in plain loops over doubles, with no
// tape and no tensor operations: what the tape is compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace hand {

using Vector = std::vector<double>;

/// A function of one neuron's weighted input, and its derivative.
struct Neuron {
  std::function<double(double)> f, derivative;
};

inline double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

/// The activations whose derivative is written down here; `f` is empty for any other name.
inline Neuron neuron(std::string_view name) {
  if (name == "sigmoid") return {sigmoid, [](double z) { return sigmoid(z) * (1 - sigmoid(z)); }};
  if (name == "tanh")
    return {[](double z) { return std::tanh(z); },
            [](double z) { return 1 - std::tanh(z) * std::tanh(z); }};
  if (name == "linear") return {[](double z) { return z; }, [](double) { return 1.0; }};
  if (name == "relu")
    return {[](double z) { return std::max(z, 0.0); }, [](double z) { return z > 0 ? 1.0 : 0.0; }};
  if (name == "leaky_relu")
    return {[](double z) { return z < 0 ? 0.01 * z : z; },
            [](double z) { return z < 0 ? 0.01 : 1.0; }};
  if (name == "elu")
    return {[](double z) { return z < 0 ? std::expm1(z) : z; },
            [](double z) { return z < 0 ? std::exp(z) : 1.0; }};
  if (name == "softplus")
    return {[](double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); },
            sigmoid};
  if (name == "sin")
    return {[](double z) { return std::sin(z); }, [](double z) { return std::cos(z); }};
  if (name == "swish")
    return {[](double z) { return z * sigmoid(z); },
            [](double z) { return sigmoid(z) * (1 + z * (1 - sigmoid(z))); }};
  if (name == "gelu")
    return {[](double z) { return 0.5 * z * (1 + std::erf(z / std::sqrt(2.0))); },
            [](double z) {
              return 0.5 * (1 + std::erf(z / std::sqrt(2.0))) +
                     z * std::exp(-0.5 * z * z) / std::sqrt(2 * std::acos(-1.0));
            }};
  return {};
}

/// A layer's weights (outputs, inputs), row by row, and biases.
struct Layer {
  std::size_t inputs, outputs;
  Vector w, b;
};

struct Network {
  std::vector<Layer> layers;
  Neuron activation;
  /// "quadratic" from the activations of the output layer, "cross-entropy" from sigmoid outputs, or
  /// "log-likelihood" from softmax outputs.
  std::string_view cost;
};

/// One example forward and backward; adds its gradients, times `share`, to `gradients`.
inline void backpropagate(const Network& net, const double* x, const double* y, double share,
                          std::vector<Layer>& gradients) {
  const std::size_t depth = net.layers.size();
  // Feedforward: z^l = w^l a^(l-1) + b^l, a^l = f(z^l).
  std::vector<Vector> a(depth + 1), z(depth);
  a[0].assign(x, x + net.layers[0].inputs);
  for (std::size_t l = 0; l < depth; ++l) {
    const Layer& layer = net.layers[l];
    z[l] = layer.b;
    for (std::size_t j = 0; j < layer.outputs; ++j)
      for (std::size_t k = 0; k < layer.inputs; ++k)
        z[l][j] += layer.w[j * layer.inputs + k] * a[l][k];
    a[l + 1].resize(layer.outputs);
    std::transform(z[l].begin(), z[l].end(), a[l + 1].begin(), net.activation.f);
  }
  // BP1, the output error. For the two other costs σ'(z) cancels (chapter 3).
  const std::size_t outputs = net.layers.back().outputs;
  Vector delta(outputs);
  if (net.cost == "quadratic") {
    for (std::size_t j = 0; j < outputs; ++j)
      delta[j] = (a[depth][j] - y[j]) * net.activation.derivative(z[depth - 1][j]);
  } else if (net.cost == "cross-entropy") {
    for (std::size_t j = 0; j < outputs; ++j) delta[j] = sigmoid(z[depth - 1][j]) - y[j];
  } else {
    const Vector& last = z[depth - 1];
    const double largest = *std::max_element(last.begin(), last.end());
    double total = 0, weight = 0;
    for (std::size_t j = 0; j < outputs; ++j) {
      total += std::exp(last[j] - largest);
      weight += y[j];
    }
    for (std::size_t j = 0; j < outputs; ++j)
      delta[j] = weight * std::exp(last[j] - largest) / total - y[j];
  }
  for (std::size_t l = depth; l-- > 0;) {
    const Layer& layer = net.layers[l];
    for (std::size_t j = 0; j < layer.outputs; ++j) {
      gradients[l].b[j] += share * delta[j];  // BP3
      for (std::size_t k = 0; k < layer.inputs; ++k)
        gradients[l].w[j * layer.inputs + k] += share * delta[j] * a[l][k];  // BP4
    }
    if (l == 0) break;
    Vector before(layer.inputs, 0.0);  // BP2
    for (std::size_t j = 0; j < layer.outputs; ++j)
      for (std::size_t k = 0; k < layer.inputs; ++k)
        before[k] += layer.w[j * layer.inputs + k] * delta[j];
    for (std::size_t k = 0; k < layer.inputs; ++k)
      before[k] *= net.activation.derivative(z[l - 1][k]);
    delta = std::move(before);
  }
}

/// The gradient of the average cost over `examples` rows of inputs and targets.
inline std::vector<Layer> gradient(const Network& net, const double* inputs, const double* targets,
                                   std::size_t examples) {
  std::vector<Layer> gradients = net.layers;
  for (Layer& layer : gradients) {
    std::fill(layer.w.begin(), layer.w.end(), 0.0);
    std::fill(layer.b.begin(), layer.b.end(), 0.0);
  }
  for (std::size_t e = 0; e < examples; ++e)
    backpropagate(net, inputs + e * net.layers.front().inputs,
                  targets + e * net.layers.back().outputs, 1 / static_cast<double>(examples),
                  gradients);
  return gradients;
}

}  // namespace hand
