// + - * / and their kin: elementwise functions of two tensors, and the scalars beside them.
#include <cmath>

#include "autograd/catalogue.hpp"
#include "autograd/ops/elementwise.hpp"

namespace xg {
namespace ops {
namespace {

struct Add : Binary<Add> {
  static constexpr auto name = "add", symbol = "+";
  static constexpr Keep keeps = Keep::nothing;
  template <class V>
  V value(const V& a, const V& b) const {
    return a + b;
  }
  Tensor differential(std::size_t, const Tensor& t, const Record&) const { return t; }
  static auto samples() { return binary_samples<Add>(-2, 2); }
};

struct Subtract : Binary<Subtract> {
  static constexpr auto name = "subtract", symbol = "−";
  static constexpr Keep keeps = Keep::nothing;
  template <class V>
  V value(const V& a, const V& b) const {
    return a - b;
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record&) const {
    return i == 0 ? t : -t;
  }
  static auto samples() { return binary_samples<Subtract>(-2, 2); }
};

struct Multiply : Binary<Multiply> {
  static constexpr auto name = "multiply", symbol = "⊙";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& a, const V& b) const {
    return a * b;
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    return t * r.input(1 - i);
  }
  static Rows rows(const Record&) { return Rows::proportional; }
  Tensor unrecorded(std::size_t i, const Tensor& t, const Record& r) const {
    return map_unless_zero(name, t, r.input(1 - i),
                           [](const auto& a, const auto& b) { return a * b; });
  }
  static auto samples() { return binary_samples<Multiply>(-2, 2); }
};

struct Divide : Binary<Divide> {
  static constexpr auto name = "divide", symbol = "/";
  static constexpr Keep keeps = keep_input(1) | Keep::output;
  template <class V>
  V value(const V& a, const V& b) const {
    return a / b;
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor quotient = t / r.input(1);
    return i == 0 ? quotient : -quotient * r.output();
  }
  static Rows rows(const Record&) { return Rows::proportional; }
  Tensor unrecorded(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor quotient =
        map_unless_zero(name, t, r.input(1), [](const auto& a, const auto& b) { return a / b; });
    if (i == 0) return quotient;
    return map_unless_zero(name, quotient, r.output(),
                           [](const auto& a, const auto& b) { return -a * b; });
  }
  static auto samples() { return binary_samples<Divide>(0.5, 2); }
};

/// 1 where the first mask holds, 1/2 where only the second does, else 0.
template <class V, class Mask>
V share_where(const Mask& wins, const Mask& wins_or_ties) {
  return xsimd::select(wins, V(1), xsimd::select(wins_or_ties, constant<V>(0.5), V(0)));
}

/// Written so that a NaN in either input comes out.
struct Maximum : Binary<Maximum> {
  static constexpr auto name = "maximum";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& a, const V& b) const {
    return xsimd::select((a > b) | kernels::is_nan(a), a, b);
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor &mine = r.input(i), &other = r.input(1 - i);
    return t * (((mine > other) + (mine >= other)) * 0.5);
  }
  template <std::size_t i, class V>
  V slope(const V& t, const V& a, const V& b) const {
    const V &mine = i == 0 ? a : b, &other = i == 0 ? b : a;
    return t * share_where<V>(mine > other, mine >= other);
  }
  std::string equation() const { return "max({0}, {1})"; }
  static auto samples() { return binary_samples<Maximum>(-2, 2); }
};

struct Minimum : Binary<Minimum> {
  static constexpr auto name = "minimum";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& a, const V& b) const {
    return xsimd::select((a < b) | kernels::is_nan(a), a, b);
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor &mine = r.input(i), &other = r.input(1 - i);
    return t * (((mine < other) + (mine <= other)) * 0.5);
  }
  template <std::size_t i, class V>
  V slope(const V& t, const V& a, const V& b) const {
    const V &mine = i == 0 ? a : b, &other = i == 0 ? b : a;
    return t * share_where<V>(mine < other, mine <= other);
  }
  std::string equation() const { return "min({0}, {1})"; }
  static auto samples() { return binary_samples<Minimum>(-2, 2); }
};

struct Power : Binary<Power> {
  static constexpr auto name = "pow", symbol = "^";
  static constexpr Keep keeps = Keep::inputs | Keep::output;
  template <class V>
  V value(const V& a, const V& b) const {
    return kernels::pow(a, b);
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor &a = r.input(0), &b = r.input(1);
    // Where b is 0, so is the derivative for a; the base 1 there keeps 0 * inf out of the second.
    if (i == 0) return t * (b * pow(where(equal(b, 0), 1, a), b - 1));
    return t * r.output() * log(where(equal(a, 0), 1, a));
  }
  template <std::size_t i, class V>
  V slope(const V& t, const V& a, const V& b) const {
    const V one(1), zero(0);
    if constexpr (i == 0) return t * (b * kernels::pow(xsimd::select(b == zero, one, a), b - one));
    return t * kernels::pow(a, b) * xsimd::log(xsimd::select(a == zero, one, a));
  }
  static auto samples() { return binary_samples<Power>(0.5, 2); }
};

struct XLogY : Binary<XLogY> {
  static constexpr auto name = "xlogy";
  static constexpr Keep keeps = Keep::inputs;
  template <class V>
  V value(const V& x, const V& y) const {
    const V zero(0);
    return xsimd::select((x == zero) & (y == y), zero, x * xsimd::log(y));
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor &x = r.input(0), &y = r.input(1);
    if (i == 0) return t * log(y);
    return t * where(equal(x, 0), 0, x / where(equal(x, 0), 1, y));
  }
  template <std::size_t i, class V>
  V slope(const V& t, const V& x, const V& y) const {
    if constexpr (i == 0) return t * xsimd::log(y);
    const V zero(0);
    return t * xsimd::select(x == zero, zero, x / y);
  }
  std::string equation() const { return "{0} ⊙ ln({1})"; }
  static auto samples() { return binary_samples<XLogY>(0.5, 2); }
};

struct Negate : Unary<Negate> {
  static constexpr auto name = "negate";
  static constexpr Keep keeps = Keep::nothing;
  template <class V>
  V value(const V& x) const {
    return -x;
  }
  Tensor differential(std::size_t, const Tensor& t, const Record&) const { return -t; }
  std::string equation() const { return "−{0}"; }
  static auto samples() { return unary_samples<Negate>(-2, 2); }
};

/// A number times a tensor. The number is part of the operation, not a tensor of its own.
struct Scale : Unary<Scale> {
  double factor = 1;

  static constexpr auto name = "scale";
  static constexpr Keep keeps = Keep::nothing;
  template <class V>
  V value(const V& x) const {
    return constant<V>(factor) * x;
  }
  Tensor differential(std::size_t, const Tensor& t, const Record&) const {
    Tensor change = scale(t, factor);
    return std::isfinite(factor) ? change : unless_zero(t, std::move(change));
  }
  std::string equation() const { return detail::digits(factor) + " {0}"; }
  static auto samples() { return unary_samples<Scale>(-2, 2, by(-0.75)); }
  static Scale by(double factor) {
    Scale op;
    op.factor = factor;
    return op;
  }
};

/// A number beside a tensor: an operation without inputs, so that the tape knows its value.
struct Constant {
  double value = 0;
  DType dtype = DType::float64;

  static constexpr auto name = "constant";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const {
    if (x.size() > 0) throw ValueError("[constant] a number has no inputs");
    return {};
  }
  Tensor forward(Inputs, const Shape&) const { return Tensor::full({}, value, dtype); }
  Tensor vjp(std::size_t, const Tensor&, const Record&) const { return {}; }
  Tensor jvp(std::size_t, const Tensor&, const Record&) const { return {}; }
  std::string equation() const { return detail::digits(value); }
  static double flops(const Record&) { return 0; }
  static std::vector<Sample<Constant>> samples() {
    return {{{0.1, DType::float64}, {}}, {{}, {Tensor(1.0)}, "a number has no inputs"}};
  }
};

// Labels and indices have no derivative; their numbers stay outside the tape.
Tensor constant_of(double value, DType dtype) {
  if (!is_floating(dtype)) return Tensor::full({}, value, dtype);
  return apply(Constant{value, dtype}, Inputs(nullptr, 0));
}

}  // namespace

std::vector<CatalogueEntry> arithmetic() {
  return {entry<Add>(),     entry<Subtract>(), entry<Multiply>(), entry<Divide>(),
          entry<Maximum>(), entry<Minimum>(),  entry<Power>(),    entry<XLogY>(),
          entry<Negate>(),  entry<Scale>(),    entry<Constant>()};
}

}  // namespace ops

Tensor operator+(Operand a, Operand b) { return apply(ops::Add{}, a, b); }
Tensor operator-(Operand a, Operand b) { return apply(ops::Subtract{}, a, b); }
Tensor operator*(Operand a, Operand b) { return apply(ops::Multiply{}, a, b); }
Tensor operator/(Operand a, Operand b) { return apply(ops::Divide{}, a, b); }
Tensor operator-(Operand x) { return apply(ops::Negate{}, x); }
Tensor scale(Operand x, double factor) { return apply(ops::Scale::by(factor), x); }
Tensor maximum(Operand a, Operand b) { return apply(ops::Maximum{}, a, b); }
Tensor minimum(Operand a, Operand b) { return apply(ops::Minimum{}, a, b); }
Tensor pow(Operand a, Operand b) { return apply(ops::Power{}, a, b); }
Tensor xlogy(Operand x, Operand y) { return apply(ops::XLogY{}, x, y); }

Tensor scalar_like(Operand like, double value) {
  detail::located(like.place(), [&] {
    if (like->defined() && like->dtype() == DType::int64 &&
        !(value == std::trunc(value) && std::abs(value) < 0x1p63))
      throw DTypeError(detail::text("[scalar] ", value,
                                    " beside an int64 tensor; convert that with "
                                    "cast(x, DType::float64)"));
  });
  return ops::constant_of(value, like->dtype());
}

Tensor scalar_like(Operand like, std::int64_t value) {
  return like->dtype() == DType::int64
             ? Tensor(value)
             : ops::constant_of(static_cast<double>(value), like->dtype());
}

}  // namespace xg
