// The training steps that are compared, for every program that does them: networks, data, starting
// weights and rate, and what a program makes of a step, a time or the costs. No step stands here.
#pragma once

#include <benchmark/benchmark.h>
#include <cblas.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"

namespace cases {

struct Problem {
  std::vector<std::int64_t> sizes;  ///< inputs, neurons of each layer
  std::int64_t examples;
  xg::nn::Activation activation;
};
inline const Problem book{{784, 30, 10}, 10, xg::sigmoid};
inline const Problem large{{784, 1024, 1024, 10}, 256, xg::relu};
inline const Problem tiny{{2, 8, 1}, 1, xg::tanh};
constexpr double rate = 0.01;

struct Data {
  xg::datasets::Batch batch;
  explicit Data(const Problem& problem) {
    const std::int64_t m = problem.examples, classes = problem.sizes.back();
    batch.inputs = xg::random_uniform({m, problem.sizes.front()}, xg::Key{1});
    batch.targets =
        xg::one_hot(xg::argmax(xg::random_uniform({m, classes}, xg::Key{2}), -1), classes);
  }
  const float* x() const { return batch.inputs.data<float>(); }
  const float* y() const { return batch.targets.data<float>(); }
};

/// Where the Hessian is multiplied: a tensor of the shape of parameter `number`.
inline xg::Tensor direction(const xg::Shape& shape, std::size_t number) {
  return xg::random_uniform(shape, xg::Key{10 + number}, xg::DType::float32, -1, 1);
}

/// Dense layers with the activation between them; it is not applied to the last.
struct Model : xg::nn::Module {
  std::vector<xg::nn::Dense> layers;
  xg::nn::Activation activation;
  explicit Model(const Problem& problem) : activation(problem.activation) {
    const auto& sizes = problem.sizes;
    for (std::size_t l = 1; l < sizes.size(); ++l) layers.emplace_back(sizes[l - 1], sizes[l]);
    xg::nn::initialise(*this, xg::nn::initialisers::scaled_normal, 1);
  }
  xg::nn::Members members() const override {
    xg::nn::Members result;
    for (std::size_t l = 0; l < layers.size(); ++l)
      result.push_back({std::to_string(l), layers[l]});
    return result;
  }
  xg::Tensor forward(const xg::Tensor& x) const override {
    xg::Tensor z = layers[0](x);
    for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](activation(z));
    return z;
  }
};

/// Times a step, or prints the costs of the first hundred. What has no cost gives another number by
/// which its results can be compared.
class Run {
 public:
  explicit Run(benchmark::State* state = nullptr) : state_(state) {}

  /// A step changes the weights and returns the cost before it, as a number or as what has an
  /// `item()`, which is not called when the step is timed.
  template <class Step>
  void operator()(Step step) const {
    if (state_) {
      benchmark::DoNotOptimize(step());
      for (auto _ : *state_) benchmark::DoNotOptimize(step());
    } else {
      for (int i = 0; i < 100; ++i) std::printf(" %.9g", number(step()));
    }
  }

 private:
  template <class Cost>
  static double number(const Cost& cost) {
    if constexpr (requires { cost.item(); })
      return cost.item();
    else
      return cost;
  }

  benchmark::State* state_;
};

struct Case {
  std::string name;
  void (*body)(const Run&, int threads);
  int threads = 1;
};

/// `main` of a program with these cases. With `--costs PREFIX` it prints a line for each case whose
/// name begins so: the name and the costs.
inline int run_cases(int argc, char** argv, const std::vector<Case>& cases) {
  if (argc == 3 && std::strcmp(argv[1], "--costs") == 0) {
    for (const Case& c : cases) {
      if (c.name.rfind(argv[2], 0) != 0) continue;
      std::printf("%s", c.name.c_str());
      c.body(Run(), c.threads);
      std::printf("\n");
    }
    return 0;
  }
  for (const Case& c : cases) {
    const auto timed = [c](benchmark::State& state) { c.body(Run(&state), c.threads); };
    auto* registered = benchmark::RegisterBenchmark(c.name.c_str(), timed);
    if (c.threads > 1) registered->UseRealTime();
  }
  // The library that every `sgemm` of the process goes to, whoever calls it.
  Dl_info found{};
  if (void* sgemm = dlsym(RTLD_DEFAULT, "sgemm_"); sgemm && dladdr(sgemm, &found))
    benchmark::AddCustomContext("blas_library", found.dli_fname);
  benchmark::AddCustomContext("blas", openblas_get_config());
#ifdef __clang__
  benchmark::AddCustomContext("compiler", __VERSION__);
#else
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace cases
