// Checks the derivatives of a function against central differences.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "autograd/tensor.hpp"
#include "autograd/transforms.hpp"

namespace xg {

struct GradCheckOptions {
  /// An element passes if |analytic - numeric| <= absolute + relative * max(|analytic|, |numeric|).
  double relative = 1e-6, absolute = 1e-8;
  /// Step of the differences, relative to max(1, |x|). The difference is of fourth order, so its
  /// error is about step^4; smaller steps lose digits to rounding.
  double step = 1e-3;
};

/// What gradcheck found; converts to true if every element passed.
struct GradCheck {
  /// The element of one input with the largest error, as a share of what is allowed.
  struct Input {
    std::size_t number = 0;     ///< which input
    Shape shape;                ///< of the input
    Extents index;              ///< of its worst element
    double analytic = 0;        ///< what the tape says there
    double numeric = 0;         ///< what the differences say there
    double error = 0;           ///< |analytic - numeric|
    double relative_error = 0;  ///< error / max(|analytic|, |numeric|), 0 if both are 0
    bool passed = true;
  };
  std::vector<Input> inputs;
  bool passed = true;

  explicit operator bool() const noexcept { return passed; }
};

/// Reads like
///
///     gradcheck: FAILED
///       input 0 (2, 3): worst at (1, 2): tape 0.25, differences 0.5, error 0.25 (relative 0.5)
///       FAILED
std::ostream& operator<<(std::ostream& stream, const GradCheck& report);
std::string to_string(const GradCheck& report);

/// Compares the gradient of the scalar `f` with central differences of fourth order in every
/// element of every input. The inputs must be float64 (DTypeError): float32 differences are too
/// rough to tell anything. Throws ShapeError if f gives more than one element.
GradCheck gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                    const std::vector<Tensor>& inputs, const GradCheckOptions& options = {});

/// `gradcheck(f, x)` and `gradcheck(f, x, y, ...)` for functions of one or several tensors.
template <class F, std::same_as<Tensor>... X>
requires(sizeof...(X) > 0 && TensorFunction<F, X...>) GradCheck gradcheck(F&& f, const X&... x) {
  const auto spread = [&]<std::size_t... i>(const std::vector<Tensor>& v,
                                            std::index_sequence<i...>) {
    return f(v[i]...);
  };
  return gradcheck(
      std::function<Tensor(const std::vector<Tensor>&)>(
          [&](const std::vector<Tensor>& v) { return spread(v, std::index_sequence_for<X...>{}); }),
      std::vector<Tensor>{x...}, GradCheckOptions{});
}

/// The same for a function of one tensor, with other options.
template <class F, std::same_as<Tensor> X>
requires TensorFunction<F, X> GradCheck gradcheck(F&& f, const X& x,
                                                  const GradCheckOptions& options) {
  return gradcheck(std::function<Tensor(const std::vector<Tensor>&)>(
                       [&](const std::vector<Tensor>& v) { return f(v[0]); }),
                   {x}, options);
}

}  // namespace xg
