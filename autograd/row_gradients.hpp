// Gradients of single examples from one pass over their batch. Internal to per_example_gradient;
// knows rules about rows, and no operation by name.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "autograd/function_ref.hpp"
#include "autograd/tape.hpp"

namespace xg::detail {

/// The cost of a batch, and of its examples alone.
struct CostOfExamples {
  std::int64_t count;
  FunctionRef<Tensor()> of_all;
  FunctionRef<Tensor(std::int64_t)> of_one;  ///< the taking of the example is recorded, too
  FunctionRef<Tensor(std::int64_t)> of_one_taken;
};

/// `per_example_gradient` by one pass, large results not computed before they are read. Nothing
/// where that is not known to be right.
std::optional<std::vector<Tensor>> row_gradients(const CostOfExamples& cost, Inputs wrt);

}  // namespace xg::detail
