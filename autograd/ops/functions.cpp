// Elementwise functions of one tensor, each a row.
#include <cmath>
#include <numbers>

#include "autograd/catalogue.hpp"
#include "autograd/ops/elementwise.hpp"

namespace xg {
namespace ops {
namespace {

struct Square : Unary<Square> {
  static constexpr auto name = "square";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return x * x;
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * (2 * r.input(0));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * (x + x);
  }
  std::string equation() const { return "({0})²"; }
  static auto samples() { return unary_samples<Square>(-2, 2); }
};

struct Sqrt : Unary<Sqrt> {
  static constexpr auto name = "sqrt", symbol = "√";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return xsimd::sqrt(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t / (2 * r.output());
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t / (y + y);
  }
  static auto samples() { return unary_samples<Sqrt>(0.5, 2); }
};

struct Exp : Unary<Exp> {
  static constexpr auto name = "exp", symbol = "exp";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return xsimd::exp(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * r.output();
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t * y;
  }
  static auto samples() { return unary_samples<Exp>(-2, 2); }
};

struct Expm1 : Unary<Expm1> {
  static constexpr auto name = "expm1", symbol = "expm1";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return xsimd::expm1(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * (r.output() + 1);
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t * (y + V(1));
  }
  static auto samples() { return unary_samples<Expm1>(-2, 2); }
};

struct Log : Unary<Log> {
  static constexpr auto name = "log", symbol = "ln";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::log(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t / r.input(0);
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t / x;
  }
  static auto samples() { return unary_samples<Log>(0.5, 3); }
};

struct Log1p : Unary<Log1p> {
  static constexpr auto name = "log1p", symbol = "log1p";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::log1p(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t / (r.input(0) + 1);
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t / (x + V(1));
  }
  static auto samples() { return unary_samples<Log1p>(-0.5, 3); }
};

struct Abs : Unary<Abs> {
  static constexpr auto name = "abs";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::abs(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * sign(r.input(0));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * kernels::sign(x);
  }
  std::string equation() const { return "|{0}|"; }
  static auto samples() { return unary_samples<Abs>(-2, 2); }
};

struct Sign : Unary<Sign> {
  static constexpr auto name = "sign", symbol = "sign";
  static constexpr Keep keeps = Keep::nothing;
  template <class V>
  V value(const V& x) const {
    return kernels::sign(x);
  }
  Tensor differential(std::size_t, const Tensor&, const Record&) const { return {}; }
  static auto samples() { return unary_samples<Sign>(-2, 2); }
};

struct Sin : Unary<Sin> {
  static constexpr auto name = "sin", symbol = "sin";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::sin(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * cos(r.input(0));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * xsimd::cos(x);
  }
  static auto samples() { return unary_samples<Sin>(-3, 3); }
};

struct Cos : Unary<Cos> {
  static constexpr auto name = "cos", symbol = "cos";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return xsimd::cos(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return -t * sin(r.input(0));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return -t * xsimd::sin(x);
  }
  static auto samples() { return unary_samples<Cos>(-3, 3); }
};

struct Tanh : Unary<Tanh> {
  static constexpr auto name = "tanh", symbol = "tanh";
  static constexpr Keep keeps = Keep::output;
  template <class V>
  V value(const V& x) const {
    return xsimd::tanh(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * (1 - square(r.output()));
  }
  template <class V>
  V slope(const V& t, const V& y) const {
    return t * (V(1) - y * y);
  }
  template <class V>
  V bend(const V& y) const {
    return -(y + y);
  }
  static auto samples() { return unary_samples<Tanh>(-2, 2); }
};

struct Erf : Unary<Erf> {
  static constexpr auto name = "erf", symbol = "erf";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return kernels::erf(x);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    return t * (2 * std::numbers::inv_sqrtpi) * exp(-square(r.input(0)));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * constant<V>(2 * std::numbers::inv_sqrtpi) * xsimd::exp(-(x * x));
  }
  static auto samples() { return unary_samples<Erf>(-2, 2); }
};

/// x to a constant power.
struct ConstantPower : Unary<ConstantPower> {
  double exponent = 3;

  static constexpr auto name = "pow";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x) const {
    return power(x, exponent);
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    if (exponent == 0) return {};
    if (exponent == 1) return t;
    return t * (exponent * pow(r.input(0), exponent - 1));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    // At the exponent 0 there is no derivative, nor an x that could be to the power -1.
    return exponent == 0 ? V(0) : t * (constant<V>(exponent) * power(x, exponent - 1));
  }
  std::string equation() const { return "({0})^" + detail::digits(exponent); }
  static auto samples() {
    auto result = unary_samples<ConstantPower>(-2, 2);
    for (const double e : {0.0, 1.0, 2.0, 0.5, -1.0, -3.0, 2.7})
      result.push_back({with(e), {numbers({2, 3}, 0.5, 2)}});
    return result;
  }
  static ConstantPower with(double exponent) {
    ConstantPower op;
    op.exponent = exponent;
    return op;
  }

 private:
  template <class V>
  static V power(const V& x, double exponent) {
    if (exponent == 0.5) return xsimd::sqrt(x);
    if (std::trunc(exponent) == exponent && std::abs(exponent) <= 64) {
      V result(1), factor = x;
      for (int n = static_cast<int>(std::abs(exponent)); n > 0; n >>= 1, factor *= factor)
        if (n & 1) result *= factor;
      return exponent < 0 ? V(1) / result : result;
    }
    return kernels::pow(x, constant<V>(exponent));
  }
};

struct Clip : Unary<Clip> {
  double low = -1, high = 1;

  static constexpr auto name = "clip";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const {
    if (!(low <= high))
      throw ValueError(detail::text("[clip] the lower limit ", low, " is above the upper ", high));
    return Unary::shape(x);
  }
  template <class V>
  V value(const V& x) const {
    const V l = constant<V>(low), h = constant<V>(high);
    return xsimd::select(x < l, l, xsimd::select(x > h, h, x));  // NaN stays
  }
  Tensor differential(std::size_t, const Tensor& t, const Record& r) const {
    const Tensor& x = r.input(0);
    return t * ((x >= low) * (x <= high));
  }
  template <class V>
  V slope(const V& t, const V& x) const {
    return t * kernels::one_where<V>((x >= constant<V>(low)) & (x <= constant<V>(high)));
  }
  std::string equation() const { return detail::text("clip({0}, ", low, ", ", high, ")"); }
  static auto samples() {
    auto result = unary_samples<Clip>(-2, 2);
    result.push_back({with(2, 1), {numbers({2}, 0, 1)}, "the lower limit 2 is above the upper 1"});
    return result;
  }
  static Clip with(double low, double high) {
    Clip op;
    op.low = low;
    op.high = high;
    return op;
  }
};

}  // namespace

std::vector<CatalogueEntry> functions() {
  return {entry<Square>(), entry<Sqrt>(), entry<Exp>(),           entry<Expm1>(), entry<Log>(),
          entry<Log1p>(),  entry<Abs>(),  entry<Sign>(),          entry<Sin>(),   entry<Cos>(),
          entry<Tanh>(),   entry<Erf>(),  entry<ConstantPower>(), entry<Clip>()};
}

}  // namespace ops

Tensor square(Operand x) { return apply(ops::Square{}, x); }
Tensor sqrt(Operand x) { return apply(ops::Sqrt{}, x); }
Tensor exp(Operand x) { return apply(ops::Exp{}, x); }
Tensor expm1(Operand x) { return apply(ops::Expm1{}, x); }
Tensor log(Operand x) { return apply(ops::Log{}, x); }
Tensor log1p(Operand x) { return apply(ops::Log1p{}, x); }
Tensor abs(Operand x) { return apply(ops::Abs{}, x); }
Tensor sign(Operand x) { return apply(ops::Sign{}, x); }
Tensor sin(Operand x) { return apply(ops::Sin{}, x); }
Tensor cos(Operand x) { return apply(ops::Cos{}, x); }
Tensor tanh(Operand x) { return apply(ops::Tanh{}, x); }
Tensor erf(Operand x) { return apply(ops::Erf{}, x); }
Tensor pow(Operand x, double exponent) { return apply(ops::ConstantPower::with(exponent), x); }
Tensor clip(Operand x, double low, double high) { return apply(ops::Clip::with(low, high), x); }

}  // namespace xg
