// Central differences, over a sweep of steps, and their comparison with a gradient.
#include <algorithm>

#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg::check {

double difference(const Line& f, double h) {
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

// A step four times as small divides the error of truncation by 256 and multiplies that of rounding
// by four. Two neighbours that agree are therefore on neither slope, unless rounding hides every
// change: hence its share, noise / h, which may not be seen in how they differ.
Estimate settle(const Line& f, double step, double noise) {
  Estimate result{NAN, INFINITY, step, {}};
  for (int k = 3; k >= -5; --k) {
    const double h = std::ldexp(step, 2 * k);
    result.sweep.push_back({h, difference(f, h), NAN});
  }
  for (std::size_t k = 0; k + 1 < result.sweep.size(); ++k) {
    const GradCheck::Step &coarse = result.sweep[k], &fine = result.sweep[k + 1];
    const double doubt = std::abs(coarse.numeric - fine.numeric) + noise / fine.step;
    if (!(doubt < result.uncertainty)) continue;
    result.uncertainty = doubt;
    result.value = fine.numeric;
    result.step = fine.step;
  }
  for (GradCheck::Step& s : result.sweep) s.error = std::abs(s.numeric - result.value);
  return result;
}

// One-sided slopes of second order, (−3 f(0) + 4 f(h) − f(2h)) / 2h, at two steps: at a kink both
// sides settle, and at different slopes.
std::optional<Kink> kink_of(const Line& f, double step) {
  const double at = f(0);
  const auto side = [&](double h) { return (4 * f(h) - 3 * at - f(2 * h)) / (2 * h); };
  const double coarse = step / 8, fine = step / 64;
  const double left = side(-fine), right = side(fine);
  const double jump = std::abs(right - left);
  const double unsettled = std::max(std::abs(left - side(-coarse)), std::abs(right - side(coarse)));
  if (!(jump > 1e-4 * std::max(std::abs(left), std::abs(right)) && jump > 10 * unsettled))
    return std::nullopt;
  const auto without_noise = [&](double slope) {
    return std::abs(slope) < 1e-6 * jump ? 0.0 : slope;
  };
  return Kink{without_noise(left), without_noise(right)};
}

namespace {

double element(const Tensor& t, std::int64_t e) {
  return visit_floating(t.dtype(), [&]<class T>(T) { return static_cast<double>(t.data<T>()[e]); });
}

/// `x` with element `e` changed by `change`.
Tensor moved(const Tensor& x, std::int64_t e, double change) {
  return visit_floating(x.dtype(), [&]<class T>(T) {
    Tensor result(x.values<T>(), x.shape());
    T& one = result.exclusive_data<T>()[e];
    one = static_cast<T>(one + change);
    return result;
  });
}

double largest_finite(const Tensor& t) {
  double result = 0;
  visit_floating(t.dtype(), [&]<class T>(T) {
    for (const T v : t.values<T>())
      if (std::isfinite(v)) result = std::max(result, std::abs(static_cast<double>(v)));
  });
  return result;
}

/// What rounding and truncation leave of a difference excuses no more than this.
constexpr double most_excused = 1e-8;

}  // namespace

Tensor random_direction(const Tensor& x, std::size_t number) {
  const Tensor size = random_uniform(x.shape(), Key{number}.fold("size"), x.dtype(), 0.5, 1);
  return size * sign(random_uniform(x.shape(), Key{number}.fold("side"), x.dtype(), -1, 1));
}

// Sixth differences over small steps are those of what rounds, for the function itself is a
// polynomial there (R. W. Hamming, Introduction to Applied Numerical Analysis, 1971). Their median
// does not see a kink or a jump. What is rounded on the way to a small value is taken to be 1.
double noise_of(const Problem& p, const Tensors& x) {
  const NoRecording scope;
  Tensors directions;
  for (std::size_t i = 0; i < x.size(); ++i)
    directions.push_back(random_direction(x[i], i) * maximum(abs(x[i]), 1));
  constexpr std::size_t points = 17, order = 6;
  constexpr double rounded = 20;  // what sixth differences make of errors of the size 1
  std::vector<double> values;
  for (std::size_t k = 0; k < points; ++k) {
    const double change = 5e-4 * (static_cast<double>(k) - points / 2);
    Tensors changed = x;
    for (std::size_t i = 0; i < x.size(); ++i) changed[i] = x[i] + change * directions[i];
    values.push_back(value_near(p, changed));
  }
  const double rounding = p.rounding * std::max(1.0, std::abs(values[points / 2]));
  for (std::size_t k = 0; k < order; ++k) {
    for (std::size_t i = 0; i + 1 < values.size(); ++i) values[i] = values[i + 1] - values[i];
    values.pop_back();
  }
  for (double& v : values) {
    if (!std::isfinite(v)) return rounding;
    v = std::abs(v);
  }
  const auto median = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), median, values.end());
  return std::max(rounding, *median / rounded);
}

Comparison compare(const Problem& p, const Tensors& x, std::size_t k, const Tensor& gradient,
                   const GradCheckOptions& options, std::int64_t most) {
  const NoRecording scope;
  const std::int64_t size = x[k].size(), stride = std::max<std::int64_t>(1, size / most);
  Comparison c;
  c.worst.number = k;
  c.worst.shape = x[k].shape();
  c.worst.index = Extents::filled(x[k].rank(), 0);
  Tensors changed = x;
  const auto line = [&](std::int64_t e) -> Line {
    return [&, e](double change) {
      changed[k] = moved(x[k], e, change);
      return value_near(p, changed);
    };
  };
  const double scale = largest_finite(gradient);
  const double rounding = p.rounding * std::abs(value_of(p, x));
  std::optional<double> noise;  // no less, and measured where it matters
  /// The error as a share of what is allowed.
  const auto share_of = [&](double analytic, const Estimate& estimate) {
    const double error = std::abs(analytic - estimate.value);
    if (error == 0) return 0.0;
    const double larger = std::max(std::abs(analytic), std::abs(estimate.value));
    const double share =
        error / (options.absolute + options.relative * (larger + 0.01 * scale) +
                 std::min(most_excused,
                          10 * (estimate.uncertainty + noise.value_or(rounding) / estimate.step)));
    return std::isnan(share) ? INFINITY : share;
  };
  double worst_share = -1, worst_step = 0;
  std::int64_t worst = -1;
  for (std::int64_t e = 0; e < size; e += stride) {
    const double step = options.step * std::max(1.0, std::abs(element(x[k], e)));
    const double analytic = element(gradient, e);
    Estimate estimate{difference(line(e), step), 0, step, {}};
    double share = share_of(analytic, estimate);
    std::optional<Kink> kink;
    if (share > 1) {
      if (!noise) noise = noise_of(p, x);
      estimate = settle(line(e), step, rounding);
      share = share_of(analytic, estimate);
      if (share > 1) kink = kink_of(line(e), step);
    }
    c.places.push_back(e);
    c.analytic.push_back(analytic);
    c.numeric.push_back(estimate.value);
    c.uncertainty.push_back(estimate.uncertainty);
    c.failed.push_back(share > 1);
    c.kinks.push_back(kink);
    if (share <= worst_share) continue;
    worst_share = share;
    worst_step = step;
    worst = e;
    c.worst.analytic = analytic;
    c.worst.numeric = estimate.value;
    c.worst.passed = share <= 1;
  }
  if (worst < 0) return c;
  GradCheck::Input& w = c.worst;
  Estimate estimate = settle(line(worst), worst_step, rounding);
  w.index = unravel_index(worst, x[k].shape());
  w.error = std::abs(w.analytic - w.numeric);
  const double largest = std::max(std::abs(w.analytic), std::abs(w.numeric));
  w.relative_error = largest > 0 ? w.error / largest : 0;
  w.uncertainty = estimate.uncertainty;
  w.sweep = std::move(estimate.sweep);
  return c;
}

bool agree_along(const Problem& p, const Tensors& x, const Tensors& gradients, double relative) {
  const NoRecording scope;
  Tensors directions;
  double analytic = 0, magnitude = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    directions.push_back(random_direction(x[i], i));
    const Tensor product = gradients[i] * directions[i];
    analytic += sum(product).item();
    magnitude += sum(abs(product)).item();
  }
  const Line line = [&](double change) {
    Tensors changed = x;
    for (std::size_t i = 0; i < x.size(); ++i) changed[i] = x[i] + change * directions[i];
    return value_near(p, changed);
  };
  const auto close = [&](double numeric, double slack) {
    return std::abs(analytic - numeric) <=
           relative * std::max(magnitude, std::abs(numeric)) + slack;
  };
  if (close(difference(line, 1e-3), 0)) return true;
  const Estimate estimate = settle(line, 1e-3, p.rounding * std::abs(line(0)));
  return close(
      estimate.value,
      2 * estimate.uncertainty + std::min(0.1 * most_excused, 10 * noise_of(p, x) / estimate.step));
}

}  // namespace xg::check
