// A model of one's own: a struct that holds its layers and says which they are.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <datasets/datasets.hpp>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;

struct Classifier : nn::Module {
  nn::Dense hidden{784, 30}, output{30, 10};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return sigmoid(output(sigmoid(hidden(x)))); }
};

int main() {
  auto [train, test] = datasets::fashion_mnist();
  Classifier net;
  optim::SGD sgd{net.parameters(), {.learning_rate = 3.0}};
  for (const auto& batch : datasets::Loader{train, {.batch_size = 10, .seed = 1}})
    sgd.step(batch, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });

  const auto correct = nn::count_correct(net(test.inputs), test.labels);
  std::printf("%lld of %lld test images right after one epoch\n", static_cast<long long>(correct),
              static_cast<long long>(test.size()));
  return correct > 7500 ? 0 : 1;
}
