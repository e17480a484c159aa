// From differing numbers to a verdict in words.
#include <algorithm>
#include <iomanip>
#include <set>

#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"

namespace xg::check {

using detail::text;

namespace {

bool near(double a, double b, double fit) { return std::abs(a - b) <= fit * std::abs(b); }

double largest(std::span<const double> values) {
  double result = 0;
  for (const double v : values) result = std::max(result, std::abs(v));
  return result;
}

/// c as p / q with whole p q <= limit, as p and q; 0 and 0 if it is no such ratio.
std::pair<int, int> ratio_of(double c, int limit, double fit) {
  for (int q = 1; q <= limit; ++q) {
    const double p = std::round(c * q);
    if (p >= 1 && p * q <= limit && near(c, p / q, fit)) return {static_cast<int>(p), q};
  }
  return {0, 0};
}

}  // namespace

std::string number_text(double value, int digits) {
  return std::isnan(value) ? "nan" : text(std::setprecision(digits), value);
}

std::string ratio_text(double c, double fit) {
  const auto [p, q] = ratio_of(std::abs(c), 2000, fit);
  if (q == 0) return text(c);
  return q == 1 ? text(c < 0 ? "-" : "", p) : text(c < 0 ? "-" : "", p, '/', q);
}

std::optional<double> constant_factor(std::span<const double> mine, std::span<const double> truth,
                                      double fit) {
  double product = 0, square = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    product += mine[i] * truth[i];
    square += truth[i] * truth[i];
    count += truth[i] != 0;
  }
  if (!(square > 0) || product == 0) return std::nullopt;
  const double c = product / square, scale = largest(mine);
  for (std::size_t i = 0; i < mine.size(); ++i)
    if (!(std::abs(mine[i] - c * truth[i]) <= fit * scale)) return std::nullopt;
  if (count < 2 && ratio_of(std::abs(c), 12, fit).second == 0) return std::nullopt;
  return c;
}

Finding describe_constant(double c, const Context& context) {
  const double r = std::abs(c);
  if (near(c, -1, context.fit))
    return {Verdict::wrong_sign, text(context.mine, " has the wrong sign")};
  const auto is = [&](double value) { return near(r, value, context.fit); };
  std::vector<std::string> reasons;
  if (is(2)) reasons.push_back("it is the ½ of a cost such as ½‖a − y‖²");
  if (is(0.5)) reasons.push_back("it is the 2 of d(u²) = 2u du");
  std::set<std::int64_t> seen;  // an extent is explained once
  const auto try_extent = [&](std::int64_t extent, const std::string& whose) {
    if (extent < 2 || reasons.size() == 2 || !seen.insert(extent).second) return;
    const auto m = static_cast<double>(extent);
    const std::string m_is = text("m = ", extent, " is ", whose);
    if (is(m))
      reasons.push_back(text("it is the 1/m of a mean over m examples: ", m_is));
    else if (is(1 / m) && !context.elementwise)
      reasons.push_back(
          text("it undoes a 1/m, of a mean taken where a sum is meant or taken twice: ", m_is));
    else if (is(2 * m))
      reasons.push_back(text("it is the 1/(2m) of a cost such as 1/(2m) Σ‖a − y‖²: ", m_is));
  };
  for (const auto& [what, shape] : context.shapes)
    for (std::size_t axis = 0; shape.size() > 1 && axis < shape.size(); ++axis)
      try_extent(shape[axis], text("the extent of axis ", axis, " of ", what, ' ', shape));
  for (const auto& [what, shape] : context.shapes)
    try_extent(element_count(shape), text("the number of elements of ", what, ' ', shape));
  const char* const powers[] = {"u²", "u³", "u⁴", "u⁵", "u⁶", "u⁷", "u⁸", "u⁹"};
  for (int n = 3; n <= 9 && context.has_powers; ++n)
    if (is(1. / n))
      reasons.push_back(
          text("it is the ", n, " of d(", powers[n - 2], ") = ", n, powers[n - 3], " du"));
  Finding result{Verdict::constant_factor,
                 text(context.mine, " is ", ratio_text(c, context.fit), " times ", context.truth,
                      ": ", c < 0 ? "the sign is wrong, and " : "", "a factor ",
                      ratio_text(1 / r, context.fit), " is missing")};
  for (std::size_t i = 0; i < reasons.size(); ++i)
    result.guess += text(i == 0 ? ". Likely " : ", or ", reasons[i]);
  return result;
}

namespace {

std::vector<double> at_places(const Tensor& t, const Shape& shape,
                              const std::vector<std::int64_t>& places) {
  const NoRecording scope;
  const Tensor whole = broadcast_to(t, shape);
  const double* const data = whole.data<double>();
  std::vector<double> result;
  for (const std::int64_t e : places) result.push_back(data[e]);
  return result;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::int64_t extent = from[from.size() - 1 - i];
    if (extent != 1 && extent != to[to.size() - 1 - i]) return false;
  }
  return true;
}

/// b = a ⊙ t but for rounding.
bool is_product(std::span<const double> b, std::span<const double> a, std::span<const double> t,
                double fit) {
  const double scale = largest(b);
  for (std::size_t i = 0; i < b.size(); ++i)
    if (!(std::abs(b[i] - a[i] * t[i]) <= fit * scale)) return false;
  return true;
}

std::optional<Finding> missing_factor(const Comparison& c, const Shape& shape,
                                      const Context& context) {
  for (const Factor& factor : context.factors) {
    if (!broadcasts_to(factor.value.shape(), shape)) continue;
    const std::vector<double> t = at_places(factor.value, shape, c.places);
    // A tensor of zeros or of ones explains nothing.
    if (std::all_of(t.begin(), t.end(), [&](double v) { return std::abs(v) <= context.fit; }) ||
        std::all_of(t.begin(), t.end(), [&](double v) { return near(v, 1, context.fit); }))
      continue;
    if (is_product(c.numeric, c.analytic, t, context.fit))
      return Finding{Verdict::missing_factor,
                     text("a factor is missing in ", context.mine, ": ", factor.name)};
    if (is_product(c.analytic, c.numeric, t, context.fit))
      return Finding{Verdict::missing_factor,
                     text("there is a factor too many in ", context.mine, ": ", factor.name)};
  }
  return std::nullopt;
}

std::string elements_text(std::size_t some, std::size_t all) {
  if (some == all) return all == 1 ? "its element" : text("all ", all, " elements");
  return text(some, " of ", all, " elements");
}

/// Of `failed` elements that all sit on a kink.
Finding at_kinks(const Comparison& c, const std::vector<std::size_t>& failed, const Shape& shape,
                 const Context& context) {
  const auto is_between = [&](std::size_t i) {
    const auto [low, high] = std::minmax(c.kinks[i]->left, c.kinks[i]->right);
    const double slack = 1e-3 * (high - low);
    return c.analytic[i] >= low - slack && c.analytic[i] <= high + slack;
  };
  const auto outside = std::find_if_not(failed.begin(), failed.end(), is_between);
  const bool excused = outside == failed.end();
  const std::size_t shown = excused ? failed[0] : *outside;
  std::string words =
      text("the function has a kink where element ", unravel_index(c.places[shown], shape),
           " is: its slope is ", number_text(c.kinks[shown]->left), " on the left and ",
           number_text(c.kinks[shown]->right), " on the right, and ", context.mine, " says ",
           number_text(c.analytic[shown]), excused ? "" : ", which is neither of them nor between");
  std::size_t others = 0;
  for (const std::size_t i : failed) {
    if (i == shown || ++others > 4) continue;
    words += text(others == 1 ? "; it has one at " : ", ", unravel_index(c.places[i], shape));
  }
  if (others > 4) words += text(" and ", others - 4, " more");
  if (failed.size() < c.places.size()) words += ". Everywhere else it is right";
  return {Verdict::kink, words, "", excused};
}

}  // namespace

Finding explain(const Comparison& c, const Shape& shape, const Context& context) {
  const std::size_t n = c.places.size();
  std::vector<std::size_t> failed;
  for (std::size_t i = 0; i < n; ++i)
    if (c.failed[i]) failed.push_back(i);
  if (failed.empty()) return {};
  const auto all_failed = [&](const auto& holds) {
    return std::all_of(failed.begin(), failed.end(), holds);
  };
  const std::string how_many = elements_text(failed.size(), n);

  for (const std::size_t i : failed) {
    const bool mine = std::isfinite(c.analytic[i]), truth = std::isfinite(c.numeric[i]);
    if (mine && truth) continue;
    return {Verdict::not_finite, text("at ", unravel_index(c.places[i], shape), ' ', context.mine,
                                      " is ", number_text(c.analytic[i]), " and ", context.truth,
                                      " give ", number_text(c.numeric[i]))};
  }

  const double scale = std::max(largest(c.analytic), largest(c.numeric));
  const double size = largest(c.analytic);
  bool changes = false;
  for (std::size_t i = 0; i < n; ++i)
    changes = changes || c.kinks[i] || c.uncertainty[i] > 1e-6 * size ||
              std::abs(c.numeric[i]) > 1e-9 * size + 10 * c.uncertainty[i];
  if (!changes)
    return {
        Verdict::no_change,
        text(context.function, " does not change at all with this input, and yet ", context.mine,
             " is not zero. If that is meant, as in a straight-through estimator, differences"
             " cannot check it")};

  if (all_failed([&](std::size_t i) { return c.kinks[i].has_value(); }))
    return at_kinks(c, failed, shape, context);

  if (!context.float32.empty() && all_failed([&](std::size_t i) {
        return std::abs(c.analytic[i] - c.numeric[i]) <= 30 * c.uncertainty[i] + 1e-4 * scale;
      }))
    return {Verdict::float32,
            text("float32 explains the error: ", context.float32,
                 ". Differences of float32 numbers keep about three digits, and so do not tell;"
                 " check in float64, cast(x, DType::float64)")};

  if (all_failed([&](std::size_t i) {
        return std::abs(c.analytic[i] - c.numeric[i]) <= 10 * c.uncertainty[i];
      }))
    return {
        Verdict::unsettled,
        text("the differences settle only to ", c.worst.uncertainty,
             ", which is no better than the error: the function jumps, oscillates within a step,"
             " or is rounded too much here (a small change of a large number)")};

  if (size == 0)
    return {Verdict::no_gradient,
            text(context.mine,
                 " is zero although the function changes: what depends on this input"
                 " is computed where the tape does not see it (detach, NoRecording,"
                 " item(), data()), or a rule gives nothing")};

  // What sits on a kink says nothing of a factor.
  Comparison smooth, wrong;
  for (std::size_t i = 0; i < n; ++i)
    for (Comparison* part : {&smooth, &wrong}) {
      if (c.kinks[i] || (part == &wrong && !c.failed[i])) continue;
      part->places.push_back(c.places[i]);
      part->analytic.push_back(c.analytic[i]);
      part->numeric.push_back(c.numeric[i]);
    }
  const auto factor_of = [&](const Comparison& part) {
    const auto factor = constant_factor(part.analytic, part.numeric, context.fit);
    return factor && !near(*factor, 1, context.fit) ? factor : std::nullopt;
  };
  if (const auto factor = factor_of(smooth)) return describe_constant(*factor, context);
  if (auto finding = missing_factor(smooth, shape, context)) return *finding;
  if (wrong.places.size() > 1 && wrong.places.size() < n) {
    if (const auto factor = factor_of(wrong)) {
      Finding finding = describe_constant(*factor, context);
      finding.explanation = text("in ", how_many, ' ', finding.explanation);
      return finding;
    }
  }
  return {Verdict::wrong, text(how_many, n == 1 ? " differs" : " differ",
                               ", and neither a number nor a tensor of the"
                               " graph is the factor between them")};
}

}  // namespace xg::check
