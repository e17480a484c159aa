// Which operations are one function: those of one type and state, or, where a state cannot be
// compared, those that do the same to all numbers tried. What would be printed alike and is not the
// same gets a number.
#include <algorithm>
#include <set>

#include "autograd/equations/trial.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg::algebra {

using detail::Node;
using detail::TapeReader;

namespace {

/// What an operation makes of inputs, and of an adjoint; nothing if it refuses them.
std::optional<std::vector<Tensor>> outcome(const Function& f, const std::vector<Tensor>& x) try {
  const Tape tape;
  const Tensor y = f.apply(x);
  std::vector<Tensor> result{detach(y)};
  if (!is_floating(y.dtype())) return result;
  std::vector<const Tensor*> wrt;
  for (const Tensor& t : x)
    if (is_floating(t.dtype())) wrt.push_back(&t);
  std::vector<Tensor> changes(wrt.size());
  const Tensor g = random_uniform(y.shape(), Key{5}, y.dtype(), 0.2, 0.8);
  pull_back(y, g, Inputs(wrt.data(), wrt.size()), changes, "equations");
  for (const Tensor& change : changes) result.push_back(detach(change));
  return result;
} catch (const Error&) {
  return std::nullopt;
}

/// Whether two tensors are the same, NaN being NaN.
bool identical(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  return visit_dtype(a.dtype(), [&]<class T>(T) {
    const std::span<const T> x = a.values<T>(), y = b.values<T>();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](T u, T v) { return u == v || (!(u == u) && !(v == v)); });
  });
}

/// Numbers for inputs of these shapes; what decides about places stays as it is.
std::vector<Tensor> drawn(const std::vector<Tensor>& like, double low, double high) {
  std::vector<Tensor> result;
  for (const Tensor& t : like)
    if (is_floating(t.dtype()))
      result.push_back(
          random_uniform(t.shape(), Key{6}.fold(result.size()), DType::float64, low, high));
    else
      result.push_back(t.defined() ? t : zeros(t.shape(), t.dtype()));
  return result;
}

/// Whether two functions do the same to inputs of these shapes, and to these; `tried` becomes true
/// if there is something that both take.
bool do_the_same(const Function& f, const Function& g, const std::vector<Tensor>& inputs,
                 bool& tried) {
  const auto agree = [&](const std::vector<Tensor>& x) {
    const auto a = outcome(f, x), b = outcome(g, x);
    if (!a || !b) return !a == !b;
    tried = true;
    return std::equal(a->begin(), a->end(), b->begin(), b->end(), identical);
  };
  for (const auto& [low, high] : {std::pair{0.2, 0.8}, {-1.5, 1.5}, {-30.0, 30.0}, {-1e4, 1e4}})
    if (!agree(drawn(inputs, low, high))) return false;
  const bool known =
      std::all_of(inputs.begin(), inputs.end(), [](const auto& t) { return t.defined(); });
  return !known || agree(inputs);
}

/// The operation under its name, whatever its facet says.
std::string name_form(const Function& f, std::size_t inputs) {
  std::string result = std::string(f.operation->name) + "(";
  for (std::size_t i = 0; i < inputs; ++i) result += detail::text(i ? ", {" : "{", i, '}');
  return result + ")";
}

/// Finds what has to be numbered, and numbers it.
class Numbering {
 public:
  void read(const Expression& e) {
    for (const Expression& part : e.parts()) read(part);
    if (!e->function || !e->function->operation) return;
    const Function& f = *e->function;
    const Id id{f.operation, f.variant};
    if (std::find(met_.begin(), met_.end(), id) == met_.end()) met_.push_back(id);
    const auto form = call_form(f.facet);
    names_.emplace(id, form ? form->name : std::string(f.operation->name));
    // A derivative and a Jacobian have the bare name.
    if (e.kind() == Kind::call)
      printed_["c" + f.facet].insert(id);
    else
      printed_["d" + (form ? form->name : f.facet)].insert(id);
  }
  void settle() {
    std::set<Id> ambiguous;
    for (const auto& [text, ids] : printed_)
      if (ids.size() > 1) ambiguous.insert(ids.begin(), ids.end());
    std::map<std::string, int> last;
    for (const Id& id : met_)
      if (ambiguous.contains(id)) numbers_[id] = ++last[names_.at(id)];
  }
  bool empty() const { return numbers_.empty(); }

  Expression numbered(const Expression& e) {
    if (!e) return e;
    return rewrite(e, [&](const Expression& part) {
      if (!part->function) return part;
      const std::size_t inputs = part.parts().size() - (part.kind() == Kind::call ? 0 : 1);
      const auto f = numbered(part->function, inputs);
      if (f == part->function) return part;
      Expression::Node node = *part;
      node.function = f;
      return Expression(std::make_shared<const Expression::Node>(std::move(node)));
    });
  }

 private:
  using Id = std::pair<const detail::OpTable*, int>;

  std::shared_ptr<const Function> numbered(const std::shared_ptr<const Function>& f,
                                           std::size_t inputs) {
    const auto [it, fresh] = done_.try_emplace(f, f);
    if (!fresh) return it->second;
    const auto number = numbers_.find({f->operation, f->variant});
    if (number == numbers_.end() && !f->derivative_at_u) return f;
    Function result = *f;
    if (number != numbers_.end()) {
      result.number = number->second;
      if (!call_form(f->facet)) result.facet = name_form(*f, inputs);
    }
    if (f->derivative_at_u) {
      const Expression &u = f->derivative_at_u.parts()[0],
                       rule = numbered(f->derivative_at_u.parts()[1]);
      Function bare = result;
      bare.derivative_at_u = {};
      result.derivative_at_u = derivative(std::make_shared<const Function>(bare), u, rule);
      result.derivative_identity =
          to_string(result.derivative_at_u) + " = " + to_string(result.derivative_at_u.parts()[1]);
    }
    return done_[f] = std::make_shared<const Function>(std::move(result));
  }

  std::vector<Id> met_;  // in the order in which they stand in the graph
  std::map<Id, std::string> names_;
  std::map<std::string, std::set<Id>> printed_;
  std::map<Id, int> numbers_;
  std::map<std::shared_ptr<const Function>, std::shared_ptr<const Function>> done_;
};

}  // namespace

std::shared_ptr<const Function> function_of(const Node& node) {
  return std::make_shared<const Function>(
      Function{detail::equation_of(node), detail::operation_of(node), node.op});
}

std::shared_ptr<const Function> named_function(const Function& f, std::size_t inputs) {
  Function result = f;
  result.facet = name_form(f, inputs);
  return std::make_shared<const Function>(std::move(result));
}

std::shared_ptr<const Function> recorded_function(const std::function<Tensor()>& apply) {
  const Tape tape;
  const Tensor y = apply();
  return function_of(TapeReader::memory(tape).nodes[TapeReader::find(tape, y, "equations")]);
}

std::shared_ptr<const Function> Functions::told_apart(std::shared_ptr<const Function> f,
                                                      std::vector<Tensor> inputs) {
  if (f->operation->size == 0) return f;
  std::vector<Known>& known = known_[f->operation];
  Function result = *f;
  for (const Known& other : known) {
    bool tried = false;
    if (other.function->facet != f->facet || !do_the_same(*other.function, *f, inputs, tried) ||
        !do_the_same(*other.function, *f, other.inputs, tried) || !tried)
      continue;
    result.variant = other.function->variant;
    return std::make_shared<const Function>(std::move(result));
  }
  result.variant = static_cast<int>(known.size());
  known.push_back({std::make_shared<const Function>(std::move(result)), std::move(inputs)});
  return known.back().function;
}

void number_functions(Graph& graph) {
  Numbering numbering;
  for (const Vertex& v : graph)
    if (v.value) numbering.read(v.value);
  for (const Vertex& v : graph)
    for (const Vertex::Use& use : v.uses)
      if (use.contribution) numbering.read(use.contribution);
  numbering.settle();
  if (numbering.empty()) return;
  for (Vertex& v : graph) {
    v.value = numbering.numbered(v.value);
    for (Vertex::Use& use : v.uses) {
      use.contribution = numbering.numbered(use.contribution);
      use.jacobian = numbering.numbered(use.jacobian);
    }
  }
}

}  // namespace xg::algebra
