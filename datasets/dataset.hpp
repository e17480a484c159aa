// A data set in memory, and how it is cut into parts. Reads no files and draws no mini-batches.
#pragma once

#include <cstdint>
#include <span>

#include "autograd/tensor.hpp"

namespace xg::datasets {

/// n examples. Row i of every tensor belongs to example i; a copy shares the tensors.
struct Dataset {
  Tensor inputs;   ///< (n, features), or (n, ...) such as (n, 28, 28)
  Tensor targets;  ///< (n, classes) one-hot, or (n, ...) what a regression is to give
  Tensor labels;   ///< (n,) int64, the class of each example; undefined for a regression

  /// Number of examples; 0 if `inputs` is undefined.
  std::int64_t size() const noexcept { return inputs.rank() == 0 ? 0 : inputs.shape()[0]; }

  /// The examples begin <= i < end. Those from the first on share this data set's memory, others
  /// are copied. Throws ShapeError unless 0 <= begin <= end <= size(), and what check() throws.
  Dataset slice(std::int64_t begin, std::int64_t end) const;

  /// A copy of the examples `rows`, in that order; one may come more than once. Throws ShapeError
  /// for a row outside 0 .. size() - 1, and what check() throws.
  Dataset take(std::span<const std::int64_t> rows) const;

  /// Throws ShapeError unless `inputs` is defined and every defined tensor has one row for each
  /// example and `labels` one axis; DTypeError unless `labels` is int64.
  void check() const;
};

/// A mini-batch is a small data set.
using Batch = Dataset;

/// Two data sets that share no example. Reads `auto [train, test] = digits();`.
struct Split {
  Dataset train, test;
};

/// Holds out a random part, round(n * fraction_of_second) examples, as the second data set. The
/// choice depends on `seed` and n only, and both parts keep the order of `data`. Throws ValueError
/// unless 0 <= fraction_of_second <= 1, and what check() throws.
Split split(const Dataset& data, double fraction_of_second, std::uint64_t seed);

/// (n, classes) with a 1 in column labels[i] of row i and 0 elsewhere. Throws DTypeError unless
/// `labels` is int64, ShapeError unless it has one axis, ValueError for classes < 1 or a label
/// outside 0 .. classes - 1.
Tensor one_hot_targets(const Tensor& labels, std::int64_t classes, DType dtype = DType::float32);

}  // namespace xg::datasets
