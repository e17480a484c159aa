// A training step through the tape beside the same step written by hand, for the book's network, a
// large and a tiny one. Only ratios of one run mean anything:
//
//     step --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
#include <benchmark/benchmark.h>

#include <tbb/global_control.h>

#include "autograd/autograd.hpp"
#include "benchmarks/hand_written.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"
#include "optim/optim.hpp"

using namespace xg;

namespace {

struct Data {
  datasets::Batch batch;
  Data(std::int64_t examples, std::int64_t inputs, std::int64_t classes) {
    batch.inputs = random_uniform({examples, inputs}, Key{1});
    batch.targets = one_hot(argmax(random_uniform({examples, classes}, Key{2}), -1), classes);
  }
  const float* x() const { return batch.inputs.data<float>(); }
  const float* y() const { return batch.targets.data<float>(); }
};

struct Model : nn::Module {
  std::vector<nn::Dense> layers;
  nn::Activation activation;
  Model(const std::vector<std::int64_t>& sizes, nn::Activation f) : activation(f) {
    for (std::size_t l = 1; l < sizes.size(); ++l) layers.emplace_back(sizes[l - 1], sizes[l]);
    nn::initialise(*this, nn::initialisers::scaled_normal, 1);
  }
  nn::Members members() const override {
    nn::Members result;
    for (std::size_t l = 0; l < layers.size(); ++l)
      result.push_back({std::to_string(l), layers[l]});
    return result;
  }
  Tensor forward(const Tensor& x) const override {
    Tensor z = layers[0](x);
    for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](activation(z));
    return z;
  }
};

template <class Hand>
void copy_into(Hand& hand, const Model& model) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const auto w = model.layers[l].weight.value().values<float>();
    const auto b = model.layers[l].bias.value().values<float>();
    std::copy(w.begin(), w.end(), hand.layers()[l].w.data());
    std::copy(b.begin(), b.end(), hand.layers()[l].b.data());
  }
}

void book_tape(benchmark::State& state) {
  const Data data(10, 784, 10);
  const Model net({784, 30, 10}, sigmoid);
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.01}};
  for (auto _ : state)
    benchmark::DoNotOptimize(sgd.step(data.batch, [&](const auto& b) {
      return nn::quadratic_cost(sigmoid(net(b.inputs)), b.targets);
    }));
}
BENCHMARK(book_tape);

void book_hand(benchmark::State& state) {
  const Data data(10, 784, 10);
  hand_written::Network<hand_written::Sigmoid, false> net({784, 30, 10}, 10);
  copy_into(net, Model({784, 30, 10}, sigmoid));
  for (auto _ : state) benchmark::DoNotOptimize(net.step(data.x(), data.y(), 0.01f));
}
BENCHMARK(book_hand);

void large_tape(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(state.range(0)));
  const Data data(256, 784, 10);
  const Model net({784, 1024, 1024, 10}, relu);
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.01}};
  for (auto _ : state)
    benchmark::DoNotOptimize(sgd.step(data.batch, [&](const auto& b) {
      return nn::log_likelihood_cost(net(b.inputs), b.targets);
    }));
}
BENCHMARK(large_tape)->Arg(1)->Arg(2)->UseRealTime();

void large_hand(benchmark::State& state) {
  const Data data(256, 784, 10);
  hand_written::Network<hand_written::Relu, true> net({784, 1024, 1024, 10}, 256);
  copy_into(net, Model({784, 1024, 1024, 10}, relu));
  for (auto _ : state) benchmark::DoNotOptimize(net.step(data.x(), data.y(), 0.01f));
}
BENCHMARK(large_hand)->UseRealTime();

void tiny_tape(benchmark::State& state) {
  const Data data(1, 2, 1);
  const Model net({2, 8, 1}, tanh);
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.01}};
  for (auto _ : state)
    benchmark::DoNotOptimize(sgd.step(data.batch, [&](const auto& b) {
      return nn::quadratic_cost(tanh(net(b.inputs)), b.targets);
    }));
}
BENCHMARK(tiny_tape);

void tiny_hand(benchmark::State& state) {
  const Data data(1, 2, 1);
  hand_written::Tiny net{};
  const Model model({2, 8, 1}, tanh);
  std::copy_n(model.layers[0].weight.value().data<float>(), 16, &net.w1[0][0]);
  std::copy_n(model.layers[0].bias.value().data<float>(), 8, net.b1);
  std::copy_n(model.layers[1].weight.value().data<float>(), 8, net.w2);
  net.b2 = static_cast<float>(model.layers[1].bias.value().item());
  for (auto _ : state) benchmark::DoNotOptimize(net.step(data.x(), *data.y(), 0.01f));
}
BENCHMARK(tiny_hand);

}  // namespace

int main(int argc, char** argv) {
  openblas_set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
