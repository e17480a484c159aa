// Values of the elementwise operations against the C++ library and plain loops: accuracy, awkward
// sizes, broadcasting, special numbers and the derivatives at kinks. Smooth derivatives are checked
// by the catalogue's test.
#include <functional>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Real = long double;
using Unary = Tensor (*)(Operand);

/// A function of one tensor, what it should give, and how far it may be off in units of the last
/// place, in float and in double, over which ranges.
struct Row {
  const char* name;
  Unary function;
  Real (*reference)(Real);
  double float_ulps, double_ulps;
  std::vector<std::pair<double, double>> ranges;
};

// The tail of gelu has the error of its argument, times x². float stays below 88: the exponential
// of xsimd overflows at 88.38, 0.35 too early.
const std::vector<Row> accuracy{
    {"square", square, [](Real x) { return x * x; }, 0.51, 0.51, {{-1e18, 1e18}}},
    {"sqrt", sqrt, [](Real x) { return std::sqrt(x); }, 0.51, 0.51, {{0, 1e30}}},
    {"exp", exp, [](Real x) { return std::exp(x); }, 1.5, 1.5, {{-87, 88}, {-1, 1}}},
    {"expm1", expm1, [](Real x) { return std::expm1(x); }, 2.5, 2.5, {{-87, 88}, {-1e-3, 1e-3}}},
    {"log", log, [](Real x) { return std::log(x); }, 1, 1, {{1e-37, 1e30}, {0.5, 2}}},
    {"log1p", log1p, [](Real x) { return std::log1p(x); }, 1, 1, {{-0.999, 1e30}, {-1e-3, 1e-3}}},
    {"abs", abs, [](Real x) { return std::abs(x); }, 0, 0, {{-1e30, 1e30}}},
    {"sin", sin, [](Real x) { return std::sin(x); }, 2, 3, {{-4, 4}, {-1e6, 1e6}}},
    {"cos", cos, [](Real x) { return std::cos(x); }, 2, 3, {{-4, 4}, {-1e6, 1e6}}},
    {"tanh", tanh, [](Real x) { return std::tanh(x); }, 2, 2, {{-1, 1}, {-1000, 1000}}},
    {"erf", erf, [](Real x) { return std::erf(x); }, 3, 1, {{-1, 1}, {-10, 10}}},
    {"sigmoid", sigmoid, [](Real x) { return 1 / (1 + std::exp(-x)); }, 3, 3, {{-80, 80}}},
    {"softplus",
     softplus,
     [](Real x) { return std::max(x, Real(0)) + std::log1p(std::exp(-std::abs(x))); },
     2.5,
     2.5,
     {{-80, 80}}},
    {"gelu",
     gelu,
     [](Real x) { return x * std::erfc(-x / std::sqrt(Real(2))) / 2; },
     120,
     120,
     {{-10, 10}}},
    {"elu",
     [](Operand x) { return elu(x); },
     [](Real x) { return x < 0 ? std::expm1(x) : x; },
     2.5,
     2.5,
     {{-50, 50}}},
    {"pow 3",
     [](Operand x) { return pow(x, 3); },
     [](Real x) { return x * x * x; },
     2,
     2,
     {{-20, 20}}},
    {"pow -2",
     [](Operand x) { return pow(x, -2); },
     [](Real x) { return 1 / (x * x); },
     4,
     2,
     {{-20, 20}}},
    {"pow 2.5",
     [](Operand x) { return pow(x, 2.5); },
     [](Real x) { return std::pow(x, Real(2.5)); },
     1,
     1,
     {{0, 20}}},
};

/// Numbers spread evenly and by magnitude over a range, in float or double.
template <class T>
std::vector<T> spread(double low, double high) {
  constexpr std::int64_t n = 20000;
  std::vector<T> result;
  for (const double x : elements(numbers({n}, low, high, 3))) result.push_back(static_cast<T>(x));
  const double largest = std::max(std::abs(low), std::abs(high));
  for (const double e : elements(numbers({n}, -100, std::log2(largest), 4)))
    for (const double x : {std::exp2(e), -std::exp2(e)})
      if (x >= low && x <= high) result.push_back(static_cast<T>(x));
  return result;
}

template <class T>
void check_accuracy(const Row& row, double allowed) {
  for (const auto& [low, high] : row.ranges) {
    const std::vector<T> in = spread<T>(low, high);
    const Tensor y =
        row.function(Tensor(std::span(in), Shape{static_cast<std::int64_t>(in.size())}));
    double worst = -1;
    std::size_t at = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const double error = ulps(y.data<T>()[i], row.reference(static_cast<Real>(in[i])));
      if (error > worst) worst = error, at = i;
    }
    INFO(row.name << " of " << dtype_of<T> << ' ' << in[at] << " gives " << y.data<T>()[at]);
    CHECK(worst <= allowed);
  }
}

struct Pair {
  const char* name;
  Tensor (*function)(Operand, Operand);
  double (*reference)(double, double);
};

const std::vector<Pair> pairs{
    {"+", operator+, [](double a, double b) { return a + b; }},
    {"-", operator-, [](double a, double b) { return a - b; }},
    {"*", operator*, [](double a, double b) { return a * b; }},
    {"/", operator/, [](double a, double b) { return a / b; }},
    {"maximum", maximum, [](double a, double b) { return std::max(a, b); }},
    {"minimum", minimum, [](double a, double b) { return std::min(a, b); }},
    {"pow", [](Operand a, Operand b) { return pow(abs(a), b); },
     [](double a, double b) { return std::pow(std::abs(a), b); }},
    {"xlogy", [](Operand a, Operand b) { return xlogy(a, abs(b)); },
     [](double a, double b) { return a == 0 ? 0 : a * std::log(std::abs(b)); }},
    {"equal", equal, [](double a, double b) { return double(a == b); }},
    {"not_equal", not_equal, [](double a, double b) { return double(a != b); }},
    {"<", operator<, [](double a, double b) { return double(a < b); }},
    {"<=", operator<=, [](double a, double b) { return double(a <= b); }},
    {">", operator>, [](double a, double b) { return double(a > b); }},
    {">=", operator>=, [](double a, double b) { return double(a >= b); }},
};

/// The element that `index` of a broadcast result comes from.
double broadcast_at(const Tensor& t, const Extents& index) {
  Extents own = t.shape();
  for (std::size_t i = 0; i < own.size(); ++i)
    own[i] = own[i] == 1 ? 0 : index[index.size() - own.size() + i];
  return t.at(own);
}

Tensor whole(const Shape& shape, std::uint64_t seed, DType dtype) {
  return cast(cast(numbers(shape, -4, 4, seed), DType::int64), dtype);  // with ties and zeros
}

double gradient_at(const std::function<Tensor(const Tensor&)>& f, double x, int order = 1) {
  const std::function<Tensor(const Tensor&)> next = [&](const Tensor& v) { return gradient(f, v); };
  return order == 1 ? next(Tensor(x)).item() : gradient_at(next, x, order - 1);
}

}  // namespace

TEST_CASE("elementwise functions are as accurate as stated", "[elementwise]") {
  for (const Row& row : accuracy) {
    check_accuracy<float>(row, row.float_ulps);
    check_accuracy<double>(row, row.double_ulps);
  }
}

TEST_CASE("elementwise functions give every element of every size", "[elementwise]") {
  std::vector<std::int64_t> sizes{0, 63, 64, 65, 65535, 65536, 65537, 200003};
  for (std::int64_t n = 1; n <= 40; ++n) sizes.push_back(n);
  for (const std::int64_t n : sizes)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(n << ' ' << dtype);
      const Tensor a = numbers({n}, -2, 2, 1, dtype), b = numbers({n}, 1, 2, 2, dtype);
      std::vector<double> root, product, shifted, flipped;
      for (std::int64_t i = 0; i < n; ++i) {
        const double x = a.at({i}), y = b.at({i});
        root.push_back(std::sqrt(y)), product.push_back(x * y);
        shifted.push_back(x + 3), flipped.push_back(3 / y);
      }
      REQUIRE_CLOSE(sqrt(b), tensor(root, {n}, dtype), 1e-7);
      REQUIRE_CLOSE(a * b, tensor(product, {n}, dtype), 1e-7);
      REQUIRE_CLOSE(a + 3, tensor(shifted, {n}, dtype), 1e-7);
      REQUIRE_CLOSE(3 / b, tensor(flipped, {n}, dtype), 1e-7);
    }
}

TEST_CASE("functions of two tensors broadcast as plain loops do", "[elementwise]") {
  const std::pair<Shape, Shape> shapes[] = {{{}, {}},
                                            {{}, {7}},
                                            {{17}, {}},
                                            {{33}, {33}},
                                            {{5, 3}, {3}},
                                            {{3}, {5, 3}},
                                            {{5, 1}, {1, 3}},
                                            {{4, 1}, {4, 33}},
                                            {{2, 1, 5}, {3, 1}},
                                            {{0, 3}, {1}},
                                            {{1}, {0}},
                                            {{2, 0, 3}, {2, 1, 1}},
                                            {{2, 3, 4}, {3, 4}},
                                            {{2, 1, 4}, {2, 3, 4}},
                                            {{2, 3, 1, 1, 2, 5}, {1, 4, 1, 5}},
                                            {{1, 1, 1}, {1}},
                                            {{3, 65}, {65}},
                                            {{1, 70000}, {2, 1}},
                                            {{70001}, {70001}}};
  for (const Pair& pair : pairs)
    for (const auto& [a_shape, b_shape] : shapes)
      for (const DType dtype : {DType::float32, DType::float64}) {
        INFO(pair.name << ' ' << a_shape << ' ' << b_shape << ' ' << dtype);
        const Tensor a = whole(a_shape, 1, dtype), b = whole(b_shape, 2, dtype);
        const Tensor y = pair.function(a, b);
        REQUIRE(y.dtype() == dtype);
        REQUIRE(y.shape() == broadcast_shapes("test", a_shape, b_shape));
        std::vector<double> want;
        for_each_index(y.shape(), [&](const Extents& index) {
          want.push_back(pair.reference(broadcast_at(a, index), broadcast_at(b, index)));
        });
        REQUIRE_CLOSE(y, tensor(want, y.shape(), dtype), 3e-7);
      }
}

TEST_CASE("where chooses for every kind of condition", "[elementwise]") {
  for (const DType condition : {DType::int64, DType::float32, DType::float64})
    for (const DType dtype : {DType::int64, DType::float32, DType::float64}) {
      const Tensor c = cast(Tensor{{1, 0, 2}, {0, -1, 0}}, condition);
      const Tensor a = cast(Tensor{1, 2, 3}, dtype), b = cast(Tensor{{10}, {20}}, dtype);
      CHECK(identical(where(c, a, b), cast(Tensor{{1, 10, 3}, {20, 2, 20}}, dtype)));
      CHECK(identical(where(c, a, 7), cast(Tensor{{1, 7, 3}, {7, 2, 7}}, dtype)));
    }
  const auto f = [](Operand c) { return sum(where(c, Tensor{5., 6.}, c)); };
  CHECK(identical(gradient(f, Tensor{0., 3.}), Tensor{1., 0.}));
}

TEST_CASE("comparisons and choices take int64", "[elementwise]") {
  const Tensor a{1, 5, -3, 4, 4, 4, 4, 4, 9}, b{1, 2, 3, 4, 4, 4, 4, 4, 8};
  CHECK(identical(equal(a, b), Tensor{1, 0, 0, 1, 1, 1, 1, 1, 0}));
  CHECK(identical(a < b, Tensor{0, 0, 1, 0, 0, 0, 0, 0, 0}));
  CHECK(identical(a >= 4, Tensor{0, 1, 0, 1, 1, 1, 1, 1, 1}));
  REQUIRE_ERROR(a < 0.5, DTypeError, "[scalar] 0.5 beside an int64 tensor");
  REQUIRE_ERROR(a < 1e30, DTypeError, "[scalar] 1e+30 beside an int64 tensor");
  REQUIRE_ERROR(a < infinity, DTypeError, "[scalar] inf beside an int64 tensor");
  REQUIRE_ERROR(a + b, DTypeError, "[add] input 0 is int64; float32 or float64 is needed");
}

TEST_CASE("numbers beside tensors take their type", "[elementwise]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = cast(Tensor{1, 2, 4}, dtype);
    const std::pair<Tensor, std::vector<double>> rows[] = {
        {x + 1, {2, 3, 5}},         {1 + x, {2, 3, 5}},          {x - 1.f, {0, 1, 3}},
        {1 - x, {0, -1, -3}},       {x * 2.0, {2, 4, 8}},        {2u * x, {2, 4, 8}},
        {x / 2, {0.5, 1, 2}},       {4 / x, {4, 2, 1}},          {maximum(x, 2), {2, 2, 4}},
        {minimum(x, 2), {1, 2, 2}}, {x > 1, {0, 1, 1}},          {x >= 2, {0, 1, 1}},
        {x < 2, {1, 0, 0}},         {x <= 2, {1, 1, 0}},         {equal(x, 2), {0, 1, 0}},
        {pow(2, x), {2, 4, 16}},    {not_equal(x, 2), {1, 0, 1}}};
    for (const auto& [got, want] : rows) CHECK(difference(got, tensor(want, {3}, dtype), 0) == "");
  }
}

TEST_CASE("NaN comes out of every function that it goes into", "[elementwise]") {
  for (const Row& row : accuracy)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(row.name);
      CHECK(std::isnan(row.function(Tensor::full({}, not_a_number, dtype)).item()));
    }
  const Tensor x(not_a_number), one(1.0);
  for (const Tensor& y :
       {relu(x), leaky_relu(x), clip(x, -1, 1), sign(x), maximum(x, one), maximum(one, x),
        minimum(x, one), minimum(one, x), xlogy(x, one), xlogy(one, x), x + one, one / x, -x})
    CHECK(std::isnan(y.item()));
  for (const Tensor& y : {x<one, x <= one, x> one, x >= one, equal(x, x)}) CHECK(y.item() == 0);
  CHECK(not_equal(x, x).item() == 1);
}

TEST_CASE("infinities and large numbers have their limits", "[elementwise]") {
  struct Limit {
    const char* name;
    Unary function;
    double at_minus, at_plus;
  };
  const Limit limits[] = {{"exp", exp, 0, infinity},
                          {"expm1", expm1, -1, infinity},
                          {"tanh", tanh, -1, 1},
                          {"erf", erf, -1, 1},
                          {"sigmoid", sigmoid, 0, 1},
                          {"softplus", softplus, 0, infinity},
                          {"relu", relu, 0, infinity},
                          {"sign", sign, -1, 1},
                          {"abs", abs, infinity, infinity},
                          {"log", log, not_a_number, infinity},
                          {"log1p", log1p, not_a_number, infinity},
                          {"sqrt", sqrt, not_a_number, infinity},
                          {"square", square, infinity, infinity}};
  for (const Limit& limit : limits)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(limit.name << ' ' << dtype);
      const Tensor ends = tensor({-infinity, infinity}, {2}, dtype);
      CHECK(difference(limit.function(ends), tensor({limit.at_minus, limit.at_plus}, {2}, dtype),
                       0) == "");
    }
  for (const double huge : {1e300, -1e300}) {
    CHECK(erf(Tensor(huge)).item() == (huge > 0 ? 1 : -1));
    CHECK(gelu(Tensor(huge)).item() == (huge > 0 ? huge : 0));
  }
}

TEST_CASE("activations stay finite and right at 1000, with their derivatives", "[elementwise]") {
  struct Stable {
    const char* name;
    Unary function;
    std::vector<double> values, derivatives;  // at -1000, 0, 1000
  };
  const Stable rows[] = {
      {"sigmoid", sigmoid, {0, 0.5, 1}, {0, 0.25, 0}},
      {"softplus", softplus, {0, std::log(2.0), 1000}, {0, 0.5, 1}},
      {"tanh", tanh, {-1, 0, 1}, {0, 1, 0}},
      {"erf", erf, {-1, 0, 1}, {0, 2 / std::sqrt(std::acos(-1.0)), 0}},
      {"gelu", gelu, {0, 0, 1000}, {0, 0.5, 1}},
      {"relu", relu, {0, 0, 1000}, {0, 0, 1}},
      {"elu", [](Operand x) { return elu(x); }, {-1, 0, 1000}, {0, 1, 1}},
      {"leaky_relu", [](Operand x) { return leaky_relu(x); }, {-10, 0, 1000}, {0.01, 1, 1}},
  };
  for (const Stable& row : rows)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(row.name << ' ' << dtype);
      const Tensor x = tensor({-1000, 0, 1000}, {3}, dtype);
      CHECK(difference(row.function(x), tensor(row.values, {3}, dtype), 1e-6) == "");
      const Tensor slope = gradient([&](const Tensor& v) { return sum(row.function(v)); }, x);
      CHECK(difference(slope, tensor(row.derivatives, {3}, dtype), 1e-6) == "");
    }
}

TEST_CASE("derivatives at kinks are the documented ones", "[elementwise]") {
  const auto at = [](Tensor (*f)(Operand), double x) { return gradient_at(f, x); };
  CHECK(at(relu, 0) == 0);
  CHECK(at(abs, 0) == 0);
  CHECK(at(sign, 0) == 0);
  CHECK(gradient_at([](const Tensor& x) { return leaky_relu(x, 0.25); }, 0) == 1);
  CHECK(gradient_at([](const Tensor& x) { return leaky_relu(x, 0.25); }, -1) == 0.25);
  CHECK(gradient_at([](const Tensor& x) { return elu(x, 0.25); }, 0) == 1);
  for (const double limit : {-1.0, 2.0})
    CHECK(gradient_at([](const Tensor& x) { return clip(x, -1, 2); }, limit) == 1);
  CHECK(gradient_at([](const Tensor& x) { return clip(x, -1, 2); }, 2.5) == 0);
  CHECK(gradient_at([](const Tensor& x) { return maximum(x, Tensor(1.0)); }, 1) == 0.5);
  CHECK(gradient_at([](const Tensor& x) { return minimum(Tensor(1.0), x); }, 1) == 0.5);
  CHECK(gradient_at([](const Tensor& x) { return maximum(x, x); }, 1) == 1);
}

TEST_CASE("powers and entropies have derivatives at zero", "[elementwise]") {
  const auto power = [](double e) { return [e](const Tensor& x) { return pow(x, e); }; };
  for (const int order : {1, 2, 3, 4}) {
    const double factorial[] = {1, 1, 2, 6};
    for (int e = 0; e < 4; ++e)
      CHECK(gradient_at(power(e), 0, order) == (order == e ? factorial[e] : 0));
  }
  // a^b at a = 0: 0 for b; for a as b a^(b-1), and 0 where b is 0, to the second order as well.
  const Tensor a{0., 0., 0., 2.}, b{0., 1., 2., 0.};
  const auto f = [](const Tensor& x, const Tensor& y) { return sum(pow(x, y)); };
  const auto [da, db] = gradient(f, a, b);
  CHECK(identical(da, Tensor{0., 1., 0., 0.}));
  CHECK(difference(db, Tensor{0., 0., 0., std::log(2.0)}, 1e-15) == "");
  const auto second = [&](const Tensor& x) {
    return sum(gradient([&](const Tensor& v) { return sum(pow(v, b)); }, x));
  };
  CHECK(identical(gradient(second, a), Tensor{0., 0., 2., 0.}));

  const Tensor x{0., 0., 2.}, y{0., 3., 3.};
  CHECK(difference(xlogy(x, y), Tensor{0., 0., 2 * std::log(3.0)}, 1e-15) == "");
  const Tensor dy = gradient([&](const Tensor& v) { return sum(xlogy(x, v)); }, y);
  CHECK(difference(dy, Tensor{0., 0., 2. / 3}, 1e-15) == "");
  CHECK(std::isinf(xlogy(Tensor(1.0), Tensor(0.0)).item()));
}

TEST_CASE("elementwise operations refuse what they cannot do", "[elementwise]") {
  REQUIRE_ERROR(Tensor(1.0) + Tensor(1.f), DTypeError,
                "[add] types differ: float64 () and float32 (); convert one with cast");
  REQUIRE_ERROR(Tensor() * Tensor(1.0), DTypeError, "[multiply] input 0 is undefined");
  REQUIRE_ERROR(Tensor() + 1, DTypeError, "[add] input 0 is undefined");
  REQUIRE_ERROR(clip(Tensor(1.0), 2, 1), ValueError, "[clip] the lower limit 2 is above");
  REQUIRE_ERROR(clip(Tensor(1.0), not_a_number, 1), ValueError, "[clip] the lower limit nan");
}
