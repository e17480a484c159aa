// The costs of the book, averaged over the examples of a batch, and how many answers are right.
#pragma once

#include "autograd/operand.hpp"

namespace xg::nn {

// All take a batch (examples, outputs) and targets of the same shape and type, and give a scalar.
// All throw ShapeError for shapes that differ or are of another rank, and ValueError for an empty
// batch.

/// C = 1/(2m) Σ_x ‖a − y‖², from the outputs a (chapter 1 of the book).
Tensor quadratic_cost(Operand a, Operand y);

/// C = −1/m Σ_x Σ_j [y ln a + (1 − y) ln(1 − a)], from sigmoid outputs a (chapter 3). An output of
/// exactly 0 or 1 where the target is the other costs infinity; sigmoid_cross_entropy_cost never
/// does.
Tensor cross_entropy_cost(Operand a, Operand y);

/// The same from the weighted inputs z, a = σ(z): stable for any z.
Tensor sigmoid_cross_entropy_cost(Operand z, Operand y);

/// C = −1/m Σ_x Σ_j y_j ln softmax(z)_j, from the weighted inputs z of a softmax layer: the
/// log-likelihood cost (chapter 3), stable for any z.
Tensor log_likelihood_cost(Operand z, Operand y);

/// How many rows of `outputs` (examples, classes) have their largest element at `labels`
/// (examples,) int64. Throws ShapeError if the numbers of examples differ, DTypeError for other
/// labels.
std::int64_t count_correct(Operand outputs, const Tensor& labels);

}  // namespace xg::nn
