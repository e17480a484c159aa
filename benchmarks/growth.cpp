// How the time of gradients and training steps grows: over parameters, batch, depth and threads,
// each as a table of time over the work done, with FLOPs counted by the tape. Also the fixed cost
// of a recorded operation, and what cutting a batch into chunks costs.
//
//     growth [table...]      parameters batch depth operation threads chunks
#include <tbb/global_control.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>

#include "autograd/autograd.hpp"
#include "benchmarks/measure.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"
#include "optim/optim.hpp"

using namespace xg;

namespace {

nn::Sequential dense(const std::vector<std::int64_t>& sizes) {
  nn::Sequential net;
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    net.append(nn::Dense(sizes[l - 1], sizes[l]));
    net.append(nn::Sigmoid());
  }
  return net;
}

datasets::Batch examples(std::int64_t count, std::int64_t inputs, std::int64_t outputs) {
  datasets::Batch batch;
  batch.inputs = random_uniform({count, inputs}, Key{1});
  batch.targets = random_uniform({count, outputs}, Key{2});
  return batch;
}

/// The cost of a network on a batch, and its gradient, on a tape that is used again and again.
class Training {
 public:
  Training(const std::vector<std::int64_t>& sizes, std::int64_t batch)
      : net_(dense(sizes)),
        parameters_(net_.parameters()),
        batch_(examples(batch, sizes.front(), sizes.back())) {
    Tape tape;
    const Tensor loss = cost();
    forward_flops_ = tape.flops();
    operations_ = static_cast<double>(tape.size() - parameters_.size() - 2);  // less x and y
    gradient(loss, parameters_);
    all_flops_ = tape.flops();
  }
  Tensor cost() const { return nn::quadratic_cost(net_(batch_.inputs), batch_.targets); }

  static void print_header(const char* what) {
    std::printf("\n%10s %10s %10s | %11s %11s %8s | %11s %8s | %8s %12s\n", what, "parameters",
                "operations", "FLOPs", "forward µs", "GFLOP/s", "both µs", "GFLOP/s", "gradient",
                "ns per");
    std::printf("%10s %10s %10s | %11s %11s %8s | %11s %8s | %8s %12s\n", "", "", "", "both", "",
                "", "", "", "/forward", "operation");
  }
  /// One row: the pass forward alone, recorded or not, and with the gradient.
  void print(std::int64_t value) const {
    const std::vector<double> time =
        measure::medians({[&] { measure::use(cost()); },
                          [&] {
                            Tape tape;
                            const Tensor loss = cost();
                            const NoRecording scope;
                            // Read, since they may wait for it.
                            for (const Tensor& g : gradient(loss, parameters_))
                              measure::use(g.data<float>());
                          }});
    std::printf("%10lld %10lld %10.0f | %11.4g %11.2f %8.2f | %11.2f %8.2f | %8.2f %12.0f\n",
                static_cast<long long>(value), static_cast<long long>(nn::parameter_count(net_)),
                operations_, all_flops_, time[0] * 1e6, forward_flops_ / time[0] * 1e-9,
                time[1] * 1e6, all_flops_ / time[1] * 1e-9, (time[1] - time[0]) / time[0],
                time[1] * 1e9 / operations_);
  }

 private:
  nn::Sequential net_;
  ParameterRefs parameters_;
  datasets::Batch batch_;
  double forward_flops_ = 0, all_flops_ = 0, operations_ = 0;
};

void over_parameters() {
  std::printf("\nOver parameters: [w, w, w], sigmoid, quadratic cost, batch 32, one thread\n");
  Training::print_header("width");
  for (const std::int64_t width : {7, 22, 70, 223, 707, 2236}) {
    const Training training({width, width, width}, 32);
    training.print(width);
  }
}

void over_batch() {
  std::printf("\nOver the batch: [784, 30, 10], one thread\n");
  Training::print_header("batch");
  for (std::int64_t batch = 1; batch <= 4096; batch *= 4) {
    const Training training({784, 30, 10}, batch);
    training.print(batch);
  }
}

void over_depth() {
  std::printf("\nOver depth: layers of width 16, batch 1, one thread\n");
  Training::print_header("layers");
  for (const std::size_t layers : {1u, 2u, 5u, 10u, 20u, 50u, 100u}) {
    const Training training(std::vector<std::int64_t>(layers + 1, 16), 1);
    training.print(static_cast<std::int64_t>(layers));
  }
}

/// A chain of operations on one element: nothing but what is fixed for each operation.
void fixed_cost() {
  std::printf("\nFixed cost of a recorded operation: chains on tensors of n elements, ns\n");
  std::printf("%10s %10s | %10s %10s %10s\n", "operation", "n", "forward", "gradient", "both");
  constexpr int length = 1000;
  const auto chain = [](const char* name, std::int64_t n, auto step) {
    // Near 1, so that no product comes near the smallest numbers, which are slow.
    const Tensor x = random_uniform({n}, Key{1});
    const Tensor other = random_uniform({n}, Key{2}, DType::float32, 0.999, 1.001);
    const auto forward = [&] {
      Tensor y = x;
      for (int i = 0; i < length; ++i) y = step(y, other);
      return y;
    };
    const std::vector<double> time = measure::medians({[&] {
                                                         Tape tape;
                                                         measure::use(forward());
                                                       },
                                                       [&] {
                                                         Tape tape;
                                                         const Tensor y = sum(forward());
                                                         const NoRecording scope;
                                                         measure::use(gradient(y, x));
                                                       }},
                                                      21, 2e-3);
    std::printf("%10s %10lld | %10.0f %10.0f %10.0f\n", name, static_cast<long long>(n),
                time[0] * 1e9 / length, (time[1] - time[0]) * 1e9 / length, time[1] * 1e9 / length);
  };
  for (const std::int64_t n : {1, 10, 100, 1000}) {
    chain("negate", n, [](const Tensor& y, const Tensor&) { return -y; });
    chain("add", n, [](const Tensor& y, const Tensor& c) { return y + c; });
    chain("multiply", n, [](const Tensor& y, const Tensor& c) { return y * c; });
    chain("sigmoid", n, [](const Tensor& y, const Tensor&) { return sigmoid(y); });
  }
}

struct Step {
  nn::Sequential net;
  optim::SGD sgd;
  datasets::Batch batch;
  Step(const std::vector<std::int64_t>& sizes, std::int64_t count, std::int64_t chunk_size = 0)
      : net(dense(sizes)),
        sgd(net.parameters(), {.learning_rate = 1e-3, .chunk_size = chunk_size}),
        batch(examples(count, sizes.front(), sizes.back())) {}
  void operator()() {
    sgd.step(batch, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });
  }
};

void over_threads() {
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{784, 30, 10}, {784, 512, 512, 10}}) {
    std::printf("\nA step of SGD on one thread and on two:");
    for (const std::int64_t size : sizes) std::printf(" %lld", static_cast<long long>(size));
    std::printf("\n%10s %12s %12s %8s\n", "batch", "one, µs", "two, µs", "speedup");
    for (std::int64_t batch = 1; batch <= 4096; batch *= 2) {
      Step step(sizes, batch);
      const auto on = [&](std::size_t threads) {
        return [&step, threads] {
          const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
          step();
        };
      };
      const std::vector<double> time = measure::medians({on(1), on(2)}, 15, 2e-3);
      std::printf("%10lld %12.1f %12.1f %8.2f\n", static_cast<long long>(batch), time[0] * 1e6,
                  time[1] * 1e6, time[0] / time[1]);
    }
  }
}

void over_chunks() {
  std::printf("\nA step of [784, 30, 10] in chunks, over one chunk of the whole batch\n");
  std::printf("%10s %10s %14s %14s\n", "batch", "chunk", "one thread", "two threads");
  for (const std::int64_t batch : {64, 256, 1024, 4096})
    for (std::int64_t chunk = 16; chunk < batch; chunk *= 4) {
      Step whole({784, 30, 10}, batch, batch), cut({784, 30, 10}, batch, chunk);
      std::printf("%10lld %10lld", static_cast<long long>(batch), static_cast<long long>(chunk));
      for (const std::size_t threads : {1u, 2u}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        const std::vector<double> time = measure::medians({[&] { whole(); }, [&] { cut(); }}, 11);
        std::printf(" %14.2f", time[1] / time[0]);
      }
      std::printf("\n");
    }
}

}  // namespace

int main(int argc, char** argv) {
  const std::set<std::string_view> wanted(argv + 1, argv + argc);
  const auto run = [&](std::string_view name, void (*table)(), std::size_t threads) {
    if (!wanted.empty() && !wanted.contains(name)) return;
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    table();
  };
  run("parameters", over_parameters, 1);
  run("batch", over_batch, 1);
  run("depth", over_depth, 1);
  run("operation", fixed_cost, 1);
  run("threads", over_threads, 2);
  run("chunks", over_chunks, 2);
}
