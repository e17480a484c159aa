// Names: which quantities of a graph get one, and which. A feed-forward chain gets the book's;
// everything else is numbered. Also the forms BP1 to BP4, and folding.
#include <algorithm>
#include <set>

#include "autograd/equations/graph.hpp"

namespace xg::algebra {

namespace {

using Role = Symbol::Role;

/// "z" for one example, "Z" for the rows of a batch.
std::string letter(const char* small, const char* capital, bool columns) {
  return columns ? small : capital;
}

/// Names that no two quantities share. One that was given stays as it is where it is the only such;
/// others get a number, which steps aside for it.
class Unique {
 public:
  Unique(const std::set<std::string>& fixed, const std::vector<std::string>& given) {
    for (const std::string& name : given) ++given_[name];
    taken_ = fixed;
    for (auto& [name, count] : given_) {
      if (fixed.contains(name)) ++count;
      taken_.insert(name);
    }
  }
  bool is_given(const std::string& name) const { return given_.contains(name); }
  Symbol given(const std::string& name) {
    return given_.at(name) > 1 ? numbered(name, name) : Symbol{.letter = name};
  }
  /// The name of this letter, and of none that stands for the same in the other reading.
  Symbol numbered(const std::string& letter, const std::string& other) {
    for (int& n = last_[letter];;) {
      const Symbol result{.letter = letter, .number = ++n};
      if (!taken_.contains(to_string(result)) &&
          !taken_.contains(to_string(Symbol{.letter = other, .number = n})))
        return result;
    }
  }

 private:
  std::map<std::string, int> given_, last_;
  std::set<std::string> taken_;
};

}  // namespace

Names notation(const Graph& graph, const std::vector<bool>& named,
               const std::optional<Chain>& chain, bool columns) {
  Names names;
  names[value_of(graph.size() - 1)] = {.letter = "C"};
  const auto parameter = [&](std::size_t n, const Symbol& name) {
    if (n == no_vertex) return;
    names[value_of(n)] = name;
    names[adjoint_of(n)] = {name.letter, Role::derivative, name.layer, false, name.number};
  };
  if (chain) {
    names[value_of(chain->input)] = {.letter = letter("a", "A", columns), .layer = 0};
    if (chain->target != no_vertex)
      names[value_of(chain->target)] = {.letter = letter("y", "Y", columns)};
    for (std::size_t i = 0; i < chain->constants.size(); ++i)
      names[value_of(chain->constants[i])] = {.letter = "c",
                                              .number = chain->constants.size() > 1
                                                            ? std::optional(static_cast<int>(i) + 1)
                                                            : std::nullopt};
    for (std::size_t i = 0; i < chain->layers.size(); ++i) {
      const Chain::Layer& layer = chain->layers[i];
      const int l = static_cast<int>(i) + 1;
      parameter(layer.weight, {.letter = "w", .layer = l});
      parameter(layer.bias, {.letter = "b", .layer = l});
      names[value_of(layer.z)] = {.letter = letter("z", "Z", columns), .layer = l};
      names[adjoint_of(layer.z)] = {.letter = letter("δ", "Δ", columns), .layer = l};
      if (layer.a != no_vertex)
        names[value_of(layer.a)] = {.letter = letter("a", "A", columns), .layer = l};
    }
  }
  const auto is_data = [&](std::size_t n) {
    return graph[n].leaf && graph[n].value && !graph[n].parameter && !graph[n].wanted &&
           !names.contains(value_of(n));
  };
  std::set<std::string> fixed{"C", "m"};
  if (chain) fixed.insert({"l", "L", "x", "X", "y", "Y", "c"});
  std::vector<std::string> given;
  int data = 0;
  for (std::size_t n = 0; n < graph.size(); ++n) {
    if (is_data(n)) ++data;
    if (graph[n].leaf && !graph[n].name.empty() && !names.contains(value_of(n)))
      given.push_back(graph[n].name);
  }
  Unique unique(fixed, given);
  const bool several = chain || data > 1 || unique.is_given("x") || unique.is_given("X");
  for (std::size_t n = 0; n < graph.size(); ++n) {
    if (!graph[n].value || names.contains(value_of(n))) continue;
    if (graph[n].leaf && (graph[n].parameter || graph[n].wanted)) {
      const bool has_name = !graph[n].name.empty();
      parameter(n, has_name ? unique.given(graph[n].name) : unique.numbered("p", "p"));
    } else if (graph[n].leaf) {
      const std::string small = letter("x", "X", columns), other = letter("X", "x", columns);
      names[value_of(n)] = several ? unique.numbered(small, other) : Symbol{.letter = small};
    } else if (named[n]) {
      const Symbol v = names[value_of(n)] = unique.numbered("v", "v");
      names[adjoint_of(n)] = {.letter = "v", .role = Role::adjoint, .number = v.number};
    }
  }
  return names;
}

// The book's forms -----------------------------------------------------------------------------

namespace {

bool is_named(const Expression& e, std::string_view small, std::string_view capital, int layer) {
  return e.kind() == Kind::symbol && e->symbol.role == Role::value && e->symbol.layer == layer &&
         (e->symbol.letter == small || e->symbol.letter == capital);
}
bool is_error(const Expression& e) {
  return e.kind() == Kind::symbol && (e->symbol.letter == "δ" || e->symbol.letter == "Δ");
}
/// f'(z^l)
bool is_slope(const Expression& e, int layer) {
  return e.kind() == Kind::derivative && is_named(e.parts()[0], "z", "Z", layer);
}
/// ∇_a C ⊙ f'(z^L), where a^L = f(z^L)
bool is_output_error(const Expression& e, int layer, const Expression& output) {
  if (e.kind() != Kind::hadamard || any(e, is_error)) return false;
  const auto slopes =
      std::count_if(e.parts().begin(), e.parts().end(), [&](const Expression& part) {
        return is_slope(part, layer) && part->function->facet == output->function->facet;
      });
  return slopes == 1 && !std::any_of(e.parts().begin(), e.parts().end(), [&](const auto& part) {
           return !is_slope(part, layer) &&
                  any(part, [](const Expression& p) { return p.kind() == Kind::derivative; });
         });
}
/// (w^(l+1))ᵀ δ^(l+1)
bool is_error_from_behind(const Expression& e, int layer) {
  return e.kind() == Kind::product && e.parts().size() == 2 &&
         e.parts()[0].kind() == Kind::transpose &&
         is_named(e.parts()[0].parts()[0], "w", "w", layer + 1) &&
         is_named(e.parts()[1], "δ", "Δ", layer + 1);
}
bool is_error_further_back(const Expression& e, int layer, bool linear) {
  if (linear) return is_error_from_behind(e, layer);
  if (e.kind() != Kind::hadamard || e.parts().size() != 2) return false;
  const Expression &a = e.parts()[0], &b = e.parts()[1];
  return (is_error_from_behind(a, layer) && is_slope(b, layer)) ||
         (is_error_from_behind(b, layer) && is_slope(a, layer));
}

}  // namespace

void mark_book_forms(Reading& reading, const Chain& chain) {
  const int depth = static_cast<int>(chain.layers.size());
  for (Statement& s : reading.backward) {
    if (!s.left.layer) continue;
    const int l = *s.left.layer;
    const Chain::Layer& layer = chain.layers[static_cast<std::size_t>(l - 1)];
    const Expression& e = s.right;
    if (s.left.role == Role::derivative) {
      if (s.left.letter == "b" && is_named(e, "δ", "Δ", l)) s.mark = "BP3";
      if (s.left.letter == "w" && e.kind() == Kind::product && e.parts().size() == 2 &&
          is_named(e.parts()[0], "δ", "Δ", l) && e.parts()[1].kind() == Kind::transpose &&
          is_named(e.parts()[1].parts()[0], "a", "A", l - 1))
        s.mark = "BP4";
    } else if (l < depth) {
      if (is_error_further_back(e, l, layer.a == layer.z)) s.mark = "BP2";
    } else if (layer.a == layer.z) {
      if (!any(e, is_error)) s.mark = "BP1";
    } else if (layer.a != no_vertex) {
      const auto is_output = [&](const Statement& f) {
        return f.left.layer == l && f.left.letter == "a";
      };
      const Expression a =
          std::find_if(reading.forward.begin(), reading.forward.end(), is_output)->right;
      if (a.kind() != Kind::call || !is_named(a.parts()[0], "z", "Z", l)) continue;
      // What cancels later is the same equation.
      if (is_output_error(e, l, a) ||
          std::any_of(s.steps.begin(), s.steps.end(), [&](const DerivationStep& step) {
            return is_output_error(step.result, l, a);
          }))
        s.mark = "BP1";
    }
  }
}

}  // namespace xg::algebra

// Folding --------------------------------------------------------------------------------------

namespace xg {

namespace {

using algebra::Kind;

Symbol shifted(Symbol s, int by, bool relative) {
  if (s.layer && s.relative != relative) {
    s.layer = *s.layer + by;
    s.relative = relative;
  }
  return s;
}

/// All layers counted from l = `layer`, or from 0 again.
Expression shifted(const Expression& e, int by, bool relative) {
  return algebra::rewrite(e, [&](const Expression& part) {
    return part.kind() == Kind::symbol
               ? algebra::symbol(shifted(part->symbol, by, relative), part.shape())
               : part;
  });
}

Statement shifted(const Statement& s, int by, bool relative) {
  Statement result = s;
  result.left = shifted(s.left, by, relative);
  result.right = shifted(s.right, by, relative);
  for (DerivationStep& step : result.steps) {
    step.result = shifted(step.result, by, relative);
    if (step.of_batch) step.of_batch = shifted(*step.of_batch, by, relative);
  }
  return result;
}

std::vector<Statement> folded(const std::vector<Statement>& statements, int depth) {
  std::vector<Statement> result;
  std::vector<std::string> keys;
  for (const Statement& s : statements) {
    const int layer = s.left.layer.value_or(0);
    const bool of_output = layer == depth && s.left.role == Symbol::Role::value &&
                           (s.left.letter == "δ" || s.left.letter == "Δ");
    if (layer == 0 || of_output) {
      result.push_back(s);
      keys.push_back({});
      continue;
    }
    Statement general = shifted(s, -layer, true);
    const std::string key = detail::text(s.left.letter, static_cast<int>(s.left.role), s.mark,
                                         algebra::key(general.right));
    bool found = false;
    for (std::size_t i = 0; i < result.size() && !found; ++i) {
      if (keys[i] != key) continue;
      auto& [from, to] = *result[i].layers;
      if (layer != from - 1 && layer != to + 1) continue;
      from = std::min(from, layer);
      to = std::max(to, layer);
      found = true;
    }
    if (found) continue;
    general.layers = {layer, layer};
    result.push_back(std::move(general));
    keys.push_back(key);
  }
  return result;
}

}  // namespace

Reading folded(const Reading& reading, int depth) {
  if (depth == 0) return reading;
  return {folded(reading.forward, depth), folded(reading.backward, depth)};
}

std::vector<Statement> unfolded(const Statement& statement) {
  if (!statement.layers) return {statement};
  std::vector<Statement> result;
  for (int l = statement.layers->first; l <= statement.layers->second; ++l) {
    result.push_back(shifted(statement, l, false));
    result.back().layers.reset();
  }
  return result;
}

}  // namespace xg
