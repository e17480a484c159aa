// Starting values of parameters.
#include "nn/initialisers.hpp"

#include <cmath>

#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "nn/names.hpp"

namespace xg::nn {
namespace initialisers {
namespace {

bool is_weight(const Shape& shape) { return shape.size() >= 2; }
double outputs(const Shape& shape) { return static_cast<double>(shape[0]); }
double inputs(const Shape& shape) { return static_cast<double>(element_count(shape.without(0))); }

}  // namespace

Tensor standard_normal(const Shape& shape, Key key, DType dtype) {
  return random_normal(shape, key, dtype);
}

Tensor scaled_normal(const Shape& shape, Key key, DType dtype) {
  return random_normal(shape, key, dtype, 0, is_weight(shape) ? 1 / std::sqrt(inputs(shape)) : 1);
}

Tensor glorot(const Shape& shape, Key key, DType dtype) {
  if (!is_weight(shape)) return xg::zeros(shape, dtype);
  const double limit = std::sqrt(6 / (inputs(shape) + outputs(shape)));
  return random_uniform(shape, key, dtype, -limit, limit);
}

Tensor he(const Shape& shape, Key key, DType dtype) {
  if (!is_weight(shape)) return xg::zeros(shape, dtype);
  return random_normal(shape, key, dtype, 0, std::sqrt(2 / inputs(shape)));
}

Tensor zeros(const Shape& shape, Key, DType dtype) { return xg::zeros(shape, dtype); }

Initialiser constant(double value) {
  return [value](const Shape& shape, Key, DType dtype) { return full(shape, value, dtype); };
}

}  // namespace initialisers

namespace {
constexpr std::pair<std::string_view, Tensor (*)(const Shape&, Key, DType)> named[] = {
    {"standard-normal", initialisers::standard_normal},
    {"scaled-normal", initialisers::scaled_normal},
    {"glorot", initialisers::glorot},
    {"he", initialisers::he},
    {"zeros", initialisers::zeros}};
}

Initialiser initialiser_from_name(std::string_view name, SourceLocation place) {
  return detail::find_name(named, name, "initialiser", place);
}

const std::vector<std::string_view>& initialiser_names() {
  static const std::vector<std::string_view> names = detail::names_of(named);
  return names;
}

void initialise(const Module& module, const Initialiser& initialiser, std::uint64_t seed) {
  const NoRecording scope;
  for (const ParameterRef& parameter : module.parameters()) {
    const Tensor& value = parameter.value();
    parameter.assign(initialiser(value.shape(), Key{seed}.fold(parameter.name()), value.dtype()));
  }
}

}  // namespace xg::nn
