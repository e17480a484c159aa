// What the backward pass keeps, with checkpoints and without, and what that costs in time; and the
// gradients of single examples beside the gradient of their batch.
//
//     memory [table...]      checkpoint examples
#include <tbb/global_control.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include "autograd/autograd.hpp"
#include "benchmarks/measure.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"

using namespace xg;

namespace {

/// A cost and its gradient through `network`, on a tape of its own.
struct Pass {
  std::function<Tensor()> cost;
  ParameterRefs parameters;
  std::uint64_t kept = 0, peak = 0;

  void operator()() {
    Tape tape;
    const Tensor loss = cost();
    const NoRecording scope;
    for (const Tensor& g : gradient(loss, parameters)) measure::use(g.data<float>());
    peak = tape.peak_bytes();
  }
  void count() {
    Tape tape;
    const Tensor loss = cost();
    kept = tape.bytes_kept();
  }
};

void checkpoints() {
  std::printf(
      "\nn layers h + tanh(w h + b) of 64 neurons, batch 256, one thread: everything kept, and in "
      "√n "
      "checkpoints\n");
  std::printf("%6s | %10s %10s %10s | %10s %10s %10s | %6s\n", "n", "kept, MB", "peak, MB", "µs",
              "kept, MB", "peak, MB", "µs", "time");
  for (const std::size_t n : {4u, 16u, 64u, 256u}) {
    std::vector<std::function<Tensor(const Tensor&)>> layers;
    ParameterRefs parameters;
    for (std::size_t l = 0; l < n; ++l) {
      const auto dense = std::make_shared<nn::Dense>(64, 64, nn::DenseOptions{.seed = l});
      layers.push_back([dense](const Tensor& h) { return h + tanh((*dense)(h)); });
      for (const ParameterRef& p : dense->parameters()) parameters.push_back(p);
    }
    const Tensor x = random_uniform({256, 64}, Key{1});
    Pass plain{[&] {
                 Tensor h = x;
                 for (const auto& layer : layers) h = layer(h);
                 return squared_norm(h);
               },
               parameters};
    Pass some{[&] { return squared_norm(checkpoint_sequential(layers, x)); }, parameters};
    const std::vector<double> time = measure::medians({[&] { plain(); }, [&] { some(); }}, 9, 2e-3);
    std::printf("%6zu", n);
    for (std::size_t i = 0; i < 2; ++i) {
      Pass& pass = i == 0 ? plain : some;
      pass.count();
      std::printf(" | %10.3f %10.3f %10.1f", static_cast<double>(pass.kept) * 1e-6,
                  static_cast<double>(pass.peak) * 1e-6, time[i] * 1e6);
    }
    std::printf(" | %6.2f\n", time[1] / time[0]);
  }
}

void examples() {
  std::printf("\nGradients of single examples of [784, 30, 10], over the batch's gradient\n");
  std::printf("%6s %8s | %12s %12s %12s %12s | %8s %8s\n", "batch", "threads", "batch, µs",
              "examples, µs", "and read, µs", "writing, µs", "ratio", "and read");
  for (const std::int64_t m : {10, 64, 256})
    for (const std::size_t threads : {1u, 2u}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      const nn::Sequential net{nn::Dense(784, 30), sigmoid, nn::Dense(30, 10), sigmoid};
      const ParameterRefs parameters = net.parameters();
      const datasets::Batch batch{
          random_uniform({m, 784}, Key{1}), random_uniform({m, 10}, Key{2}), {}};
      const auto cost = [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); };
      Pass whole{[&] { return cost(batch); }, parameters};
      const std::vector<double> time = measure::medians(
          {[&] { whole(); }, [&] { measure::use(per_example_gradient(cost, batch, parameters)); },
           [&] {
             for (const auto& [name, g] : per_example_gradient(cost, batch, parameters))
               measure::use(g.data<float>());
           },
           [&] {  // as many bytes as the rows have
             for (const ParameterRef& p : parameters)
               measure::use(Tensor::full({m, p.value().size()}, 1, DType::float32));
           }},
          15, 2e-3);
      std::printf("%6lld %8zu | %12.1f %12.1f %12.1f %12.1f | %8.1f %8.1f\n",
                  static_cast<long long>(m), threads, time[0] * 1e6, time[1] * 1e6, time[2] * 1e6,
                  time[3] * 1e6, time[1] / time[0], time[2] / time[0]);
    }
}

}  // namespace

int main(int argc, char** argv) {
  const std::set<std::string_view> wanted(argv + 1, argv + argc);
  if (wanted.empty() || wanted.contains("checkpoint")) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
    checkpoints();
  }
  if (wanted.empty() || wanted.contains("examples")) examples();
}
