// Between which bounds values lie, and whether they are defined at all: sound, not sharp. And what
// needs it: the rules about where(u = 0, a, b).
#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/equations/graph.hpp"
#include "autograd/ops.hpp"

namespace xg::algebra {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
using Interval = Bounds::Interval;
constexpr Interval anything{-infinity, infinity, true, true};

/// A bound, and whether it is not reached.
struct End {
  double at;
  bool open;
};
End low(const Interval& a) { return {a.low, a.low_open}; }
End high(const Interval& a) { return {a.high, a.high_open}; }

Interval sum_of(const Interval& a, const Interval& b) {
  return {a.low + b.low, a.high + b.high, a.low_open || b.low_open, a.high_open || b.high_open};
}

Interval product_of(const Interval& a, const Interval& b) {
  const bool excludes_zero = a.excludes_zero() && b.excludes_zero();
  Interval result{infinity, -infinity, true, true};
  for (const End& x : {low(a), high(a)})
    for (const End& y : {low(b), high(b)}) {
      const bool zero = x.at == 0 || y.at == 0;
      const End end{zero ? 0 : x.at * y.at, zero ? excludes_zero : x.open || y.open};
      if (end.at < result.low || (end.at == result.low && !end.open))
        result.low = end.at, result.low_open = end.open;
      if (end.at > result.high || (end.at == result.high && !end.open))
        result.high = end.at, result.high_open = end.open;
    }
  return result;
}

std::optional<Interval> inverse_of(const Interval& a) {
  if (!a.excludes_zero()) return std::nullopt;
  const bool positive = a.low >= 0;
  const double far = positive ? infinity : -infinity;
  return Interval{a.high == 0 ? far : 1 / a.high, a.low == 0 ? far : 1 / a.low, a.high_open,
                  a.low_open};
}

const detail::OpTable* operation(const std::function<Tensor(const Tensor&)>& f) {
  return recorded_function([&] { return f(ones({1})); })->operation;
}

}  // namespace

Bounds::Bounds(const Graph& graph) : graph_(graph) {
  const Interval unit{0, 1, true, true}, positive{0, infinity, true, true},
      not_negative{0, infinity, false, true}, wave{-1, 1, false, false};
  known_ = {{operation([](const Tensor& x) { return sigmoid(x); }), unit},
            {operation([](const Tensor& x) { return tanh(x); }), {-1, 1, true, true}},
            {operation([](const Tensor& x) { return exp(x); }), positive},
            {operation([](const Tensor& x) { return softplus(x); }), positive},
            {operation([](const Tensor& x) { return softmax(x); }), {0, 1, true, false}},
            {operation([](const Tensor& x) { return relu(x); }), not_negative},
            {operation([](const Tensor& x) { return abs(x); }), not_negative},
            {operation([](const Tensor& x) { return sin(x); }), wave},
            {operation([](const Tensor& x) { return cos(x); }), wave}};
  log_ = operation([](const Tensor& x) { return log(x); });
}

std::optional<Interval> Bounds::of(const Expression& e) const {
  std::vector<Interval> parts;
  for (const Expression& part : e.parts()) {
    const auto bounds = of(part);
    if (!bounds) return std::nullopt;
    parts.push_back(*bounds);
  }
  const auto fold = [&](const auto& f) {
    Interval result = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) result = f(result, parts[i]);
    return result;
  };
  switch (e.kind()) {
    case Kind::number:
      return Interval{e->value, e->value, false, false};
    case Kind::symbol: {
      if (!is_value(e) || graph_[vertex_of(e->symbol)].leaf) return anything;
      const std::size_t n = vertex_of(e->symbol);
      const auto it = vertices_.find(n);
      return it != vertices_.end() ? it->second : vertices_[n] = of(graph_[n].value);
    }
    case Kind::sum:
      return fold(sum_of);
    case Kind::hadamard:
      return fold(product_of);
    case Kind::quotient: {
      const auto inverse = inverse_of(parts[1]);
      return inverse ? std::optional(product_of(parts[0], *inverse)) : std::nullopt;
    }
    case Kind::transpose:
    case Kind::broadcast:
    case Kind::reshape:
      return parts[0];
    case Kind::derivative:
      return parts[1];
    case Kind::product:
    case Kind::total:
    case Kind::norm:
      return anything;
    case Kind::power:
      return e->value == 2 || e->value == 3 ? std::optional(anything) : std::nullopt;
    case Kind::call: {
      const auto it = known_.find(e->function->operation);
      if (it != known_.end()) return it->second;
      return e->function->operation == log_ && parts[0].low >= 0 && parts[0].excludes_zero()
                 ? std::optional(anything)
                 : std::nullopt;
    }
    case Kind::jacobian:
      break;
  }
  return std::nullopt;
}

// Choices --------------------------------------------------------------------------------------

namespace {

/// "where(u = 0, a, b)" taken apart.
struct Choice {
  Expression u, at_zero, elsewhere;
};
std::optional<Choice> choice_at_zero(const Expression& e) {
  if (e.kind() != Kind::call || e->function->facet != "where({0}, {1}, {2})") return std::nullopt;
  const Expression& condition = e.parts()[0];
  if (condition.kind() != Kind::call || condition->function->facet != "{0} = {1}" ||
      !is_number(condition.parts()[1], 0))
    return std::nullopt;
  return Choice{condition.parts()[0], e.parts()[1], e.parts()[2]};
}

bool has_factor(const Expression& e, const Expression& u) {
  const Parts parts = factors(e.kind() == Kind::quotient ? e.parts()[0] : e).second;
  return std::any_of(parts.begin(), parts.end(), [&](const Expression& p) { return same(p, u); });
}

}  // namespace

Expression choose_once(const Expression& e) {
  const auto choice = choice_at_zero(e);
  if (!choice) return e;
  Parts parts(e.parts().begin(), e.parts().end());
  parts[2] = rewrite(parts[2], [&](const Expression& part) {
    const auto inner = choice_at_zero(part);
    return inner && same(inner->u, choice->u) && inner->elsewhere.shape() == part.shape()
               ? inner->elsewhere
               : part;
  });
  return with_parts(e, std::move(parts));
}

Expression divide_by_choice(const Expression& e, const Bounds* bounds) {
  if (!bounds || e.kind() != Kind::quotient) return e;
  const auto choice = choice_at_zero(e.parts()[1]);
  if (!choice || !has_factor(e.parts()[0], choice->u)) return e;
  const auto divisor = bounds->of(choice->elsewhere), other = bounds->of(choice->at_zero);
  const bool fits = divisor && divisor->excludes_zero() && other && other->excludes_zero();
  return fits ? quotient(e.parts()[0], choice->elsewhere) : e;
}

Expression choose_zero(const Expression& e, const Bounds* bounds) {
  const auto choice = choice_at_zero(e);
  const bool fits = bounds && choice && is_number(choice->at_zero, 0) &&
                    has_factor(choice->elsewhere, choice->u) && bounds->of(choice->elsewhere);
  return fits ? choice->elsewhere : e;
}

}  // namespace xg::algebra
