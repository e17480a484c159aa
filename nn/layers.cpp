// The layers. They have no derivatives of their own: the tape has.
#include "nn/layers.hpp"

#include "autograd/ops.hpp"

namespace xg::nn {

using xg::detail::text;

Dense::Dense(std::int64_t inputs, std::int64_t outputs, const DenseOptions& options,
             SourceLocation place) {
  xg::detail::located(place, [&] {
    if (inputs < 1 || outputs < 1)
      throw ValueError(text("[Dense] a layer needs at least one input and one output, not ", inputs,
                            " and ", outputs));
  });
  const Key key = Key{options.seed}
                      .fold(static_cast<std::uint64_t>(inputs))
                      .fold(static_cast<std::uint64_t>(outputs));
  weight = Parameter(options.initialiser({outputs, inputs}, key.fold("weight"), options.dtype));
  if (options.bias)
    bias = Parameter(options.initialiser({outputs}, key.fold("bias"), options.dtype));
}

Members Dense::members() const {
  Members result{{"weight", weight}};
  if (bias.value().defined()) result.push_back({"bias", bias});
  return result;
}

Tensor Dense::forward(const Tensor& x) const {
  if (!weight.value().defined()) throw ValueError("[Dense] the layer was moved from");
  if (x.rank() == 0 || x.shape().back() != weight.shape().back())
    throw ShapeError(text("[Dense] the layer has ", weight.shape().back(),
                          " inputs, what came has the shape ", x.shape()));
  return bias.value().defined() ? linear(x, weight, bias) : matmul(x, transpose(weight));
}

Linear::Linear() : Lambda(linear) {}
Sigmoid::Sigmoid() : Lambda(sigmoid) {}
Tanh::Tanh() : Lambda(tanh) {}
Relu::Relu() : Lambda(relu) {}
LeakyRelu::LeakyRelu(double slope)
    : Lambda([slope](const Tensor& z) { return leaky_relu(z, slope); }) {}
Elu::Elu(double alpha) : Lambda([alpha](const Tensor& z) { return elu(z, alpha); }) {}
Gelu::Gelu() : Lambda(gelu) {}
Softplus::Softplus() : Lambda(softplus) {}

Sequential::Sequential(const Sequential& other) : Module(other) {
  for (const Layer& layer : other.layers_)
    layers_.push_back({layer.clone(*layer.module), layer.clone, layer.assign});
}

Sequential& Sequential::operator=(const Sequential& other) {
  Module::operator=(other);
  layers_.resize(other.layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = other.layers_[i];
    if (layers_[i].assign == layer.assign)  // of the same type
      layer.assign(*layers_[i].module, *layer.module);
    else
      layers_[i] = {layer.clone(*layer.module), layer.clone, layer.assign};
  }
  return *this;
}

Members Sequential::members() const {
  Members result;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    result.push_back({std::to_string(i), *layers_[i].module});
  return result;
}

Tensor Sequential::forward(const Tensor& x) const {
  Tensor a = x;
  for (const Layer& layer : layers_) a = (*layer.module)(a);
  return a;
}

}  // namespace xg::nn
