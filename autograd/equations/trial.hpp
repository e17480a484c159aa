// One operation of a tape, tried alone. Internal to autograd/equations.
#pragma once

#include "autograd/equations/graph.hpp"
#include "autograd/tape_reader.hpp"

namespace xg::algebra {

/// Finds out what node `n` computes and how derivatives pass through it, and writes both into the
/// graph; the vertices before it are complete.
void try_operation(const detail::TapeMemory& m, std::size_t n, Graph& graph);

}  // namespace xg::algebra
