// Neurons that give -1 or 1: their derivative is 0, so another one takes its place. A custom
// gradient, and a hook that keeps what flows back within bounds.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <datasets/datasets.hpp>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;

// sign(z), with the derivative of clip(z, -1, 1).
const auto binary = custom_gradient(
    [](const Tensor& z) { return sign(z); },
    [](const Tensor& g, const Tensor&, const Tensor& z) { return g * (abs(z) <= 1); });

struct BinaryNetwork : nn::Module {
  nn::Dense hidden{64, 60}, output{60, 10};
  bool replaced = true;
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override {
    const Tensor z = on_gradient(hidden(x), [](const Tensor& g) { return clip(g, -0.1, 0.1); });
    return output(replaced ? binary(z) : sign(z));
  }
};

int main() {
  const auto [train, test] = datasets::digits();
  for (const bool replaced : {false, true}) {
    BinaryNetwork net;
    net.replaced = replaced;
    const Tensor before = net.hidden.weight;
    optim::SGD sgd{net.parameters(), {.learning_rate = 0.5}};
    for (std::uint64_t epoch = 0; epoch < 20; ++epoch)
      for (const auto& batch : datasets::Loader{train, {.batch_size = 10, .seed = epoch}})
        sgd.step(batch,
                 [&](const auto& b) { return nn::log_likelihood_cost(net(b.inputs), b.targets); });
    std::printf("%s: %lld of %lld right, hidden weights %s\n",
                replaced ? "straight through" : "sign alone",
                static_cast<long long>(nn::count_correct(net(test.inputs), test.labels)),
                static_cast<long long>(test.size()),
                identical(before, net.hidden.weight) ? "never changed" : "learned");
  }
}
