// Exercise "Backpropagation with linear neurons": σ(z) = z throughout. What remains of the
// equations, the hand-derived algorithm, and the one linear map that the network then is.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <iostream>
#include <nn/nn.hpp>

#include "diff.hpp"

using namespace xg;

int main() {
  nn::Activation activation = nn::linear;  // the line to swap

  const std::vector<std::int64_t> sizes{3, 4, 4, 2};
  const std::size_t L = sizes.size() - 1;
  const std::int64_t m = 5;
  std::vector<Parameter> w(L + 1), b(L + 1);
  ParameterRefs parameters;
  for (std::size_t l = 1; l <= L; ++l) {
    const Key key = Key{7}.fold(l);
    w[l] = Parameter(random_normal({sizes[l], sizes[l - 1]}, key.fold("w"), DType::float64));
    b[l] = Parameter(random_normal({sizes[l]}, key.fold("b"), DType::float64));
    parameters.push_back({"w", w[l]});
    parameters.push_back({"b", b[l]});
  }
  const Tensor x = random_normal({m, sizes[0]}, Key{8}, DType::float64);
  const Tensor y = random_normal({m, sizes[L]}, Key{9}, DType::float64);

  const auto network = [&](nn::Activation f) {
    Tensor a = x;
    for (std::size_t l = 1; l <= L; ++l) a = f(linear(a, w[l], b[l]));
    return a;
  };
  Tape tape;
  const Tensor before = nn::quadratic_cost(network(sigmoid), y);
  const Tensor output = network(activation), C = nn::quadratic_cost(output, y);
  print_diff(*equations(before, parameters).example, *equations(C, parameters).example);

  const NoRecording scope;
  const auto gradients = gradient(C, parameters);  // of w^1, b^1, w^2, ...
  double distance = 0;
  const auto compare = [&](const Tensor& p, const Tensor& q) {
    distance = std::max(distance, (max(abs(p - q)) / max(abs(q))).item());
  };
  const auto report = [&](const char* what) {
    std::printf("%s: %s\n", what, distance < 1e-12 ? "the same within 1e-12" : "DIFFERENT");
    distance = 0;
  };

  // by hand: every example of the batch is a column, the cost is their average
  std::vector<Tensor> a(L + 1), delta(L + 1);
  a[0] = transpose(x);
  for (std::size_t l = 1; l <= L; ++l) a[l] = matmul(w[l], a[l - 1]) + expand_dims(b[l], 1);
  delta[L] = (a[L] - transpose(y)) / m;
  for (std::size_t l = L - 1; l >= 1; --l) delta[l] = matmul(transpose(w[l + 1]), delta[l + 1]);
  for (std::size_t l = 1; l <= L; ++l) {
    compare(gradients[2 * l - 1], sum(delta[l], {1}));
    compare(gradients[2 * l - 2], matmul(delta[l], transpose(a[l - 1])));
  }
  std::cout << '\n';
  report("gradient by hand");

  // the network as one layer: W = w^L ... w^2 w^1 and B = w^L (... (w^2 b^1 + b^2) ...) + b^L
  Tensor W = w[1], B = b[1], after_first = eye(sizes[1]);  // the last is w^L ... w^2
  for (std::size_t l = 2; l <= L; ++l) {
    W = matmul(w[l], W);
    B = matmul(w[l], B) + b[l];
    after_first = matmul(w[l], after_first);
  }
  compare(output, linear(x, W, B));
  report("outputs of one linear map");

  // its gradient holds that of every layer: ∂C/∂w^1 = (w^L ... w^2)ᵀ ∂C/∂W
  const auto of_map = [&](const Tensor& v) { return nn::quadratic_cost(linear(x, v, B), y); };
  compare(gradients[0], matmul(transpose(after_first), gradient(of_map, W)));
  report("∂C/∂w^1 from the gradient of that map");
}
