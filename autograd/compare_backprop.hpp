// Gradients derived by hand beside those of the tape: how to check an exercise.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "autograd/gradcheck.hpp"
#include "autograd/named_tensors.hpp"
#include "autograd/operand.hpp"
#include "autograd/parameter.hpp"
#include "autograd/tensor.hpp"
#include "autograd/transforms.hpp"

namespace xg {

struct CompareOptions {
  /// A gradient agrees if no element is off by more than this share of the largest one; 0 stands
  /// for 1e-8, or 1e-4 if parameters or gradients are float32.
  double relative = 0;
};

/// What compare_backprop found; converts to true if all gradients that were given agree.
struct BackpropComparison {
  /// One parameter, and the element of its gradient that is furthest off.
  struct Row {
    std::string name;
    Shape shape;        ///< of the parameter
    bool given = true;  ///< false if there is no gradient of that name
    Extents index{};
    double mine = 0, tape = 0;  ///< there
    double relative_error = 0;  ///< their distance as a share of the gradient's largest element
    bool passed = true;
    Verdict verdict = Verdict::correct;
    std::string explanation{};
  };
  std::vector<Row> rows;  ///< from the output backwards
  std::string layer;      ///< the first one in that order where they part
  Verdict verdict = Verdict::correct;
  std::string explanation;  ///< of all rows at once, if one error explains them
  std::string hint;         ///< which of the four equations to look at
  bool passed = true;

  explicit operator bool() const noexcept { return passed; }
};

/// A table, and below it what is wrong, where, and which equation to look at.
std::ostream& operator<<(std::ostream& stream, const BackpropComparison& report);
std::string to_string(const BackpropComparison& report);

/// Compares gradients derived by hand, `{{"output.bias", delta}, ...}`, with those of the tape on
/// which `loss` was recorded, layer by layer from the output backwards. Parameters that are not in
/// `mine` are left out. An error is explained, where that is possible, by what has to be left out
/// of the tape's backward pass so that it gives the same numbers: a derivative, a factor, a path.
///
/// Layers are told apart by names: "hidden.weight" and "hidden.bias" belong to the layer "hidden",
/// w1 and b1, or weight_1 and bias_1, to the layer "1".
/// Throws ValueError if `mine` is empty, or has a name that is no parameter's or comes twice, and
/// the errors of `gradient`.
BackpropComparison compare_backprop(const NamedTensors& mine, const Tensor& loss,
                                    std::span<const ParameterRef> parameters,
                                    const CompareOptions& options = {},
                                    SourceLocation place = SourceLocation::current());

/// The same for the loss that `loss()` computes.
template <TensorFunction<> F>
BackpropComparison compare_backprop(const NamedTensors& mine, F&& loss,
                                    std::span<const ParameterRef> parameters,
                                    const CompareOptions& options = {},
                                    SourceLocation place = SourceLocation::current()) {
  return detail::located(place, [&] {
    const Tape tape;
    const Tensor value = std::invoke(loss);
    return compare_backprop(mine, value, parameters, options, place);
  });
}

}  // namespace xg
