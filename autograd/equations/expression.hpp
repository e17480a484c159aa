// Expression trees from inside: the node, its makers, and what walks over trees. Makers check
// shapes and simplify nothing. Internal to autograd/equations.
#pragma once

#include <functional>

#include "autograd/equations.hpp"

namespace xg {

namespace detail {
struct OpTable;
}

namespace algebra {

/// A function of tensors with the text that its operation gives it, `{0}` for the first input.
/// Those of one operation, one variant and one text are the same.
struct Function {
  std::string facet;
  std::function<Tensor(std::span<const Tensor>)> apply;
  const detail::OpTable* operation;
  int variant = 0;  ///< tells operations apart that differ in their states
  int number = 0;   ///< printed behind the name where another function has the same; 0: none
  std::string derivative_identity{};  ///< of an elementwise one: f'(u) = ...
  Expression derivative_at_u{};       ///< and its two sides: f'(u), and as part 1 what it is
};

/// A facet of the form name_subscript(arguments), each argument an input or literal text.
struct CallForm {
  std::string name, subscript;
  std::vector<std::string> arguments;
};
std::optional<CallForm> call_form(const std::string& facet);
/// The axes in a subscript "(0, -1)", counted from the first; none named means all.
Axes axes_of(const std::string& subscript, std::size_t rank);

}  // namespace algebra

struct Expression::Node {
  Kind kind;
  std::vector<Expression> parts;
  Shape shape;
  double value = 0;           // of a number, the exponent of a power
  std::int64_t examples = 0;  // of a number: not 0 if it is to be read as (value · m) / m
  Symbol symbol{};
  Axes axes{};
  std::shared_ptr<const algebra::Function> function{};  // of call, derivative, jacobian
  std::size_t slot = 0;
  bool by_rows = false;     // of call and jacobian: columns are transposed to rows and back
  bool of_examples = true;  // of a total or call over the first axis of a matrix: that it has them
};

namespace algebra {

using Kind = Expression::Kind;
using Parts = std::vector<Expression>;

Expression number(double value, std::int64_t examples = 0);
Expression symbol(const Symbol& name, const Shape& shape);
Expression sum(Parts parts);
Expression hadamard(Parts parts);
Expression product(Parts parts);
Expression quotient(const Expression& a, const Expression& b);
Expression power(const Expression& base, double exponent);
Expression transpose(const Expression& a);
Expression total(const Expression& a, const Axes& axes, const Shape& shape);
Expression broadcast(const Expression& a, const Shape& shape);
Expression reshape(const Expression& a, const Shape& shape);
Expression norm(const Expression& a);
Expression call(std::shared_ptr<const Function> f, Parts parts, const Shape& shape);
Expression derivative(std::shared_ptr<const Function> f, const Expression& x,
                      const Expression& rule);
Expression jacobian(std::shared_ptr<const Function> f, std::size_t slot, Parts parts,
                    const Shape& shape);

/// The same node with other parts; shapes that follow from the parts follow.
Expression with_parts(const Expression& e, Parts parts);
/// Every node replaced by f of it, parts first.
Expression rewrite(const Expression& e, const std::function<Expression(const Expression&)>& f);
/// Whether `p` holds for some node. What a derivative's rule says is not looked at.
bool any(const Expression& e, const std::function<bool(const Expression&)>& p);
/// Text that two expressions share if and only if they are the same.
std::string key(const Expression& e);
inline bool same(const Expression& a, const Expression& b) { return key(a) == key(b); }
/// Number of nodes that a reader sees.
std::size_t length(const Expression& e);
/// A number as p/q with q at most `largest`; nothing for 0.
std::optional<std::pair<double, int>> ratio(double value, int largest);
inline bool is_number(const Expression& e, double value) {
  return e.kind() == Kind::number && e->value == value;
}

/// What an operation's facet says about inputs; throws Unreadable if it is not in the language of
/// facets, or says something about shapes that cannot be.
struct Unreadable {};
Expression read_facet(const std::shared_ptr<const Function>& f, Parts inputs, const Shape& shape);

}  // namespace algebra
}  // namespace xg
