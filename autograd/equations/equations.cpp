// Statements from a graph: which quantities get one, and the chain rule written out for each.
#include "autograd/equations.hpp"

#include <algorithm>
#include <set>

#include "autograd/equations/graph.hpp"
#include "autograd/tape.hpp"

namespace xg {

namespace algebra {
namespace {

/// The forward and backward statements of a graph. Values and adjoints that get no statement of
/// their own stand inside of those of the others.
class Statements {
 public:
  Statements(const Graph& graph, const std::optional<Chain>& chain)
      : graph_(graph),
        bounds_(graph),
        named_(graph.size(), false),
        adjoint_named_(graph.size(), false) {
    named_.back() = true;
    if (chain)
      for (const Chain::Layer& layer : chain->layers) {
        named_[layer.z] = true;
        adjoint_named_[layer.z] = graph[layer.z].needed;
        if (layer.a != no_vertex) named_[layer.a] = true;
      }
    for (std::size_t n = 0; n + 1 < graph.size(); ++n) {
      if (graph[n].wanted) adjoint_named_[n] = true;
      if (!graph[n].value || graph[n].leaf || named_[n] || !deserves_name(n, chain.has_value()))
        continue;
      named_[n] = true;
      adjoint_named_[n] = graph[n].needed;
    }
    if (!chain) return;
    for (const Chain::Layer& layer : chain->layers)
      if (layer.a != no_vertex)
        any(in_names(graph[layer.a].value), [&](const Expression& e) {
          if (e.kind() == Kind::call) activations_[layer.z].insert(e->function->facet);
          return false;
        });
  }

  const std::vector<bool>& named() const { return named_; }
  /// An expression with named values only.
  Expression in_names(const Expression& e) {
    return rewrite(e, [&](const Expression& part) {
      if (!is_value(part)) return part;
      const std::size_t n = vertex_of(part->symbol);
      return named_[n] || graph_[n].leaf ? part : expanded(n);
    });
  }

  Reading reading() {
    Reading result;
    for (std::size_t n = 0; n < graph_.size(); ++n)
      if (named_[n])
        result.forward.push_back({value_of(n), simplified(expanded(n), nullptr, &bounds_)});
    for (std::size_t n = graph_.size(); n-- > 0;)
      if (adjoint_named_[n] && !graph_[n].wanted) result.backward.push_back(adjoint_statement(n));
    std::vector<std::size_t> wanted;
    for (std::size_t n = 0; n < graph_.size(); ++n)
      if (graph_[n].wanted) wanted.push_back(n);
    // Vectors before matrices: BP3 before BP4.
    std::stable_sort(wanted.begin(), wanted.end(), [&](std::size_t a, std::size_t b) {
      return graph_[a].shape.size() < graph_[b].shape.size();
    });
    for (const std::size_t n : wanted) result.backward.push_back(adjoint_statement(n));
    return result;
  }

 private:
  /// Beside the names of a chain only what would be long to repeat needs one; without a chain,
  /// functions, matrix products and what is used more than once.
  bool deserves_name(std::size_t n, bool in_chain) {
    const Vertex& v = graph_[n];
    const bool shared = v.users.size() > 1 || v.uses.size() > 1;
    const std::size_t size = length(expanded(n));
    if (in_chain) return size > (shared ? 6 : 60);
    const bool is_function = v.value.kind() == Kind::call || any(v.value, [](const Expression& e) {
                               return e.kind() == Kind::product;
                             });
    return is_function || size > (shared ? 2 : 20);
  }
  Statement adjoint_statement(std::size_t n) {
    Statement s{.left = adjoint_of(n), .right = adjoint(n, &Vertex::Use::contribution)};
    s.steps.push_back({"the chain rule", adjoint(n, &Vertex::Use::jacobian)});
    s.steps.push_back({"the rules of the operations", s.right});
    s.right = simplified(s.right, &s.steps, &bounds_);
    s.right = without_derivatives(s.right, &s.steps, bounds_, [&](const Expression& e) {
      const Expression &x = e.parts()[0], &rule = e.parts()[1];
      if (is_value(x) && activations_.contains(vertex_of(x->symbol)) &&
          activations_.at(vertex_of(x->symbol)).contains(e->function->facet))
        return false;
      return length(rule) <= (rule.kind() == Kind::quotient ? 5u : 2u);
    });
    return s;
  }

  /// The value of a vertex in terms of named ones.
  Expression expanded(std::size_t n) {
    auto [it, fresh] = values_.try_emplace(n);
    if (fresh) it->second = in_names(graph_[n].value);
    return it->second;
  }
  /// The sum of what the users of a vertex contribute, in the one form or the other.
  Expression adjoint(std::size_t n, Expression Vertex::Use::*form) {
    const Shape& shape = graph_[n].shape;
    if (n + 1 == graph_.size()) return shape.size() ? broadcast(number(1), shape) : number(1);
    Parts terms;
    for (const Vertex::Use& use : graph_[n].uses) {
      if (!use.contribution) continue;
      terms.push_back(rewrite(in_names(use.*form), [&](const Expression& part) {
        if (!is_adjoint(part)) return part;
        const std::size_t by = vertex_of(part->symbol);
        return adjoint_named_[by] ? part : adjoint(by, form);
      }));
    }
    return terms.empty() ? broadcast(number(0), shape) : sum(std::move(terms));
  }

  const Graph& graph_;
  const Bounds bounds_;
  std::vector<bool> named_, adjoint_named_;
  std::map<std::size_t, std::set<std::string>> activations_;  // by z, their facets
  std::map<std::size_t, Expression> values_;
};

Expression renamed(const Expression& e, const Names& names) {
  return rewrite(e, [&](const Expression& part) {
    if (part.kind() != Kind::symbol) return part;
    const auto it = names.find(part->symbol);
    return it == names.end() ? part : symbol(it->second, part.shape());
  });
}

Statement renamed(const Statement& s, const Names& names) {
  Statement result{.left = names.at(s.left), .right = renamed(s.right, names)};
  result.node = vertex_of(s.left);
  for (const DerivationStep& step : s.steps)
    result.steps.push_back({step.identity, renamed(step.result, names)});
  return result;
}

/// With a^0 = x in front, and a^l = z^l where a layer has no function.
Reading renamed(const Reading& reading, const Graph& graph, const Names& names,
                const std::optional<Chain>& chain, bool columns) {
  Reading result;
  if (chain) {
    const Shape& shape = graph[chain->input].shape;
    const Symbol x{.letter = columns ? "x" : "X"};
    result.forward.push_back({.left = names.at(value_of(chain->input)),
                              .right = symbol(x, shape),
                              .node = chain->input});
  }
  for (const Statement& s : reading.forward) {
    result.forward.push_back(renamed(s, names));
    if (!chain) continue;
    for (const Chain::Layer& layer : chain->layers)
      if (layer.a == layer.z && s.left == value_of(layer.z)) {
        const Symbol a = result.forward.back().left;
        Symbol& z = result.forward.back().left;
        z.letter = columns ? "z" : "Z";
        result.forward.push_back(
            {.left = a, .right = symbol(Symbol(z), s.right.shape()), .node = layer.z});
      }
  }
  for (const Statement& s : reading.backward) result.backward.push_back(renamed(s, names));
  return result;
}

}  // namespace
}  // namespace algebra

Equations equations(const Tensor& loss, std::span<const ParameterRef> parameters) {
  using namespace algebra;
  const NoRecording scope;
  Graph graph = read_tape(loss, parameters);
  if (std::optional<Graph> row = with_one_row(loss, graph)) graph = std::move(*row);
  const std::optional<Chain> chain = find_chain(graph);
  Examples examples = find_examples(graph);
  Statements statements(graph, chain);
  const Reading raw = statements.reading();
  if (!examples.refusal) examples.refusal = not_an_average(raw.forward.back().right, examples);

  Equations result;
  result.examples = examples.count;
  result.depth = chain ? static_cast<int>(chain->layers.size()) : 0;
  const Names names = notation(graph, statements.named(), chain, false);
  Reading averaged = raw;
  for (Statement& s : averaged.forward)  // what has a row for each example is no average
    if (!examples.has_rows[vertex_of(s.left)]) s.right = with_average(s.right, examples);
  for (Statement& s : averaged.backward) s.right = with_average(s.right, examples);
  for (auto* list : {&averaged.forward, &averaged.backward})
    for (Statement& s : *list) s.right = with_norms(s.right);
  mark_axes(averaged, graph, examples);
  result.batch = renamed(averaged, graph, names, chain, false);
  const Names small = notation(graph, statements.named(), chain, true);
  for (std::size_t n = 0; n < graph.size(); ++n) {
    if (!graph[n].leaf || !names.contains(value_of(n))) continue;
    const bool is_input = chain && n == chain->input;
    result.leaves.push_back({is_input ? Symbol{.letter = "X"} : names.at(value_of(n)),
                             is_input ? Symbol{.letter = "x"} : small.at(value_of(n)),
                             graph[n].shape, graph[n].wanted, examples.has_rows[n]});
  }

  const auto refuse = [&](const Refusal& refusal) {
    result.refusal = refusal.why;
    if (refusal.what)
      result.refusal += to_string(renamed(statements.in_names(refusal.what), names));
  };
  if (examples.refusal) {
    refuse(*examples.refusal);
    return result;
  }
  try {
    result.example = renamed(one_example(raw, graph, examples), graph, small, chain, true);
  } catch (const Refusal& refusal) {
    refuse(refusal);
    return result;
  }
  std::vector<Statement>& backward = result.example->backward;
  for (std::size_t i = 0; i < backward.size(); ++i) {
    std::vector<DerivationStep> before = result.batch.backward[i].steps;
    for (DerivationStep& step : before) step.of_batch = result.batch.backward[i].left;
    backward[i].steps.insert(backward[i].steps.begin(), before.begin(), before.end());
  }
  if (chain) mark_book_forms(*result.example, *chain);
  for (std::size_t i = 0; i < backward.size(); ++i)
    result.batch.backward[i].mark = backward[i].mark;
  return result;
}

}  // namespace xg
