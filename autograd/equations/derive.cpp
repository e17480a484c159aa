// From the tape to a graph of expressions: what each operation computes, by its facet, and how
// derivatives pass through it, by tracing its vjp rule. Both are checked on numbers.
#include <algorithm>
#include <cmath>

#include "autograd/equations/graph.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

namespace detail {
/// The way into a tape for whoever reads it.
struct TapeReader {
  static const TapeMemory& memory(const Tape& tape) { return *tape.memory_; }
  static const Tape& of(const Tensor& tensor) { return Tape::of(tensor, "equations"); }
  static std::size_t find(const Tape& tape, const Tensor& tensor) {
    const std::uint32_t node = tape.find(tensor, "equations");
    return node == Tape::absent ? algebra::no_vertex : node;
  }
};
}  // namespace detail

namespace algebra {

using detail::Node;
using detail::TapeMemory;
using detail::TapeReader;
using detail::TensorAccess;

Symbol value_of(std::size_t vertex) { return {.letter = "%", .number = static_cast<int>(vertex)}; }
Symbol adjoint_of(std::size_t vertex) {
  return {.letter = "%", .role = Symbol::Role::adjoint, .number = static_cast<int>(vertex)};
}

namespace {

std::span<const std::uint32_t> inputs_of(const TapeMemory& m, const Node& node) {
  return {m.inputs.data() + node.first_input, node.input_count};
}

/// The operation of a node, with a struct of its own, so that it can outlive the tape.
std::shared_ptr<const Function> function_of(const Node& node) {
  const detail::OpTable& op = *node.op;
  std::shared_ptr<void> state;
  if (node.op_state) {
    void* const place = ::operator new(op.size, std::align_val_t(op.alignment));
    const auto give_back = [alignment = op.alignment](void* p) {
      ::operator delete(p, std::align_val_t(alignment));
    };
    std::unique_ptr<void, decltype(give_back)> room(place, give_back);
    op.copy(node.op_state, place);
    static_cast<void>(room.release());
    state = std::shared_ptr<void>(place, [&op, give_back](void* p) {
      if (op.destroy) op.destroy(p);
      give_back(p);
    });
  }
  std::string facet = op.equation(node.op_state);
  if (const auto at = facet.find("{...}"); at != std::string::npos) {
    std::string all;
    for (std::uint32_t i = 0; i < node.input_count; ++i)
      all += detail::text(i > 0 ? ", " : "", '{', i, '}');
    facet.replace(at, 5, all);
  }
  return std::make_shared<const Function>(
      Function{std::move(facet), [&op, state](std::span<const Tensor> x) {
                 std::vector<const Tensor*> pointers;
                 for (const Tensor& t : x) pointers.push_back(&t);
                 return op.apply(state.get(), Inputs(pointers.data(), pointers.size()));
               }});
}

/// Whether two tensors agree but for rounding; NaN agrees with NaN.
bool agree(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  const std::span<const double> x = a.values<double>(), y = b.values<double>();
  double largest = 0;
  for (const double v : y)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(x[i] == y[i] || std::abs(x[i] - y[i]) <= 1e-10 * largest + 1e-300 ||
          (std::isnan(x[i]) && std::isnan(y[i]))))
      return false;
  return true;
}

bool stands(const Expression& e, const std::map<Symbol, Tensor>& values, const Tensor& expected) {
  try {
    const NoRecording scope;
    return agree(evaluate(e, values), cast(detach(expected), DType::float64));
  } catch (const Error&) {
    return false;
  }
}

/// What `node` does, on a tape of its own and with numbers of our choice for its inputs.
class Trial {
 public:
  Trial(const TapeMemory& m, std::size_t n, Graph& graph)
      : graph_(graph),
        n_(n),
        inputs_(inputs_of(m, m.nodes[n])),
        name_(m.nodes[n].op->name),
        f_(function_of(m.nodes[n])) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Tensor& kept = m.nodes[inputs_[i]].output;
      // What decides about places is taken as it was.
      if (!is_floating(kept.dtype()))
        x_.push_back(kept.defined() ? detach(kept) : zeros(kept.shape(), kept.dtype()));
      else
        x_.push_back(random_uniform(kept.shape(), Key{n}.fold(i), DType::float64, 0.2, 0.8));
    }
  }

  /// Writes the value of the vertex, and what it adds to the adjoints of its inputs.
  void run() {
    Vertex& v = graph_[n_];
    const Tape tape;
    const Tensor y = f_->apply(x_);
    Parts symbols;
    std::map<Symbol, Tensor> values;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      symbols.push_back(symbol(place(i), x_[i].shape()));
      values.emplace(place(i), detach(x_[i]));
    }
    const Expression value = read(symbols, values, y);
    v.value = settled(value);
    if (!v.needed) return;

    const Tensor g = random_uniform(y.shape(), Key{n_}.fold("adjoint"), DType::float64, 0.2, 0.8);
    values.emplace(value_of(n_), detach(y));
    values.emplace(adjoint_of(n_), detach(g));
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (!graph_[inputs_[i]].needed) continue;
      const Tensor* const wrt = &x_[i];
      Tensor change;
      pull_back(y, g, Inputs(&wrt, 1), {&change, 1}, "equations");
      const Expression contribution =
          change.defined() ? settled(rule(tape, y, g, i, change, values)) : Expression();
      graph_[inputs_[i]].uses.push_back({n_, contribution});
    }
  }

 private:
  /// Stands for input i as long as inputs that are one vertex have to be told apart.
  static Symbol place(std::size_t i) { return {.letter = "#", .number = static_cast<int>(i)}; }

  /// What the facet says, if that is true. If it can be read and is not, the operation goes by its
  /// name from here on.
  Expression read(const Parts& symbols, const std::map<Symbol, Tensor>& values, const Tensor& y) {
    try {
      Expression e = read_facet(f_, symbols, y.shape());
      if (e.kind() == Kind::call || stands(e, values, y)) return e;
    } catch (const Unreadable&) {
      return call(f_, symbols, y.shape());
    } catch (const Error&) {
    }
    Function f = *f_;
    f.facet = name_ + "(";
    for (std::size_t i = 0; i < x_.size(); ++i) f.facet += detail::text(i ? ", {" : "{", i, '}');
    f.facet += ")";
    f_ = std::make_shared<const Function>(std::move(f));
    return call(f_, symbols, y.shape());
  }

  Expression rule(const Tape& tape, const Tensor& y, const Tensor& g, std::size_t i,
                  const Tensor& change, const std::map<Symbol, Tensor>& values) {
    const Expression adjoint = symbol(adjoint_of(n_), y.shape());
    try {
      Expression traced = trace(tape, y, g, change);
      // A diagonal Jacobian: the operation is a function of each element.
      if (x_.size() == 1 && call_form(f_->facet) && x_[0].shape() == y.shape())
        if (const Expression slope = factor_of(traced, adjoint);
            slope && slope.shape().size() <= y.shape().size()) {
          const Expression x = symbol(place(0), x_[0].shape());
          const Expression whole = slope.shape() == y.shape() ? slope : broadcast(slope, y.shape());
          traced = hadamard({adjoint, derivative(with_identity(slope), x, whole)});
          if (!stands(whole, values, evaluate(traced.parts()[1], values))) throw Unreadable{};
        }
      if (traced.shape() == x_[i].shape() && stands(traced, values, change)) return traced;
    } catch (const Unreadable&) {
    } catch (const Error&) {
    }
    Parts parts;
    for (std::size_t k = 0; k < x_.size(); ++k) parts.push_back(symbol(place(k), x_[k].shape()));
    parts.push_back(adjoint);
    return jacobian(f_, i, std::move(parts), x_[i].shape());
  }

  /// Reads a result off the tape as an expression in inputs, output and adjoint.
  Expression trace(const Tape& tape, const Tensor& y, const Tensor& g, const Tensor& result) {
    const TapeMemory& m = TapeReader::memory(tape);
    if (TensorAccess::tape(result) == 0 && TensorAccess::id(result) == TensorAccess::id(g))
      return symbol(adjoint_of(n_), g.shape());
    std::map<std::size_t, Expression> known;
    for (std::size_t i = 0; i < x_.size(); ++i)
      known[TapeReader::find(tape, x_[i])] = symbol(place(i), x_[i].shape());
    known[TapeReader::find(tape, y)] = symbol(value_of(n_), y.shape());
    known[TapeReader::find(tape, g)] = symbol(adjoint_of(n_), g.shape());
    known.erase(no_vertex);
    const std::size_t last = TapeReader::find(tape, result);
    if (last == no_vertex) throw Unreadable{};
    for (std::size_t n = 0; n <= last; ++n) {
      if (known.contains(n)) continue;
      const Node& node = m.nodes[n];
      if (!node.op) continue;  // a number that the rule made by hand
      Parts inputs;
      for (const std::uint32_t input : inputs_of(m, node))
        if (const auto it = known.find(input); it != known.end()) inputs.push_back(it->second);
      if (inputs.size() != node.input_count) continue;
      const auto f = function_of(node);
      try {
        known[n] = read_facet(f, inputs, node.output.shape());
      } catch (const Unreadable&) {
        known[n] = call(f, inputs, node.output.shape());
      }
    }
    if (!known.contains(last)) throw Unreadable{};
    return known[last];
  }

  /// The operation, and its derivative at u in words of its rule.
  std::shared_ptr<const Function> with_identity(const Expression& slope) const {
    const Expression u = symbol({.letter = "u"}, x_[0].shape());
    const Expression at_u = rewrite(slope, [&](const Expression& part) {
      if (part.kind() != Kind::symbol) return part;
      return part->symbol == place(0) ? u : call(f_, {u}, u.shape());
    });
    Function f = *f_;
    f.derivative_identity =
        to_string(derivative(f_, u, at_u)) + " = " + to_string(tidied(at_u, nullptr));
    return std::make_shared<const Function>(std::move(f));
  }

  /// e / `factor` if e is that elementwise, and nothing if it is not.
  static Expression factor_of(const Expression& e, const Expression& factor) {
    const auto has = [&](const Expression& x) {
      return any(x, [&](const Expression& part) { return same(part, factor); });
    };
    if (same(e, factor)) return number(1);
    if (e.kind() == Kind::quotient && !has(e.parts()[1])) {
      const Expression above = factor_of(e.parts()[0], factor);
      return above ? quotient(above, e.parts()[1]) : Expression();
    }
    if (e.kind() != Kind::hadamard) return {};
    Parts rest;
    bool found = false;
    for (const Expression& part : e.parts()) {
      if (!has(part)) {
        rest.push_back(part);
        continue;
      }
      const Expression other = found ? Expression() : factor_of(part, factor);
      if (!other) return {};
      found = true;
      if (!is_number(other, 1)) rest.push_back(other);
    }
    if (!found) return {};
    return rest.empty() ? number(1) : hadamard(std::move(rest));
  }

  /// Vertices for places; numbers for vertices that are numbers.
  Expression settled(const Expression& e) const {
    return rewrite(e, [&](const Expression& part) {
      if (part.kind() != Kind::symbol || part->symbol.letter != "#") return part;
      const Vertex& v = graph_[inputs_[vertex_of(part->symbol)]];
      if (v.value && v.value.kind() == Kind::number) return v.value;
      return symbol(value_of(inputs_[vertex_of(part->symbol)]), part.shape());
    });
  }

  Graph& graph_;
  std::size_t n_;
  std::span<const std::uint32_t> inputs_;
  std::string name_;
  std::shared_ptr<const Function> f_;
  std::vector<Tensor> x_;
};

void check_loss(const Tensor& loss) {
  if (!loss.defined())
    throw DTypeError("[equations] the loss is undefined (default-constructed, or moved from)");
  if (!is_floating(loss.dtype()))
    throw DTypeError(
        detail::text("[equations] the loss is ", loss.dtype(), " and has no derivative"));
  if (loss.size() != 1)
    throw ShapeError(detail::text("[equations] the loss must be a scalar, but has the shape ",
                                  loss.shape(), "; reduce it with sum or mean"));
}

/// The vertices that are differentiated for: those named, else all parameters, else all leaves.
void want(Graph& graph, const Tape& tape, std::span<const ParameterRef> parameters,
          const TapeMemory& m, const std::vector<char>& used) {
  for (std::size_t n = 0; n < graph.size(); ++n)
    graph[n].parameter = graph[n].leaf && m.nodes[n].version > 0;
  for (const ParameterRef& p : parameters) {
    const std::size_t n = TapeReader::find(tape, p.value());
    if (n >= graph.size() || !used[n])
      throw TapeError("[equations] the loss does not depend on the parameter " + p.name());
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
  throw TapeError("[equations] the loss depends on no tensor with a derivative");
}

}  // namespace

Graph read_tape(const Tensor& loss, std::span<const ParameterRef> parameters) {
  check_loss(loss);
  const Tape& tape = TapeReader::of(loss);
  const TapeMemory& m = TapeReader::memory(tape);
  Graph graph(TapeReader::find(tape, loss) + 1);
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
  want(graph, tape, parameters, m, used);
  for (std::size_t n = 0; n < graph.size(); ++n) {
    Vertex& v = graph[n];
    v.needed = v.wanted;
    if (used[n] && is_floating(v.dtype))
      for (const std::size_t input : v.inputs) v.needed = v.needed || graph[input].needed;
  }
  for (std::size_t n = 0; n < graph.size(); ++n)
    if (used[n] && !graph[n].leaf) Trial(m, n, graph).run();
  // The backward pass comes from the end.
  for (Vertex& v : graph)
    std::stable_sort(v.uses.begin(), v.uses.end(),
                     [](const auto& a, const auto& b) { return a.by > b.by; });
  return graph;
}

}  // namespace algebra
}  // namespace xg
