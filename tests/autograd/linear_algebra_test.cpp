// Values of solve, inverse, logdet and cholesky against products with what they were made from, at
// the limits of size and condition; and the places and types of their errors. Derivatives are
// checked with the catalogue's.
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

Tensor regular(std::int64_t n, DType dtype, std::uint64_t seed = 1) {
  return numbers({n, n}, -1, 1, seed, dtype) + scale(eye(n, dtype), 2);
}

/// How far rounding may take an element at this size.
double close(DType dtype, std::int64_t n) {
  return (dtype == DType::float32 ? 2e-5 : 1e-13) * static_cast<double>(n);
}

/// The determinant by its definition, along the first row.
double determinant(const std::vector<std::vector<double>>& a) {
  if (a.empty()) return 1;
  double result = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    std::vector<std::vector<double>> minor;
    for (std::size_t i = 1; i < a.size(); ++i) {
      minor.push_back(a[i]);
      minor.back().erase(minor.back().begin() + static_cast<std::ptrdiff_t>(j));
    }
    result += (j % 2 == 0 ? 1 : -1) * a[0][j] * determinant(minor);
  }
  return result;
}

}  // namespace

TEST_CASE("solve: a x is b", "[linear_algebra]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 2, 3, 8, 33, 130})
      for (const std::int64_t k : {0, 1, 2, 17}) {
        INFO(dtype << ' ' << n << ' ' << k);
        const Tensor a = regular(n, dtype), b = numbers({n, k}, -1, 1, 2, dtype);
        const Tensor x = solve(a, b);
        REQUIRE_CLOSE(matmul(a, x), b, 0, close(dtype, n));
        if (k == 0) continue;
        // A vector is one column.
        const Tensor first = reshape(slice(b, 1, 0, 1), {-1});
        const Tensor alone = solve(a, first);
        CHECK(alone.shape() == Shape{n});
        REQUIRE_CLOSE(matmul(a, alone), first, 0, close(dtype, n));
      }
  REQUIRE_CLOSE(solve(Tensor{{0., 2.}, {1., 1.}}, Tensor{4., 5.}), (Tensor{3., 2.}), 1e-15);
  const Tensor a = regular(5, DType::float64), b = numbers({5, 3});
  REQUIRE_CLOSE(matmul(transpose(a), solve(transpose(a), b)), b, 0, 1e-13);
}

TEST_CASE("solve: triangular matrices, and such as almost are", "[linear_algebra]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 2, 3, 8, 33, 130})
      for (const bool lower : {true, false}) {
        INFO(dtype << ' ' << n << ' ' << lower);
        const Tensor r = numbers({n, n}, -1, 1, 4, dtype);
        const Tensor l = cholesky(matmul(r, transpose(r)) + eye(n, dtype));
        const Tensor a = lower ? l : transpose(l);
        for (const Shape& shape : {Shape{n}, Shape{n, 1}, Shape{n, 7}}) {
          const Tensor b = numbers(shape, -1, 1, 2, dtype);
          REQUIRE_CLOSE(matmul(a, solve(a, b)), b, 0, close(dtype, n));
        }
        if (n == 1) continue;
        // One element on the other side is not overlooked.
        const Tensor other = embed(embed(full({1, 1}, 0.5, dtype), 0, lower ? 0 : n - 1, n), 1,
                                   lower ? n - 1 : 0, n);
        const Tensor b = numbers({n, 2}, -1, 1, 2, dtype);
        REQUIRE_CLOSE(matmul(a + other, solve(a + other, b)), b, 0, 20 * close(dtype, n));
      }
  const Tensor b{1., 2.};
  REQUIRE_ERROR(solve(Tensor{{1., 0.}, {1., 0.}}, b), ValueError, "row 1, counted from 0");
  REQUIRE_ERROR(solve(Tensor{{0., 1.}, {0., 1.}}, b), ValueError, "row 1, counted from 0");
}

TEST_CASE("inverse: its product with the matrix is the identity", "[linear_algebra]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 2, 3, 8, 33, 130}) {
      INFO(dtype << ' ' << n);
      const Tensor a = regular(n, dtype), y = inverse(a);
      REQUIRE_CLOSE(matmul(a, y), eye(n, dtype), 0, 10 * close(dtype, n));
      REQUIRE_CLOSE(matmul(y, a), eye(n, dtype), 0, 10 * close(dtype, n));
    }
}

TEST_CASE("logdet: the logarithm of the determinant by its definition", "[linear_algebra]") {
  for (std::size_t n = 0; n <= 6; ++n)
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const auto extent = static_cast<std::int64_t>(n);
      const Tensor a = numbers({extent, extent}, -1, 1, seed);
      std::vector<std::vector<double>> rows(n, std::vector<double>(n));
      for (std::size_t i = 0; i < n * n; ++i) rows[i / n][i % n] = elements(a)[i];
      const double want = std::log(std::abs(determinant(rows)));
      CHECK(std::abs(logdet(a).item() - want) < 1e-12);
      CHECK(std::abs(logdet(cast(a, DType::float32)).item() - want) < 1e-4);
    }
  // det = 10^-4000 and 10^4000 are no double.
  CHECK(logdet(1e-20 * eye(200)).item() == Approx(-4000 * std::log(10)));
  CHECK(logdet(-1e20 * eye(200)).item() == Approx(4000 * std::log(10)));
}

TEST_CASE("cholesky: l times its transpose is the matrix", "[linear_algebra]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 2, 3, 8, 33, 130}) {
      INFO(dtype << ' ' << n);
      const Tensor r = numbers({n, n}, -1, 1, 4, dtype);
      const Tensor a = matmul(r, transpose(r)) + eye(n, dtype), l = cholesky(a);
      REQUIRE_CLOSE(matmul(l, transpose(l)), a, 0, close(dtype, n));
      for (std::int64_t i = 0; i < n; ++i) {
        REQUIRE(l.at({i, i}) > 0);
        for (std::int64_t j = i + 1; j < n; ++j) REQUIRE(l.at({i, j}) == 0);
      }
      CHECK(2 * sum(log(sum(l * eye(n, dtype), 1))).item() ==
            Approx(logdet(a).item()).epsilon(1e-4));
    }
  // Of another matrix, that of its symmetric part; and so is the gradient.
  const Tensor skew{{0., 0.5, -1.}, {-0.5, 0., 2.}, {1., -2., 0.}};
  const Tensor a = Tensor{{4., 1., 0.}, {1., 3., 1.}, {0., 1., 5.}};
  REQUIRE_CLOSE(cholesky(a + skew), cholesky(a), 1e-15);
  const Tensor g = gradient(
      [&](const Tensor& x) {
        return sum(numbers({3, 3}) * cholesky(x));
      },
      a + skew);
  REQUIRE_CLOSE(g, transpose(g), 1e-13);
}

TEST_CASE("cholesky: the gradient by blocks is that by operations", "[linear_algebra]") {
  for (const std::int64_t n : {1, 2, 63, 64, 65, 128, 200}) {
    INFO(n);
    const Tensor r = numbers({n, n}, -1, 1, 4), weights = numbers({n, n}, -1, 1, 5);
    const Tensor a = matmul(r, transpose(r)) / static_cast<double>(n) + eye(n);
    const auto cost = [&](const Tensor& x) { return sum(weights * cholesky(x)); };
    Tensor by_operations;
    {
      const Tape tape;
      by_operations = gradient(cost, a);  // recorded, so that it may be differentiated again
    }
    REQUIRE_CLOSE(gradient(cost, a), by_operations, 0, 1e-12);
    const Tensor a32 = cast(a, DType::float32), w32 = cast(weights, DType::float32);
    const Tensor in_single = gradient([&](const Tensor& x) { return sum(w32 * cholesky(x)); }, a32);
    REQUIRE_CLOSE(cast(in_single, DType::float64), by_operations, 0, 1e-4);
  }
}

TEST_CASE("linear algebra of nothing", "[linear_algebra]") {
  const Tensor a = zeros({0, 0});
  CHECK(solve(a, zeros({0})).shape() == Shape{0});
  CHECK(solve(a, zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(inverse(a).shape() == Shape{0, 0});
  CHECK(logdet(a).item() == 0);  // det = 1
  CHECK(cholesky(a).shape() == Shape{0, 0});
}

TEST_CASE("linear algebra refuses with errors of its own types", "[linear_algebra]") {
  const Tensor singular{{1., 2., 3.}, {2., 4., 6.}, {1., 0., 1.}}, b{1., 2., 3.};
  REQUIRE_ERROR(
      solve(singular, b), ValueError,
      "[solve] the matrix (3, 3) is singular: row 1, counted from 0, depends on the rows above it");
  REQUIRE_ERROR(inverse(singular), ValueError, "[inverse] the matrix (3, 3) is singular: row 1");
  REQUIRE_ERROR(logdet(singular), ValueError, "[logdet] the matrix (3, 3) is singular: row 1");
  REQUIRE_ERROR(cholesky(Tensor{{1., 2., 0.}, {2., 1., 0.}, {0., 0., 1.}}), ValueError,
                "[cholesky] the matrix (3, 3) is not positive definite: its leading minor of order "
                "2 is not above 0");
  REQUIRE_ERROR(cholesky(zeros({2, 2})), ValueError, "its leading minor of order 1");
  for (const DType dtype : {DType::float32, DType::float64})
    REQUIRE_ERROR(cholesky(tensor({1, 0, 0, not_a_number}, {2, 2}, dtype)), ValueError,
                  "has NaN or infinity in it");
  REQUIRE_ERROR(solve(ones({2, 3}), b), ShapeError,
                "[solve] a square matrix is needed, not (2, 3)");
  REQUIRE_ERROR(solve(eye(2), b), ShapeError,
                "[solve] the right side does not fit: (2, 2) and (3,); (2,) or (2, k) is needed");
  REQUIRE_ERROR(solve(zeros({0, 0}), b), ShapeError,
                "the right side does not fit: (0, 0) and (3,)");
  REQUIRE_ERROR(inverse(ones({2, 2, 2})), ShapeError, "[inverse] a square matrix is needed");
  REQUIRE_ERROR(logdet(Tensor(1.0)), ShapeError, "[logdet] a square matrix is needed, not ()");
  REQUIRE_ERROR(cholesky(ones({1, 2})), ShapeError, "[cholesky] a square matrix is needed");
  REQUIRE_ERROR(solve(eye(3), Tensor{1.f, 2.f, 3.f}), DTypeError, "[solve] ");
  REQUIRE_ERROR(inverse(eye(2, DType::int64)), DTypeError, "[inverse] input 0 is int64");
  REQUIRE_ERROR(logdet(Tensor()), DTypeError, "[logdet] input 0 is undefined");
  REQUIRE_ERROR(cholesky(zeros({2, 2})), ValueError, "linear_algebra_test.cpp:");
}

TEST_CASE("linear algebra on several threads gives the same bits", "[linear_algebra][parallel]") {
  const Tensor a = regular(200, DType::float64), b = numbers({200, 3});
  const Tensor x = solve(a, b), y = inverse(a);
  std::vector<int> same(32);
  tbb::parallel_for(std::size_t{0}, same.size(), [&](std::size_t i) {
    same[i] = identical(solve(a, b), x) && identical(inverse(a), y);
  });
  CHECK(std::count(same.begin(), same.end(), 1) == 32);
}

TEST_CASE("a Gaussian's log-density has its known gradient", "[linear_algebra]") {
  // ln p = -½ (xᵀ s⁻¹ x + ln det s): ∂/∂s = ½ (s⁻¹ x xᵀ s⁻¹ - s⁻¹).
  const Tensor r = numbers({4, 4}), x = numbers({4}, -1, 1, 2);
  const Tensor s = matmul(r, transpose(r)) + eye(4), y = inverse(s), z = matmul(y, x);
  const Tensor want = (matmul(expand_dims(z, 1), expand_dims(z, 0)) - y) / 2;
  const auto by_solve = [&](const Tensor& v) { return -(matmul(x, solve(v, x)) + logdet(v)) / 2; };
  const auto by_cholesky = [&](const Tensor& v) {
    const Tensor l = cholesky(v);
    return -squared_norm(solve(l, x)) / 2 - sum(log(sum(l * eye(4), 1)));
  };
  REQUIRE_CLOSE(gradient(by_solve, s), want, 1e-11, 1e-12);
  REQUIRE_CLOSE(gradient(by_cholesky, s), want, 1e-11, 1e-12);
  REQUIRE_CLOSE(hessian(by_solve, s) + permute(hessian(by_solve, s), {1, 0, 2, 3}),
                hessian(by_cholesky, s) + permute(hessian(by_cholesky, s), {1, 0, 2, 3}), 1e-9,
                1e-10);
}
