// Checks the derivatives of a function against central differences, and says what is wrong with
// them. Gradients derived by hand are compared in compare_backprop.hpp.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/operand.hpp"
#include "autograd/parameter.hpp"
#include "autograd/tensor.hpp"
#include "autograd/transforms.hpp"

namespace xg {

/// What a check of a gradient concludes.
enum class Verdict {
  correct,
  wrong_sign,
  constant_factor,  ///< a number too large or too small throughout: a forgotten 1/m or ½
  missing_factor,   ///< off by a factor that is a tensor: a forgotten σ'(z)
  transposed,       ///< of compare_backprop alone
  no_gradient,      ///< zero although the function changes
  no_change,        ///< not zero although the function does not change
  jvp,              ///< the vjp is right, and the jvp is not
  kink,             ///< right but where the function has a kink
  float32,          ///< no more wrong than float32 explains
  hidden_state,     ///< the function gives other values at the same inputs
  not_finite,       ///< NaN or infinity
  unsettled,        ///< the differences are too rough to tell
  wrong,            ///< none of these
};
/// "correct", "wrong by a constant factor", ...
std::string_view to_string(Verdict verdict) noexcept;
std::ostream& operator<<(std::ostream& stream, Verdict verdict);

struct GradCheckOptions {
  /// An element passes if |analytic - numeric| <= absolute + relative * (its size + a hundredth of
  /// the largest of the input's gradient), and if differences cannot tell: what rounding leaves of
  /// them excuses as much, though never more than 1e-8.
  double relative = 1e-6, absolute = 0;
  /// Step of the differences, relative to max(1, |x|). The difference is of fourth order, so its
  /// error is about step^4; smaller steps lose digits to rounding. An element that does not pass is
  /// judged by steps from 64 times as large to 1024 times as small, where they agree best.
  double step = 1e-3;
};

/// What gradcheck found; converts to true if every element passed.
struct GradCheck {
  /// The differences with one step.
  struct Step {
    double step = 0, numeric = 0;
    double error = 0;  ///< distance of numeric from where the differences settle
  };
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
    double uncertainty = 0;     ///< how closely the differences settle there
    std::vector<Step> sweep{};  ///< from the largest step to the smallest
    Verdict verdict = Verdict::correct;
    std::string explanation{};  ///< the verdict in a sentence
    std::string name{};         ///< of a parameter
    bool compared = true;       ///< false if there is nothing to compare with
  };
  /// A recorded operation, tried alone.
  struct Operation {
    std::string name;
    std::size_t node = 0;  ///< as a printed tape numbers it
    std::vector<Shape> input_shapes;
    Shape output_shape;
    Input input;  ///< the first of its inputs for which the rule is wrong
    /// The facet that is wrong: "vjp" disagrees with differences of `forward`, "jvp" with the vjp.
    /// Of a jvp the index is that of an element of the output.
    std::string rule = "vjp";
  };
  std::vector<Input> inputs;
  bool passed = true;
  /// Second derivatives, of gradgradcheck: those of a weighted sum of the first ones.
  std::vector<Input> second{};
  Verdict verdict = Verdict::correct;
  std::string explanation{};               ///< of the whole, empty if the inputs say it all
  std::optional<Operation> first_wrong{};  ///< in the order in which operations were applied
  std::optional<Operation> at_kink{};      ///< of Verdict::kink: what bends, with a right rule

  explicit operator bool() const noexcept { return passed; }
};

/// Reads like
///
///     gradcheck: FAILED, wrong by a constant factor
///       input 0 (2, 3): worst at (1, 2): tape 0.25, differences 0.5, error 0.25 (relative 0.5)
///       FAILED
///
/// and goes on with the verdict on each input, the sweep of steps and the first wrong operation.
std::ostream& operator<<(std::ostream& stream, const GradCheck& report);
std::string to_string(const GradCheck& report);

namespace detail {
using FunctionOfVector = std::function<Tensor(const std::vector<Tensor>&)>;
GradCheck check_derivatives(FunctionOfVector f, const std::vector<Tensor>& inputs,
                            const GradCheckOptions& options, bool second,
                            SourceLocation place = SourceLocation());

/// A tensor or parameter, and nothing else that makes one.
template <class X>
concept Differentiable = std::convertible_to<const X&, const Tensor&>;

// Overloads must not ask whether f takes a vector, for that would compile the body of a generic
// lambda of tensors with one; nor whether it takes tensors before they know that it is given some.
template <class F>
FunctionOfVector of_vector(F& f) {
  static_assert(std::is_invocable_r_v<Tensor, F&, const std::vector<Tensor>&>,
                "gradcheck: the function does not take the inputs as a std::vector<Tensor>, or does"
                " not give a Tensor");
  return [&f](const std::vector<Tensor>& v) -> Tensor { return std::invoke(f, v); };
}
/// A function of n tensors as one of a vector of them.
template <std::size_t n, class F>
FunctionOfVector of_tensors(F& f) {
  return [&f](const std::vector<Tensor>& v) -> Tensor {
    return [&]<std::size_t... i>(std::index_sequence<i...>) { return std::invoke(f, v[i]...); }
    (std::make_index_sequence<n>{});
  };
}
}  // namespace detail

// Both checks are there for a function of one to four tensors or parameters,
// `gradcheck(f, x, y, options)`; of a vector of any number; and for a function of nothing that uses
// parameters, `gradcheck([&] { return cost(net(x), y); }, net.parameters())`. Options are left out
// where the defaults will do. What goes wrong is said to be at `place`.

/// Compares the gradient of the scalar `f` with central differences of fourth order in every
/// element of every input, and what the operations' `jvp` gives along a random direction of each
/// input with that gradient. Where it fails the report says how, and which recorded operation is
/// the first whose own vjp disagrees with its forward, or whose jvp disagrees with its vjp.
///
/// float32 inputs are taken, but their differences are good to about three digits, so that a right
/// gradient fails with Verdict::float32 unless `relative` allows for that. Throws DTypeError for
/// int64, ShapeError if f gives more than one element, ValueError if there are no inputs.
template <class F>
GradCheck gradcheck(F&& f, const std::vector<Tensor>& inputs, const GradCheckOptions& options = {},
                    SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_vector(f), inputs, options, false, place);
}
template <class F, detail::Differentiable X>
requires TensorFunction<F, Tensor> GradCheck
gradcheck(F&& f, const X& x, const GradCheckOptions& options = {},
          SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<1>(f), {x}, options, false, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y>
requires FunctionOfSeveral<F, 2> GradCheck
gradcheck(F&& f, const X& x, const Y& y, const GradCheckOptions& options = {},
          SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<2>(f), {x, y}, options, false, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y, detail::Differentiable Z>
requires FunctionOfSeveral<F, 3> GradCheck
gradcheck(F&& f, const X& x, const Y& y, const Z& z, const GradCheckOptions& options = {},
          SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<3>(f), {x, y, z}, options, false, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y, detail::Differentiable Z,
          detail::Differentiable W>
requires FunctionOfSeveral<F, 4> GradCheck
gradcheck(F&& f, const X& x, const Y& y, const Z& z, const W& w,
          const GradCheckOptions& options = {}, SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<4>(f), {x, y, z, w}, options, false, place);
}
/// By parameters. They have their values again afterwards, but count as changed for what was
/// recorded before.
GradCheck gradcheck(const std::function<Tensor()>& f, std::span<const ParameterRef> parameters,
                    const GradCheckOptions& options = {},
                    SourceLocation place = SourceLocation::current());

/// The same and, in one report, the second derivatives: those of the sum of all first derivatives
/// with fixed random weights.
template <class F>
GradCheck gradgradcheck(F&& f, const std::vector<Tensor>& inputs,
                        const GradCheckOptions& options = {},
                        SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_vector(f), inputs, options, true, place);
}
template <class F, detail::Differentiable X>
requires TensorFunction<F, Tensor> GradCheck
gradgradcheck(F&& f, const X& x, const GradCheckOptions& options = {},
              SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<1>(f), {x}, options, true, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y>
requires FunctionOfSeveral<F, 2> GradCheck
gradgradcheck(F&& f, const X& x, const Y& y, const GradCheckOptions& options = {},
              SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<2>(f), {x, y}, options, true, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y, detail::Differentiable Z>
requires FunctionOfSeveral<F, 3> GradCheck
gradgradcheck(F&& f, const X& x, const Y& y, const Z& z, const GradCheckOptions& options = {},
              SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<3>(f), {x, y, z}, options, true, place);
}
template <class F, detail::Differentiable X, detail::Differentiable Y, detail::Differentiable Z,
          detail::Differentiable W>
requires FunctionOfSeveral<F, 4> GradCheck gradgradcheck(
    F&& f, const X& x, const Y& y, const Z& z, const W& w, const GradCheckOptions& options = {},
    SourceLocation place = SourceLocation::current()) {
  return detail::check_derivatives(detail::of_tensors<4>(f), {x, y, z, w}, options, true, place);
}
GradCheck gradgradcheck(const std::function<Tensor()>& f, std::span<const ParameterRef> parameters,
                        const GradCheckOptions& options = {},
                        SourceLocation place = SourceLocation::current());

}  // namespace xg
