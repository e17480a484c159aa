// Tensors so large that loops are cut into ranges, or write past the cache: every element is what a
// plain loop gives. That the number of threads makes no difference is the catalogue's test.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// The elements of a tensor as T, without a copy.
template <class T>
struct View {
  const T* from;
  std::int64_t columns;
  explicit View(const Tensor& x)
      : from(x.data<T>()), columns(x.rank() == 0 ? 1 : x.shape().back()) {}
  T operator()(std::int64_t i) const { return from[i]; }
  T operator()(std::int64_t row, std::int64_t column) const { return from[row * columns + column]; }
};

/// How many elements of a (rows, columns) tensor differ from f(row, column).
template <class T, class F>
std::int64_t wrong(const Tensor& x, F f) {
  const View<T> view(x);
  std::int64_t result = 0;
  for (std::int64_t r = 0, i = 0; i < x.size(); ++r)
    for (std::int64_t c = 0; c < view.columns; ++c, ++i) result += view(i) != f(r, c);
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("results that are written past the cache", "[large]", float, double) {
  const std::int64_t n =
      (std::int64_t{32} << 20) / static_cast<std::int64_t>(sizeof(TestType)) + 37;
  const Tensor x = arange(n, dtype_of<TestType>);
  const auto expect = [](auto f) {
    return [f](std::int64_t, std::int64_t i) { return f(static_cast<TestType>(i)); };
  };
  CHECK(wrong<TestType>(-x, expect([](TestType v) { return -v; })) == 0);
  CHECK(wrong<TestType>(x + x, expect([](TestType v) { return v + v; })) == 0);
  CHECK(wrong<TestType>(2 - x, expect([](TestType v) { return 2 - v; })) == 0);
}

TEST_CASE("rows that are written past the cache and begin anywhere in a line", "[large]") {
  constexpr std::int64_t rows = 2101, columns = 4099;  // more than 32 MiB of float32
  const Tensor x = numbers({rows, columns}, -3, 3, 1, DType::float32);
  const auto part = [](const Tensor& t) { return slice(t, 0, 1000, 1009); };
  const Tensor row = slice(x, 0, 5, 6), column = slice(x, 1, 7, 8);
  const View<float> vx(x), vr(row), vc(column);
  CHECK(wrong<float>(broadcast_to(row, x.shape()), [&](auto, auto c) { return vr(c); }) == 0);
  CHECK(wrong<float>(broadcast_to(column, x.shape()), [&](auto r, auto) { return vc(r); }) == 0);
  CHECK(identical(part(softmax(x)), softmax(part(x))));
  CHECK(identical(part(log_softmax(x)), log_softmax(part(x))));
  Tensor places = arange(rows);  // none at the even ones, two or one at the others
  for (std::int64_t i = 0; i < rows; ++i) places.exclusive_data<std::int64_t>()[i] = i / 2 * 2 + 1;
  CHECK(wrong<float>(scatter_add(x, places, rows + 1), [&](auto r, auto c) {
          return r % 2 == 0 ? 0.f : vx(r - 1, c) + (r < rows ? vx(r, c) : 0.f);
        }) == 0);
  CHECK(wrong<float>(one_hot(arange(rows), columns),
                     [](auto r, auto c) { return c == r ? 1.f : 0.f; }) == 0);
}

TEMPLATE_TEST_CASE("large tensors broadcast", "[large]", float, double) {
  constexpr DType dtype = dtype_of<TestType>;
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{20011, 10},
                                      {15013, 17},
                                      {301, 643},
                                      {3, 70001},
                                      {66001, 3}}) {
    INFO(rows << " x " << columns);
    const Tensor x = numbers({rows, columns}, -1, 1, 1, dtype);
    const Tensor row = numbers({columns}, -1, 1, 2, dtype);
    const Tensor column = numbers({rows, 1}, -1, 1, 3, dtype);
    const View<TestType> vx(x), vr(row), vc(column);
    CHECK(wrong<TestType>(x * row, [&](auto r, auto c) { return vx(r, c) * vr(c); }) == 0);
    CHECK(wrong<TestType>(row - x, [&](auto r, auto c) { return vr(c) - vx(r, c); }) == 0);
    CHECK(wrong<TestType>(x - column, [&](auto r, auto c) { return vx(r, c) - vc(r); }) == 0);
    CHECK(wrong<TestType>(column - x, [&](auto r, auto c) { return vc(r) - vx(r, c); }) == 0);
    CHECK(wrong<TestType>(column * row, [&](auto r, auto c) { return vc(r) * vr(c); }) == 0);
    CHECK(wrong<TestType>(where(x < 0, row, column),
                          [&](auto r, auto c) { return vx(r, c) < 0 ? vr(c) : vc(r); }) == 0);
    CHECK(wrong<TestType>(broadcast_to(row, x.shape()), [&](auto, auto c) { return vr(c); }) == 0);
    CHECK(wrong<TestType>(broadcast_to(column, x.shape()), [&](auto r, auto) { return vc(r); }) ==
          0);
  }
  // Three axes that cannot be merged; a range begins within each.
  const Tensor x = numbers({31, 1, 47}, -1, 1, 4, dtype), y = numbers({53, 1}, -1, 1, 5, dtype);
  const View<TestType> vx(x), vy(y);
  CHECK(wrong<TestType>(x * y, [&](auto r, auto c) { return vx(r / 53, c) * vy(r % 53); }) == 0);
}

TEMPLATE_TEST_CASE("large transposes", "[large]", float, double, std::int64_t) {
  // Whole squares and parts of them, in the cache and past it.
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{64, 512},
                                      {333, 777},
                                      {40, 3},
                                      {3, 40},
                                      {100001, 5},
                                      {5, 100001},
                                      {1056, 1001},
                                      {1057, 1001}}) {
    INFO(rows << " x " << columns);
    const Tensor x = reshape(arange(rows * columns, dtype_of<TestType>), {rows, columns});
    const View<TestType> vx(x);
    CHECK(wrong<TestType>(transpose(x), [&](auto r, auto c) { return vx(c, r); }) == 0);
    CHECK(wrong<TestType>(transpose(transpose(x)), [&](auto r, auto c) { return vx(r, c); }) == 0);
  }
  const Shape shape{37, 1, 50, 3, 67};
  const Tensor x = reshape(arange(element_count(shape), dtype_of<TestType>), shape);
  const View<TestType> vx(x);
  for (const Axes& axes : {Axes{0, 1, 2, 4, 3}, Axes{0, 1, 3, 2, 4}, Axes{4, 2, 3, 1, 0},
                           Axes{2, 3, 4, 0, 1}, Axes{3, 0, 4, 2, 1}, Axes{1, 0, 2, 3, 4}}) {
    INFO(axes);
    const Tensor y = permute(x, axes);
    const View<TestType> vy(y);
    std::int64_t at = 0, differ = 0;
    for_each_index(y.shape(), [&](const Extents& index) {
      Extents source = index;
      for (std::size_t k = 0; k < axes.size(); ++k)
        source[static_cast<std::size_t>(axes[k])] = index[k];
      std::int64_t place = 0;
      for (std::size_t k = 0; k < shape.size(); ++k) place = place * shape[k] + source[k];
      differ += vy(at++) != vx(place);
    });
    CHECK(differ == 0);
  }
}

TEMPLATE_TEST_CASE("rows of every short length", "[large]", float, double) {
  constexpr DType dtype = dtype_of<TestType>;
  const double tolerance = dtype == DType::float32 ? 1e-6 : 1e-15;
  for (const std::int64_t rows : {1, 3, 37, 9001})
    for (std::int64_t count = 1; count <= (rows > 100 ? 18 : 40); ++count) {
      INFO(rows << " x " << count);
      const Tensor x = numbers({rows, count}, -3, 3, 1, dtype);
      const View<TestType> in(x);
      Tensor total = Tensor::uninitialised({rows}, dtype), largest = total + 0, spread = total + 0,
             all_logs = total + 0, weights = x + 0, logs = x + 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        double sum = 0, most = -infinity, scale = 0;
        for (std::int64_t c = 0; c < count; ++c) {
          const double v = in(r, c);
          sum += v;
          scale += std::exp(v);
          most = std::max(most, v);
        }
        double squares = 0;
        for (std::int64_t c = 0; c < count; ++c)
          squares += std::pow(in(r, c) - sum / static_cast<double>(count), 2);
        spread.exclusive_data<TestType>()[r] =
            static_cast<TestType>(squares / static_cast<double>(count));
        all_logs.exclusive_data<TestType>()[r] = static_cast<TestType>(std::log(scale));
        total.exclusive_data<TestType>()[r] = static_cast<TestType>(sum);
        largest.exclusive_data<TestType>()[r] = static_cast<TestType>(most);
        for (std::int64_t c = 0; c < count; ++c) {
          const std::int64_t at = r * count + c;
          weights.exclusive_data<TestType>()[at] = static_cast<TestType>(std::exp(in(at)) / scale);
          logs.exclusive_data<TestType>()[at] = static_cast<TestType>(in(at)-std::log(scale));
        }
      }
      CHECK(difference(sum(x, 1), total, 0, 100 * tolerance) == "");
      CHECK(identical(max(x, 1), largest));
      CHECK(identical(-min(-x, -1), largest));
      CHECK(difference(var(x, 1), spread, 10 * tolerance, 10 * tolerance) == "");
      CHECK(difference(logsumexp(x, 1), all_logs, 10 * tolerance, 10 * tolerance) == "");
      CHECK(difference(softmax(x), weights, 10 * tolerance, tolerance) == "");
      CHECK(difference(log_softmax(x), logs, 10 * tolerance, 10 * tolerance) == "");
    }
}

TEST_CASE("large tensors are cut, put together and gathered", "[large]") {
  const Tensor x = reshape(arange(401 * 403, DType::float32), {401, 403});
  const View<float> vx(x);
  for (const std::int64_t step : {1, 3}) {
    CHECK(wrong<float>(slice(x, 0, 5, 400, step),
                       [&](auto r, auto c) { return vx(5 + r * step, c); }) == 0);
    CHECK(wrong<float>(slice(x, 1, 5, 400, step),
                       [&](auto r, auto c) { return vx(r, 5 + c * step); }) == 0);
    const auto put = [&](std::int64_t i, std::int64_t n) {  // where it came from, or -1
      return i >= 7 && (i - 7) % step == 0 && (i - 7) / step < n ? (i - 7) / step : -1;
    };
    CHECK(wrong<float>(embed(x, 0, 7, 1301, step), [&](auto r, auto c) {
            return put(r, 401) < 0 ? 0.f : vx(put(r, 401), c);
          }) == 0);
    CHECK(wrong<float>(embed(x, 1, 7, 1301, step), [&](auto r, auto c) {
            return put(c, 403) < 0 ? 0.f : vx(r, put(c, 403));
          }) == 0);
  }
  CHECK(wrong<float>(concatenate({x, x, x}, 0), [&](auto r, auto c) { return vx(r % 401, c); }) ==
        0);
  CHECK(wrong<float>(concatenate({x, x, x}, 1), [&](auto r, auto c) { return vx(r, c % 403); }) ==
        0);
  Tensor places = arange(401), labels = arange(20001);
  for (std::int64_t i = 0; i < 401; ++i) places.exclusive_data<std::int64_t>()[i] = 400 - i / 2;
  for (std::int64_t i = 0; i < 20001; ++i) labels.exclusive_data<std::int64_t>()[i] = i / 2500;
  CHECK(wrong<float>(take(x, places), [&](auto r, auto c) { return vx(400 - r / 2, c); }) == 0);
  CHECK(wrong<float>(scatter_add(x, places, 401), [&](auto r, auto c) {
          const auto first = 2 * (400 - r);
          return first > 400 ? 0.f : vx(first, c) + (first < 400 ? vx(first + 1, c) : 0.f);
        }) == 0);
  places.exclusive_data<std::int64_t>()[300] = 401;
  REQUIRE_ERROR(take(x, places), ShapeError, "[take] row 401 is out of range for 401 rows");
  CHECK(wrong<float>(one_hot(labels, 9),
                     [&](auto r, auto c) { return r / 2500 == c ? 1.f : 0.f; }) == 0);
  const Tensor copy = cast(x, DType::float64);
  const View<double> wide(copy);
  std::int64_t differ = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) differ += wide(i) != static_cast<double>(i);
  CHECK(differ == 0);
}

TEMPLATE_TEST_CASE("argmax of large tensors", "[large]", float, double) {
  constexpr DType dtype = dtype_of<TestType>;
  for (const Shape& shape : {Shape{301, 1301}, {20011, 10}, {3, 70001}, {70001, 3}}) {
    const std::int64_t rows = shape[0], columns = shape[1];
    INFO(rows << " x " << columns);
    // Small whole numbers, so that the largest stands in many places, and some that are NaN.
    Tensor x = numbers({rows, columns}, 0, 9, 1, dtype);
    TestType* const elements = x.exclusive_data<TestType>();
    for (std::int64_t i = 0; i < x.size(); ++i)
      elements[i] = i % 1009 == 0 ? static_cast<TestType>(not_a_number) : std::floor(elements[i]);
    const View<TestType> vx(x);
    const auto better = [](TestType a, TestType b) { return !(a <= b) && !std::isnan(b); };
    CHECK(wrong<std::int64_t>(reshape(argmax(x, 1), {1, rows}), [&](auto, auto r) {
            std::int64_t best = 0;
            for (std::int64_t c = 1; c < columns; ++c)
              if (better(vx(r, c), vx(r, best))) best = c;
            return best;
          }) == 0);
    CHECK(wrong<std::int64_t>(argmax(x, 0), [&](auto, auto c) {
            std::int64_t best = 0;
            for (std::int64_t r = 1; r < rows; ++r)
              if (better(vx(r, c), vx(best, c))) best = r;
            return best;
          }) == 0);
  }
  const Tensor last = argmax(reshape(arange(2'200'002, dtype), {1'100'001, 2}), 0);
  CHECK(identical(last, Tensor{1'100'000, 1'100'000}));
}
