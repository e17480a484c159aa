// Activation functions by name.
#include "nn/activations.hpp"

#include "autograd/ops.hpp"
#include "nn/names.hpp"

namespace xg::nn {

Tensor linear(Operand z) { return z; }
Tensor swish(Operand z) { return z * sigmoid(z); }

namespace {
constexpr std::pair<std::string_view, Activation> named[] = {
    {"linear", linear},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"relu", relu},
    {"leaky_relu", [](Operand z) { return leaky_relu(z); }},
    {"elu", [](Operand z) { return elu(z); }},
    {"gelu", gelu},
    {"softplus", softplus},
    {"sin", sin},
    {"swish", swish}};
}

Activation activation_from_name(std::string_view name, SourceLocation place) {
  return detail::find_name(named, name, "activation", place);
}

const std::vector<std::string_view>& activation_names() {
  static const std::vector<std::string_view> names = detail::names_of(named);
  return names;
}

}  // namespace xg::nn
