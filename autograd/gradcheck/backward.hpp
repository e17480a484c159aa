// The backward pass with a mistake built into it: what a gradient would be if it were made.
// Internal to autograd/gradcheck.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autograd/gradcheck.hpp"

namespace xg::check {

/// A mistake, and the gradients that it leads to.
struct Mistake {
  Verdict verdict;
  std::string words;
  std::vector<Tensor> gradients;
};

/// The backward pass from `loss` to parameters, and its variants.
class Backward {
 public:
  Backward(const Tensor& loss, std::span<const ParameterRef> parameters);

  /// The gradients when each mistake is made in turn: the derivative of one elementwise operation
  /// left out, taken at its output instead of its input, or applied twice; those of all operations
  /// of one kind left out; one of several paths left out. `visit` returns true to see no more.
  void for_each_mistake(const std::function<bool(const Mistake&)>& visit) const;
  /// The place of a parameter on the tape: larger means nearer to the output. Nothing if the loss
  /// does not depend on it.
  std::optional<std::size_t> place(std::size_t parameter) const;

 private:
  /// What is added to the adjoint of input i of node n instead of what the rule gives; nothing if
  /// the rule is right.
  using Change =
      std::function<std::optional<Tensor>(std::size_t n, std::size_t i, const Tensor& g)>;
  std::vector<Tensor> gradients(const Change& change) const;
  /// What node n adds to the adjoint of each input, from its own; undefined where no gradient of
  /// ours passes.
  std::vector<Tensor> rules(std::size_t n, const Tensor& g) const;
  bool is_elementwise(std::size_t n) const;
  std::string where(std::size_t n) const;

  const Tape& tape_;
  DType dtype_;
  std::size_t last_;
  std::vector<std::string> names_;
  std::vector<Shape> shapes_;
  std::vector<std::size_t> sources_;  // the parameters' nodes
  std::vector<char> needed_;
  std::vector<std::size_t> layer_;  // the latest parameter's node that a node depends on
  std::vector<char> bent_;          // an elementwise function stands between it and that
};

/// "hidden" of "hidden.weight" and "w_hidden", "1" of "w1"; otherwise the name itself.
std::string layer_of(const std::string& parameter);

}  // namespace xg::check
