// Changing parameters, in place where nobody can see it.
#include "autograd/parameter.hpp"

#include "autograd/kernels/update.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"

namespace xg {

using detail::TensorAccess;
using detail::text;

namespace {

// The same parameter with a new value: the number stays, the version goes up.
void mark_changed(Tensor& slot, const Tensor& before) {
  TensorAccess::set_identity(slot, 0, TensorAccess::id(before), TensorAccess::version(before) + 1);
}

void change(Tensor& slot, Tensor value) {
  mark_changed(value, slot);
  slot = std::move(value);
}

}  // namespace

Parameter::Parameter(const Tensor& value) : value_(std::make_shared<Tensor>(value)) {
  TensorAccess::set_identity(*value_, 0, detail::unique_id(), 1);
}

Parameter& Parameter::operator=(const Parameter& other) {
  if (!value_)
    value_ = Parameter(other).value_;
  else if (this != &other)
    change(*value_, other.value());
  return *this;
}

Parameter& Parameter::operator=(Parameter&& other) {
  if (value_) return *this = static_cast<const Parameter&>(other);
  value_ = std::move(other.value_);
  return *this;
}

const Tensor Parameter::undefined;

ParameterRef::ParameterRef(std::string name, const Parameter& parameter)
    : name_(std::move(name)), value_(parameter.value_) {
  if (!value_) throw DTypeError(text("[parameter] '", name_, "' was moved from"));
}

void ParameterRef::check_fits(const char* operation, const Tensor& tensor) const {
  if (!value_->defined() || !tensor.defined())
    throw DTypeError(text("[", operation, "] ", value_->defined() ? "what came for " : "",
                          "parameter '", name_, "' is undefined"));
  if (tensor.shape() != value_->shape())
    throw ShapeError(text("[", operation, "] parameter '", name_, "' has the shape ",
                          value_->shape(), ", what came has ", tensor.shape()));
  if (tensor.dtype() != value_->dtype())
    throw DTypeError(text("[", operation, "] parameter '", name_, "' is ", value_->dtype(),
                          ", what came is ", tensor.dtype()));
}

void ParameterRef::assign(const Tensor& value, SourceLocation place) const {
  detail::located(place, [&] { check_fits("assign", value); });
  change(*value_, value);
}

void ParameterRef::convert(DType dtype) const {
  const NoRecording scope;
  change(*value_, cast(*value_, dtype));
}

void ParameterRef::add_scaled(double factor, const Tensor& direction, SourceLocation place) const {
  detail::located(place, [&] { check_fits("add_scaled", direction); });
  Tensor& value = *value_;
  if (TensorAccess::buffer(value).unique()) {
    kernels::add_scaled(value, value, factor, direction);
    mark_changed(value, value);
  } else {
    Tensor changed = Tensor::uninitialised(value.shape(), value.dtype());
    kernels::add_scaled(changed, value, factor, direction);
    change(value, std::move(changed));
  }
}

ParameterRef ParameterRef::within(const std::string& prefix) const {
  ParameterRef result = *this;
  result.name_ = prefix + "." + name_;
  return result;
}

}  // namespace xg
