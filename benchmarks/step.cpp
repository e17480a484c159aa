// A training step through the tape beside the same step written by hand, for the book's network, a
// large and a tiny one; and the Hessian times a vector at the book's, beside the gradient. Only
// ratios of one run mean anything; `ratios` beside this file takes them.
#include <tbb/global_control.h>

#include "benchmarks/cases.hpp"
#include "benchmarks/hand_written.hpp"
#include "optim/optim.hpp"

using namespace xg;
using cases::book, cases::large, cases::tiny, cases::rate, cases::Data, cases::Model, cases::Run;

namespace {

// The network written by hand, with the tape's starting weights.
template <class Network>
Network by_hand(const cases::Problem& problem) {
  Network net({problem.sizes.begin(), problem.sizes.end()},
              static_cast<std::size_t>(problem.examples));
  const Model model(problem);
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const auto w = model.layers[l].weight.value().values<float>();
    const auto b = model.layers[l].bias.value().values<float>();
    std::copy(w.begin(), w.end(), net.layers()[l].w.data());
    std::copy(b.begin(), b.end(), net.layers()[l].b.data());
  }
  return net;
}

void book_tape(const Run& run, int) {
  const Data data(book);
  const Model net(book);
  optim::SGD sgd{net.parameters(), {.learning_rate = rate}};
  run([&] {
    return sgd.step(data.batch, [&](const auto& b) {
      return nn::quadratic_cost(sigmoid(net(b.inputs)), b.targets);
    });
  });
}

void book_hand(const Run& run, int) {
  const Data data(book);
  auto net = by_hand<hand_written::Network<hand_written::Sigmoid, false>>(book);
  run([&] { return net.step(data.x(), data.y(), static_cast<float>(rate)); });
}

void large_tape(const Run& run, int threads) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(threads));
  const Data data(large);
  const Model net(large);
  optim::SGD sgd{net.parameters(), {.learning_rate = rate}};
  run([&] {
    return sgd.step(data.batch, [&](const auto& b) {
      return nn::log_likelihood_cost(net(b.inputs), b.targets);
    });
  });
}

// Only the products are on several threads.
void large_hand(const Run& run, int threads) {
  const Data data(large);
  auto net = by_hand<hand_written::Network<hand_written::Relu, true>>(large);
  openblas_set_num_threads(threads);
  run([&] { return net.step(data.x(), data.y(), static_cast<float>(rate)); });
  openblas_set_num_threads(1);
}

void tiny_tape(const Run& run, int) {
  const Data data(tiny);
  const Model net(tiny);
  optim::SGD sgd{net.parameters(), {.learning_rate = rate}};
  run([&] {
    return sgd.step(data.batch, [&](const auto& b) {
      return nn::quadratic_cost(tanh(net(b.inputs)), b.targets);
    });
  });
}

void tiny_hand(const Run& run, int) {
  const Data data(tiny);
  hand_written::Tiny net{};
  const Model model(tiny);
  std::copy_n(model.layers[0].weight.value().data<float>(), 16, &net.w1[0][0]);
  std::copy_n(model.layers[0].bias.value().data<float>(), 8, net.b1);
  std::copy_n(model.layers[1].weight.value().data<float>(), 8, net.w2);
  net.b2 = static_cast<float>(model.layers[1].bias.value().item());
  run([&] { return net.step(data.x(), *data.y(), static_cast<float>(rate)); });
}

// Derivatives by all parameters, and the sum of their squares.
struct Derivatives {
  NamedTensors values;
  explicit Derivatives(NamedTensors tensors) : values(std::move(tensors)) {
    for (const Tensor& t : values.tensors()) t.data<float>();  // they may wait to be read
  }
  double item() const {
    double sum = 0;
    for (const Tensor& t : values.tensors()) sum += squared_norm(t).item();
    return sum;
  }
};

template <bool second>
void derivatives(const Run& run, int) {
  const Data data(book);
  const Model net(book);
  const ParameterRefs parameters = net.parameters();
  std::vector<Tensor> directions;
  for (const ParameterRef& p : parameters)
    directions.push_back(cases::direction(p.value().shape(), directions.size()));
  const auto cost = [&] {
    return nn::quadratic_cost(sigmoid(net(data.batch.inputs)), data.batch.targets);
  };
  run([&] {
    return Derivatives(second ? hvp(cost, parameters, directions) : gradient(cost, parameters));
  });
}

}  // namespace

int main(int argc, char** argv) {
  openblas_set_num_threads(1);
  return cases::run_cases(argc, argv,
                          {{"book_tape", book_tape},
                           {"book_hand", book_hand},
                           {"large_tape/1", large_tape, 1},
                           {"large_tape/2", large_tape, 2},
                           {"large_hand/1", large_hand, 1},
                           {"large_hand/2", large_hand, 2},
                           {"tiny_tape", tiny_tape},
                           {"tiny_hand", tiny_hand},
                           {"gradient_tape", derivatives<false>},
                           {"hvp_tape", derivatives<true>}});
}
