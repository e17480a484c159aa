// One operation of a tape, tried alone. Internal to autograd/equations.
#pragma once

#include "autograd/equations/graph.hpp"
#include "autograd/tape_reader.hpp"

namespace xg::algebra {

/// functions.cpp: the operation of a node, which may outlive the tape.
std::shared_ptr<const Function> function_of(const detail::Node& node);
/// The operation under its name, whatever its facet says.
std::shared_ptr<const Function> named_function(const Function& f, std::size_t inputs);

/// The operations of a graph and of the rules in it, told apart by their states.
class Functions {
 public:
  /// `f` with its variant. It has been met with such `inputs`, undefined where only their shapes
  /// are known.
  std::shared_ptr<const Function> told_apart(std::shared_ptr<const Function> f,
                                             std::vector<Tensor> inputs);

 private:
  struct Known {
    std::shared_ptr<const Function> function;
    std::vector<Tensor> inputs;
  };
  std::map<const detail::OpTable*, std::vector<Known>> known_;
};

/// What is known when the operation of a node is tried.
struct Tried {
  Functions functions;
  std::vector<Tensor> recorded;  // the value of each node before, undefined if it was not kept
};

/// Finds out what node `n` computes and how derivatives pass through it, and writes both into the
/// graph; the vertices before it are complete.
void try_operation(const detail::TapeMemory& m, std::size_t n, Graph& graph, Tried& tried);

}  // namespace xg::algebra
