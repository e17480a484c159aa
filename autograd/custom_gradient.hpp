// Derivatives of the user's choice: a rule in the place of a function's own, and a hook on what
// flows back through a tensor.
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/checkpoint.hpp"

namespace xg {

namespace detail {

using CustomRule =
    std::function<std::vector<Tensor>(const Tensor& adjoint, const Tensor& output, Inputs x)>;
Tensor apply_custom(std::function<Tensor(Inputs)> f, CustomRule rule, Inputs x,
                    SourceLocation place);

template <class F, class Vjp>
class CustomGradient {
 public:
  CustomGradient(F f, Vjp vjp) : f_(std::move(f)), vjp_(std::move(vjp)) {}

  template <std::convertible_to<const Tensor&>... X>
  requires(sizeof...(X) < 31 &&
           TensorFunction<const F, Tensor, std::conditional_t<true, Tensor, X>...>) Tensor
  operator()(Operand x, const X&... more) const {
    constexpr std::size_t n = 1 + sizeof...(X);
    const Tensor* const pointers[] = {&x.tensor(), &static_cast<const Tensor&>(more)...};
    return apply_custom(of_list<n>(f_), rule<n>(), Inputs(pointers, n), x.place());
  }

 private:
  // The adjoints of N inputs: a tensor if there is one, otherwise whatever they can be listed from.
  template <std::size_t N>
  CustomRule rule() const {
    return [vjp = vjp_](const Tensor& g, const Tensor& y, Inputs x) -> std::vector<Tensor> {
      const auto changes = [&]<std::size_t... i>(std::index_sequence<i...>) {
        return std::invoke(vjp, g, y, x[i]...);
      }
      (std::make_index_sequence<N>());
      if constexpr (std::is_convertible_v<decltype(changes), Tensor>)
        return {changes};
      else
        return {changes.begin(), changes.end()};
    };
  }

  F f_;
  Vjp vjp_;
};

}  // namespace detail

/// The function f with another derivative: `vjp(adjoint, y, x...)`, where y = f(x...), gives the
/// adjoint of x, or of several x a std::array of as many. An undefined tensor stands for zero.
///
///     // -1, 0 or 1, with the derivative of the identity: a straight-through estimator
///     const auto binary = custom_gradient(
///         [](const Tensor& x) { return sign(x); },
///         [](const Tensor& g, const Tensor&, const Tensor&) { return g; });
///     Tensor y = binary(x);
///
/// The rule is differentiated for higher derivatives, so it is to be written in tensor operations.
/// It has to be linear in the adjoint, as derivatives are; forward mode takes the Jacobian from it.
/// Both functions are copied, and called as long as the tape lives.
///
/// Throws TapeError if f uses a parameter, or a tensor recorded before, that is not among x: no
/// gradient could reach it. In the backward pass throws ShapeError or DTypeError if an adjoint does
/// not fit its input, and ValueError if there are more or fewer of them than inputs.
///
/// f is recorded for a moment, to see what it uses. Where it takes many steps, as an iteration to a
/// fixed point does, a NoRecording inside f saves that memory (and the check).
template <class F, class Vjp>
detail::CustomGradient<F, Vjp> custom_gradient(F f, Vjp vjp) {
  return {std::move(f), std::move(vjp)};
}

/// x, at which f is called with the adjoint in every backward pass; what it gives goes on in its
/// place. For scaling, clipping, looking:
///
///     Tensor h = on_gradient(hidden(x), [](const Tensor& g) { return clip(g, -1, 1); });
///
/// The adjoint is the whole of what comes back to the tensor that this returns, not of other uses
/// of x. Tangents pass unchanged, so jvp, and a Jacobian that is computed forward, know nothing of
/// f. f is copied, and called as long as the tape lives.
///
/// Throws DTypeError unless x is floating, and in the backward pass ShapeError or DTypeError if
/// what f gives has another shape or type than the adjoint.
Tensor on_gradient(Operand x, std::function<Tensor(const Tensor& adjoint)> f);

}  // namespace xg
