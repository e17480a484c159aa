// Checkpoints: parts of a computation that the backward pass does again instead of having kept
// what it needs of them.
#pragma once

#include <cmath>
#include <concepts>
#include <functional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/function_ref.hpp"
#include "autograd/transforms.hpp"

namespace xg {

namespace detail {

/// A callable as it is kept for later calls: a copy; but of what has parameters, such as a module,
/// a reference, because a copy would have parameters of its own.
template <class F>
auto held(F&& f) {
  if constexpr (std::is_lvalue_reference_v<F> && requires { f.parameters(); })
    return std::cref(f);
  else
    return std::decay_t<F>(std::forward<F>(f));
}

/// `f` is called in the backward pass, and at once unless `now` is given: the function of which `f`
/// is a copy, so that what the copy uses in its place is noticed.
Tensor checkpoint(std::function<Tensor(Inputs)> f, Inputs x, SourceLocation place,
                  const FunctionRef<Tensor(Inputs)>* now = nullptr);

/// f as a function of a list of N tensors.
template <std::size_t N, class F>
std::function<Tensor(Inputs)> of_list(F f) {
  return [f = std::move(f)](Inputs x) mutable -> Tensor {
    return [&]<std::size_t... i>(std::index_sequence<i...>) { return std::invoke(f, x[i]...); }
    (std::make_index_sequence<N>());
  };
}

}  // namespace detail

/// f(x...), of which the tape keeps x and nothing of what is computed on the way: the backward pass
/// calls f again. Costs a second forward pass; values and derivatives of any order are the same,
/// bit for bit.
///
///     Tensor h = checkpoint([&](const Tensor& v) { return block(v); }, x);
///
/// Gradients also flow to what f uses beside x, parameters and other tensors. f is kept, and called
/// again by every `gradient` through it, so what it refers to must live as long as the tape, and f
/// must do the same each time: draw random numbers with a Key that does not change. A module is
/// kept by reference. Without a recording tape this is f(x...), and nothing else.
///
/// A backward pass that is itself recorded keeps what it computes again, for the next.
///
/// Throws TapeError in the backward pass if f gives another shape or type than before, or uses
/// other parameters.
template <class F, std::convertible_to<const Tensor&>... X>
requires(sizeof...(X) < 31 &&
         TensorFunction<F, Tensor, std::conditional_t<true, Tensor, X>...>) Tensor
    checkpoint(F&& f, Operand x, const X&... more) {
  if (!Tape::recording()) return std::invoke(f, x.tensor(), static_cast<const Tensor&>(more)...);
  constexpr std::size_t n = 1 + sizeof...(X);
  const Tensor* const pointers[] = {&x.tensor(), &static_cast<const Tensor&>(more)...};
  auto kept = detail::of_list<n>(detail::held(std::forward<F>(f)));
  if constexpr (std::is_lvalue_reference_v<F>) {
    const auto given = detail::of_list<n>(std::ref(f));
    const FunctionRef<Tensor(Inputs)> now(given);
    return detail::checkpoint(std::move(kept), Inputs(pointers, n), x.place(), &now);
  } else {
    return detail::checkpoint(std::move(kept), Inputs(pointers, n), x.place());
  }
}

/// The functions one after the other, f_n(… f_2(f_1(x))), in `segments` checkpoints of about equal
/// length; 0 for √n of them. For n layers alike the tape then keeps √n activations, and the
/// backward pass √n more for a while, where it would otherwise be n.
///
/// `functions` is any range of callables, such as a std::vector of layers; see `checkpoint` for how
/// long they must live. Throws ValueError for a negative number of segments.
template <std::ranges::forward_range R>
requires TensorFunction<std::ranges::range_reference_t<const R>, Tensor> Tensor
checkpoint_sequential(const R& functions, Operand x, std::int64_t segments = 0) {
  const auto n = static_cast<std::int64_t>(std::ranges::distance(functions));
  detail::located(x.place(), [&] {
    if (segments < 0)
      throw ValueError(
          detail::text("[checkpoint_sequential] segments cannot be negative: ", segments,
                       "; 0 stands for the square root of the number of functions"));
  });
  if (segments == 0) segments = std::llround(std::sqrt(static_cast<double>(n)));
  segments = std::min(std::max<std::int64_t>(segments, 1), n);
  Tensor y = x;
  auto next = std::ranges::begin(functions);
  for (std::int64_t s = 0; s < segments; ++s) {
    const auto first = next;
    std::vector<decltype(detail::held(*next))> part;
    const auto count = (s + 1) * n / segments - s * n / segments;
    for (std::int64_t i = 0; i < count; ++i, ++next) part.push_back(detail::held(*next));
    if (!Tape::recording()) {
      for (const auto& f : part) y = std::invoke(f, y);
      continue;
    }
    const auto now = [first, count](Inputs v) {
      Tensor z = v[0];
      auto f = first;
      for (std::int64_t i = 0; i < count; ++i, ++f) z = std::invoke(*f, z);
      return z;
    };
    const auto again = [part = std::move(part)](Inputs v) {
      Tensor z = v[0];
      for (const auto& f : part) z = std::invoke(f, z);
      return z;
    };
    const Tensor* const pointer = &y;
    const FunctionRef<Tensor(Inputs)> given(now);
    y = detail::checkpoint(again, Inputs(&pointer, 1), x.place(), &given);
  }
  return y;
}

}  // namespace xg
