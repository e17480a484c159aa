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
  static auto samples() { return binary_samples<Divide>(0.5, 2); }
};

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
  std::string equation() const { return "min({0}, {1})"; }
  static auto samples() { return binary_samples<Minimum>(-2, 2); }
};

struct Power : Binary<Power> {
  static constexpr auto name = "pow", symbol = "^";
  static constexpr Keep keeps = Keep::inputs | Keep::output;
  template <class V>
  V value(const V& a, const V& b) const {
    return each_lane(a, b);
  }
  Tensor differential(std::size_t i, const Tensor& t, const Record& r) const {
    const Tensor &a = r.input(0), &b = r.input(1);
    // Where b is 0, so is the derivative for a; the base 1 there keeps 0 * inf out of the second.
    if (i == 0) return t * (b * pow(where(equal(b, 0), 1, a), b - 1));
    return t * r.output() * log(where(equal(a, 0), 1, a));
  }
  static auto samples() { return binary_samples<Power>(0.5, 2); }

 private:
  // The C library's: exact where a SIMD exp(b ln a) is not, and right for negative bases.
  template <class V>
  static V each_lane(const V& a, const V& b) {
    using T = typename V::value_type;
    alignas(64) T x[V::size], y[V::size];
    a.store_aligned(x);
    b.store_aligned(y);
    for (std::size_t i = 0; i < V::size; ++i) x[i] = std::pow(x[i], y[i]);
    return V::load_aligned(x);
  }
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
    return scale(t, factor);
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

Tensor scalar_like(const Tensor& like, double value) {
  if (like.defined() && like.dtype() == DType::int64 &&
      !(value == std::trunc(value) && std::abs(value) < 0x1p63))
    throw DTypeError(detail::text("[scalar] ", value,
                                  " beside an int64 tensor; convert that with "
                                  "cast(x, DType::float64)"));
  return ops::constant_of(value, like.dtype());
}

Tensor scalar_like(const Tensor& like, std::int64_t value) {
  return like.dtype() == DType::int64 ? Tensor(value)
                                      : ops::constant_of(static_cast<double>(value), like.dtype());
}

}  // namespace xg
