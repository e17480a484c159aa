// Standardisation of inputs, fitted on one data set and applied to any other.
#pragma once

#include "datasets/dataset.hpp"

namespace xg::datasets {

/// Shifts and scales every feature to mean 0 and standard deviation 1, as measured on the data set
/// that it was fitted on:
///
///     const auto normalise = Normaliser::fit(train);
///     train = normalise(train);
///     test = normalise(test);
struct Normaliser {
  Tensor mean;   ///< (features...): the shape and type of one input
  Tensor scale;  ///< (features...): standard deviations over all n; 1 for a constant feature

  /// Measures the inputs of `data`, in float64. Throws ValueError for a data set without examples,
  /// DTypeError for int64 inputs, and what Dataset::check() throws.
  static Normaliser fit(const Dataset& data);

  /// The data set with (inputs - mean) / scale for its inputs. Throws ShapeError unless its inputs
  /// have the shape that was fitted, DTypeError unless they have the type.
  Dataset operator()(const Dataset& data) const;
};

}  // namespace xg::datasets
