// The normal form of elementwise expressions, in which what cancels does.
#include <algorithm>
#include <cmath>

#include "autograd/equations/graph.hpp"

namespace xg::algebra {

std::optional<std::pair<double, int>> ratio(double value, int largest) {
  for (int q = 1; q <= largest; ++q) {
    const double p = std::round(value * q);
    if (p != 0 && std::abs(value * q - p) <= 4e-15 * std::abs(p)) return std::pair{p, q};
  }
  return std::nullopt;
}

std::pair<double, Parts> factors(const Expression& e) {
  if (e.kind() == Kind::number) return {e->value, {}};
  if (e.kind() != Kind::hadamard) return {1, {e}};
  std::pair<double, Parts> result{1, {}};
  for (const Expression& part : e.parts())
    if (part.kind() == Kind::number)
      result.first *= part->value;
    else
      result.second.push_back(part);
  return result;
}

Expression times(double coefficient, Parts rest) {
  // Products of shares such as 1/m are the fraction that they would be without rounding.
  if (const auto r = ratio(coefficient, 12)) coefficient = r->first / r->second;
  if (rest.empty()) return number(coefficient);
  if (coefficient != 1) rest.insert(rest.begin(), number(coefficient));
  return hadamard(std::move(rest));
}

namespace {

/// An elementwise expression as a sum of monomials in atoms, exponents of either sign: the form in
/// which what cancels does.
class Polynomials {
 public:
  using Monomial = std::map<std::size_t, int>;  // atom and exponent
  using Polynomial = std::map<Monomial, double>;

  /// The way to that, before like terms are collected.
  WayOut way(const Expression& e) {
    WayOut result;
    Terms terms = terms_of(e);
    result.distributed = expression(terms);
    for (Term& term : terms) term.second = listed(product_of(term.second));
    result.cancelled = expression(terms);
    result.expanded = expression(with_sums_expanded(std::move(terms)));
    return result;
  }
  /// `e` with every f' written out, multiplied out, cancelled and collected.
  Expression normal(const Expression& e) {
    Polynomial p = of(e);
    // What is left of sums that were kept together can be multiplied out once nothing is divided.
    for (bool again = true; again;) {
      again = false;
      for (const auto& [monomial, coefficient] : p) {
        if (has_negative(monomial)) break;
        const auto kept = std::find_if(monomial.begin(), monomial.end(), [&](const auto& power) {
          return sums_.contains(power.first);
        });
        if (kept == monomial.end()) continue;
        Monomial rest = monomial;
        if (--rest[kept->first] == 0) rest.erase(kept->first);
        Polynomial more = product({{rest, coefficient}}, sums_.at(kept->first));
        p.erase(monomial);
        add(p, more);
        again = true;
        break;
      }
    }
    return expression(p);
  }

 private:
  using Factors = std::vector<std::pair<std::size_t, int>>;  // each 1 above or -1 below
  using Term = std::pair<double, Factors>;
  using Terms = std::vector<Term>;

  // The same form before anything cancels -------------------------------------------------------

  static Monomial product_of(const Factors& factors) {
    Monomial result;
    for (const auto& [atom, exponent] : factors)
      if ((result[atom] += exponent) == 0) result.erase(atom);
    return result;
  }
  static Factors listed(const Monomial& m) {
    Factors result;
    for (const auto& [atom, exponent] : m)
      result.insert(result.end(), static_cast<std::size_t>(std::abs(exponent)),
                    {atom, exponent > 0 ? 1 : -1});
    return result;
  }
  static Terms multiplied(const Terms& p, const Terms& q) {
    Terms result;
    for (const auto& [c, above] : p)
      for (const auto& [d, more] : q) {
        result.push_back({c * d, above});
        Factors& both = result.back().second;
        both.insert(both.end(), more.begin(), more.end());
      }
    return result;
  }
  static Terms listed(const Polynomial& p) {
    Terms result;
    for (const auto& [monomial, coefficient] : p) result.push_back({coefficient, listed(monomial)});
    return result;
  }
  /// A factor's terms; a sum that nothing divides is one.
  Terms factor_terms(const Expression& e) {
    const Polynomial p = of(e);
    return p.size() < 2 || has_negative(p) ? terms_of(e) : listed(kept_together(p));
  }
  Terms terms_of(const Expression& e) {
    switch (e.kind()) {
      case Kind::derivative:
        return terms_of(e.parts()[1]);
      case Kind::sum: {
        Terms result;
        for (const Expression& part : e.parts()) {
          Terms more = terms_of(part);
          result.insert(result.end(), more.begin(), more.end());
        }
        return result;
      }
      case Kind::hadamard: {
        Terms result{{1, {}}};
        for (const Expression& part : e.parts()) result = multiplied(result, factor_terms(part));
        return result;
      }
      case Kind::quotient: {
        const Terms below = listed(kept_together(of(e.parts()[1])));
        if (below.size() != 1) break;
        Term inverse{1 / below[0].first, below[0].second};
        for (auto& [atom, exponent] : inverse.second) exponent = -exponent;
        return multiplied(factor_terms(e.parts()[0]), {inverse});
      }
      default:
        break;
    }
    return listed(of(e));
  }
  /// Sums that were kept together multiplied out, in terms that divide by nothing.
  Terms with_sums_expanded(Terms terms) const {
    for (std::size_t i = 0; i < terms.size();) {
      const auto [coefficient, factors] = terms[i];
      const auto is_sum = [&](const auto& factor) { return sums_.contains(factor.first); };
      const auto kept = std::find_if(factors.begin(), factors.end(), is_sum);
      if (kept == factors.end() || has_negative(product_of(factors))) {
        ++i;
        continue;
      }
      Factors rest = factors;
      rest.erase(rest.begin() + (kept - factors.begin()));
      const Terms more = multiplied({{coefficient, rest}}, listed(sums_.at(kept->first)));
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(i));
      terms.insert(terms.begin() + static_cast<std::ptrdiff_t>(i), more.begin(), more.end());
    }
    return terms;
  }
  Expression expression(const Terms& terms) const {
    Parts parts;
    for (const auto& [coefficient, factors] : terms) {
      Parts above, below;
      for (const auto& [a, exponent] : factors) (exponent > 0 ? above : below).push_back(atoms_[a]);
      const Expression term = times(coefficient, std::move(above));
      parts.push_back(below.empty() ? term : quotient(term, hadamard(std::move(below))));
    }
    return parts.empty() ? number(0) : sum(std::move(parts));
  }

  // Collected -----------------------------------------------------------------------------------

  static bool has_negative(const Monomial& m) {
    return std::any_of(m.begin(), m.end(), [](const auto& power) { return power.second < 0; });
  }
  static bool has_negative(const Polynomial& p) {
    return std::any_of(p.begin(), p.end(), [](const auto& t) { return has_negative(t.first); });
  }
  static void add(Polynomial& p, const Polynomial& q) {
    for (const auto& [monomial, coefficient] : q)
      if ((p[monomial] += coefficient) == 0) p.erase(monomial);
  }
  static Polynomial product(const Polynomial& p, const Polynomial& q) {
    Polynomial result;
    for (const auto& [m, c] : p)
      for (const auto& [n, d] : q) {
        Monomial both = m;
        for (const auto& [atom, exponent] : n)
          if ((both[atom] += exponent) == 0) both.erase(atom);
        add(result, {{both, c * d}});
      }
    return result;
  }

  std::size_t atom(const Expression& e) {
    const auto [it, fresh] = numbers_.emplace(key(e), atoms_.size());
    if (fresh) atoms_.push_back(e);
    return it->second;
  }
  /// p as one atom, if it is a sum that nothing divides.
  Polynomial kept_together(const Polynomial& p) {
    if (p.size() < 2 || has_negative(p)) return p;
    const std::size_t a = atom(expression(p));
    sums_.emplace(a, p);
    return {{{{a, 1}}, 1.0}};
  }

  Polynomial of(const Expression& e) {
    switch (e.kind()) {
      case Kind::number:
        return {{{}, e->value}};
      case Kind::derivative:
        return of(e.parts()[1]);
      case Kind::sum: {
        Polynomial result;
        for (const Expression& part : e.parts()) add(result, of(part));
        return result;
      }
      case Kind::hadamard: {
        Polynomial result{{{}, 1.0}};
        for (const Expression& part : e.parts()) result = product(result, kept_together(of(part)));
        return result;
      }
      case Kind::quotient: {
        const Polynomial below = kept_together(of(e.parts()[1]));
        if (below.size() != 1) break;
        Monomial inverse;
        for (const auto& [a, exponent] : below.begin()->first) inverse[a] = -exponent;
        return product(kept_together(of(e.parts()[0])), {{inverse, 1 / below.begin()->second}});
      }
      case Kind::power: {
        if (e->value != 2) break;
        const Polynomial base = kept_together(of(e.parts()[0]));
        return product(base, base);
      }
      default:
        break;
    }
    return {{{{atom(e), 1}}, 1.0}};
  }

  Expression expression(const Polynomial& p) const {
    Parts positive, negative;
    for (const auto& [monomial, coefficient] : p) {
      Parts above, below;
      for (const auto& [a, exponent] : monomial) {
        const Expression base = atoms_[a];
        const int n = std::abs(exponent);
        (exponent > 0 ? above : below).push_back(n == 1 ? base : power(base, n));
      }
      Expression term = times(coefficient, std::move(above));
      if (!below.empty()) term = quotient(term, hadamard(std::move(below)));
      (coefficient < 0 ? negative : positive).push_back(term);
    }
    positive.insert(positive.end(), negative.begin(), negative.end());
    return positive.empty() ? number(0) : sum(std::move(positive));
  }

  std::vector<Expression> atoms_;
  std::map<std::string, std::size_t> numbers_;
  std::map<std::size_t, Polynomial> sums_;  // atoms that stand for a sum
};

}  // namespace

Expression multiplied_out(const Expression& e) { return Polynomials().normal(e); }
WayOut way_out(const Expression& e) { return Polynomials().way(e); }

}  // namespace xg::algebra
