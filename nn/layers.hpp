// Layers: dense ones, functions as layers, and layers one after the other.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/activations.hpp"
#include "nn/initialisers.hpp"
#include "nn/module.hpp"

namespace xg::nn {

struct DenseOptions {
  Initialiser initialiser = initialisers::scaled_normal;
  std::uint64_t seed = 0;
  bool bias = true;
  DType dtype = DType::float32;
};

/// z = a wᵀ + b for a batch a (examples, inputs), or one example (inputs,): the weighted inputs of
/// a layer of neurons; an activation turns them into outputs. `weight` is (outputs, inputs) as in
/// the book, `bias` (outputs,).
///
/// Starting values are drawn from the seed, the number of inputs and of outputs; `initialise` draws
/// those of a whole model from one seed, each by its path.
class Dense : public Module {
 public:
  /// Throws ValueError unless inputs and outputs are positive, DTypeError for int64.
  Dense(std::int64_t inputs, std::int64_t outputs, const DenseOptions& options = {},
        SourceLocation place = SourceLocation::current());

  Members members() const override;
  /// Throws ShapeError unless the last axis of x has as many elements as the layer has inputs.
  Tensor forward(const Tensor& x) const override;

  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

/// Any function of a tensor as a layer. Parameters that it uses must be listed by the module around
/// it.
class Lambda : public Module {
 public:
  explicit Lambda(std::function<Tensor(const Tensor&)> function) : function_(std::move(function)) {
    trust_members();
  }
  Members members() const override { return {}; }
  Tensor forward(const Tensor& x) const override { return function_(x); }

 private:
  std::function<Tensor(const Tensor&)> function_;
};

/// Activations as layers; the functions are in autograd/ops.hpp and activations.hpp.
struct Linear : Lambda {
  Linear();
};
struct Sigmoid : Lambda {
  Sigmoid();
};
struct Tanh : Lambda {
  Tanh();
};
struct Relu : Lambda {
  Relu();
};
struct LeakyRelu : Lambda {
  explicit LeakyRelu(double slope = 0.01);
};
struct Elu : Lambda {
  explicit Elu(double alpha = 1.0);
};
struct Gelu : Lambda {
  Gelu();
};
struct Softplus : Lambda {
  Softplus();
};

/// Modules one after the other; a function among them becomes a Lambda (where <cmath> has a
/// function of the same name, as for tanh, the layer nn::Tanh{} is meant):
///
///     nn::Sequential net{nn::Dense{784, 30}, sigmoid, nn::Dense{30, 10}, nn::Sigmoid{}};
///
/// The parameters are named by position: "0.weight".
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... Parts>
  requires(sizeof...(Parts) > 1 || (!std::same_as<std::remove_cvref_t<Parts>, Sequential> &&
                                    ...)) explicit Sequential(Parts&&... parts) {
    (append(std::forward<Parts>(parts)), ...);
  }
  Sequential(const Sequential& other);
  Sequential(Sequential&&) = default;
  /// Layers that agree in type are assigned, so that optimisers go on with their new values.
  Sequential& operator=(const Sequential& other);
  Sequential& operator=(Sequential&& other) {
    return *this = static_cast<const Sequential&>(other);
  }

  /// Puts a module or a function at the end.
  template <class Part>
  void append(Part&& part) {
    if constexpr (std::derived_from<std::remove_cvref_t<Part>, Module>) {
      using M = std::remove_cvref_t<Part>;
      layers_.push_back({std::make_unique<M>(std::forward<Part>(part)),
                         [](const Module& module) -> std::unique_ptr<Module> {
                           return std::make_unique<M>(static_cast<const M&>(module));
                         },
                         [](Module& to, const Module& from) {
                           static_cast<M&>(to) = static_cast<const M&>(from);
                         }});
    } else {
      append(Lambda(std::forward<Part>(part)));
    }
  }

  std::size_t size() const noexcept { return layers_.size(); }
  Members members() const override;
  Tensor forward(const Tensor& x) const override;

 private:
  struct Layer {
    std::unique_ptr<Module> module;
    std::unique_ptr<Module> (*clone)(const Module&);
    void (*assign)(Module& to, const Module& from);
  };
  std::vector<Layer> layers_;
};

}  // namespace xg::nn
