// Exercise "Backpropagation with a single modified neuron": one hidden neuron gives f(z) instead of
// σ(z). The tape, the hand-derived algorithm with its two changed lines, and what has changed in
// the equations.
#include <autograd/autograd.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nn/nn.hpp>

#include "diff.hpp"

using namespace xg;

// f for the tape; for the hand-derived algorithm f once more, and its derivative
Tensor f(const Tensor& z) { return tanh(z); }
double f(double z) { return std::tanh(z); }
double f_prime(double z) { return 1 - std::tanh(z) * std::tanh(z); }

constexpr std::int64_t modified = 1;  // which of the three hidden neurons gives f(z)

using Function = double (*)(double);
double sigma(double z) { return 1 / (1 + std::exp(-z)); }
double sigma_prime(double z) { return sigma(z) * (1 - sigma(z)); }

/// `one` of the modified neuron's element of z, `others` of all other elements.
Tensor each(const Tensor& z, Function others, Function one) {
  std::vector<double> result;
  for (const double v : z.values<double>())
    result.push_back(std::ssize(result) == modified ? one(v) : others(v));
  return Tensor(result, z.shape());
}

struct Network {
  Tensor w1, b1, w2, b2;
};

/// ∂C_x/∂w^1, ∂C_x/∂b^1, ∂C_x/∂w^2 and ∂C_x/∂b^2 by hand, for an example (x, y) of two columns.
std::vector<Tensor> by_hand(const Network& n, const Tensor& x, const Tensor& y,
                            Function derivative_of_modified) {
  const Tensor z1 = matmul(n.w1, x) + expand_dims(n.b1, 1);
  const Tensor a1 = each(z1, sigma, f);  // changed
  const Tensor z2 = matmul(n.w2, a1) + expand_dims(n.b2, 1);
  const Tensor a2 = each(z2, sigma, sigma);
  const Tensor delta2 = (a2 - y) * each(z2, sigma_prime, sigma_prime);  // BP1
  const Tensor delta1 = matmul(transpose(n.w2), delta2) *               // BP2
                        each(z1, sigma_prime, derivative_of_modified);  // changed
  return {matmul(delta1, transpose(x)), squeeze(delta1),                // BP4, BP3
          matmul(delta2, transpose(a1)), squeeze(delta2)};
}

int main() {
  const std::int64_t m = 4;
  const nn::Dense hidden{2, 3, {.seed = 1, .dtype = DType::float64}};
  const nn::Dense output{3, 2, {.seed = 2, .dtype = DType::float64}};
  const ParameterRefs parameters{
      {"w1", hidden.weight}, {"b1", hidden.bias}, {"w2", output.weight}, {"b2", output.bias}};
  const Tensor x = random_normal({m, 2}, Key{3}, DType::float64);
  const Tensor y = random_uniform({m, 2}, Key{4}, DType::float64);

  // 1 for the modified neuron, 0 for the others
  const Tensor c = squeeze(one_hot(Tensor{modified}, 3, DType::float64));
  const auto activation = [&](const Tensor& z) { return c * f(z) + (1 - c) * sigmoid(z); };
  const auto cost = [&](const auto& of_hidden) {
    return nn::quadratic_cost(sigmoid(output(of_hidden(hidden(x)))), y);
  };
  Tape tape;
  const Tensor C = cost(activation);
  print_diff(*equations(cost(sigmoid), parameters).example, *equations(C, parameters).example);

  const NoRecording scope;
  const std::vector<Tensor> of_tape = gradient(C, parameters);
  const auto largest_difference = [&](Function derivative_of_modified) {
    std::vector<Tensor> difference = of_tape;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto of_example = by_hand({hidden.weight, hidden.bias, output.weight, output.bias},
                                      transpose(slice(x, 0, i, i + 1)),
                                      transpose(slice(y, 0, i, i + 1)), derivative_of_modified);
      for (std::size_t k = 0; k < difference.size(); ++k) difference[k] -= of_example[k] / m;
    }
    double largest = 0;
    for (const Tensor& d : difference) largest = std::max(largest, max(abs(d)).item());
    return largest;
  };
  std::printf("\nthe tape and the modified algorithm %s\n",
              largest_difference(f_prime) < 1e-12 ? "agree within 1e-12" : "DIFFER");
  std::printf("the tape and one that keeps σ' for all neurons differ by %.4f\n",
              largest_difference(sigma_prime));
}
