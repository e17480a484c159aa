// Mini-batch stochastic gradient descent, in parallel over the examples of a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/function_ref.hpp"
#include "autograd/named_tensors.hpp"
#include "autograd/parameter.hpp"
#include "autograd/sliceable.hpp"
#include "autograd/tensor.hpp"

namespace xg::optim {

struct SGDOptions {
  double learning_rate = 0.1;
  /// Threads at the most that work on a step; 0 for as many as the surrounding tbb::task_arena and
  /// tbb::global_control allow. Results do not depend on it.
  int threads = 0;
  /// Examples in a chunk, 0 for a choice by the sizes of batch and parameters. Results depend on it
  /// within rounding, and a cost must be an average over examples for them to agree.
  std::int64_t chunk_size = 0;
};

/// w ← w − η ∂C/∂w.
class SGD {
 public:
  /// Throws ValueError for a learning rate that is not a positive number, a negative number of
  /// threads or chunk size, no parameters, or one that is listed twice.
  SGD(ParameterRefs parameters, const SGDOptions& options,
      SourceLocation place = SourceLocation::current());
  SGD(SGD&&) noexcept;
  SGD& operator=(SGD&&) noexcept;
  ~SGD();

  /// One step along gradients of the caller's, under the parameters' names or in their order.
  /// Throws ValueError if there are more or fewer of them or others, ShapeError or DTypeError if
  /// one does not fit; then no parameter has changed.
  void step(const TensorPerParameter& gradients, SourceLocation place = SourceLocation::current());

  /// One step on a batch: `cost(batch)` is the average of a cost over the examples. Gives that
  /// average before the step.
  ///
  /// The batch is cut into chunks of fixed size, each is recorded on a tape of its own, and the
  /// gradients are added up, weighted by the chunks' share of the examples, in a fixed binary tree:
  /// the same bits for any number of threads. `cost` runs on several threads at once. What it
  /// throws reaches the caller, and then no parameter has changed. Throws ValueError for an empty
  /// batch, for a cost that depends on none of the parameters, and when called by its own cost.
  template <Sliceable B, class Cost>
  requires std::is_invocable_r_v<Tensor, Cost&, const B&>
  double step(const B& batch, Cost&& cost, SourceLocation place = SourceLocation::current()) {
    const std::int64_t size = batch.size();
    const auto of_chunk = [&](std::int64_t begin, std::int64_t end) -> Tensor {
      return begin == 0 && end == size ? cost(batch) : cost(B(batch.slice(begin, end)));
    };
    return xg::detail::located(place, [&] { return step_in_chunks(size, of_chunk); });
  }

  double learning_rate() const noexcept { return options_.learning_rate; }
  /// Throws ValueError unless positive and finite.
  void set_learning_rate(double rate, SourceLocation place = SourceLocation::current());

 private:
  void check_options() const;
  using ChunkCost = FunctionRef<Tensor(std::int64_t, std::int64_t)>;
  struct Work;
  double step_in_chunks(std::int64_t size, ChunkCost cost);
  double chunks_and_update(std::int64_t size, ChunkCost cost);
  void descend(std::span<const Tensor> gradients);

  ParameterRefs parameters_;
  SGDOptions options_;
  std::unique_ptr<Work> work_;
};

}  // namespace xg::optim
