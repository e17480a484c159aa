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
/// and that a pass over them computes, backward or forward; so do, from now on, this thread's tapes
/// that have begun before. The first that is NaN or infinite is an AnomalyError that names the
/// operation, its place in the user's code and the scopes around it, and what went into it:
///
///     const DetectAnomalies scope;
///     const Tape tape;
///     ...
///
/// A number that was NaN or infinite before, a constant of the user's own for instance, is none
/// that an operation made: what only moves numbers or chooses among them, as `where` does, may hand
/// it on. Without DetectAnomalies nothing is looked at, and nothing is paid.
class DetectAnomalies {
 public:
  DetectAnomalies();
  ~DetectAnomalies();
  DetectAnomalies(const DetectAnomalies&) = delete;
  DetectAnomalies& operator=(const DetectAnomalies&) = delete;

  /// Whether there is one.
  static bool active() noexcept;
};

namespace detail {

/// Where the nodes of a tape come from, and the look at their numbers. All but `forget` throw
/// AnomalyError.
class AnomalyCheck {
 public:
  /// Node `node` of `tape` is what its operation made of `inputs`.
  void forward(const Tape& tape, std::size_t node, Inputs inputs, const Tensor& output,
               SourceLocation place);
  /// What `rule`, of node `node`, gives for its input `input` and the `adjoint` of its output.
  Tensor backward(std::size_t node, std::string_view operation, std::size_t input,
                  const Tensor& adjoint, FunctionRef<Tensor()> rule);
  /// The same for the `tangent` of that input.
  Tensor tangent(std::size_t node, std::string_view operation, std::size_t input,
                 const Tensor& tangent, FunctionRef<Tensor()> rule);

  /// `sum` is what has come back to node `node` so far.
  void adjoint(std::size_t node, const Tensor& sum) const;
  /// `sum` is the tangent of node `node`, of all its inputs.
  void tangent(std::size_t node, const Tensor& sum) const;

  /// The nodes from `first` on are no more.
  void forget(std::size_t first);
  /// ", recorded at model.cpp:17\n  in Classifier.hidden", or what is known of it.
  std::string origin(std::size_t node) const {
    return node < origins_.size() ? origins_[node] : "";
  }

 private:
  /// What a rule gives, and what it is given.
  struct Words {
    const char *result, *given;
  };
  Tensor look_behind(const Words& words, std::size_t node, std::string_view operation,
                     std::size_t input, const Tensor& given, FunctionRef<Tensor()> rule);

  std::vector<std::string> origins_;  // by node
};

}  // namespace detail
}  // namespace xg
