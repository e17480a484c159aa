// What a model is made of: modules with named parameters. Knows no particular layer.
#pragma once

#include <string>
#include <vector>

#include "autograd/operand.hpp"
#include "autograd/parameter.hpp"

namespace xg::nn {

class Module;

/// A parameter or a module that belongs to another module, under a name.
class Member {
 public:
  Member(std::string name, const Parameter& parameter);
  Member(std::string name, const Module& module);

  const std::string& name() const noexcept { return name_; }
  /// The parameters of the member; their paths begin with its name.
  const ParameterRefs& parameters() const noexcept { return parameters_; }
  bool is(const Module& module) const noexcept { return module_ == &module; }

 private:
  std::string name_;
  ParameterRefs parameters_;
  const Module* module_ = nullptr;
};

using Members = std::vector<Member>;

/// A function of tensors with parameters. A model of one's own is a struct that holds its layers
/// and says which they are:
///
///     struct Classifier : nn::Module {
///       nn::Dense hidden{784, 30}, output{30, 10};
///       nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
///       Tensor forward(const Tensor& x) const override {
///         return sigmoid(output(sigmoid(hidden(x))));
///       }
///     };
///
/// Modules are values: a copy has parameters of its own, and a moved module keeps those that an
/// optimiser holds. Nothing points into a module, so nothing can dangle. A parameter that forward()
/// uses and members() forgets is an error at the first recorded call.
class Module {
 public:
  virtual ~Module() = default;

  /// The module's own parameters and modules, by name.
  virtual Members members() const = 0;
  /// The function itself; call the module rather than this.
  virtual Tensor forward(const Tensor& x) const = 0;

  /// forward(x). Throws ValueError if, under a tape, forward() uses a parameter that members()
  /// does not reach. Errors within say in which module: "Classifier.hidden".
  Tensor operator()(Operand x) const;

  /// All parameters, named by their path, e.g. "hidden.weight"; one that is listed twice (tied
  /// weights) under its first name.
  ParameterRefs parameters() const;
  /// Converts all parameters.
  void to(DType dtype) const;

 protected:
  Module() = default;
  Module(const Module&) = default;
  Module(Module&&) = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;
  /// For a module whose function may use parameters that are somebody else's to list.
  void trust_members() const noexcept;

 private:
  mutable bool members_checked_ = false;
};

/// Number of elements of all parameters.
std::int64_t parameter_count(const Module& module);

/// Sets the parameters of `to` to those of `from`. Throws ValueError unless names, shapes and types
/// agree.
void copy_parameters(const Module& from, const Module& to);

}  // namespace xg::nn
