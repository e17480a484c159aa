// Derivatives of functions: calculus without any network.
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/ops.hpp"
#include "autograd/tape.hpp"

namespace xg {

/// A function of tensors that can be differentiated. It is called once, and what it computes is
/// recorded.
template <class F, class... X>
concept TensorFunction = std::is_invocable_r_v<Tensor, F&, const X&...>;

/// A value and the gradient at the same place.
struct ValueAndGradient {
  Tensor value, gradient;
};
struct ValueAndGradients {
  Tensor value;
  std::vector<Tensor> gradients;
};

namespace detail {

/// The recording of one call: on the tape that records already, so that derivatives nest, or else
/// on a tape of its own, which goes when this does.
class Trace {
 public:
  Trace();
  /// A variable of the value of `x` that is new to the tape: what else depends on `x` does not
  /// depend on it.
  Tensor variable(const Tensor& x) const;
  /// As xg::gradient; zeros if `y` does not depend on anything recorded.
  std::vector<Tensor> gradient(const Tensor& y, std::span<const Tensor> xs) const;
  Tensor hessian(const Tensor& y, const Tensor& x) const;
  Tensor jvp(const Tensor& y, const Tensor& x, const Tensor& tangent) const;
  Tensor vjp(const Tensor& y, const Tensor& x, const Tensor& adjoint) const;
  /// A result without its place on a tape that is about to go.
  Tensor result(const Tensor& y) const { return own_ ? detach(y) : y; }

 private:
  std::optional<Tape> own_;
};

}  // namespace detail

/// The gradient of the scalar f(x), of the shape of x. Calls nest, to any order:
/// `gradient([&](const Tensor& x) { return sum(gradient(f, x)); }, x)`. Throws ShapeError if f(x)
/// has more than one element.
template <TensorFunction<Tensor> F>
Tensor gradient(F&& f, const Tensor& x) {
  const detail::Trace trace;
  const Tensor v = trace.variable(x);
  return trace.gradient(std::invoke(f, v), {&v, 1}).front();
}

/// The gradients of the scalar f(x, y, ...): `auto [dx, dy] = gradient(f, x, y);`
template <class F, std::convertible_to<const Tensor&>... X>
requires(sizeof...(X) > 1 && TensorFunction<F, std::conditional_t<true, Tensor, X>...>)
    std::array<Tensor, sizeof...(X)> gradient(F&& f, const X&... x) {
  const detail::Trace trace;
  const std::array<Tensor, sizeof...(X)> v{trace.variable(x)...};
  const std::vector<Tensor> g = trace.gradient(std::apply(f, v), v);
  std::array<Tensor, sizeof...(X)> result;
  std::copy(g.begin(), g.end(), result.begin());
  return result;
}

/// f(x) and its gradient.
template <TensorFunction<Tensor> F>
ValueAndGradient value_and_gradient(F&& f, const Tensor& x) {
  const detail::Trace trace;
  const Tensor v = trace.variable(x), y = std::invoke(f, v);
  Tensor g = trace.gradient(y, {&v, 1}).front();
  return {trace.result(y), std::move(g)};
}

/// f() and its gradients with respect to parameters that f uses.
template <TensorFunction<> F>
ValueAndGradients value_and_gradient(F&& f, std::span<const ParameterRef> parameters) {
  const detail::Trace trace;
  const std::vector<Tensor> values(parameters.begin(), parameters.end());
  const Tensor y = std::invoke(f);
  std::vector<Tensor> g = trace.gradient(y, values);
  return {trace.result(y), std::move(g)};
}

/// The second derivatives of the scalar f(x): shape x.shape + x.shape.
template <TensorFunction<Tensor> F>
Tensor hessian(F&& f, const Tensor& x) {
  const detail::Trace trace;
  const Tensor v = trace.variable(x);
  return trace.hessian(std::invoke(f, v), v);
}

/// The change of f(x), of any shape, when x changes by `tangent`.
template <TensorFunction<Tensor> F>
Tensor jvp(F&& f, const Tensor& x, const Tensor& tangent) {
  const detail::Trace trace;
  const Tensor v = trace.variable(x);
  return trace.jvp(std::invoke(f, v), v, tangent);
}

/// `adjoint`, of the shape of f(x), times the Jacobian: of the shape of x.
template <TensorFunction<Tensor> F>
Tensor vjp(F&& f, const Tensor& x, const Tensor& adjoint) {
  const detail::Trace trace;
  const Tensor v = trace.variable(x);
  return trace.vjp(std::invoke(f, v), v, adjoint);
}

}  // namespace xg
