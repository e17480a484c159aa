// The numbers in a cost over a batch: which of them are shares of an average over examples, and
// whether the cost is an average at all. Also squares summed, as norms.
#include <algorithm>
#include <cmath>

#include "autograd/equations/graph.hpp"

namespace xg::algebra {

Expression with_norms(const Expression& e) {
  return rewrite(e, [](const Expression& part) {
    if (part.kind() != Kind::total || part.shape().size() > 0) return part;
    const Expression& inner = part.parts()[0];
    return inner.kind() == Kind::power && inner->value == 2 ? norm(inner.parts()[0]) : part;
  });
}

namespace {

/// How much there is to write of a number, as of 1/2 or 3.
int digits_of(double value) {
  const auto r = ratio(std::abs(value), 4);
  return r && r->first < 1e6 ? static_cast<int>(r->first) + r->second : 1 << 20;
}

}  // namespace

std::optional<Refusal> not_an_average(const Expression& loss, const Examples& examples) {
  const double m = static_cast<double>(examples.count);
  const auto is_sum = [&](const Expression& term) {
    const auto has_rows = [&](const Expression& e) {
      return is_value(e) && examples.has_rows[vertex_of(e->symbol)];
    };
    if (!any(term, has_rows)) return false;
    // c Σ or (c m)/m Σ: whichever number is the plainer.
    const double c = std::abs(factors(term).first);
    const int as_sum = digits_of(c), as_average = digits_of(c * m);
    return as_sum < as_average || (as_sum == as_average && as_sum < 1 << 20 && c * m > 1);
  };
  const bool several = loss.kind() == Kind::sum;
  if (examples.count < 2 ||
      !(several ? std::any_of(loss.parts().begin(), loss.parts().end(), is_sum) : is_sum(loss)))
    return std::nullopt;
  return Refusal{detail::text("the loss is a sum over the m = ", examples.count,
                              " examples and not an average; divide it by m"),
                 {}};
}

Expression with_average(const Expression& e, const Examples& examples) {
  if (examples.refusal || examples.count < 2) return e;
  const auto term = [&](const Expression& t) {
    const auto has_rows = [&](const Expression& part) {
      return is_value(part) && examples.has_rows[vertex_of(part->symbol)];
    };
    if (any(t, is_adjoint) || !any(t, has_rows) || t.kind() != Kind::hadamard ||
        t.parts()[0].kind() != Kind::number)
      return t;
    Parts parts(t.parts().begin(), t.parts().end());
    // A share of the average, rather than a number of its own.
    const double value = parts[0]->value;
    if (std::abs(value) < 1) parts[0] = number(value, examples.count);
    return hadamard(std::move(parts));
  };
  if (e.kind() != Kind::sum) return term(e);
  Parts parts;
  for (const Expression& part : e.parts()) parts.push_back(term(part));
  return sum(std::move(parts));
}

}  // namespace xg::algebra
