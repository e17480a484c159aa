// From the tape to a graph of expressions: which part of it the loss depends on, and what is
// differentiated for.
#include <algorithm>

#include "autograd/equations/trial.hpp"

namespace xg {

namespace algebra {

using detail::inputs_of;
using detail::Node;
using detail::TapeMemory;
using detail::TapeReader;

Symbol value_of(std::size_t vertex) { return {.letter = "%", .number = static_cast<int>(vertex)}; }
Symbol adjoint_of(std::size_t vertex) {
  return {.letter = "%", .role = Symbol::Role::adjoint, .number = static_cast<int>(vertex)};
}

namespace {

void check_loss(const Tensor& loss, const Asked& asked) {
  if (!loss.defined())
    throw DTypeError(detail::text("[", asked.caller, "] the loss is undefined",
                                  " (default-constructed, or moved from)"));
  if (!asked.derivatives) return;
  if (!is_floating(loss.dtype()))
    throw DTypeError(
        detail::text("[", asked.caller, "] the loss is ", loss.dtype(), " and has no derivative"));
  if (loss.size() != 1)
    throw ShapeError(detail::text("[", asked.caller, "] the loss must be a scalar, but has the ",
                                  "shape ", loss.shape(), "; reduce it with sum or mean"));
}

/// The vertices that are differentiated for: those named, else all parameters, else all leaves.
void want(Graph& graph, const Tape& tape, std::span<const ParameterRef> parameters,
          const Asked& asked, const TapeMemory& m, const std::vector<char>& used) {
  for (std::size_t n = 0; n < graph.size(); ++n)
    graph[n].parameter = graph[n].leaf && m.nodes[n].version > 0;
  for (const ParameterRef& p : parameters) {
    const std::size_t n = TapeReader::find(tape, p.value(), asked.caller);
    if (n >= graph.size() || !used[n])
      throw TapeError(detail::text("[", asked.caller,
                                   "] the loss does not depend on the parameter ", p.name()));
    graph[n].wanted = graph[n].parameter = true;
    graph[n].name = p.name();
  }
  if (!parameters.empty()) return;
  for (const bool any_leaf : {false, true}) {
    for (std::size_t n = 0; n < graph.size(); ++n) {
      Vertex& v = graph[n];
      if (!v.leaf || !is_floating(v.dtype) || !used[n]) continue;
      v.wanted = v.parameter || any_leaf;
    }
    if (std::any_of(graph.begin(), graph.end(), [](const Vertex& v) { return v.wanted; })) return;
  }
  if (asked.derivatives)
    throw TapeError(
        detail::text("[", asked.caller, "] the loss depends on no tensor with a derivative"));
}

}  // namespace

Graph read_tape(const Tensor& loss, std::span<const ParameterRef> parameters, const Asked& asked) {
  check_loss(loss, asked);
  const Tape& tape = TapeReader::of(loss, asked.caller);
  const TapeMemory& m = TapeReader::memory(tape);
  Graph graph(TapeReader::find(tape, loss, asked.caller) + 1);
  std::vector<char> used(graph.size(), 0);
  used.back() = 1;
  for (std::size_t n = graph.size(); n-- > 0;)
    if (used[n])
      for (const std::uint32_t input : inputs_of(m, m.nodes[n])) used[input] = 1;
  for (std::size_t n = 0; n < graph.size(); ++n) {
    Vertex& v = graph[n];
    const Node& node = m.nodes[n];
    v.shape = node.output.shape();
    v.dtype = node.output.dtype();
    v.leaf = !node.op;
    if (v.leaf && used[n]) v.value = symbol(value_of(n), v.shape);
    const auto inputs = inputs_of(m, node);
    v.inputs.assign(inputs.begin(), inputs.end());
    if (!used[n]) continue;
    for (const std::size_t input : v.inputs)
      if (std::vector<std::size_t>& users = graph[input].users; users.empty() || users.back() != n)
        users.push_back(n);
  }
  want(graph, tape, parameters, asked, m, used);
  for (std::size_t n = 0; n < graph.size(); ++n) {
    Vertex& v = graph[n];
    v.needed = v.wanted;
    if (used[n] && is_floating(v.dtype))
      for (const std::size_t input : v.inputs) v.needed = v.needed || graph[input].needed;
  }
  Tried tried;
  for (std::size_t n = 0; n < graph.size(); ++n)
    tried.recorded.push_back(used[n] ? detach(m.nodes[n].output) : Tensor());
  for (const ParameterRef& p : parameters)
    tried.recorded[TapeReader::find(tape, p.value(), asked.caller)] = p.value();
  for (std::size_t n = 0; n < graph.size(); ++n)
    if (used[n] && !graph[n].leaf) try_operation(m, n, graph, tried);
  number_functions(graph);
  // The backward pass comes from the end.
  for (Vertex& v : graph)
    std::stable_sort(v.uses.begin(), v.uses.end(),
                     [](const auto& a, const auto& b) { return a.by > b.by; });
  return graph;
}

}  // namespace algebra
}  // namespace xg
