// Tensors that belong to parameters: gradients, tangents and the like, under the parameters' names.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
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
  const Tensor& operator[](std::size_t i) const& { return tensors_[i]; }
  Tensor operator[](std::size_t i) && { return tensors_[i]; }
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

}  // namespace xg
