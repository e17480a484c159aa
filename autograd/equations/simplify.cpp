// A small simplifier. Each rule is an identity of algebra that holds for all values for which both
// of its sides are defined; a step is one rule applied everywhere.
#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/equations/graph.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg::algebra {

namespace {

using Rule = Expression (*)(const Expression&, const Bounds*);

// (a + b) + c, and the same of ⊙ and of the matrix product.
Expression associate(const Expression& e) {
  if (e.kind() != Kind::sum && e.kind() != Kind::hadamard && e.kind() != Kind::product) return e;
  Parts parts;
  for (const Expression& part : e.parts())
    if (part.kind() == e.kind())
      parts.insert(parts.end(), part.parts().begin(), part.parts().end());
    else
      parts.push_back(part);
  return parts.size() == e.parts().size() ? e : with_parts(e, std::move(parts));
}

Expression multiply_numbers(const Expression& e) {
  if (e.kind() != Kind::hadamard) return e;
  auto [coefficient, rest] = factors(e);
  const Expression result = times(coefficient, std::move(rest));
  return result.shape() == e.shape() ? result : e;
}

Expression drop_broadcast(const Expression& e) {
  if (e.kind() == Kind::broadcast && e.parts()[0].shape() == e.shape()) return e.parts()[0];
  if (e.kind() != Kind::hadamard && e.kind() != Kind::sum && e.kind() != Kind::quotient) return e;
  Parts parts(e.parts().begin(), e.parts().end());
  for (Expression& part : parts) {
    if (part.kind() != Kind::broadcast) continue;
    const Expression whole = std::exchange(part, part.parts()[0]);
    if (with_parts(e, parts).shape() != e.shape()) part = whole;
  }
  return with_parts(e, std::move(parts));
}

// One number in one shape, then in another.
Expression broadcast_once(const Expression& e) {
  if (e.kind() != Kind::broadcast && e.kind() != Kind::reshape) return e;
  const Expression& inner = e.parts()[0];
  if (inner.kind() != Kind::broadcast || inner.parts()[0].kind() != Kind::number) return e;
  return broadcast(inner.parts()[0], e.shape());
}

Expression move_transpose_in(const Expression& e) {
  if (e.kind() != Kind::transpose) return e;
  const Expression& inner = e.parts()[0];
  if (inner.kind() == Kind::transpose) return inner.parts()[0];
  if (inner.kind() != Kind::product) return e;
  Parts parts;
  for (std::size_t i = inner.parts().size(); i-- > 0;) parts.push_back(transpose(inner.parts()[i]));
  return product(std::move(parts));
}

/// The coefficient of `e`, if it stands as a number before the rest; else 1.
double take_coefficient(Expression& e) {
  auto [coefficient, rest] = factors(e);
  if (coefficient == 1 || rest.empty()) return 1;
  const Expression without = times(1, std::move(rest));
  if (without.shape() != e.shape()) return 1;
  e = without;
  return coefficient;
}

Expression move_numbers_out(const Expression& e) {
  Parts parts(e.parts().begin(), e.parts().end());
  double coefficient = 1;
  switch (e.kind()) {
    case Kind::product:
      for (Expression& part : parts) coefficient *= take_coefficient(part);
      break;
    case Kind::transpose:
    case Kind::total:
    case Kind::broadcast:
    case Kind::reshape:
    case Kind::quotient:
      coefficient = take_coefficient(parts[0]);
      break;
    case Kind::jacobian:
      coefficient = take_coefficient(parts.back());
      break;
    default:
      return e;
  }
  return coefficient == 1 ? e : times(coefficient, {with_parts(e, std::move(parts))});
}

Expression divide_by_number(const Expression& e) {
  if (e.kind() != Kind::quotient || e.parts()[1].kind() != Kind::number) return e;
  return times(1 / e.parts()[1]->value, {e.parts()[0]});
}

Expression multiply_quotient(const Expression& e) {
  if (e.kind() != Kind::hadamard) return e;
  Parts above, below, numbers;
  for (const Expression& part : e.parts())
    if (part.kind() == Kind::number) {
      numbers.push_back(part);
    } else if (part.kind() == Kind::quotient) {
      if (!is_number(part.parts()[0], 1)) above.push_back(part.parts()[0]);
      below.push_back(part.parts()[1]);
    } else {
      above.push_back(part);
    }
  if (below.empty() || above.size() + below.size() < 2 + (above.empty() ? 0u : 1u)) return e;
  numbers.push_back(
      quotient(above.empty() ? number(1) : hadamard(std::move(above)), hadamard(std::move(below))));
  return hadamard(std::move(numbers));
}

// Σ Σ u = Σ u, over all axes in the end.
Expression sum_once(const Expression& e) {
  if (e.kind() != Kind::total || e.shape().size() > 0 || e.parts()[0].kind() != Kind::total)
    return e;
  const Expression& inner = e.parts()[0].parts()[0];
  Axes all;
  for (std::size_t i = 0; i < inner.shape().size(); ++i)
    all.push_back(static_cast<std::int64_t>(i));
  return total(inner, all, {});
}

Expression collect(const Expression& e) {
  if (e.kind() != Kind::sum) return e;
  std::vector<std::pair<double, Parts>> terms;
  for (const Expression& part : e.parts()) {
    auto term = factors(part);
    const auto like = std::find_if(terms.begin(), terms.end(), [&](const auto& other) {
      return other.second.size() == term.second.size() &&
             std::equal(term.second.begin(), term.second.end(), other.second.begin(), same);
    });
    if (like == terms.end())
      terms.push_back(std::move(term));
    else
      like->first += term.first;
  }
  std::erase_if(terms, [](const auto& term) { return term.first == 0; });
  if (terms.size() == e.parts().size() || terms.empty()) return e;
  Parts parts;
  for (auto& [coefficient, rest] : terms) parts.push_back(times(coefficient, std::move(rest)));
  const Expression result = sum(std::move(parts));
  return result.shape() == e.shape() ? result : e;
}

// c u − c v = c (u − v)
Expression factor_number_out(const Expression& e) {
  if (e.kind() != Kind::sum) return e;
  const double common = std::abs(factors(e.parts()[0]).first);
  Parts terms;
  for (const Expression& term : e.parts()) {
    auto [coefficient, rest] = factors(term);
    if (std::abs(coefficient) != common || rest.empty()) return e;
    terms.push_back(times(coefficient / common, std::move(rest)));
  }
  return common == 1 ? e : times(common, {sum(std::move(terms))});
}

// −u + v = v − u
Expression put_positive_first(const Expression& e) {
  if (e.kind() != Kind::sum || factors(e.parts()[0]).first > 0) return e;
  Parts parts(e.parts().begin(), e.parts().end());
  const auto positive = std::find_if(
      parts.begin(), parts.end(), [](const Expression& term) { return factors(term).first > 0; });
  if (positive == parts.end()) return e;
  std::rotate(parts.begin(), positive, positive + 1);
  return sum(std::move(parts));
}

// −(y − a) = a − y
Expression distribute_minus(const Expression& e) {
  const auto [coefficient, rest] = factors(e);
  if (coefficient >= 0) return e;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i].kind() != Kind::sum) continue;
    Parts terms;
    std::ptrdiff_t negative = 0;
    for (const Expression& term : rest[i].parts()) {
      auto [c, others] = factors(term);
      negative += c < 0 ? 1 : -1;
      Expression turned = times(-c, std::move(others));
      c < 0 ? terms.insert(terms.begin(), turned) : terms.insert(terms.end(), turned);
    }
    if (negative < 0) continue;
    Parts parts = rest;
    parts[i] = sum(std::move(terms));
    return times(-coefficient, std::move(parts));
  }
  return e;
}

// u ⊙ v + u ⊙ w = u ⊙ (v + w)
Expression factor_out(const Expression& e) {
  if (e.kind() != Kind::sum) return e;
  const auto first = factors(e.parts()[0]).second;
  for (const Expression& common : first) {
    if (common.shape() != e.shape()) continue;
    Parts rests;
    for (const Expression& term : e.parts()) {
      auto [coefficient, parts] = factors(term);
      const auto it = std::find_if(parts.begin(), parts.end(),
                                   [&](const Expression& p) { return same(p, common); });
      if (it == parts.end()) break;
      parts.erase(it);
      rests.push_back(times(coefficient, std::move(parts)));
    }
    if (rests.size() == e.parts().size()) return hadamard({common, sum(std::move(rests))});
  }
  return e;
}

/// As the library's operations of these names do; that an operation which is called so is one of
/// them is tried on numbers.
Expression exp_of_log_softmax(const Expression& e) try {
  if (e.kind() != Kind::call || e->function->facet != "exp({0})") return e;
  const Expression& inner = e.parts()[0];
  const auto form = inner.kind() == Kind::call && inner.parts().size() == 1
                        ? call_form(inner->function->facet)
                        : std::nullopt;
  if (!form || form->name != "log_softmax") return e;
  const Expression& u = inner.parts()[0];
  Expression::Node node = *inner;
  Function f = *recorded_function(
      [&] { return softmax(zeros(u.shape()), axes_of(form->subscript, u.shape().size())); });
  f.facet = form->subscript.empty() ? "softmax({0})" : "softmax_" + form->subscript + "({0})";
  node.function = std::make_shared<const Function>(std::move(f));
  const Expression result(std::make_shared<const Expression::Node>(std::move(node)));
  const Symbol name{.letter = "u"};
  const Expression place = symbol(name, u.shape());
  const std::map<Symbol, Tensor> values{
      {name, random_uniform(u.shape(), Key{3}, DType::float64, -2, 2)}};
  const Tensor left = evaluate(with_parts(e, {with_parts(inner, {place})}), values);
  const Tensor right = evaluate(with_parts(result, {place}), values);
  return max(abs(left - right)).item() <= 1e-12 ? result : e;
} catch (const Error&) {
  return e;
}

/// A rule for which no bounds have to be known.
template <Expression (*rule)(const Expression&)>
Expression always(const Expression& e, const Bounds*) {
  return rule(e);
}

constexpr std::pair<const char*, Rule> rules[] = {
    {"(u v) w = u v w", always<associate>},
    {"a number is repeated by ⊙ and + by themselves", always<drop_broadcast>},
    {"a number that is repeated twice is repeated", always<broadcast_once>},
    {"Σ Σ u = Σ u", always<sum_once>},
    {"numbers are multiplied; 1 ⊙ u = u", always<multiply_numbers>},
    {"where(u = 0, c, v) is v where u ≠ 0", always<choose_once>},
    {"u / where(u = 0, c, v) = u / v, as v is never 0", divide_by_choice},
    {"where(u = 0, 0, u ⊙ v) = u ⊙ v, as v is finite", choose_zero},
    {"exp(log_softmax(u)) = softmax(u)", always<exp_of_log_softmax>},
    {"u / c = (1/c) u for a number c", always<divide_by_number>},
    {"(uᵀ)ᵀ = u, (u v)ᵀ = vᵀ uᵀ", always<move_transpose_in>},
    {"numbers are moved out of what is linear: (c u) v = c (u v), Σ c u = c Σ u",
     always<move_numbers_out>},
    {"u ⊙ (v / w) = (u ⊙ v) / w", always<multiply_quotient>},
    {"like terms are collected; u + 0 = u", always<collect>},
    {"c u + c v = c (u + v)", always<factor_number_out>},
    {"−(u − v) = v − u", always<distribute_minus>},
    {"−u + v = v − u", always<put_positive_first>},
    {"u ⊙ v + u ⊙ w = u ⊙ (v + w)", always<factor_out>},
};

bool is_elementwise(Kind kind) {
  return kind == Kind::sum || kind == Kind::hadamard || kind == Kind::quotient;
}

constexpr const char* stages[] = {"u ⊙ (v + w) = u ⊙ v + u ⊙ w; u ⊙ (v / w) = (u ⊙ v) / w",
                                  "u / u = 1 is cancelled", "u ⊙ (v + w) = u ⊙ v + u ⊙ w",
                                  "like terms are collected; u + 0 = u"};

/// Where writing out derivatives makes an expression shorter, it is the shorter: first with the
/// rules written out, then on its way to normal form, the last of `forms`.
struct Cancelled {
  Expression written;
  std::array<Expression, std::size(stages)> forms;
  std::vector<std::string> identities;  // of the derivatives
};

Cancelled cancelled(const Expression& e) {
  if (is_elementwise(e.kind())) {
    const Expression shorter = multiplied_out(e);
    if (shorter.shape() == e.shape() && length(tidied(shorter, nullptr)) < length(e)) {
      const WayOut way = way_out(e);
      Cancelled result{e, {way.distributed, way.cancelled, way.expanded, shorter}, {}};
      result.written = rewrite(e, [&](const Expression& part) {
        if (part.kind() != Kind::derivative) return part;
        result.identities.push_back(part->function->derivative_identity);
        return part.parts()[1];
      });
      Expression before = result.written;
      for (Expression& form : result.forms)
        before = form = form.shape() == e.shape() ? form : before;
      return result;
    }
  }
  Parts written;
  std::array<Parts, std::size(stages)> forms;
  std::vector<std::string> identities;
  for (const Expression& part : e.parts()) {
    Cancelled c = cancelled(part);
    written.push_back(std::move(c.written));
    for (std::size_t i = 0; i < forms.size(); ++i) forms[i].push_back(std::move(c.forms[i]));
    identities.insert(identities.end(), c.identities.begin(), c.identities.end());
  }
  Cancelled result{with_parts(e, std::move(written)), {}, std::move(identities)};
  for (std::size_t i = 0; i < forms.size(); ++i)
    result.forms[i] = with_parts(e, std::move(forms[i]));
  return result;
}

std::string listed(std::vector<std::string> identities) {
  std::string result;
  for (std::size_t i = 0; i < identities.size(); ++i)
    if (std::find(identities.begin(), identities.begin() + static_cast<std::ptrdiff_t>(i),
                  identities[i]) == identities.begin() + static_cast<std::ptrdiff_t>(i))
      result += (result.empty() ? "" : "; ") + identities[i];
  return result;
}

void note(std::vector<DerivationStep>* steps, const std::string& identity, const Expression& e) {
  if (steps) steps->push_back({identity, e});
}

}  // namespace

Expression tidied(Expression e, std::vector<DerivationStep>* steps, const Bounds* bounds) {
  // Every result is right; the limit is there in case that two rules undo each other.
  constexpr int most_steps = 1000;
  bool again = true;
  for (int n = 0; again && n < most_steps; ++n) {
    again = false;
    for (const auto& [identity, rule] : rules) {
      const Expression next = rewrite(e, [&, apply = rule](const Expression& part) {
        const Expression changed = apply(part, bounds);
        return changed.shape() == part.shape() ? changed : part;
      });
      if (same(next, e)) continue;
      e = next;
      if (rule != Rule(always<associate>)) note(steps, identity, e);
      again = true;
      break;
    }
  }
  return e;
}

Expression without_derivatives(const Expression& e, std::vector<DerivationStep>* steps,
                               const Bounds& bounds,
                               const std::function<bool(const Expression&)>& written_out) {
  std::vector<std::string> identities;
  const Expression result = rewrite(e, [&](const Expression& part) {
    if (part.kind() != Kind::derivative || !written_out(part)) return part;
    identities.push_back(part->function->derivative_identity);
    return part.parts()[1];
  });
  if (identities.empty()) return e;
  note(steps, listed(std::move(identities)), result);
  return simplified(result, steps, &bounds);
}

Expression simplified(Expression e, std::vector<DerivationStep>* steps, const Bounds* bounds) {
  for (;;) {
    e = tidied(std::move(e), steps, bounds);
    Cancelled c = cancelled(e);
    if (length(tidied(c.forms.back(), nullptr, bounds)) >= length(e)) return e;
    if (!same(c.written, e)) note(steps, listed(std::move(c.identities)), c.written);
    Expression before = c.written;
    for (std::size_t i = 0; i < c.forms.size(); ++i)
      if (!same(c.forms[i], std::exchange(before, c.forms[i]))) note(steps, stages[i], before);
    e = c.forms.back();
  }
}

}  // namespace xg::algebra
