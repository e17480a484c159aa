// Tensors that belong to parameters: gradients, tangents and the like, under the parameters' names.
#pragma once

#include <concepts>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/parameter.hpp"

namespace xg {

/// A tensor for each of a model's parameters, in their order and under their names:
///
///     for (const auto& [name, g] : gradient(cost, net.parameters())) std::cout << name << g;
class NamedTensors {
 public:
  struct Entry {
    const std::string& name;
    const Tensor& tensor;
  };
  class Iterator {
   public:
    Iterator(const NamedTensors& of, std::size_t i) : of_(&of), i_(i) {}
    Entry operator*() const { return {of_->names_[i_], of_->tensors_[i_]}; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return i_ == other.i_; }

   private:
    const NamedTensors* of_;
    std::size_t i_;
  };

  NamedTensors() = default;
  /// Under names of one's own.
  NamedTensors(std::initializer_list<std::pair<std::string, Tensor>> entries);
  /// Throws ValueError unless there are as many tensors as parameters.
  NamedTensors(std::span<const ParameterRef> parameters, std::vector<Tensor> tensors);

  std::size_t size() const noexcept { return tensors_.size(); }
  /// By its place. Throws ValueError if there are not as many.
  const Tensor& operator[](std::size_t i) const&;
  Tensor operator[](std::size_t i) && { return std::as_const(*this)[i]; }
  /// By the parameter's name, e.g. g["hidden.weight"]. Throws ValueError if there is none.
  const Tensor& operator[](std::string_view name) const&;
  Tensor operator[](std::string_view name) && { return std::as_const(*this)[name]; }
  const std::vector<std::string>& names() const noexcept { return names_; }
  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }
  operator std::span<const Tensor>() const noexcept { return tensors_; }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  std::vector<std::string> names_;
  std::vector<Tensor> tensors_;
};

/// An argument of one tensor for each of a function's parameters: any tensors, in the order of the
/// parameters, or NamedTensors, of which the names say which is whose.
class TensorPerParameter {
 public:
  template <class T>
  requires std::convertible_to<const T&, std::span<const Tensor>> TensorPerParameter(
      const T& tensors)
      : tensors_(tensors) {
    if constexpr (std::is_same_v<T, NamedTensors>) named_ = &tensors;
  }

  /// In the order of the parameters, `room` being for those that have another. Throws ValueError
  /// unless the names are those of the parameters.
  std::span<const Tensor> in_order_of(std::span<const ParameterRef> parameters,
                                      std::vector<Tensor>& room) const;

 private:
  std::span<const Tensor> tensors_;
  const NamedTensors* named_ = nullptr;
};

/// A tensor for each pair of a model's parameters, such as their second derivatives:
/// `h["0.weight"]["0.bias"]`.
class NamedBlocks {
 public:
  /// Row by row.
  NamedBlocks(std::span<const ParameterRef> parameters, std::vector<std::vector<Tensor>> rows);

  std::size_t size() const noexcept { return rows_.size(); }
  /// Those of one parameter, by its place or its name. Throw ValueError if there is none.
  const NamedTensors& operator[](std::size_t i) const&;
  NamedTensors operator[](std::size_t i) && { return std::as_const(*this)[i]; }
  const NamedTensors& operator[](std::string_view name) const&;
  NamedTensors operator[](std::string_view name) && { return std::as_const(*this)[name]; }

 private:
  std::vector<NamedTensors> rows_;
};

}  // namespace xg
