// One operation of a tape, tried alone. Internal to autograd/equations.
#pragma once

#include "autograd/equations/graph.hpp"
#include "autograd/tape.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

namespace detail {
/// The way into a tape for whoever reads it.
struct TapeReader {
  static const TapeMemory& memory(const Tape& tape) { return *tape.memory_; }
  static const Tape& of(const Tensor& tensor, std::string_view caller) {
    return Tape::of(tensor, caller);
  }
  static std::size_t find(const Tape& tape, const Tensor& tensor,
                          std::string_view caller = "equations") {
    const std::uint32_t node = tape.find(tensor, caller);
    return node == Tape::absent ? algebra::no_vertex : node;
  }
};
}  // namespace detail

namespace algebra {

inline std::span<const std::uint32_t> inputs_of(const detail::TapeMemory& m,
                                                const detail::Node& node) {
  return {m.inputs.data() + node.first_input, node.input_count};
}

/// Finds out what node `n` computes and how derivatives pass through it, and writes both into the
/// graph; the vertices before it are complete.
void try_operation(const detail::TapeMemory& m, std::size_t n, Graph& graph);

}  // namespace algebra
}  // namespace xg
