// Backpropagation written out by hand, as in chapter 2 of the book, and checked against the tape:
// once with σ'(z) forgotten on the way back to the hidden layer, and once right.
#include <autograd/autograd.hpp>
#include <iostream>
#include <nn/nn.hpp>

using namespace xg;

struct Network : nn::Module {
  nn::Dense hidden{3, 4, {.dtype = DType::float64}}, output{4, 2, {.dtype = DType::float64}};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return sigmoid(output(sigmoid(hidden(x)))); }
};

Tensor sigmoid_prime(const Tensor& z) { return sigmoid(z) * (1 - sigmoid(z)); }

// The four equations for m examples at once; each row is one example.
NamedGradients backpropagate(const Network& net, const Tensor& x, const Tensor& y, bool forget) {
  const Tensor z1 = net.hidden(x), a1 = sigmoid(z1);
  const Tensor z2 = net.output(a1), a2 = sigmoid(z2);
  const Tensor delta2 = (a2 - y) * sigmoid_prime(z2) / x.extent(0);  // BP1
  Tensor delta1 = matmul(delta2, net.output.weight);                 // BP2 ...
  if (!forget) delta1 = delta1 * sigmoid_prime(z1);
  return {{"output.bias", sum(delta2, 0)},                   // BP3
          {"output.weight", matmul(transpose(delta2), a1)},  // BP4
          {"hidden.bias", sum(delta1, 0)},
          {"hidden.weight", matmul(transpose(delta1), x)}};
}

/// A sigmoid of one's own whose rule forgets the derivative.
struct MySigmoid {
  static constexpr auto name = "my_sigmoid";
  static constexpr Keep keeps = Keep::output;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return sigmoid(x[0]);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return t; }
  std::string equation() const { return "my_sigmoid({0})"; }
  static std::vector<Sample<MySigmoid>> samples() { return {}; }
};

int main() {
  const Network net;
  const Tensor x = random_normal({5, 3}, Key{1}, DType::float64);
  const Tensor y = random_uniform({5, 2}, Key{2}, DType::float64);
  const auto cost = [&] { return nn::quadratic_cost(net(x), y); };

  for (const bool forget : {true, false}) {
    const NamedGradients mine = backpropagate(net, x, y, forget);
    const BackpropComparison report = compare_backprop(mine, cost, net.parameters());
    std::cout << report << "\n\n";
  }

  // a rule of one's own inside a model
  const auto broken = [&](const Tensor& v) {
    return nn::quadratic_cost(sigmoid(net.output(apply(MySigmoid{}, net.hidden(v)))), y);
  };
  std::cout << gradcheck(broken, x) << "\n\n";

  // first and second derivatives with respect to all parameters
  const GradCheck all = gradgradcheck(cost, net.parameters());
  std::cout << all << '\n';
  return all ? 0 : 1;
}
