// Finding parameters, and finding those that were forgotten.
#include "nn/module.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <typeinfo>

#include "autograd/scope.hpp"
#include "autograd/tape.hpp"

namespace xg::nn {

using detail::text;

Member::Member(std::string name, const Parameter& parameter)
    : name_(std::move(name)), parameters_{ParameterRef(name_, parameter)} {}

Member::Member(std::string name, const Module& module) : name_(std::move(name)), module_(&module) {
  for (const ParameterRef& parameter : module.parameters())
    parameters_.push_back(parameter.within(name_));
}

ParameterRefs Module::parameters() const {
  ParameterRefs result;
  for (const Member& member : members())
    for (const ParameterRef& parameter : member.parameters())
      if (std::find(result.begin(), result.end(), parameter) == result.end())
        result.push_back(parameter);
  return result;
}

void Module::to(DType dtype) const {
  for (const ParameterRef& parameter : parameters()) parameter.convert(dtype);
}

void Module::trust_members() const noexcept {
  std::atomic_ref(members_checked_).store(true, std::memory_order_relaxed);
}

namespace {

// The outermost module at work goes by its type, others by the name under which the one around them
// lists them.
std::string name_of_module(const Scope& self) {
  const auto module = [](const Scope& scope) -> const Module& {
    return *static_cast<const Module*>(scope.what());
  };
  const Module& me = module(self);
  if (const Scope* outer = self.outer_of_kind())
    for (const Member& member : module(*outer).members())
      if (member.is(me)) return member.name();
  const std::unique_ptr<char, void (*)(void*)> full(
      abi::__cxa_demangle(typeid(me).name(), nullptr, nullptr, nullptr), std::free);
  const std::string name = full ? full.get() : "Module";
  return name.substr(name.rfind(':') + 1);
}

}  // namespace

Tensor Module::operator()(Operand x) const {
  const Scope scope(this, name_of_module);
  return detail::located(x.place(), [&] {
    const Tape* tape = Tape::recording();
    // A part may use what the whole lists, so only the outermost is checked.
    if (!tape || scope.outer_of_kind() ||
        std::atomic_ref(members_checked_).load(std::memory_order_relaxed))
      return forward(x);
    const std::size_t before = tape->size();
    Tensor y = forward(x);
    if (const auto forgotten = tape->unknown_parameter(before, parameters()))
      throw ValueError(
          text("[Module] forward() uses a parameter of shape ", *forgotten,
               " that members() does not list, so no optimiser would change it; add it, or the "
               "module that has it, to members()"));
    trust_members();
    return y;
  });
}

std::int64_t parameter_count(const Module& module) {
  std::int64_t count = 0;
  for (const ParameterRef& parameter : module.parameters()) count += parameter.value().size();
  return count;
}

void copy_parameters(const Module& from, const Module& to) {
  const ParameterRefs source = from.parameters(), target = to.parameters();
  for (std::size_t i = 0; i < std::max(source.size(), target.size()); ++i) {
    if (i >= source.size() || i >= target.size() || source[i].name() != target[i].name())
      throw ValueError(text("[copy_parameters] the modules differ at parameter ", i, ": '",
                            i < source.size() ? source[i].name() : "", "' and '",
                            i < target.size() ? target[i].name() : "", "'"));
  }
  for (std::size_t i = 0; i < source.size(); ++i) target[i].assign(source[i].value());
}

}  // namespace xg::nn
