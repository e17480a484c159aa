// Derivatives that are loops of their own where nobody records, against the same as tensor
// operations, where numbers are special. The catalogue's test does it for ordinary ones.
#include <functional>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Function = Tensor (*)(const Tensor& x, const Axes& axes);

struct Named {
  const char* name;
  Function function;
};

// The gradient of f weighted with numbers, recorded or not.
Tensor gradient_of(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  return gradient(
      [&](const Tensor& v) {
        const Tensor y = f(v);
        return sum(y * numbers(y.shape(), 0.5, 2, 9, y.dtype()));
      },
      x);
}
void compare(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, double tolerance) {
  const Tensor plain = gradient_of(f, x);
  const Tape tape;
  CHECK(difference(plain, gradient_of(f, x), tolerance, tolerance) == "");
}

// Lines of n numbers near 1: as they are, and with others among them.
Tensor special_lines(std::int64_t n, DType dtype) {
  const std::vector<std::vector<double>> special = {{},
                                                    {0},
                                                    {0, 0},
                                                    {2, 2, 2},
                                                    {-2, -2},
                                                    {infinity},
                                                    {-infinity},
                                                    {-1},
                                                    {not_a_number},
                                                    {1e-20, 1e3},
                                                    {infinity, infinity},
                                                    {-0.0, 2}};
  const auto lines = static_cast<std::int64_t>(special.size());
  Tensor x = numbers({lines + 2, n}, 0.999, 1.001, 1, dtype);
  visit_floating(dtype, [&]<class T>(T) {
    T* const to = x.exclusive_data<T>();
    for (std::int64_t line = 0; line < lines; ++line) {
      const auto& these = special[static_cast<std::size_t>(line)];
      for (std::size_t k = 0; k < these.size(); ++k)  // from the ends, and so in several parts
        to[line * n + (k % 2 == 0 ? static_cast<std::int64_t>(k) : n - 1)] =
            static_cast<T>(these[k]);
    }
    std::fill_n(to + lines * n, n, static_cast<T>(-infinity));
    std::fill_n(to + (lines + 1) * n, n, static_cast<T>(infinity));
  });
  return x;
}

}  // namespace

TEST_CASE("unrecorded gradients of reductions of special numbers", "[unrecorded]") {
  const Named reductions[] = {
      {"max", [](const Tensor& x, const Axes& axes) { return max(x, axes); }},
      {"min", [](const Tensor& x, const Axes& axes) { return min(x, axes, true); }},
      {"var", [](const Tensor& x, const Axes& axes) { return var(x, axes, false, 1); }},
      {"prod", [](const Tensor& x, const Axes& axes) { return prod(x, axes, true); }},
      {"logsumexp", [](const Tensor& x, const Axes& axes) { return logsumexp(x, axes); }},
      {"softmax", [](const Tensor& x, const Axes& axes) { return softmax(x, axes); }},
      {"log_softmax", [](const Tensor& x, const Axes& axes) { return log_softmax(x, axes); }}};
  for (const auto& [name, function] : reductions)
    for (const std::int64_t n : {3, 10, 16, 17, 75, 9001, 70001})
      for (const DType dtype : {DType::float32, DType::float64}) {
        INFO(name << " of " << n << " numbers, " << dtype);
        const double tolerance =
            (dtype == DType::float32 ? 1e-6 : 1e-15) * (n > 1000 ? 500.0 : 20.0);
        const Tensor rows = special_lines(n, dtype);
        const auto over = [f = function](const Axes& axes) {
          return [f, axes](const Tensor& x) { return f(x, axes); };
        };
        compare(over({1}), rows, tolerance);
        compare(over({0}), transpose(rows), tolerance);
        const Shape cut{2, rows.extent(0) / 2, n};
        compare(over({1}), permute(reshape(rows, cut), {0, 2, 1}), tolerance);
        compare(over({0, 2}), permute(reshape(rows, cut), {0, 1, 2}), 50 * tolerance);
      }
}

TEST_CASE("softmax over columns is that over rows", "[unrecorded]") {
  for (const std::int64_t n : {3, 17, 9001, 70001})
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(n << " numbers, " << dtype);
      const double tolerance = dtype == DType::float32 ? 1e-6 : 1e-14;
      const Tensor rows = special_lines(n, dtype) * 100;
      REQUIRE_CLOSE(transpose(softmax(transpose(rows), {0})), softmax(rows, {1}), tolerance);
      REQUIRE_CLOSE(transpose(log_softmax(transpose(rows), {0})), log_softmax(rows, {1}),
                    10 * tolerance, tolerance);
    }
}

TEST_CASE("unrecorded gradients of elementwise operations at special numbers", "[unrecorded]") {
  std::vector<double> a, b;
  const std::vector<double> special{-infinity, -2, -1, -0.5,     -0.0,        0,
                                    0.5,       1,  3,  infinity, not_a_number};
  for (const double first : special)
    for (const double second : special) {
      a.push_back(first);
      b.push_back(second);
    }
  const std::function<Tensor(const Tensor&)> unary[] = {
      [](const Tensor& x) { return sqrt(x); },    [](const Tensor& x) { return expm1(x); },
      [](const Tensor& x) { return log1p(x); },   [](const Tensor& x) { return abs(x); },
      [](const Tensor& x) { return sin(x); },     [](const Tensor& x) { return cos(x); },
      [](const Tensor& x) { return erf(x); },     [](const Tensor& x) { return clip(x, -1, 0.5); },
      [](const Tensor& x) { return pow(x, 3); },  [](const Tensor& x) { return pow(x, 1.5); },
      [](const Tensor& x) { return pow(x, -1); }, [](const Tensor& x) { return pow(x, 2.7); }};
  using Binary = Tensor (*)(Operand, Operand);
  const Binary binary[] = {maximum, minimum, xlogy, [](Operand x, Operand y) { return pow(x, y); }};
  const auto length = static_cast<std::int64_t>(a.size());
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = tensor(a, {length}, dtype), y = tensor(b, {length}, dtype);
    const double tolerance = dtype == DType::float32 ? 1e-6 : 1e-15;
    for (const auto& f : unary) compare(f, x, tolerance);
    for (const Binary f : binary) {
      compare([&](const Tensor& v) { return f(v, y); }, x, tolerance);
      compare([&](const Tensor& v) { return f(x, v); }, y, tolerance);
    }
  }
}
