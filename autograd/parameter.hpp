// Parameters: the only values that change. An optimiser changes them through a ParameterRef.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/tensor.hpp"

namespace xg {

/// A trainable tensor. It can be used wherever a tensor can.
///
/// A copy is a parameter of its own with the same value: to keep the best model so far, copy it.
/// Assignment (`net = best`) changes the value, so what refers to the parameter goes on with the
/// new one. Moving a parameter to a new place leaves it the same parameter for what refers to it.
class Parameter {
 public:
  /// A parameter without a value yet; using it is an error of the operation.
  Parameter() : Parameter(Tensor()) {}
  explicit Parameter(const Tensor& value);
  Parameter(const Parameter& other) : Parameter(other.value()) {}
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(const Parameter& other);
  Parameter& operator=(Parameter&& other);
  ~Parameter() = default;

  /// The value now; undefined for a parameter that was moved from.
  const Tensor& value() const noexcept { return value_ ? *value_ : undefined; }
  operator const Tensor&() const noexcept { return value(); }
  const Shape& shape() const noexcept { return value().shape(); }

 private:
  friend class ParameterRef;
  static const Tensor undefined;
  std::shared_ptr<Tensor> value_;
};

/// A named reference to a parameter, which stays valid when the module that owns the parameter is
/// moved or gone. Copies refer to the same parameter.
class ParameterRef {
 public:
  /// Throws DTypeError for a parameter that was moved from.
  ParameterRef(std::string name, const Parameter& parameter);

  /// Path within the module, e.g. "hidden.weight".
  const std::string& name() const noexcept { return name_; }
  const Tensor& value() const noexcept { return *value_; }
  operator const Tensor&() const noexcept { return *value_; }

  /// Sets a new value. Throws ShapeError or DTypeError unless shape and type stay the same.
  /// A gradient through anything recorded before is asked for in vain afterwards (TapeError).
  void assign(const Tensor& value, SourceLocation place = SourceLocation::current()) const;
  /// Changes the element type; the next use sees the converted value.
  void convert(DType dtype) const;
  /// value += factor * direction, in place when nobody else holds the buffer. Throws ShapeError or
  /// DTypeError unless `direction` has the parameter's shape and type.
  void add_scaled(double factor, const Tensor& direction,
                  SourceLocation place = SourceLocation::current()) const;

  /// Throws ShapeError or DTypeError, in the name of `operation`, unless `tensor` has the
  /// parameter's shape and type.
  void check_fits(const char* operation, const Tensor& tensor) const;
  /// The same parameter under the name `prefix.name`.
  ParameterRef within(const std::string& prefix) const;
  /// Whether both refer to the same parameter.
  friend bool operator==(const ParameterRef& a, const ParameterRef& b) {
    return a.value_ == b.value_;
  }

 private:
  std::string name_;
  std::shared_ptr<Tensor> value_;
};

using ParameterRefs = std::vector<ParameterRef>;

}  // namespace xg
