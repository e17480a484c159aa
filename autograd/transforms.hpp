// Derivatives of functions: calculus without any network.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/function_ref.hpp"
#include "autograd/named_tensors.hpp"
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
  NamedTensors gradients;
};
/// A value, and its change along a tangent.
struct ValueAndTangent {
  Tensor value, tangent;
};

namespace detail {

/// The recording of one call: on the tape that records already, so that derivatives nest, or else
/// on a tape of its own, which goes when this does.
class Trace {
 public:
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// A variable of the value of `x` that is new to the tape: what else depends on `x` does not
  /// depend on it.
  Tensor variable(const Tensor& x) const;
  /// As xg::gradient; zeros if `y` does not depend on anything recorded.
  std::vector<Tensor> gradient(const Tensor& y, std::span<const Tensor> xs,
                               std::string_view caller = "gradient") const;
  std::vector<Tensor> vjp(const Tensor& y, std::span<const Tensor> xs, const Tensor& adjoint) const;
  std::vector<Tensor> jacobian(const Tensor& y, std::span<const Tensor> xs) const;
  /// Of each y with respect to each x, forward.
  std::vector<std::vector<Tensor>> jacobians(std::span<const Tensor> ys,
                                             std::span<const Tensor> xs) const;
  /// Before the call, if it is `jvp` that will be asked, and of what. A tape of its own then
  /// computes tangents with the values, and keeps no values.
  void go_forward(std::string_view caller, std::span<const Tensor> xs,
                  std::span<const Tensor> tangents);
  std::vector<Tensor> jvp(std::span<const Tensor> ys, std::span<const Tensor> xs,
                          std::span<const Tensor> tangents) const;
  /// A result without its place on a tape that is about to go.
  Tensor result(const Tensor& y) const { return own_ ? detach(y) : y; }

 private:
  class Pass;
  std::optional<Tape> own_;
  Tape* shared_ = nullptr;  // the tape that recorded already
  std::size_t since_ = 0;   // its size then: what is from before is no part of the function
  bool held_ = false;       // it is in forward mode, and must keep values for a pass of this
};

/// A function and where it is differentiated. `x` is what it is given or, for a function of
/// nothing, the values of the parameters that it uses.
struct Call {
  FunctionRef<Tensor(std::span<const Tensor>)> f;
  std::span<const Tensor> x;
  bool of_parameters = false;
};
struct ValueAndDerivatives {
  Tensor value;
  std::vector<Tensor> derivatives;
};
ValueAndDerivatives value_and_gradient(const Call& call, std::string_view caller = "gradient");
ValueAndDerivatives value_and_jvp(const Call& call, std::span<const Tensor> tangents);
std::vector<Tensor> vjp(const Call& call, const Tensor& adjoint);
std::vector<Tensor> jacobian(const Call& call);
std::vector<Tensor> hvp(const Call& call, std::span<const Tensor> tangents,
                        std::string_view caller = "hvp");
std::vector<std::vector<Tensor>> hessian(const Call& call);

/// body(the call of a function of n tensors). What it throws is said to be at `place`.
template <std::size_t n, class F, class Body>
auto call_of(F& f, std::span<const Tensor, n> x, SourceLocation place, const Body& body) {
  return [&]<std::size_t... i>(std::index_sequence<i...>) {
    const auto g = [&f](std::span<const Tensor> v) -> Tensor { return std::invoke(f, v[i]...); };
    return located(place, [&] { return body(Call{g, x}); });
  }
  (std::make_index_sequence<n>());
}
template <class F, class Body>
auto call_of(F& f, Operand x, const Body& body) {
  return call_of(f, std::span<const Tensor, 1>(&x.tensor(), 1), x.place(), body);
}
/// The same of a function of nothing.
template <class F, class Body>
auto call_of(F& f, std::span<const ParameterRef> parameters, SourceLocation place,
             const Body& body) {
  const std::vector<Tensor> x(parameters.begin(), parameters.end());
  const auto g = [&f](std::span<const Tensor>) -> Tensor { return std::invoke(f); };
  return located(place, [&] { return body(Call{g, x, true}); });
}

template <std::size_t n>
std::array<Tensor, n> array_of(std::vector<Tensor> tensors) {
  std::array<Tensor, n> result;
  std::move(tensors.begin(), tensors.end(), result.begin());
  return result;
}

template <std::size_t>
using TensorAt = Tensor;
template <class F, class Count>
inline constexpr bool takes = false;
template <class F, std::size_t... i>
inline constexpr bool takes<F, std::index_sequence<i...>> = TensorFunction<F, TensorAt<i>...>;

}  // namespace detail

/// A function of n > 1 tensors.
template <class F, std::size_t n>
concept FunctionOfSeveral = n >
1 && detail::takes<F, std::make_index_sequence<n>>;

// Every transform is there for a function of one tensor, `gradient(f, x)`; of several, of which the
// results are an array for `auto [dx, dy] = ...`; and for a function of nothing that uses
// parameters, `gradient([&] { return cost(net(x), y); }, net.parameters())`, of which the results
// carry the parameters' names. All nest in each other, to any order: the derivative that is taken
// first is that of the innermost function, whatever else depends on the same values.

/// The gradient of the scalar f(x), of the shape of x. Throws ShapeError if f(x) has more than one
/// element.
template <TensorFunction<Tensor> F>
Tensor gradient(F&& f, Operand x) {
  return detail::call_of(f, x, [](const detail::Call& call) {
    return detail::value_and_gradient(call).derivatives[0];
  });
}
/// The gradients of the scalar f(x, y, ...): `auto [dx, dy] = gradient(f, x, y);`
template <class F, std::convertible_to<const Tensor&>... X>
requires FunctionOfSeveral<F, 1 + sizeof...(X)>
auto gradient(F&& f, Operand x, const X&... more) {
  constexpr std::size_t n = 1 + sizeof...(X);
  const Tensor xs[n] = {x, more...};
  return detail::call_of(f, std::span<const Tensor, n>(xs), x.place(),
                         [](const detail::Call& call) {
                           return detail::array_of<n>(detail::value_and_gradient(call).derivatives);
                         });
}
/// The gradients of the scalar f() with respect to parameters that f uses.
template <TensorFunction<> F>
NamedTensors gradient(F&& f, std::span<const ParameterRef> parameters,
                      SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    return NamedTensors(parameters, detail::value_and_gradient(call).derivatives);
  });
}

/// f(x) and its gradient.
template <TensorFunction<Tensor> F>
ValueAndGradient value_and_gradient(F&& f, Operand x) {
  return detail::call_of(f, x, [](const detail::Call& call) {
    auto [value, derivatives] = detail::value_and_gradient(call);
    return ValueAndGradient{std::move(value), std::move(derivatives[0])};
  });
}
/// `auto [value, gradients] = value_and_gradient(f, x, y);`, of which the gradients are an array.
template <class F, std::convertible_to<const Tensor&>... X>
requires FunctionOfSeveral<F, 1 + sizeof...(X)>
auto value_and_gradient(F&& f, Operand x, const X&... more) {
  constexpr std::size_t n = 1 + sizeof...(X);
  const Tensor xs[n] = {x, more...};
  return detail::call_of(
      f, std::span<const Tensor, n>(xs), x.place(), [](const detail::Call& call) {
        auto [value, derivatives] = detail::value_and_gradient(call);
        return std::pair(std::move(value), detail::array_of<n>(std::move(derivatives)));
      });
}
template <TensorFunction<> F>
ValueAndGradients value_and_gradient(F&& f, std::span<const ParameterRef> parameters,
                                     SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    auto [value, derivatives] = detail::value_and_gradient(call);
    return ValueAndGradients{std::move(value), {parameters, std::move(derivatives)}};
  });
}

/// f(x), of any shape, and its change when x changes by `tangent`. Computed forward, beside the
/// value: unless a tape records already, nothing is kept for a backward pass.
template <TensorFunction<Tensor> F>
ValueAndTangent value_and_jvp(F&& f, Operand x, const Tensor& tangent) {
  return detail::call_of(f, x, [&](const detail::Call& call) {
    auto [value, derivatives] = detail::value_and_jvp(call, {&tangent, 1});
    return ValueAndTangent{std::move(value), std::move(derivatives[0])};
  });
}
/// `value_and_jvp(f, {x, y}, {tx, ty})`
template <class F, std::size_t n>
requires FunctionOfSeveral<F, n> ValueAndTangent
value_and_jvp(F&& f, const Tensor (&x)[n], const Tensor (&tangents)[n],
              SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, std::span<const Tensor, n>(x), place, [&](const detail::Call& call) {
    auto [value, derivatives] = detail::value_and_jvp(call, tangents);
    return ValueAndTangent{std::move(value), std::move(derivatives[0])};
  });
}
/// The tangents are those of the parameters: under their names, or in their order.
template <TensorFunction<> F>
ValueAndTangent value_and_jvp(F&& f, std::span<const ParameterRef> parameters,
                              const TensorPerParameter& tangents,
                              SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    std::vector<Tensor> room;
    auto [value, derivatives] = detail::value_and_jvp(call, tangents.in_order_of(parameters, room));
    return ValueAndTangent{std::move(value), std::move(derivatives[0])};
  });
}

/// The Jacobian times `tangent`: the change of f(x) alone.
template <TensorFunction<Tensor> F>
Tensor jvp(F&& f, Operand x, const Tensor& tangent) {
  return value_and_jvp(f, x, tangent).tangent;
}
template <class F, std::size_t n>
requires FunctionOfSeveral<F, n> Tensor jvp(F&& f, const Tensor (&x)[n],
                                            const Tensor (&tangents)[n],
                                            SourceLocation place = SourceLocation::current()) {
  return value_and_jvp(f, x, tangents, place).tangent;
}
template <TensorFunction<> F>
Tensor jvp(F&& f, std::span<const ParameterRef> parameters, const TensorPerParameter& tangents,
           SourceLocation place = SourceLocation::current()) {
  return value_and_jvp(f, parameters, tangents, place).tangent;
}

/// `adjoint`, of the shape of f(x), times the Jacobian: of the shape of x.
template <TensorFunction<Tensor> F>
Tensor vjp(F&& f, Operand x, const Tensor& adjoint) {
  return detail::call_of(f, x,
                         [&](const detail::Call& call) { return detail::vjp(call, adjoint)[0]; });
}
/// `auto [dx, dy] = vjp(f, {x, y}, adjoint);`
template <class F, std::size_t n>
requires FunctionOfSeveral<F, n> std::array<Tensor, n> vjp(
    F&& f, const Tensor (&x)[n], const Tensor& adjoint,
    SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, std::span<const Tensor, n>(x), place, [&](const detail::Call& call) {
    return detail::array_of<n>(detail::vjp(call, adjoint));
  });
}
template <TensorFunction<> F>
NamedTensors vjp(F&& f, std::span<const ParameterRef> parameters, const Tensor& adjoint,
                 SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    return NamedTensors(parameters, detail::vjp(call, adjoint));
  });
}

/// All first derivatives of f(x): shape f(x).shape + x.shape. Computed forward, a column at a time,
/// or backward, a row at a time, whichever are fewer.
template <TensorFunction<Tensor> F>
Tensor jacobian(F&& f, Operand x) {
  return detail::call_of(f, x, [](const detail::Call& call) { return detail::jacobian(call)[0]; });
}
/// `auto [jx, jy] = jacobian(f, x, y);`
template <class F, std::convertible_to<const Tensor&>... X>
requires FunctionOfSeveral<F, 1 + sizeof...(X)>
auto jacobian(F&& f, Operand x, const X&... more) {
  constexpr std::size_t n = 1 + sizeof...(X);
  const Tensor xs[n] = {x, more...};
  return detail::call_of(
      f, std::span<const Tensor, n>(xs), x.place(),
      [](const detail::Call& call) { return detail::array_of<n>(detail::jacobian(call)); });
}
template <TensorFunction<> F>
NamedTensors jacobian(F&& f, std::span<const ParameterRef> parameters,
                      SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    return NamedTensors(parameters, detail::jacobian(call));
  });
}

/// The second derivatives of the scalar f(x): shape x.shape + x.shape. Forward over reverse.
template <TensorFunction<Tensor> F>
Tensor hessian(F&& f, Operand x) {
  return detail::call_of(f, x,
                         [](const detail::Call& call) { return detail::hessian(call)[0][0]; });
}
/// With respect to several tensors: `h = hessian(f, x, y)`, of which h[0][1] has the shape of x +
/// that of y.
template <class F, std::convertible_to<const Tensor&>... X>
requires FunctionOfSeveral<F, 1 + sizeof...(X)>
auto hessian(F&& f, Operand x, const X&... more) {
  constexpr std::size_t n = 1 + sizeof...(X);
  const Tensor xs[n] = {x, more...};
  return detail::call_of(f, std::span<const Tensor, n>(xs), x.place(),
                         [](const detail::Call& call) {
                           std::array<std::array<Tensor, n>, n> result;
                           std::vector<std::vector<Tensor>> rows = detail::hessian(call);
                           for (std::size_t i = 0; i < n; ++i)
                             result[i] = detail::array_of<n>(std::move(rows[i]));
                           return result;
                         });
}
template <TensorFunction<> F>
NamedBlocks hessian(F&& f, std::span<const ParameterRef> parameters,
                    SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    return NamedBlocks(parameters, detail::hessian(call));
  });
}

/// The Hessian of the scalar f(x) times `tangent`, of the shape of x: the change of the gradient
/// when x changes by `tangent`. Forward over reverse; the Hessian is never formed.
template <TensorFunction<Tensor> F>
Tensor hvp(F&& f, Operand x, const Tensor& tangent) {
  return detail::call_of(f, x, [&](const detail::Call& call) {
    return detail::hvp(call, {&tangent, 1})[0];
  });
}
/// `auto [hx, hy] = hvp(f, {x, y}, {tx, ty});`, with the mixed derivatives.
template <class F, std::size_t n>
requires FunctionOfSeveral<F, n> std::array<Tensor, n> hvp(
    F&& f, const Tensor (&x)[n], const Tensor (&tangents)[n],
    SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, std::span<const Tensor, n>(x), place, [&](const detail::Call& call) {
    return detail::array_of<n>(detail::hvp(call, tangents));
  });
}
template <TensorFunction<> F>
NamedTensors hvp(F&& f, std::span<const ParameterRef> parameters,
                 const TensorPerParameter& tangents,
                 SourceLocation place = SourceLocation::current()) {
  return detail::call_of(f, parameters, place, [&](const detail::Call& call) {
    std::vector<Tensor> room;
    return NamedTensors(parameters, detail::hvp(call, tangents.in_order_of(parameters, room)));
  });
}

/// The function that gives the gradient of f with respect to its argument number i; the others are
/// constants to it. `grad(grad(f))(x)` is the second derivative of a function of a scalar, and
/// `grad<1>(grad<0>(f))(x, y)` a mixed one.
template <std::size_t i = 0, class F>
auto grad(F f) {
  return [f = std::move(f)]<std::convertible_to<Tensor>... X>(Operand x, const X&... more)->Tensor {
    static_assert(i <= sizeof...(X), "grad<i>: the function has no argument number i");
    std::array<Tensor, 1 + sizeof...(X)> arguments{x, more...};
    const auto g = [&](const Tensor& v) -> Tensor {
      arguments[i] = v;
      return std::apply(f, arguments);
    };
    const Tensor at = arguments[i];
    return gradient(g, Operand(at, x.place()));
  };
}

}  // namespace xg
