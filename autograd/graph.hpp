// The graph that a tape has recorded, as a picture: the text of Graphviz DOT, and SVG. Draws what
// the tape and its equations say, and computes nothing of its own but numbers to show.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "autograd/parameter.hpp"
#include "autograd/tensor.hpp"

namespace xg {

/// Options of `graph`.
struct GraphOptions {
  bool backward = true;         ///< beside the values, how adjoints flow
  bool values = false;          ///< what the numbers of each node were, as far as the tape knows
  bool norms = false;           ///< ‖∂C/∂·‖ of each node; runs one backward pass
  std::size_t fold_above = 40;  ///< a graph of more nodes than this has its equal blocks folded
};

/// A picture of a recorded graph. It holds the text of the picture and nothing of the tape.
class Graph {
 public:
  explicit Graph(std::string dot) : dot_(std::move(dot)) {}

  /// In the language of Graphviz: nodes have the number of their line in the printed tape.
  const std::string& dot() const noexcept { return dot_; }
  /// As a standalone SVG element, readable on light and dark, drawn by Graphviz' program `dot`,
  /// which is looked for on the PATH. Throws ProgramError if it is not there, or fails.
  std::string svg() const;

 private:
  std::string dot_;
};

/// The graph of what `loss` depends on: operations with what they compute, shapes, and parameters
/// by name. Backward, each edge has its opposite, with what the operation adds there to the adjoint
/// of its input; the adjoint of a node is the sum of what arrives. Names and rules are those of
/// `equations`, and as much checked.
///
/// Values that the tape did not keep are computed again from those it did, where these suffice.
/// Equal blocks one after the other, such as the layers of a deep network, are drawn once, with
/// their number.
///
/// Throws as `equations` does. Without `backward` and `norms`, `loss` may be any recorded tensor.
Graph graph(const Tensor& loss, std::span<const ParameterRef> parameters = {},
            const GraphOptions& options = {});

}  // namespace xg
