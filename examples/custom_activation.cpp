// An activation of one's own is an ordinary function: differentiated, checked and trained like a
// built-in one.
#include <autograd/autograd.hpp>
#include <datasets/datasets.hpp>
#include <iostream>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;

int main() {
  // an activation of one's own, differentiated and checked like a built-in one
  auto swish = [](const Tensor& z) { return z * sigmoid(z); };
  const Tensor z = random_normal({3, 4}, Key{1}, DType::float64);
  GradCheck report = gradcheck([&](const Tensor& v) { return sum(swish(v)); }, z);
  std::cout << report << '\n';

  // the book's exercises: swap the neurons' function and train again
  const auto [train, test] = datasets::digits();
  const std::pair<const char*, std::function<Tensor(const Tensor&)>> functions[] = {
      {"sigmoid", sigmoid}, {"swish", swish}, {"linear", nn::linear}};
  for (const auto& [name, f] : functions) {
    nn::Sequential net{nn::Dense{64, 30}, f, nn::Dense{30, 10}};
    nn::initialise(net, nn::initialisers::scaled_normal, 1);
    optim::SGD sgd{net.parameters(), {.learning_rate = 0.5}};
    datasets::Loader loader{train, {.batch_size = 10, .seed = 1}};
    for (int epoch = 0; epoch < 10; ++epoch)
      for (const auto& batch : loader)
        sgd.step(batch,
                 [&](const auto& b) { return nn::log_likelihood_cost(net(b.inputs), b.targets); });
    std::cout << name << ": " << nn::count_correct(net(test.inputs), test.labels) << " of "
              << test.size() << " right\n";
  }
  return report ? 0 : 1;
}
