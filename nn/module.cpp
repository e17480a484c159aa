// Finding parameters, and finding those that were forgotten.
#include "nn/module.hpp"

#include <algorithm>
#include <atomic>

#include "autograd/tape.hpp"

namespace xg::nn {

using detail::text;

Member::Member(std::string name, const Parameter& parameter)
    : name_(std::move(name)), parameters_{ParameterRef(name_, parameter)} {}

Member::Member(std::string name, const Module& module) : name_(std::move(name)) {
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
// How many modules are at work on this thread: a part may use what the whole lists, so only the
// outermost is checked.
thread_local int depth = 0;
struct Depth {
  Depth() noexcept { ++depth; }
  ~Depth() { --depth; }
};
}  // namespace

Tensor Module::operator()(const Tensor& x) const {
  const Depth scope;
  const Tape* tape = Tape::recording();
  if (!tape || depth > 1 || std::atomic_ref(members_checked_).load(std::memory_order_relaxed))
    return forward(x);
  const std::size_t before = tape->size();
  Tensor y = forward(x);
  if (const auto forgotten = tape->unknown_parameter(before, parameters()))
    throw ValueError(text("[Module] forward() uses a parameter of shape ", *forgotten,
                          " that members() does not list, so no optimiser would change it; add it, "
                          "or the module that has it, to members()"));
  trust_members();
  return y;
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
