// What may go wrong in a program that differentiates, and what one sees then.
#include <algorithm>
#include <autograd/autograd.hpp>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nn/nn.hpp>
#include <optim/optim.hpp>
#include <optional>
#include <thread>
#include <vector>

using namespace xg;

struct Classifier : nn::Module {
  nn::Dense hidden{4, 3, {.dtype = DType::float64}}, output{3, 2, {.dtype = DType::float64}};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return output(log(relu(hidden(x)))); }
};

// Prints what goes wrong in f.
template <class F>
void show(const char* title, const F& f) {
  std::cout << title << ":\n";
  try {
    f();
  } catch (const Error& error) {
    std::cout << error.what() << '\n';
  }
  std::cout << '\n';
}

// Seconds of one training step of the book's network, the best of several.
double seconds_of_step(bool watched) {
  const nn::Dense hidden(784, 30), output(30, 10);
  const ParameterRefs parameters{
      {"w1", hidden.weight}, {"b1", hidden.bias}, {"w2", output.weight}, {"b2", output.bias}};
  const Tensor x = random_uniform({10, 784}, Key{1}), y = random_uniform({10, 10}, Key{2});
  std::optional<DetectAnomalies> scope;
  if (watched) scope.emplace();
  double best = INFINITY;
  for (int i = 0; i < 200; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const Tape tape;
    const Tensor cost = nn::quadratic_cost(sigmoid(output(sigmoid(hidden(x)))), y);
    const NoRecording pass;
    const std::vector<Tensor> gradients = gradient(cost, parameters);
    for (std::size_t k = 0; k < parameters.size(); ++k) parameters[k].add_scaled(-1, gradients[k]);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count());
  }
  return best;
}

int main() {
  const Classifier net;
  const Tensor x = random_normal({5, 4}, Key{1}, DType::float64), labels{0, 1, 1, 0, 1};

  show("shapes that do not fit", [&] { net(random_normal({5, 3}, Key{1}, DType::float64)); });

  show("types that do not fit", [&] { net(cast(x, DType::float32)); });

  show("integers where something is differentiated", [&] {
    const Tape tape;
    gradient(sum(x), labels);
  });

  show("nothing was recorded", [&] {
    const Tensor loss = sum(square(x));
    gradient(loss, x);
  });

  show("the tape has gone", [&] {
    Tensor loss;
    {
      const Tape tape;
      loss = sum(square(x));
    }
    gradient(loss, x);
  });

  show("a tensor of one tape under another", [&] {
    const Tape outer;
    const Tensor y = square(x);
    const Tape inner;
    sum(y * x);
  });

  show("a parameter was changed between recording and gradient", [&] {
    const Tape tape;
    const Tensor loss = sum(square(net.hidden.weight));
    net.parameters()[0].add_scaled(-0.1, net.hidden.weight);
    gradient(loss, net.parameters());
  });

  show("a tensor that the loss does not depend on", [&] {
    const Tape tape;
    const Tensor loss = sum(square(x)), other{1.0, 2.0};
    gradient(loss, {x, other}, {.unused = Unused::error});
  });

  show("a gradient of what was never recorded", [&] {
    const Classifier copy = net;
    const Tape tape;
    const Tensor loss = sum(square(net(x)));
    gradient(loss, copy.parameters());
  });

  show("a tape on two threads", [&] {
    Tape tape;
    const Tensor loss = sum(square(x));
    std::string error;
    std::thread([&] {
      try {
        gradient(loss, x);
      } catch (const TapeError& e) {
        error = e.what();
      }
    }).join();
    throw TapeError(error);
  });

  show("a tensor of the tape of another thread", [&] {
    const Tape tape;
    const Tensor h = square(x);
    std::string error;
    std::thread([&] {
      try {
        exp(h);
      } catch (const TapeError& e) {
        error = e.what();
      }
    }).join();
    throw TapeError(error);
  });

  show("a tape that only grows", [&] {
    set_warning_handler([](const std::string& text) { std::cout << text << '\n'; });
    const Tape tape;  // belongs inside of the loop
    Tensor w = x;
    for (int step = 0; step < 100; ++step) {
      const Tensor loss = sum(square(w));
      w -= 0.1 * gradient(loss, w);
    }
    for (const Tape::Holding& holding : tape.holdings()) std::cout << "  " << holding << '\n';
  });

  show("infinity in a model, in anomaly mode", [&] {
    const DetectAnomalies scope;
    const Tape tape;
    const Tensor loss = sum(net(x));
    gradient(loss, net.parameters());
  });

  show("infinity on the way back, in anomaly mode", [&] {
    const DetectAnomalies scope;
    const Tape tape;
    const Tensor v{4.0, 0.0};
    const Tensor loss = sum(sqrt(v));
    const NoRecording pass;
    gradient(loss, v);
  });

  show("infinity on the way forward, in anomaly mode", [&] {
    const DetectAnomalies scope;
    const auto root = [](const Tensor& v) { return sqrt(v); };
    jacobian(root, Tensor{4.0, 0.0});
  });

  show("NaN in the branch that `where` does not take", [&] {
    const auto entropy = [](const Tensor& p) { return sum(where(p > 0, -p * log(p), 0)); };
    std::cout << gradient(entropy, Tensor{0.5, 0.0, -1.0}) << '\n';
  });

  std::vector<double> ratios;
  for (int round = 0; round < 7; ++round)
    ratios.push_back(seconds_of_step(true) / seconds_of_step(false));
  std::sort(ratios.begin(), ratios.end());
  std::cout << "a training step of [784, 30, 10] in anomaly mode takes "
            << std::round(100 * ratios[ratios.size() / 2]) / 100 << " times as long\n";
}
