// Activation functions by name. As functions they are in autograd/ops.hpp, as layers in layers.hpp.
#pragma once

#include <string_view>
#include <vector>

#include "autograd/operand.hpp"

namespace xg::nn {

/// A function of each weighted input.
using Activation = Tensor (*)(Operand z);

/// σ(z) = z: the book's linear neurons.
Tensor linear(Operand z);
/// z ⊙ sigmoid(z) (Ramachandran et al., arXiv:1710.05941).
Tensor swish(Operand z);

/// The activation called "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu",
/// "softplus", "sin" or "swish". Throws ValueError with the list of names.
Activation activation_from_name(std::string_view name,
                                SourceLocation place = SourceLocation::current());
/// Those names.
const std::vector<std::string_view>& activation_names();

}  // namespace xg::nn
