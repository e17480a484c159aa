// The way into a tape for those who read it: equations, gradient checks, gradients by rows.
// Internal; changes nothing that is on the tape.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "autograd/tape.hpp"
#include "autograd/tape_memory.hpp"

namespace xg::detail {

struct TapeReader {
  /// The number of no node.
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  static const TapeMemory& memory(const Tape& tape) { return *tape.memory_; }
  static const Tape& of(const Tensor& tensor, std::string_view caller) {
    return Tape::of(tensor, caller);
  }
  static std::size_t find(const Tape& tape, const Tensor& tensor, std::string_view caller) {
    const std::uint32_t node = tape.find(tensor, caller);
    return node == Tape::absent ? none : node;
  }
  /// From now on the tape keeps the elements of all tensors from outside, for the reader.
  static void keep_leaves(Tape& tape) { tape.keeps_leaves_ = true; }
  /// What the rules of node `n` see.
  static Record record(const Tape& tape, std::size_t n) { return Record(tape, n); }
};

inline std::span<const std::uint32_t> inputs_of(const TapeMemory& m, const Node& node) {
  return {m.inputs.data() + node.first_input, node.input_count};
}

/// The operation of a node as a function of other inputs, with a struct of its own, so that it can
/// outlive the tape.
std::function<Tensor(std::span<const Tensor>)> operation_of(const Node& node);

/// The operation's equation with {...} written out for the node's inputs.
std::string equation_of(const Node& node);

}  // namespace xg::detail
