// Tensors under parameters' names.
#include "autograd/named_tensors.hpp"

#include <algorithm>

#include "autograd/error.hpp"

namespace xg {

using detail::text;

namespace {

std::string list(const std::vector<std::string>& names) {
  std::string result;
  for (const std::string& name : names) result += (result.empty() ? "" : ", ") + name;
  return result;
}

std::vector<std::string> names_of(std::span<const ParameterRef> parameters) {
  std::vector<std::string> result;
  for (const ParameterRef& parameter : parameters) result.push_back(parameter.name());
  return result;
}

void check_place(std::size_t i, std::size_t size) {
  if (i >= size) throw ValueError(text("[NamedTensors] no number ", i, "; there are ", size));
}

std::size_t place_of(std::string_view name, const std::vector<std::string>& names) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return static_cast<std::size_t>(at - names.begin());
  throw ValueError(text("[NamedTensors] no parameter '", name, "'; there are ", list(names)));
}

}  // namespace

NamedTensors::NamedTensors(std::initializer_list<std::pair<std::string, Tensor>> entries) {
  for (const auto& [name, tensor] : entries) {
    names_.push_back(name);
    tensors_.push_back(tensor);
  }
}

NamedTensors::NamedTensors(std::span<const ParameterRef> parameters, std::vector<Tensor> tensors)
    : names_(names_of(parameters)), tensors_(std::move(tensors)) {
  if (tensors_.size() != parameters.size())
    throw ValueError(text("[NamedTensors] ", tensors_.size(), " tensors for ", parameters.size(),
                          " parameters"));
}

const Tensor& NamedTensors::operator[](std::size_t i) const& {
  check_place(i, size());
  return tensors_[i];
}

const Tensor& NamedTensors::operator[](std::string_view name) const& {
  return tensors_[place_of(name, names_)];
}

std::span<const Tensor> TensorPerParameter::in_order_of(std::span<const ParameterRef> parameters,
                                                        std::vector<Tensor>& room) const {
  if (!named_) return tensors_;
  const std::vector<std::string>& names = named_->names();
  const auto is_name_of = [](const std::string& name, const ParameterRef& parameter) {
    return name == parameter.name();
  };
  if (std::equal(names.begin(), names.end(), parameters.begin(), parameters.end(), is_name_of))
    return tensors_;
  const std::vector<std::string> wanted = names_of(parameters);
  if (!std::is_permutation(names.begin(), names.end(), wanted.begin(), wanted.end()))
    throw ValueError(text("[NamedTensors] the tensors are those of ", list(names),
                          ", the parameters are ", list(wanted),
                          "; without names, .tensors(), they are taken in their order"));
  room.clear();
  for (const std::string& name : wanted) room.push_back((*named_)[name]);
  return room;
}

NamedBlocks::NamedBlocks(std::span<const ParameterRef> parameters,
                         std::vector<std::vector<Tensor>> rows) {
  for (std::vector<Tensor>& row : rows) rows_.emplace_back(parameters, std::move(row));
}

const NamedTensors& NamedBlocks::operator[](std::size_t i) const& {
  check_place(i, size());
  return rows_[i];
}

const NamedTensors& NamedBlocks::operator[](std::string_view name) const& {
  return rows_[rows_.empty() ? 0 : place_of(name, rows_[0].names())];
}

}  // namespace xg
