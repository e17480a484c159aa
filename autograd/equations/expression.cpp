// Making, walking and evaluating expression trees.
#include "autograd/equations/expression.hpp"

#include <bit>

#include "autograd/ops.hpp"
#include "autograd/tape.hpp"

namespace xg {

Expression::Kind Expression::kind() const noexcept { return node_->kind; }
std::span<const Expression> Expression::parts() const noexcept { return node_->parts; }
const Shape& Expression::shape() const noexcept { return node_->shape; }
const Symbol& Expression::symbol() const noexcept { return node_->symbol; }
double Expression::value() const noexcept { return node_->value; }
const Axes& Expression::axes() const noexcept { return node_->axes; }
std::size_t Expression::slot() const noexcept { return node_->slot; }
std::string Expression::function() const {
  return node_->function ? node_->function->facet : std::string();
}

namespace algebra {
namespace {

Expression make(Expression::Node node) {
  return Expression(std::make_shared<const Expression::Node>(std::move(node)));
}

Shape broadcast_of(const Parts& parts) {
  Shape shape;
  for (const Expression& part : parts) shape = broadcast_shapes("equation", shape, part.shape());
  return shape;
}

Shape transposed(const Shape& shape) {
  if (shape.size() < 2) throw ShapeError("[equation] a transpose of fewer than two axes");
  Shape result = shape;
  std::swap(result[result.size() - 1], result[result.size() - 2]);
  return result;
}

}  // namespace

Expression number(double value, std::int64_t examples) {
  return make(
      {.kind = Kind::number, .parts = {}, .shape = {}, .value = value, .examples = examples});
}
Expression symbol(const Symbol& name, const Shape& shape) {
  return make({.kind = Kind::symbol, .parts = {}, .shape = shape, .symbol = name});
}
Expression sum(Parts parts) {
  if (parts.size() == 1) return parts[0];
  const Shape shape = broadcast_of(parts);
  return make({.kind = Kind::sum, .parts = std::move(parts), .shape = shape});
}
Expression hadamard(Parts parts) {
  if (parts.size() == 1) return parts[0];
  const Shape shape = broadcast_of(parts);
  return make({.kind = Kind::hadamard, .parts = std::move(parts), .shape = shape});
}
Expression product(Parts parts) {
  if (parts.size() == 1) return parts[0];
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i].shape().size() != 2 || (i > 0 && parts[i - 1].shape()[1] != parts[i].shape()[0]))
      throw ShapeError("[equation] matrices that do not fit");
  const Shape shape{parts.front().shape()[0], parts.back().shape()[1]};
  return make({.kind = Kind::product, .parts = std::move(parts), .shape = shape});
}
Expression quotient(const Expression& a, const Expression& b) {
  return make({.kind = Kind::quotient, .parts = {a, b}, .shape = broadcast_of({a, b})});
}
Expression power(const Expression& base, double exponent) {
  return make({.kind = Kind::power, .parts = {base}, .shape = base.shape(), .value = exponent});
}
Expression transpose(const Expression& a) {
  return make({.kind = Kind::transpose, .parts = {a}, .shape = transposed(a.shape())});
}
Expression total(const Expression& a, const Axes& axes, const Shape& shape) {
  return make({.kind = Kind::total, .parts = {a}, .shape = shape, .axes = axes});
}
Expression broadcast(const Expression& a, const Shape& shape) {
  return make({.kind = Kind::broadcast, .parts = {a}, .shape = shape});
}
Expression reshape(const Expression& a, const Shape& shape) {
  return make({.kind = Kind::reshape, .parts = {a}, .shape = shape});
}
Expression norm(const Expression& a) {
  return make({.kind = Kind::norm, .parts = {a}, .shape = {}});
}
Expression call(std::shared_ptr<const Function> f, Parts parts, const Shape& shape) {
  return make(
      {.kind = Kind::call, .parts = std::move(parts), .shape = shape, .function = std::move(f)});
}
Expression derivative(std::shared_ptr<const Function> f, const Expression& x,
                      const Expression& rule) {
  return make(
      {.kind = Kind::derivative, .parts = {x, rule}, .shape = x.shape(), .function = std::move(f)});
}
Expression jacobian(std::shared_ptr<const Function> f, std::size_t slot, Parts parts,
                    const Shape& shape) {
  return make({.kind = Kind::jacobian,
               .parts = std::move(parts),
               .shape = shape,
               .function = std::move(f),
               .slot = slot});
}

Expression with_parts(const Expression& e, Parts parts) {
  switch (e.kind()) {
    case Kind::sum:
      return sum(std::move(parts));
    case Kind::hadamard:
      return hadamard(std::move(parts));
    case Kind::product:
      return product(std::move(parts));
    case Kind::quotient:
      return quotient(parts[0], parts[1]);
    case Kind::power:
      return power(parts[0], e->value);
    case Kind::transpose:
      return transpose(parts[0]);
    case Kind::norm:
      return norm(parts[0]);
    case Kind::derivative:
      return derivative(e->function, parts[0], parts[1]);
    default:
      break;
  }
  Expression::Node node = *e;
  node.parts = std::move(parts);
  return make(std::move(node));
}

Expression rewrite(const Expression& e, const std::function<Expression(const Expression&)>& f) {
  Parts parts;
  bool changed = false;
  for (const Expression& part : e.parts()) {
    parts.push_back(rewrite(part, f));
    changed = changed || &*parts.back() != &*part;
  }
  return f(changed ? with_parts(e, std::move(parts)) : e);
}

namespace {
std::span<const Expression> visible_parts(const Expression& e) {
  return e.kind() == Kind::derivative ? e.parts().first(1) : e.parts();
}
}  // namespace

bool any(const Expression& e, const std::function<bool(const Expression&)>& p) {
  if (p(e)) return true;
  for (const Expression& part : visible_parts(e))
    if (any(part, p)) return true;
  return false;
}

std::size_t length(const Expression& e) {
  std::size_t result = 1;
  for (const Expression& part : visible_parts(e)) result += length(part);
  return result;
}

std::string key(const Expression& e) {
  const Expression::Node& n = *e;
  std::string result = detail::text(static_cast<int>(n.kind));
  switch (n.kind) {
    case Kind::symbol: {
      const Symbol& s = n.symbol;
      return detail::text("s:", s.letter, ':', static_cast<int>(s.role), ':', s.layer.value_or(-99),
                          ':', s.relative, ':', s.number.value_or(-99));
    }
    case Kind::number:
    case Kind::power:
      result += detail::text('#', std::bit_cast<std::uint64_t>(n.value));
      break;
    case Kind::total:
      result += detail::text(n.axes, n.shape.size());
      break;
    case Kind::broadcast:
    case Kind::reshape:
      result += to_string(n.shape);
      break;
    case Kind::call:
    case Kind::derivative:
    case Kind::jacobian:
      result +=
          detail::text(n.function->facet, '@', static_cast<const void*>(n.function->operation), ':',
                       n.function->variant, '#', n.slot, n.by_rows);
      break;
    default:
      break;
  }
  result += '(';
  for (const Expression& part : visible_parts(e)) result += key(part) + ';';
  return result + ')';
}

}  // namespace algebra

// Evaluation -----------------------------------------------------------------------------------

namespace {

using namespace algebra;

/// In float64, if it is floating at all.
Tensor floating(const Tensor& t) { return is_floating(t.dtype()) ? cast(t, DType::float64) : t; }

/// The adjoint of input `slot` of f at x.
Tensor pulled_back(const Function& f, std::size_t slot, const std::vector<Tensor>& x,
                   const Tensor* adjoint) {
  const Tape tape;
  const Tensor y = f.apply(x);
  const Tensor* const wrt = &x[slot];
  Tensor result;
  pull_back(y, adjoint ? *adjoint : ones(y.shape()), Inputs(&wrt, 1), {&result, 1});
  return result.defined() ? detach(result) : zeros_like(x[slot]);
}

Tensor value_of(const Expression& e, const std::map<Symbol, Tensor>& values) {
  const Expression::Node& n = *e;
  if (n.kind == Kind::symbol) {
    const auto it = values.find(n.symbol);
    if (it == values.end())
      throw ValueError(detail::text("[evaluate] no value is given for ", to_string(n.symbol)));
    return it->second;
  }
  std::vector<Tensor> x;
  for (const Expression& part : n.parts)
    if (n.kind != Kind::derivative || x.empty()) x.push_back(value_of(part, values));
  const auto fold = [&](auto f) {
    Tensor result = x[0];
    for (std::size_t i = 1; i < x.size(); ++i) result = f(result, x[i]);
    return result;
  };
  // An operation on rows, where columns stand.
  const auto turn = [&](const Tensor& t) { return n.by_rows && t.rank() == 2 ? transpose(t) : t; };
  switch (n.kind) {
    case Kind::number:
      return Tensor(n.value);
    case Kind::sum:
      return fold([](const Tensor& a, const Tensor& b) { return a + b; });
    case Kind::hadamard:
      return fold([](const Tensor& a, const Tensor& b) { return a * b; });
    case Kind::product:
      return fold([](const Tensor& a, const Tensor& b) { return matmul(a, b); });
    case Kind::quotient:
      return x[0] / x[1];
    case Kind::power:
      return n.value == 2 ? square(x[0]) : pow(x[0], n.value);
    case Kind::transpose:
      return transpose(x[0]);
    case Kind::total:
      return sum(x[0], n.axes, !n.axes.empty() && n.shape.size() == x[0].rank());
    case Kind::broadcast:
      return broadcast_to(x[0], n.shape);
    case Kind::reshape:
      return reshape(x[0], n.shape);
    case Kind::norm:
      return sum(square(x[0]));
    case Kind::call:
      for (Tensor& t : x) t = detach(turn(t));
      return turn(floating(n.function->apply(x)));
    case Kind::derivative:
      return pulled_back(*n.function, 0, {detach(x[0])}, nullptr);
    case Kind::jacobian: {
      for (Tensor& t : x) t = detach(turn(t));
      const Tensor adjoint = x.back();
      x.pop_back();
      return turn(pulled_back(*n.function, n.slot, x, &adjoint));
    }
    case Kind::symbol:
      break;
  }
  return {};
}

}  // namespace

Tensor evaluate(const Expression& expression, const std::map<Symbol, Tensor>& values) {
  std::map<Symbol, Tensor> constants;
  const NoRecording scope;
  for (const auto& [symbol, value] : values) constants.emplace(symbol, floating(detach(value)));
  return value_of(expression, constants);
}

}  // namespace xg
