// What a training is watched for: cost, accuracy and gradients at fixed times, and the mistakes
// that are left. Measures, and writes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/autograd.hpp"
#include "datasets/datasets.hpp"

/// The network and its data as the history needs them.
struct Watched {
  /// Weight and bias of each layer, the first layer's first.
  xg::ParameterRefs parameters;
  std::function<xg::Tensor(const xg::datasets::Batch&)> cost;
  /// From inputs to one row for each example; its largest element is the answer.
  std::function<xg::Tensor(const xg::Tensor& inputs)> outputs;
  xg::datasets::Dataset training, test;
};

class History {
 public:
  /// How good the network was on some examples.
  struct Score {
    double epoch, cost, accuracy;
  };
  /// ‖∂C/∂w^l‖ and ‖∂C/∂b^l‖ for each layer.
  struct Norms {
    std::vector<double> weight, bias;
  };
  /// A test example with a wrong answer.
  struct Mistake {
    std::int64_t example, label, answer;
    double cost;
  };
  struct Answers {
    bool finite = true;                                ///< otherwise there is nothing else here
    std::vector<std::vector<std::int64_t>> confusion;  ///< [label][answer] counts
    std::vector<Mistake> mistakes;                     ///< the highest cost first
  };

  /// Takes the first measure.
  explicit History(Watched watched);

  /// Measures if it is time to: after each tenth of an epoch in the first three, then after each.
  /// Changes nothing of the training.
  void after(std::int64_t examples);
  /// Measures unless it was done at this time.
  void end(std::int64_t examples);
  Answers answers() const;

  const Watched& watched() const noexcept { return watched_; }
  /// The same training examples each time, spread over the data.
  std::int64_t probe_size() const noexcept { return probe_.size(); }
  // One of each for every time.
  const std::vector<Score>& training() const noexcept { return training_; }
  const std::vector<Score>& test() const noexcept { return test_; }
  const std::vector<Norms>& norms() const noexcept { return norms_; }

 private:
  void measure(std::int64_t examples);

  Watched watched_;
  xg::datasets::Dataset probe_;
  std::vector<Score> training_, test_;
  std::vector<Norms> norms_;
  std::int64_t last_ = 0, due_ = 0;
};
