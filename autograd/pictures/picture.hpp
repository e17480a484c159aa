// The stations between a graph and its picture: what each says stands in its own file. Internal to
// autograd/pictures.
#pragma once

#include <string>
#include <vector>

#include "autograd/equations/graph.hpp"
#include "autograd/tape_memory.hpp"

namespace xg::pictures {

/// What stands in a picture. Texts are as they shall be read, not yet escaped.
struct Picture {
  enum class Kind { input, parameter, operation, loss };
  struct Node {
    std::size_t number;  // on the tape
    Kind kind;
    std::string title;
    std::vector<std::string> forward, backward;  // lines
    std::size_t block;                           // or no_block
  };
  struct Edge {
    std::size_t from, to;  // numbers on the tape
    bool backward;         // against the direction of the values
    bool turns;            // from a block to its next repetition
    std::string which;     // of the repetitions of a block
    std::string term;      // of the adjoint of `from`
  };

  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<std::string> blocks;  // captions
  bool backward = false;
};
inline constexpr std::size_t no_block = static_cast<std::size_t>(-1);

/// folding.cpp: nodes one after the other, by what decides whether two are alike.
struct Item {
  std::size_t kind;                 // equal for nodes that look the same
  bool leaf;                        // from outside
  std::vector<std::size_t> inputs;  // positions of items before
};
/// Blocks of `length` items, `count` times one after the other.
struct Run {
  std::size_t first, length, count;
  std::size_t end() const { return first + length * count; }
  bool holds(std::size_t item) const { return item >= first && item < end(); }
  std::size_t block(std::size_t item) const { return (item - first) / length; }
  std::size_t place(std::size_t item) const { return (item - first) % length; }
};
/// The runs of at least three equal blocks, in their order. From block to block of a run, an input
/// is the same item from before the run, or moves on by a block: of this run, or of another one.
std::vector<Run> repeated_blocks(const std::vector<Item>& items);
/// Whether `user`, behind the run, has the items at `place` of all blocks as inputs.
bool is_used_in_each(const std::vector<Item>& items, const Run& run, std::size_t user,
                     std::size_t place);
/// Whether the blocks of `user` have, as input `slot` of `to`, the same item of one block of
/// `source` after the other.
bool goes_along(const std::vector<Item>& items, const Run& source, const Run& user, std::size_t to,
                std::size_t slot);

/// numbers.cpp: the values of all nodes up to the loss, undefined where the tape has none.
std::vector<Tensor> values_of(const detail::TapeMemory& m, const algebra::Graph& graph,
                              const Tensor& loss, std::span<const ParameterRef> parameters);
/// ‖∂C/∂·‖ of the nodes that derivatives pass through; 0 for others.
std::vector<double> norms_of(const detail::TapeMemory& m, const algebra::Graph& graph,
                             const Tensor& loss);
/// The elements in a few words.
std::string summary(const Tensor& tensor);
/// Three significant digits.
std::string brief(double value);

/// dot.cpp
std::string to_dot(const Picture& picture);
/// The colours of a picture on light ground, and those that take their place on dark.
struct Colour {
  const char *light, *dark;
};
namespace colours {
inline constexpr Colour ground{"#ffffff", "#14181d"}, text{"#1b1f24", "#e6e9ee"},
    faint{"#57606a", "#a3adb8"}, line{"#6e7781", "#8b949e"}, operation{"#f3f4f6", "#22282f"},
    input{"#fdf3d8", "#3b3216"}, parameter{"#dcebfb", "#16324f"}, loss{"#e2f5e5", "#173a22"},
    block{"#fafbfc", "#1a1f25"}, backward{"#b3261e", "#ff8a80"};
inline constexpr Colour all[] = {ground, text,      faint, line,  operation,
                                 input,  parameter, loss,  block, backward};
}  // namespace colours

}  // namespace xg::pictures
