// What operations take: a tensor, and the place in the user's code where it was given.
#pragma once

#include <concepts>
#include <initializer_list>

#include "autograd/source_location.hpp"
#include "autograd/tensor.hpp"

namespace xg {

namespace detail {
/// A parameter, or a reference to one.
template <class H>
concept HoldsTensor = requires(const H& holder) {
  { holder.operator const Tensor&() } -> std::same_as<const Tensor&>;
};
}  // namespace detail

/// A tensor as an operation is given it, together with the place of the call, which errors name.
/// Whatever converts to a tensor converts to this; a function that hands its Operand on to
/// operations has them name its own caller's place. For parameters of functions only: it refers to
/// the tensor, which must outlive it.
class Operand {
 public:
  Operand(const Tensor& tensor, SourceLocation place = SourceLocation::current()) noexcept
      : tensor_(&tensor), place_(place) {}
  template <detail::HoldsTensor H>
  requires(!std::same_as<H, Operand>)
      Operand(const H& holder, SourceLocation place = SourceLocation::current())
  noexcept : Operand(static_cast<const Tensor&>(holder), place) {}

  // A tensor made on the way: it lives in the default argument until the caller's whole expression
  // has been evaluated.
  template <class E>
  requires(std::convertible_to<const E&, Tensor> && !detail::HoldsTensor<E> &&
           !std::derived_from<E, Tensor>)
      Operand(const E& value, SourceLocation place = SourceLocation::current(),
              Tensor&& made = Tensor())
      : Operand(made = value, place) {}
  template <Number T>
  Operand(std::initializer_list<T> values, SourceLocation place = SourceLocation::current(),
          Tensor&& made = Tensor())
      : Operand(made = Tensor(values), place) {}
  template <Number T>
  Operand(std::initializer_list<std::initializer_list<T>> rows,
          SourceLocation place = SourceLocation::current(), Tensor&& made = Tensor())
      : Operand(made = Tensor(rows), place) {}

  operator const Tensor&() const noexcept { return *tensor_; }
  const Tensor& tensor() const noexcept { return *tensor_; }
  const Tensor* operator->() const noexcept { return tensor_; }
  SourceLocation place() const noexcept { return place_; }

 private:
  const Tensor* tensor_;
  SourceLocation place_;
};

}  // namespace xg
