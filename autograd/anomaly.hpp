// Anomaly mode: the first number that is not finite is an error where it arises.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "autograd/function_ref.hpp"
#include "autograd/operand.hpp"

namespace xg {

class Inputs;

/// While one of these lives, tapes that begin, on any thread, look at every number that they record
/// and that a backward pass over them computes. The first that is NaN or infinite is an
/// AnomalyError that names the operation, its place in the user's code and the scopes around it,
/// and what went into it:
///
///     const DetectAnomalies scope;
///     const Tape tape;
///     ...
///
/// Without it nothing is looked at, and nothing is paid.
class DetectAnomalies {
 public:
  DetectAnomalies() noexcept;
  ~DetectAnomalies();
  DetectAnomalies(const DetectAnomalies&) = delete;
  DetectAnomalies& operator=(const DetectAnomalies&) = delete;

  /// Whether there is one.
  static bool active() noexcept;
};

namespace detail {

/// Where the nodes of a tape come from, and the look at their numbers.
class AnomalyCheck {
 public:
  /// Node `node` is what `operation` made of `inputs`. Throws AnomalyError.
  void forward(std::size_t node, std::string_view operation, Inputs inputs, const Tensor& output,
               SourceLocation place);
  /// What `rule`, of node `node`, gives its input `input` for `adjoint`. Throws AnomalyError.
  Tensor backward(std::size_t node, std::string_view operation, std::size_t input,
                  const Tensor& adjoint, FunctionRef<Tensor()> rule);

  /// `sum` is what has come back to node `node` so far. Throws AnomalyError.
  void adjoint(std::size_t node, const Tensor& sum) const;
  /// `change` is the tangent of node `node`. Throws AnomalyError.
  void tangent(std::size_t node, std::string_view operation, const Tensor& change) const;

 private:
  std::string origin(std::size_t node) const {
    return node < origins_.size() ? origins_[node] : "";
  }

  std::vector<std::string>
      origins_;       // by node: ", recorded at model.cpp:17\n  in Classifier.hidden"
  std::string rule_;  // while one is at work: "in the derivative of [sqrt], recorded at ..."
  const Tensor* adjoint_ = nullptr;  // which that rule was given
};

}  // namespace detail
}  // namespace xg
