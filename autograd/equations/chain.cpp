// Chains of layers: which graphs are feed-forward networks, found by their structure alone. Knows
// no activations and no costs.
#include <algorithm>
#include <set>

#include "autograd/equations/graph.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape.hpp"

namespace xg::algebra {

namespace {

/// What a layer is, and which graphs are chains of them.
class Structure {
 public:
  explicit Structure(const Graph& graph) : graph_(graph) {}

  std::optional<Chain> chain() const {
    Chain chain{no_vertex, no_vertex, {}, {}};
    std::vector<std::size_t> data;  // the operand of layer l at l − 1
    std::set<std::size_t> weights;
    for (std::size_t n = 0; n < graph_.size(); ++n) {
      if (!graph_[n].value || !any(graph_[n].value, is_product)) continue;
      Chain::Layer layer{no_vertex, no_vertex, n, no_vertex};
      std::size_t operand = no_vertex;
      if (!affine(layer, operand) || !weights.insert(layer.weight).second) return std::nullopt;
      if (layer.bias != no_vertex && !weights.insert(layer.bias).second) return std::nullopt;
      chain.layers.push_back(layer);
      data.push_back(operand);
    }
    if (chain.layers.empty()) return std::nullopt;
    const Vertex& input = graph_[data[0]];
    if (!input.leaf || input.parameter || input.wanted) return std::nullopt;
    chain.input = data[0];
    for (std::size_t l = 1; l < data.size(); ++l) {
      if (graph_[data[l]].users.size() != 1 ||
          !is_function_of(data[l], chain.layers[l - 1].z, true) ||
          !is_only_way(data[l], chain.layers[l - 1].z))
        return std::nullopt;
      chain.layers[l - 1].a = data[l];
    }
    chain.layers.back().a = output(chain);
    for (std::size_t n = 0; n < graph_.size(); ++n) {
      const Vertex& v = graph_[n];
      if (!v.leaf || v.users.empty() || v.parameter || n == chain.input) continue;
      if (is_constant(n) && v.users.back() < chain.layers.back().z) {
        chain.constants.push_back(n);
        continue;
      }
      // Beside a target, the input would skip the layers.
      if (graph_[chain.input].users.size() > 1) return std::nullopt;
      chain.target = chain.target == no_vertex ? n : graph_.size();
    }
    if (chain.target == graph_.size()) chain.target = no_vertex;
    return chain;
  }

 private:
  static bool is_product(const Expression& e) { return e.kind() == Kind::product; }
  const Vertex* vertex(const Expression& e) const {
    return is_value(e) ? &graph_[vertex_of(e->symbol)] : nullptr;
  }
  /// The parameter that `e` is, or is the transpose of.
  std::size_t parameter(const Expression& e) const {
    if (e.kind() == Kind::transpose) return parameter(e.parts()[0]);
    const Vertex* const v = vertex(e);
    if (!v) return no_vertex;
    if (v->leaf) return v->parameter ? vertex_of(e->symbol) : no_vertex;
    return v->value.kind() == Kind::transpose ? parameter(v->value.parts()[0]) : no_vertex;
  }
  /// z = a wᵀ + b, in one vertex or in two.
  bool affine(Chain::Layer& layer, std::size_t& operand) const {
    const Expression& e = graph_[layer.z].value;
    const auto is_affine = [&](const Expression& p) {
      if (p.kind() != Kind::product || p.parts().size() != 2) return false;
      layer.weight = parameter(p.parts()[1]);
      if (!vertex(p.parts()[0]) || layer.weight == no_vertex) return false;
      operand = vertex_of(p.parts()[0]->symbol);
      return true;
    };
    const auto bias = [&](const Expression& sum, const auto& rest) {
      if (sum.kind() != Kind::sum || sum.parts().size() != 2) return false;
      for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
        const Vertex* const b = vertex(sum.parts()[1 - i]);
        if (!rest(sum.parts()[i]) || !b || !b->parameter || b->shape.size() != 1) continue;
        layer.bias = vertex_of(sum.parts()[1 - i]->symbol);
        return true;
      }
      return false;
    };
    if (bias(e, is_affine)) return true;
    if (!is_affine(e)) return false;
    if (graph_[layer.z].users.size() != 1) return true;
    const std::size_t next = graph_[layer.z].users[0];
    const auto is_product_vertex = [&](const Expression& p) {
      return is_value(p) && vertex_of(p->symbol) == layer.z;
    };
    if (bias(graph_[next].value, is_product_vertex)) layer.z = next;
    return true;
  }
  /// What is the same for all examples and never changes: a vector from outside.
  bool is_constant(std::size_t n) const {
    const Vertex& v = graph_[n];
    return v.leaf && v.value && !v.parameter && !v.wanted && v.shape.size() < 2;
  }
  /// Whether `v` depends on `z`, on numbers and, if they are `allowed`, on constants, and nothing
  /// else.
  bool is_function_of(std::size_t v, std::size_t z, bool allowed) const {
    std::vector<bool> is(graph_.size(), false);
    is[z] = true;
    for (std::size_t n = z + 1; n <= v; ++n) {
      bool all = graph_[n].value && !graph_[n].inputs.empty();
      for (const std::size_t input : graph_[n].inputs)
        all = all && (is[input] || graph_[input].value.kind() == Kind::number ||
                      (allowed && is_constant(input)));
      is[n] = all;
    }
    return v >= z && is[v];
  }
  /// Whether everything that uses `z` goes through `v`.
  bool is_only_way(std::size_t v, std::size_t z) const {
    std::vector<bool> leads_elsewhere(graph_.size(), false);
    for (std::size_t n = v; n-- > z;)
      for (const std::size_t user : graph_[n].users)
        leads_elsewhere[n] = leads_elsewhere[n] || user > v || leads_elsewhere[user];
    return !leads_elsewhere[z];
  }
  /// Whether a function `v` of `z` is computed element by element.
  bool is_elementwise(std::size_t v, std::size_t z) const {
    const auto mixes = [](const Expression& e) {
      return e.kind() == Kind::total || e.kind() == Kind::broadcast || e.kind() == Kind::reshape ||
             e.kind() == Kind::transpose || e.kind() == Kind::product;
    };
    std::set<std::size_t> todo{v};
    while (!todo.empty() && *todo.rbegin() > z) {
      const std::size_t n = *todo.rbegin();
      todo.erase(n);
      const Expression& e = graph_[n].value;
      if (e.kind() == Kind::number) continue;
      if (any(e, mixes)) return false;
      if (e.kind() == Kind::call && !has_slope(n) && !has_elements(n)) return false;
      todo.insert(graph_[n].inputs.begin(), graph_[n].inputs.end());
    }
    return true;
  }
  /// Whether the rule of `n` is f'(input).
  bool has_slope(std::size_t n) const {
    const std::vector<Vertex::Use>& uses = graph_[graph_[n].inputs[0]].uses;
    return std::any_of(uses.begin(), uses.end(), [&](const Vertex::Use& use) {
      return use.by == n && use.contribution && any(use.contribution, [](const Expression& e) {
               return e.kind() == Kind::derivative;
             });
    });
  }
  /// Whether the first and the last element of `n`, a call, depend on those of its inputs alone.
  bool has_elements(std::size_t n) const {
    const NoRecording scope;
    const Vertex& v = graph_[n];
    if (v.shape.empty() || v.shape.back() < 2) return false;  // of one neuron softmax would do
    const std::int64_t size = element_count(v.shape);
    for (const std::int64_t at : {std::int64_t{0}, size - 1}) {
      std::map<Symbol, Tensor> values, others;
      for (const std::size_t input : v.inputs) {
        const Vertex& x = graph_[input];
        if (x.value.kind() == Kind::number) continue;
        if (x.shape != v.shape) return false;
        const auto drawn = [&](std::uint64_t which) {
          return random_uniform({size}, Key{n}.fold(input).fold(which), DType::float64, 0.2, 1.8);
        };
        const Tensor t = drawn(0), rest = drawn(1);
        const Tensor other = concatenate(
            {slice(rest, 0, 0, at), slice(t, 0, at, at + 1), slice(rest, 0, at + 1, size)}, 0);
        values.emplace(value_of(input), cast(reshape(t, x.shape), x.dtype));
        others.emplace(value_of(input), cast(reshape(other, x.shape), x.dtype));
      }
      try {
        const auto element = [&](const auto& x) {
          return slice(reshape(evaluate(v.value, x), {-1}), 0, at, at + 1).item();
        };
        if (element(values) != element(others)) return false;
      } catch (const Error&) {
        return false;
      }
    }
    return true;
  }
  /// Whether an operation takes z and, but for numbers, nothing else, and is no multiple of it and
  /// a number: a function around z that may or may not be the neurons'.
  bool is_taken_alone(std::size_t z) const {
    const std::vector<std::size_t>& users = graph_[z].users;
    return std::any_of(users.begin(), users.end(), [&](std::size_t user) {
      const std::vector<std::size_t>& inputs = graph_[user].inputs;
      return !is_affine(graph_[user].value) &&
             std::all_of(inputs.begin(), inputs.end(), [&](std::size_t n) {
               return n == z || graph_[n].value.kind() == Kind::number;
             });
    });
  }
  /// Numbers, and one symbol times a number.
  static bool is_affine(const Expression& e) {
    if (e.kind() == Kind::number || e.kind() == Kind::symbol) return true;
    if (e.kind() != Kind::sum && e.kind() != Kind::hadamard) return false;
    return std::all_of(e.parts().begin(), e.parts().end(), is_affine) &&
           (e.kind() == Kind::sum ||
            std::count_if(e.parts().begin(), e.parts().end(), is_value) <= 1);
  }
  /// Whether `v` is the function of `z` that `u` is of `x`.
  bool is_same_function(std::size_t v, std::size_t z, std::size_t u, std::size_t x,
                        std::set<std::pair<std::size_t, std::size_t>>& known) const {
    if (v == z || u == x) return v == z && u == x;
    const Vertex &a = graph_[v], &b = graph_[u];
    if (a.leaf || b.leaf) return v == u;
    if (a.inputs.size() != b.inputs.size()) return false;
    if (!known.emplace(v, u).second) return true;
    const auto form = [](const Vertex& vertex) {
      return key(rewrite(vertex.value, [&](const Expression& part) {
        if (!is_value(part)) return part;
        const auto at =
            std::find(vertex.inputs.begin(), vertex.inputs.end(), vertex_of(part->symbol));
        return symbol(value_of(static_cast<std::size_t>(at - vertex.inputs.begin())), part.shape());
      }));
    };
    if (form(a) != form(b)) return false;
    for (std::size_t i = 0; i < a.inputs.size(); ++i)
      if (!(graph_[a.inputs[i]].value.kind() == Kind::number &&
            graph_[b.inputs[i]].value.kind() == Kind::number) &&
          !is_same_function(a.inputs[i], z, b.inputs[i], x, known))
        return false;
    return true;
  }
  /// The output of the last layer, a function of z alone, of its shape and element by element: all
  /// of it that is added to something else, such as −y. What is used in another way may be a part
  /// of the cost already. Of that it is what the neurons of another layer are, else all of it if it
  /// is used twice or is one operation. z itself if there is no function of z alone. Otherwise it
  /// is left open, as by log-likelihood, a cost with a softmax of its own.
  std::size_t output(const Chain& chain) const {
    const std::size_t z = chain.layers.back().z;
    std::vector<std::size_t> functions;
    for (std::size_t v = z + 1; v + 1 < graph_.size(); ++v)
      if (graph_[v].value && graph_[v].shape == graph_[z].shape && is_function_of(v, z, false) &&
          is_only_way(v, z) && is_elementwise(v, z))
        functions.push_back(v);
    if (functions.empty()) return z + 1 == graph_.size() || is_taken_alone(z) ? no_vertex : z;
    const std::size_t whole = functions.back();
    const std::vector<std::size_t>& users = graph_[whole].users;
    if (users.size() == 1 && graph_[users[0]].value.kind() == Kind::sum) return whole;
    for (auto v = functions.rbegin(); v != functions.rend(); ++v)
      for (const Chain::Layer& layer : chain.layers) {
        std::set<std::pair<std::size_t, std::size_t>> known;
        if (layer.z < z && is_same_function(*v, z, layer.a, layer.z, known)) return *v;
      }
    return users.size() > 1 || functions.size() == 1 ? whole : no_vertex;
  }

  const Graph& graph_;
};

}  // namespace

std::optional<Chain> find_chain(const Graph& graph) { return Structure(graph).chain(); }

}  // namespace xg::algebra
