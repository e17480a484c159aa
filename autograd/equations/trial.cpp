// What an operation computes, by its facet, and how derivatives pass through it, by tracing its vjp
// rule. Both are taken only if they stand a check on several choices of numbers.
#include "autograd/equations/trial.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg::algebra {

using detail::inputs_of;
using detail::Node;
using detail::TapeMemory;
using detail::TapeReader;
using detail::TensorAccess;

namespace {

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

/// What a node does, on tapes of its own and with numbers of our choice for its inputs.
class Trial {
 public:
  Trial(const TapeMemory& m, std::size_t n, Graph& graph, Tried& tried)
      : graph_(graph), functions_(tried.functions), n_(n), inputs_(inputs_of(m, m.nodes[n])) {
    std::vector<Tensor> recorded;
    for (const std::uint32_t input : inputs_)
      recorded.push_back(tried.recorded[input].defined() ? tried.recorded[input]
                                                         : detach(m.nodes[input].output));
    f_ = graph[n].function = functions_.told_apart(function_of(m.nodes[n]), recorded);
    const auto add = [&](const auto& inputs) {
      try {
        draws_.push_back(draw(inputs()));
      } catch (const Error&) {
      }
    };
    // Small positive numbers, of any sign, and above one; where an operation refuses them, others.
    for (const auto& range : {std::pair{0.2, 0.8}, {-1.5, 1.5}, {1.2, 3.0}, {-30.0, 30.0}})
      add([&] { return drawn(m, range.first, range.second); });
    // And those for which the equations are printed, if they are known.
    if (std::all_of(recorded.begin(), recorded.end(), [](const auto& t) { return t.defined(); }))
      add([&] {
        for (Tensor& t : recorded)
          if (is_floating(t.dtype())) t = cast(t, DType::float64);
        return recorded;
      });
  }

  /// Writes the value of the vertex, and what it adds to the adjoints of its inputs.
  void run() {
    Vertex& v = graph_[n_];
    v.value = settled(value(v.shape));
    for (std::size_t i = 0; v.needed && i < inputs_.size(); ++i)
      if (graph_[inputs_[i]].needed)
        graph_[inputs_[i]].uses.push_back(
            {n_, settled(contribution(v.shape, i)), settled(pulled_back_by(named(), v.shape, i))});
  }

 private:
  /// One choice of inputs and adjoint, and what comes of it.
  struct Draw {
    std::vector<Tensor> x, changes;  // changes: of the adjoints, undefined for zero
    Tensor y, g;
    std::map<Symbol, Tensor> values;
  };

  /// Stands for input i as long as inputs that are one vertex have to be told apart.
  static Symbol place(std::size_t i) { return {.letter = "#", .number = static_cast<int>(i)}; }
  Expression input(std::size_t i) const { return symbol(place(i), graph_[inputs_[i]].shape); }

  Key key() const { return Key{n_}.fold(draws_.size()); }
  std::vector<Tensor> drawn(const TapeMemory& m, double low, double high) const {
    std::vector<Tensor> x;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Tensor& kept = m.nodes[inputs_[i]].output;
      if (is_floating(kept.dtype()))
        x.push_back(random_uniform(kept.shape(), key().fold(i), DType::float64, low, high));
      else  // what decides about places is taken as it was
        x.push_back(kept.defined() ? detach(kept) : zeros(kept.shape(), kept.dtype()));
    }
    return x;
  }
  Draw draw(std::vector<Tensor> x) const {
    Draw d;
    d.x = std::move(x);
    for (std::size_t i = 0; i < d.x.size(); ++i) d.values.emplace(place(i), d.x[i]);
    const Tape tape;
    const Tensor y = f_->apply(d.x);
    d.y = detach(y);
    if (!graph_[n_].needed) return d;
    d.g = random_uniform(y.shape(), key().fold("adjoint"), DType::float64, 0.2, 0.8);
    d.values.emplace(value_of(n_), d.y);
    d.values.emplace(adjoint_of(n_), d.g);
    for (const Tensor& input : d.x) d.changes.push_back(detach(pulled_back(y, d.g, input)));
    return d;
  }
  static Tensor pulled_back(const Tensor& y, const Tensor& g, const Tensor& x) {
    Tensor change;
    if (!is_floating(x.dtype())) return change;
    const Tensor* const wrt = &x;
    pull_back(y, g, Inputs(&wrt, 1), {&change, 1}, "equations");
    return change;
  }

  /// Whether e has the value that `expected` gives, for every draw. That a rule computes numbers
  /// from numbers shows where they change.
  template <class F>
  bool stands(const Expression& e, const F& expected) const {
    try {
      const NoRecording scope;
      for (const Draw& d : draws_) {
        const Tensor t = expected(d);
        if (!t.defined() || !agree(evaluate(e, d.values), cast(t, DType::float64))) return false;
      }
      return !draws_.empty();
    } catch (const Error&) {
      return false;
    }
  }

  /// What the facet says, if that is true. If it can be read and is not, the operation goes by its
  /// name from here on.
  Expression value(const Shape& shape) {
    Parts symbols;
    for (std::size_t i = 0; i < inputs_.size(); ++i) symbols.push_back(input(i));
    try {
      Expression e = read_facet(f_, symbols, shape);
      if (e.kind() == Kind::call || stands(e, [](const Draw& d) { return d.y; })) return e;
    } catch (const Unreadable&) {
      return call(f_, symbols, shape);
    } catch (const Error&) {
    }
    f_ = named();
    return call(f_, symbols, shape);
  }

  std::shared_ptr<const Function> named() const { return named_function(*f_, inputs_.size()); }

  /// The adjoint pulled back to input i by a Jacobian.
  Expression pulled_back_by(std::shared_ptr<const Function> f, const Shape& shape,
                            std::size_t i) const {
    Parts parts;
    for (std::size_t k = 0; k < inputs_.size(); ++k) parts.push_back(input(k));
    parts.push_back(symbol(adjoint_of(n_), shape));
    return jacobian(std::move(f), i, std::move(parts), graph_[inputs_[i]].shape);
  }

  /// What is added to the adjoint of input i: the rule, traced, or the Jacobian; nothing for zero.
  Expression contribution(const Shape& shape, std::size_t i) const {
    const Expression adjoint = symbol(adjoint_of(n_), shape);
    const auto change = [i](const Draw& d) { return d.changes[i]; };
    if (!draws_.empty() && std::none_of(draws_.begin(), draws_.end(),
                                        [&](const Draw& d) { return change(d).defined(); }))
      return {};
    try {
      const Expression traced = trace(i);
      const Expression x = input(i);
      // A diagonal Jacobian: the operation is a function of each element.
      if (inputs_.size() == 1 && call_form(f_->facet) && x.shape() == shape)
        if (const Expression slope = factor_of(traced, adjoint);
            slope && slope.shape().size() <= shape.size()) {
          const Expression whole = slope.shape() == shape ? slope : broadcast(slope, shape);
          const Expression named = derivative(with_identity(slope), x, whole);
          const Expression product = hadamard({adjoint, named});
          if (stands(whole, [&](const Draw& d) { return evaluate(named, d.values); }) &&
              stands(product, change))
            return product;
        }
      if (traced.shape() == x.shape() && stands(traced, change)) return traced;
    } catch (const Unreadable&) {
    } catch (const Error&) {
    }
    return pulled_back_by(f_, shape, i);
  }

  /// Reads the rule for input i off a tape, as an expression in inputs, output and adjoint.
  Expression trace(std::size_t i) const {
    if (draws_.empty()) throw Unreadable{};
    const Draw& d = draws_[0];
    const Tape tape;
    const Tensor y = f_->apply(d.x), result = pulled_back(y, d.g, d.x[i]);
    const TapeMemory& m = TapeReader::memory(tape);
    if (TensorAccess::tape(result) == 0 && TensorAccess::id(result) == TensorAccess::id(d.g))
      return symbol(adjoint_of(n_), y.shape());
    std::map<std::size_t, Expression> known;
    for (std::size_t k = 0; k < inputs_.size(); ++k)
      known[TapeReader::find(tape, d.x[k], "equations")] = input(k);
    known[TapeReader::find(tape, y, "equations")] = symbol(value_of(n_), y.shape());
    known[TapeReader::find(tape, d.g, "equations")] = symbol(adjoint_of(n_), y.shape());
    known.erase(no_vertex);
    const std::size_t last = TapeReader::find(tape, result, "equations");
    if (last == no_vertex) throw Unreadable{};
    for (std::size_t n = 0; n <= last; ++n) {
      if (known.contains(n)) continue;
      const Node& node = m.nodes[n];
      if (!node.op) continue;  // a number that the rule made by hand
      Parts inputs;
      std::vector<Tensor> values;
      for (const std::uint32_t number : inputs_of(m, node)) {
        values.push_back(detach(m.nodes[number].output));
        if (const auto it = known.find(number); it != known.end()) inputs.push_back(it->second);
      }
      if (inputs.size() != node.input_count) continue;
      const auto f = function_of(node);
      const auto as_call = [&] {
        return call(functions_.told_apart(f, values), inputs, node.output.shape());
      };
      try {
        known[n] = read_facet(f, inputs, node.output.shape());
        if (known[n]->function == f) known[n] = as_call();
      } catch (const Unreadable&) {
        known[n] = as_call();
      }
    }
    if (!known.contains(last)) throw Unreadable{};
    return known[last];
  }

  /// The operation, and its derivative at u in words of its rule.
  std::shared_ptr<const Function> with_identity(const Expression& slope) const {
    const Expression u = symbol({.letter = "u"}, graph_[inputs_[0]].shape);
    const Expression at_u = rewrite(slope, [&](const Expression& part) {
      if (part.kind() != Kind::symbol) return part;
      return part->symbol == place(0) ? u : call(f_, {u}, u.shape());
    });
    Function f = *f_;
    f.derivative_at_u = derivative(f_, u, tidied(at_u, nullptr));
    f.derivative_identity =
        to_string(f.derivative_at_u) + " = " + to_string(f.derivative_at_u.parts()[1]);
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
    if (!e) return e;
    return rewrite(e, [&](const Expression& part) {
      if (part.kind() != Kind::symbol || part->symbol.letter != "#") return part;
      const Vertex& v = graph_[inputs_[vertex_of(part->symbol)]];
      if (v.value && v.value.kind() == Kind::number) return v.value;
      return symbol(value_of(inputs_[vertex_of(part->symbol)]), part.shape());
    });
  }

  Graph& graph_;
  Functions& functions_;
  std::size_t n_;
  std::span<const std::uint32_t> inputs_;
  std::shared_ptr<const Function> f_;
  std::vector<Draw> draws_;
};

}  // namespace

void try_operation(const TapeMemory& m, std::size_t n, Graph& graph, Tried& tried) {
  Trial(m, n, graph, tried).run();
  std::vector<const Tensor*> inputs;
  for (const std::size_t input : graph[n].inputs) inputs.push_back(&tried.recorded[input]);
  Tensor& value = tried.recorded[n];
  if (!value.defined() &&
      std::all_of(inputs.begin(), inputs.end(), [](const Tensor* t) { return t->defined(); }))
    value = detach(m.nodes[n].op->apply(m.nodes[n].op_state, Inputs(inputs.data(), inputs.size())));
}

}  // namespace xg::algebra
