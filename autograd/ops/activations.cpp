// The activation functions of neurons, stable for any input.
#include <cmath>
#include <numbers>

#include "autograd/catalogue.hpp"
#include "autograd/ops/elementwise.hpp"

namespace xg {
namespace ops {
namespace {

struct Sigmoid : Unary<Sigmoid> {
  static constexpr auto name = "sigmoid", symbol = "σ";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return V(1) / (V(1) + xsimd::exp(-x));
  }
  // σ' = σ ⊙ (1 − σ)
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    const Tensor& y = r.output();
    return t * (y * (1 - y));
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t * (y * (V(1) - y));
  }
  template <class V>
  V bend(const V& y) const {
    return V(1) - (y + y);
  }
  static auto samples() { return unary_samples<Sigmoid>(-4, 4); }
};

struct Relu : Unary<Relu> {
  static constexpr auto name = "relu", symbol = "relu";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return xsimd::select(x < V(0), V(0), x);
  }  // NaN stays
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * (r.output() > 0);
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t * kernels::one_where<V>(y > V(0));
  }
  static auto samples() { return unary_samples<Relu>(-2, 2); }
};

struct LeakyRelu : Unary<LeakyRelu> {
  double factor = 0.01;

  static constexpr auto name = "leaky_relu";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::select(x < V(0), constant<V>(factor) * x, x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * where(r.input(0) < 0, factor, 1.0);
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return xsimd::select(x < V(0), constant<V>(factor) * t, t);
  }
  std::string equation() const { return detail::text("leaky_relu({0}, ", factor, ")"); }
  static auto samples() { return unary_samples<LeakyRelu>(-2, 2); }
  static LeakyRelu with(double factor) {
    LeakyRelu op;
    op.factor = factor;
    return op;
  }
};

struct Elu : Unary<Elu> {
  double alpha = 1;

  static constexpr auto name = "elu";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    const V zero(0);
    return xsimd::select(x < zero, constant<V>(alpha) * xsimd::expm1(xsimd::min(x, zero)), x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    const Tensor& x = r.input(0);
    return t * where(x < 0, alpha * exp(minimum(x, 0)), 1);
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    const V zero(0);
    return t * xsimd::select(x < zero, constant<V>(alpha) * xsimd::exp(xsimd::min(x, zero)), V(1));
  }
  std::string equation() const { return detail::text("elu({0}, ", alpha, ")"); }
  static auto samples() {
    auto result = unary_samples<Elu>(-2, 2);
    result.push_back({with(0.5), {numbers({2, 3}, -2, 2)}});
    return result;
  }
  static Elu with(double alpha) {
    Elu op;
    op.alpha = alpha;
    return op;
  }
};

struct Gelu : Unary<Gelu> {
  static constexpr auto name = "gelu", symbol = "gelu";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    constexpr double scale = 0.5 * std::numbers::sqrt2;
    // 1 + erf(z) as erfc(-z), which keeps its digits where x is very negative.
    return constant<V>(0.5) * x * kernels::erfc(constant<V>(-scale) * x);
  }
  // Φ(x) + x φ(x)
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    constexpr double density = 0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    const Tensor& x = r.input(0);
    return t *
           (0.5 * (1 + erf(x * (0.5 * std::numbers::sqrt2))) + density * x * exp(-0.5 * square(x)));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    const V half = constant<V>(0.5), z = constant<V>(0.5 * std::numbers::sqrt2) * x;
    const V density = constant<V>(0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
    return t * (half * (V(1) + kernels::erf(z)) + density * x * xsimd::exp(-half * (x * x)));
  }
  static auto samples() { return unary_samples<Gelu>(-2, 2); }
};

struct Softplus : Unary<Softplus> {
  static constexpr auto name = "softplus", symbol = "softplus";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    // max(x, 0) + ln(1 + e^-|x|): neither term can overflow, and NaN stays.
    return xsimd::select(x < V(0), V(0), x) + kernels::log1p_of_unit(xsimd::exp(-xsimd::abs(x)));
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * sigmoid(r.input(0));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * (V(1) / (V(1) + xsimd::exp(-x)));
  }
  static auto samples() { return unary_samples<Softplus>(-4, 4); }
};

}  // namespace

std::vector<CatalogueEntry> activations() {
  return {entry<Sigmoid>(), entry<Relu>(), entry<LeakyRelu>(),
          entry<Elu>(),     entry<Gelu>(), entry<Softplus>()};
}

}  // namespace ops

Tensor sigmoid(Operand x) { return apply(ops::Sigmoid{}, x); }
Tensor relu(Operand x) { return apply(ops::Relu{}, x); }
Tensor leaky_relu(Operand x, double slope) { return apply(ops::LeakyRelu::with(slope), x); }
Tensor elu(Operand x, double alpha) { return apply(ops::Elu::with(alpha), x); }
Tensor gelu(Operand x) { return apply(ops::Gelu{}, x); }
Tensor softplus(Operand x) { return apply(ops::Softplus{}, x); }

}  // namespace xg
