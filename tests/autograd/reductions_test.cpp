// Values of the reductions and softmaxes against plain loops, at awkward shapes and special
// numbers, and their independence of the number of threads.
#include <tbb/global_control.h>

#include <functional>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Group = std::vector<double>;  // the elements of one reduction, in row-major order
using Reduction = Tensor (*)(Operand, const Axes&, bool);

double naive_sum(const Group& g) {
  long double total = 0;
  for (const double x : g) total += x;
  return static_cast<double>(total);
}
double naive_squared_norm(const Group& g) {
  long double total = 0;
  for (const double x : g) total += static_cast<long double>(x) * x;
  return static_cast<double>(total);
}
double naive_mean(const Group& g) { return naive_sum(g) / static_cast<double>(g.size()); }
double naive_var(const Group& g) {
  const double centre = naive_mean(g);
  Group squares;
  for (const double x : g) squares.push_back((x - centre) * (x - centre));
  return naive_mean(squares);
}
double naive_prod(const Group& g) {
  double total = 1;
  for (const double x : g) total *= x;
  return total;
}
double naive_max(const Group& g) { return *std::max_element(g.begin(), g.end()); }
double naive_min(const Group& g) { return *std::min_element(g.begin(), g.end()); }
double naive_argmax(const Group& g) {
  return static_cast<double>(std::max_element(g.begin(), g.end()) - g.begin());
}
double naive_logsumexp(const Group& g) {
  double total = 0;
  for (const double x : g) total += std::exp(x);
  return std::log(total);
}

Tensor variance(Operand x, const Axes& axes, bool keepdims) { return var(x, axes, keepdims); }

struct Row {
  const char* name;
  Reduction function;
  double (*reference)(const Group&);
  bool of_nothing;  // whether it has a value for an empty group
};
const Row rows[] = {
    {"sum", sum, naive_sum, true},
    {"squared_norm", squared_norm, naive_squared_norm, true},
    {"mean", mean, naive_mean, false},
    {"var", variance, naive_var, false},
    {"prod", prod, naive_prod, true},
    {"max", max, naive_max, false},
    {"min", min, naive_min, false},
    {"argmax", argmax, naive_argmax, false},
    {"logsumexp", logsumexp, naive_logsumexp, true},
};

/// The reduction by definition: groups of elements that agree in all other axes.
Tensor naive(const Row& row, const Tensor& x, const Axes& axes, bool keepdims) {
  const Axes reduced = normalise_axes("test", axes, x.rank());
  const Shape kept = reduced_shape(x.shape(), reduced, true);
  const Shape shape = reduced_shape(x.shape(), reduced, keepdims);
  std::vector<Group> groups(static_cast<std::size_t>(element_count(kept)));
  for_each_index(x.shape(), [&](const Extents& index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) at = at * kept[i] + (kept[i] == 1 ? 0 : index[i]);
    groups[static_cast<std::size_t>(at)].push_back(x.at(index));
  });
  std::vector<double> result;
  for (const Group& g : groups) result.push_back(row.reference(g));
  return tensor(result, shape, row.function == argmax ? DType::int64 : x.dtype());
}

/// Every subset of the axes of a tensor.
std::vector<Axes> subsets(std::size_t rank) {
  std::vector<Axes> result;
  for (std::size_t bits = 0; bits < (std::size_t{1} << rank); ++bits) {
    Axes axes;
    for (std::size_t i = 0; i < rank; ++i)
      if (bits >> i & 1) axes.push_back(static_cast<std::int64_t>(i));
    result.push_back(axes);
  }
  return result;
}

}  // namespace

TEST_CASE("reductions give what plain loops give", "[reductions]") {
  const Shape shapes[] = {{},
                          {1},
                          {9},
                          {5, 1},
                          {1, 7},
                          {3, 4, 5},
                          {2, 1, 3, 2},
                          {4, 33},
                          {33, 4},
                          {2, 65, 3},
                          {0, 3},
                          {2, 0, 3},
                          {1, 2, 1, 3, 1, 2},
                          {300, 70},
                          {2, 3, 2, 2, 3}};
  for (const Row& row : rows)
    for (const Shape& shape : shapes)
      for (const Axes& axes : subsets(shape.size()))
        for (const DType dtype : {DType::float32, DType::float64}) {
          INFO(row.name << ' ' << shape << " over " << axes << ' ' << dtype);
          const Tensor x = numbers(shape, 0.5, 1.3, 1, dtype);
          const bool empty_groups =
              x.size() == 0 &&
              element_count(reduced_shape(shape, normalise_axes("", axes, shape.size()), true)) > 0;
          if (empty_groups && !row.of_nothing) continue;
          for (const bool keepdims : {false, true})
            REQUIRE_CLOSE(row.function(x, axes, keepdims), naive(row, x, axes, keepdims), 3e-5,
                          1e-6);
        }
}

TEST_CASE("reductions cope with every length around a vector's", "[reductions]") {
  std::vector<std::int64_t> sizes{63,   64,   65,   127,   128,   129,
                                  1023, 1024, 1025, 32768, 32769, 200003};
  for (std::int64_t n = 1; n <= 40; ++n) sizes.push_back(n);
  for (const Row& row : rows) {
    if (row.function == prod) continue;  // of many numbers has no accuracy to speak of
    for (const std::int64_t n : sizes)
      for (const Shape& shape : {Shape{n}, Shape{2, n}, Shape{n, 3}, Shape{3, n}}) {
        if (element_count(shape) > 250000) continue;
        const Tensor x = numbers(shape, -2, 2, 5, DType::float32);
        for (const std::int64_t axis : {std::int64_t{0}, std::int64_t{-1}}) {
          INFO(row.name << ' ' << shape << " over " << axis);
          REQUIRE_CLOSE(row.function(x, axis, false), naive(row, x, axis, false), 2e-5, 2e-4);
        }
      }
  }
}

TEST_CASE("over nothing there is a neutral element, or an error", "[reductions]") {
  const Tensor x = zeros({3, 0});
  CHECK(identical(sum(x, 1), zeros({3})));
  CHECK(identical(prod(x, 1), ones({3})));
  CHECK(identical(logsumexp(x, 1), full({3}, -infinity)));
  CHECK(std::isnan(mean(x).item()));
  CHECK(sum(zeros({0})).item() == 0);
  REQUIRE_ERROR(max(x, 1), ShapeError,
                "[max] no elements to choose from: shape (3, 0) over axes (1,)");
  REQUIRE_ERROR(min(x), ShapeError, "[min] no elements to choose from");
  REQUIRE_ERROR(argmax(x, 1), ShapeError, "[argmax] no elements to choose from");
  CHECK(max(x, 0).shape() == Shape{0});
  CHECK(gradient([](const Tensor& v) { return sum(prod(v, 1)); }, x).shape() == x.shape());
}

TEST_CASE("squares are taken once, however many parts a sum has", "[reductions]") {
  CHECK(squared_norm(full({200'000}, 3.0)).item() == 1'800'000);
  CHECK(squared_norm(full({600, 70}, 3.0), 0).at({69}) == 5'400);
  CHECK(squared_norm(full({2, 70'000}, 3.0), 1).at({1}) == 630'000);
}

TEST_CASE("float32 sums of many numbers stay accurate", "[reductions]") {
  // The runs' results are added one after the other, so columns of millions lose some digits.
  const std::int64_t n = 1 << 22;
  const Tensor x = full({n}, 0.1, DType::float32);
  const double each = static_cast<double>(0.1f);
  for (const std::int64_t columns : {1, 2, 100, 2048}) {
    const std::int64_t rows_of = n / columns;
    const Tensor total = sum(slice(x, 0, 0, rows_of * columns), {});
    const Tensor sums = sum(reshape(slice(x, 0, 0, rows_of * columns), {rows_of, columns}), 0);
    CHECK(total.item() == Approx(each * static_cast<double>(rows_of * columns)).epsilon(1e-5));
    CHECK(sums.at({columns - 1}) == Approx(each * static_cast<double>(rows_of)).epsilon(1e-4));
  }
}

TEST_CASE("variances and logarithms of sums are put together from parts", "[reductions]") {
  constexpr std::int64_t n = 100'003;
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t columns : {1, 2, 5, 40, 100}) {
      INFO(dtype << ", " << columns << " columns");
      // Far from zero, and growing, so that the parts' centres differ.
      const Tensor ramp = reshape(arange(n, DType::float64) * (20.0 / (n - 1)) + 100, {n, 1});
      const Tensor x = cast(broadcast_to(ramp, {n, columns}), dtype);
      const double epsilon = dtype == DType::float32 ? 1e-4 : 1e-11;
      const double spread = 400.0 / 12 * (n + 1) / (n - 1);
      double scale = 0;
      for (std::int64_t i = 0; i < n; ++i)
        scale += std::exp(20.0 * static_cast<double>(i) / (n - 1));
      for (const Tensor& v : {var(x, 0), var(transpose(x), 1), var(-x, 0)})
        for (std::int64_t c = 0; c < columns; ++c)
          CHECK(v.at({c}) == Approx(spread).epsilon(epsilon));
      for (const Tensor& v : {logsumexp(x, 0), logsumexp(transpose(x), 1)})
        for (std::int64_t c = 0; c < columns; ++c)
          CHECK(v.at({c}) == Approx(100 + std::log(scale)).epsilon(epsilon));
    }
}

TEST_CASE("logsumexp knows NaN and infinities in whatever part they stand", "[reductions]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {3, 70, 70'000})
      for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1})
        for (const auto& [rest, one, expected] : {std::array{-infinity, -500., -500.},
                                                  {-infinity, infinity, infinity},
                                                  {-infinity, -infinity, -infinity},
                                                  {0., infinity, infinity},
                                                  {0., not_a_number, not_a_number},
                                                  {-infinity, not_a_number, not_a_number}}) {
          INFO(dtype << ", " << one << " at " << at << " of " << n << " times " << rest);
          Tensor x = full({n}, rest, dtype);
          visit_floating(dtype, [&, value = one]<class T>(T) {
            x.exclusive_data<T>()[at] = static_cast<T>(value);
          });
          const Tensor columns = broadcast_to(reshape(x, {n, 1}), {n, 70});
          for (const double value : {logsumexp(x).item(), logsumexp(columns, 0).at({69})})
            CHECK((std::isnan(expected) ? std::isnan(value) : value == expected));
        }
}

TEST_CASE("reductions and elementwise loops do not depend on the number of threads",
          "[reductions]") {
  const auto compute = [] {
    std::vector<Tensor> results;
    for (const DType dtype : {DType::float32, DType::float64})
      for (const Shape& shape :
           {Shape{300001}, Shape{3, 100003}, Shape{100003, 3}, Shape{517, 611}}) {
        const Tensor x = numbers(shape, -1, 1, 3, dtype);
        for (const Reduction f : {sum, mean, max, logsumexp, variance})
          for (const Axes& axes : {Axes{}, Axes{0}, Axes{-1}}) results.push_back(f(x, axes, false));
        results.push_back(tanh(x) * x);
        results.push_back(softmax(x));
      }
    return results;
  };
  std::vector<Tensor> serial;
  {
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    serial = compute();
  }
  const tbb::global_control several(tbb::global_control::max_allowed_parallelism, 4);
  for (int repetition = 0; repetition < 3; ++repetition) {
    const std::vector<Tensor> parallel = compute();
    for (std::size_t i = 0; i < serial.size(); ++i) REQUIRE(identical(serial[i], parallel[i]));
  }
}

TEST_CASE("max, min and argmax know NaN and infinities wherever they stand", "[reductions]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 3, 16, 17, 70})
      for (std::int64_t at = 0; at < n; ++at) {
        std::vector<double> values(static_cast<std::size_t>(n), -infinity);
        values[static_cast<std::size_t>(at)] = -1e30;
        const Tensor low = tensor(values, {n}, dtype);
        CHECK(max(low).item() == low.at({at}));
        CHECK(argmax(low).item() == static_cast<double>(at));
        CHECK(min(-low).item() == -low.at({at}));
        values[static_cast<std::size_t>(at)] = not_a_number;
        for (const Shape& shape : {Shape{n}, Shape{n, 1}, Shape{1, n}}) {
          const Tensor x = tensor(values, shape, dtype);
          CHECK(std::isnan(max(x).item()));
          CHECK(std::isnan(min(x).item()));
          CHECK(std::isnan(sum(x).item()));
          CHECK(argmax(x).item() == static_cast<double>(at));
        }
        const Tensor columns = broadcast_to(tensor(values, {n, 1}, dtype), {n, 5});
        CHECK(std::isnan(max(columns, 0).at({4})));
        CHECK(std::isnan(min(columns, 0).at({0})));
      }
  CHECK(identical(argmax(Tensor{{1., 3., 3.}, {2., 2., 2.}}, 1), Tensor{1, 0}));
  CHECK(argmax(Tensor{not_a_number, 9., not_a_number}).item() == 0);
  CHECK(argmax(Tensor{{1., 2.}, {7., 3.}}).item() == 2);
}

TEST_CASE("elements that tie share the derivative of max and min", "[reductions]") {
  const Tensor x{{1., 3., 3.}, {2., 2., 2.}, {0., -1., 5.}};
  const auto over_rows = [](const Tensor& v) { return sum(max(v, 1)); };
  CHECK(identical(gradient(over_rows, x),
                  Tensor{{0., 0.5, 0.5}, {1. / 3, 1. / 3, 1. / 3}, {0., 0., 1.}}));
  CHECK(identical(gradient([](const Tensor& v) { return min(v); }, Tensor{2., 1., 1., 1., 1.}),
                  Tensor{0., 0.25, 0.25, 0.25, 0.25}));
  CHECK(identical(jvp([](const Tensor& v) { return max(v); }, Tensor{1., 1.}, Tensor{4., 2.}),
                  Tensor(3.0)));
}

TEST_CASE("products with zeros have derivatives of every order", "[reductions]") {
  const auto product = [](const Tensor& x) { return prod(x); };
  const Tensor one_zero{2., 0., 3.}, two_zeros{0., 5., 0.};
  CHECK(identical(gradient(product, one_zero), Tensor{0., 6., 0.}));
  CHECK(identical(gradient(product, two_zeros), Tensor{0., 0., 0.}));
  CHECK(identical(hessian(product, one_zero), Tensor{{0., 3., 0.}, {3., 0., 2.}, {0., 2., 0.}}));
  CHECK(identical(hessian(product, two_zeros), Tensor{{0., 0., 5.}, {0., 0., 0.}, {5., 0., 0.}}));
  const auto rows_of = [](const Tensor& x) { return sum(prod(x, {0, 2})); };
  CHECK(gradcheck(rows_of, tensor({1, 0, 2, 3, 0, 0, 4, 5, 6, 7, 0, 8}, {2, 3, 2})));
}

TEST_CASE("softmax and its kin neither overflow nor lose small differences", "[reductions]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = tensor({1000, 1000, -1000}, {3}, dtype);
    const double log2 = std::log(2.0);
    REQUIRE_CLOSE(softmax(x), tensor({0.5, 0.5, 0}, {3}, dtype), 1e-6);
    REQUIRE_CLOSE(log_softmax(x), tensor({-log2, -log2, -2000 - log2}, {3}, dtype), 1e-6);
    REQUIRE_CLOSE(logsumexp(x), tensor({1000 + log2}, {}, dtype), 1e-6);
    REQUIRE_CLOSE(logsumexp(-x), tensor({1000}, {}, dtype), 1e-6);
    const std::pair<const char*, std::function<Tensor(const Tensor&)>> functions[] = {
        {"logsumexp", [](const Tensor& v) { return logsumexp(v); }},
        {"softmax", [](const Tensor& v) { return slice(softmax(v), 0, 0, 1); }},
        {"log_softmax", [](const Tensor& v) { return slice(log_softmax(v), 0, 0, 1); }}};
    const std::vector<double> gradients[] = {{0.5, 0.5, 0}, {0.25, -0.25, 0}, {0.5, -0.5, 0}};
    for (std::size_t i = 0; i < 3; ++i) {
      INFO(functions[i].first);
      const Tensor want = tensor(gradients[i], {3}, dtype);
      CHECK(difference(gradient(functions[i].second, x), want, 1e-6) == "");
    }
  }
  const Tensor cold{-infinity, 0., -infinity};
  CHECK(identical(softmax(cold), Tensor{0., 1., 0.}));
  CHECK(logsumexp(cold).item() == 0);
  CHECK(logsumexp(Tensor{-infinity, -infinity}).item() == -infinity);
  CHECK(logsumexp(Tensor{infinity, 0.}).item() == infinity);
  const Tensor nothing =
      gradient([](const Tensor& v) { return logsumexp(v); }, Tensor{-infinity, -infinity});
  CHECK(identical(nothing, Tensor{0., 0.}));
}

TEST_CASE("softmax over any axes adds up to one", "[reductions]") {
  for (const Shape& shape : {Shape{7}, Shape{3, 17}, Shape{2, 3, 4}, Shape{2, 0, 3}})
    for (const Axes& axes : subsets(shape.size())) {
      INFO(shape << " over " << axes);
      const Tensor x = numbers(shape, -3, 3), y = softmax(x, axes);
      const Tensor total = sum(y, axes, true);
      REQUIRE_CLOSE(total, x.size() == 0 ? total : ones(total.shape()), 1e-14);
      REQUIRE_CLOSE(log_softmax(x, axes), log(y), 1e-12, 1e-14);
    }
}

TEST_CASE("var takes away degrees of freedom", "[reductions]") {
  const Tensor x{{1., 2., 3., 6.}};
  CHECK(var(x).item() == Approx(3.5));
  CHECK(var(x, -1, true, 1).item() == Approx(14.0 / 3));
  CHECK(var(x, -1, true, 1).shape() == Shape{1, 1});
  CHECK(var(full({1000}, 1e8)).item() == 0);
}

TEST_CASE("sum_to undoes every broadcast", "[reductions]") {
  const std::pair<Shape, Shape> pairs[] = {
      {{2, 3}, {3}}, {{2, 3}, {2, 1}}, {{2, 3}, {}},     {{2, 3}, {1, 1}}, {{4, 2, 3}, {2, 1}},
      {{1, 3}, {3}}, {{0, 3}, {3}},    {{2, 3}, {2, 3}}, {{1, 1, 1}, {1}}, {{2, 1, 3}, {1, 1, 3}}};
  for (const auto& [big, small] : pairs) {
    INFO(big << " to " << small);
    const Tensor x = numbers(big), y = numbers(small, -1, 1, 2);
    CHECK(sum_to(x, small).shape() == small);
    // <sum_to(x), y> = <x, broadcast_to(y)>
    CHECK(sum(sum_to(x, small) * y).item() ==
          Approx(sum(x * broadcast_to(y, big)).item()).margin(1e-13));
  }
  REQUIRE_ERROR(sum_to(zeros({2, 3}), {2}), ShapeError,
                "[sum_to] (2, 3) is not a broadcast of (2,)");
  REQUIRE_ERROR(sum_to(zeros({3}), {1, 3}), ShapeError, "is not a broadcast of (1, 3)");
}
