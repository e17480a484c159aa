// Derivatives forward, by the jvp of each operation, beside those backward and beside differences.
#include <algorithm>

#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"

namespace xg::check {

namespace {

/// J t by the jvp of the operations between x and y; undefined for zero.
Tensor pushed(const Tensor& y, const Tensor& x, const Tensor& t) {
  const Tensor *const px = &x, *const pt = &t;
  return push_forward(y, Inputs(&px, 1), Inputs(&pt, 1));
}

double total(const Tensor& t) { return sum(cast(t, DType::float64)).item(); }

}  // namespace

// Both are exact but for rounding, of which `relative` of the sum of all |(Jᵀ u)ᵢ tᵢ| is far more;
// where these are zero, what rounds is what the function computes on its way.
std::optional<Disagreement> jvp_disagreement(const Problem& p, const Tensors& x, double relative) {
  const detail::Trace trace;
  const Tensors v = p.set(x);
  const Tensor y = p.call(v);
  if (detail::TensorAccess::tape(y) == 0) return std::nullopt;
  const Tensors gradients = trace.gradient(y, v);
  const NoRecording scope;
  std::optional<double> noise;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Tensor t = random_direction(x[k], k), product = gradients[k] * t;
    Disagreement result{k, 0, total(product)};
    const double allowed =
        std::max(relative, 1e4 * p.rounding) * total(abs(product)) + 10 * p.rounding;
    if (!std::isfinite(allowed)) continue;
    try {
      const Tensor change = pushed(y, v[k], t);
      if (change.defined()) result.forward = total(change);
    } catch (const Error& error) {
      result.error = error.what();
      return result;
    }
    const double distance = std::abs(result.forward - result.backward);
    if (distance <= allowed) continue;
    if (!noise) noise = noise_of(p, x);
    if (!(distance <= allowed + std::min(1e-9, 1e3 * *noise))) return result;
  }
  return std::nullopt;
}

Comparison compare_tangent(const std::function<Tensor(std::span<const Tensor>)>& apply,
                           const Tensors& x, std::size_t k, double relative) {
  const Tensor t = random_direction(x[k], k);
  Tensor analytic;
  {
    const detail::Trace trace;
    Tensors v = x;
    v[k] = trace.variable(x[k]);
    const Tensor y = apply(v);
    const NoRecording scope;
    analytic = pushed(y, v[k], t);
    analytic = cast(analytic.defined() ? detach(analytic) : zeros_like(y), DType::float64);
  }
  const NoRecording scope;
  const auto f = [&](double change) {
    Tensors changed = x;
    changed[k] = x[k] + change * t;
    return cast(apply(changed), DType::float64);
  };
  const double h = 1e-3;
  const Tensor numeric = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
  Comparison c;
  c.worst.number = k;
  c.worst.shape = x[k].shape();
  c.worst.index = Extents::filled(numeric.rank(), 0);
  const std::span<const double> a = analytic.values<double>(), n = numeric.values<double>();
  double scale = 0;
  for (const double v : n)
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < n.size(); ++i) {
    const double error = std::abs(a[i] - n[i]);
    c.places.push_back(static_cast<std::int64_t>(i));
    c.analytic.push_back(a[i]);
    c.numeric.push_back(n[i]);
    c.uncertainty.push_back(0);
    c.failed.push_back(!(error <= relative * scale));
    c.kinks.push_back(std::nullopt);
    if (error <= c.worst.error && i > 0) continue;
    c.worst.index = unravel_index(static_cast<std::int64_t>(i), numeric.shape());
    c.worst.analytic = a[i];
    c.worst.numeric = n[i];
    c.worst.error = std::isnan(error) ? INFINITY : error;
  }
  const double size = std::max(std::abs(c.worst.analytic), std::abs(c.worst.numeric));
  c.worst.relative_error = size > 0 ? c.worst.error / size : 0;
  c.worst.passed = false;
  return c;
}

}  // namespace xg::check
