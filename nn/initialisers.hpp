// Starting values of parameters.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "autograd/random.hpp"
#include "nn/module.hpp"

namespace xg::nn {

/// Makes the starting value of a parameter from its shape and a key. A shape of two or more axes
/// is a weight (outputs, inputs...), one of fewer a bias.
using Initialiser = std::function<Tensor(const Shape& shape, Key key, DType dtype)>;

namespace initialisers {

/// Weights and biases N(0, 1): where the book starts (chapter 1).
Tensor standard_normal(const Shape& shape, Key key, DType dtype);
/// Weights N(0, 1) / sqrt(inputs), biases N(0, 1): the book's better start (chapter 3).
Tensor scaled_normal(const Shape& shape, Key key, DType dtype);
/// Weights uniform within ±sqrt(6 / (inputs + outputs)), biases 0 (Glorot and Bengio, 2010).
Tensor glorot(const Shape& shape, Key key, DType dtype);
/// Weights N(0, 2 / inputs), biases 0 (He et al., arXiv:1502.01852).
Tensor he(const Shape& shape, Key key, DType dtype);
/// Zeros throughout.
Tensor zeros(const Shape& shape, Key key, DType dtype);
/// `value` throughout.
Initialiser constant(double value);

}  // namespace initialisers

/// The initialiser called "standard-normal", "scaled-normal", "glorot", "he" or "zeros". Throws
/// ValueError with the list of names.
Initialiser initialiser_from_name(std::string_view name,
                                  SourceLocation place = SourceLocation::current());
/// Those names.
const std::vector<std::string_view>& initialiser_names();

/// Sets every parameter anew. Each is drawn from a key of its own, made of the seed and its path.
void initialise(const Module& module, const Initialiser& initialiser, std::uint64_t seed);

}  // namespace xg::nn
