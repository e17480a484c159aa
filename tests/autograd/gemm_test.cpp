// The matrix product as the kernels cut and turn it, against one plain call of the BLAS.
#include "autograd/kernels/gemm.hpp"

#include <cblas.h>

#include <type_traits>

#include "autograd/kernels/outer.hpp"
#include "autograd/kernels/update.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

template <class T>
void blas(std::int64_t m, std::int64_t n, std::int64_t k, kernels::Matrix<T> a,
          kernels::Matrix<T> b, T* c) {
  const auto transposition = [](bool t) { return t ? CblasTrans : CblasNoTrans; };
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
  const int lda = a.transposed ? im : ik, ldb = b.transposed ? ik : in;
  if constexpr (std::is_same_v<T, float>)
    cblas_sgemm(CblasRowMajor, transposition(a.transposed), transposition(b.transposed), im, in, ik,
                1, a.data, lda, b.data, ldb, 0, c, in);
  else
    cblas_dgemm(CblasRowMajor, transposition(a.transposed), transposition(b.transposed), im, in, ik,
                1, a.data, lda, b.data, ldb, 0, c, in);
}

/// The largest difference between the two over all elements, and from `bias` added afterwards.
template <class T>
double largest_difference(std::int64_t m, std::int64_t n, std::int64_t k, bool ta, bool tb) {
  static const Tensor numbers_a = numbers({1 << 20}, -1, 1, 1, dtype_of<T>),
                      numbers_b = numbers({1 << 20}, -1, 1, 2, dtype_of<T>);
  static Tensor got = zeros({1 << 19}, dtype_of<T>), want = zeros({1 << 19}, dtype_of<T>),
                with_bias = zeros({1 << 19}, dtype_of<T>);
  const kernels::Matrix<T> a{numbers_a.data<T>(), ta}, b{numbers_b.data<T>(), tb};
  T *pg = got.exclusive_data<T>(), *pw = want.exclusive_data<T>(),
    *pb = with_bias.exclusive_data<T>();
  kernels::gemm<T>(m, n, k, a, b, pg);
  kernels::gemm<T>(m, n, k, a, b, pb, numbers_a.data<T>());
  blas<T>(m, n, k, a, b, pw);
  double largest = 0;
  for (std::int64_t i = 0; i < m * n; ++i) {
    const double bias = static_cast<double>(numbers_a.data<T>()[i % n]);
    largest = std::max({largest, std::abs(static_cast<double>(pg[i] - pw[i])),
                        std::abs(static_cast<double>(pb[i] - pw[i]) - bias)});
  }
  return largest;
}

template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 2e-5 : 4e-14;

}  // namespace

TEMPLATE_TEST_CASE("products of all small shapes agree with the BLAS", "[gemm]", float, double) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (std::int64_t m = 1; m <= 64; ++m)
        for (std::int64_t n = 1; n <= 64; ++n) {
          // Every k turns up with every m and with every n; all of them where b is turned over.
          const std::int64_t stride = tb && !ta && m % 9 == 1 ? 1 : 8;
          for (std::int64_t k = 1 + (m + n) % stride; k <= 64; k += stride)
            if (const double d = largest_difference<TestType>(m, n, k, ta, tb);
                !(d < tolerance<TestType>))
              FAIL(m << " x " << n << " x " << k << ", transposed " << ta << ' ' << tb << ": "
                     << d);
        }
}

TEMPLATE_TEST_CASE("products around the sizes at which they are cut agree with the BLAS", "[gemm]",
                   float, double) {
  const std::int64_t shapes[][3] = {
      {64, 30, 784},   {39, 30, 784},  {41, 30, 784},   {256, 10, 100},  {30, 784, 64},
      {100, 129, 31},  {20, 128, 31},  {256, 128, 31},  {1, 900, 1000},  {900, 1, 1000},
      {513, 40, 500},  {40, 513, 500}, {600, 600, 33},  {256, 100, 600}, {4, 512, 784},
      {10, 1024, 300}, {33, 700, 200}, {5, 1000, 1000}, {65, 100, 300}};
  for (const auto& [m, n, k] : shapes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        INFO(m << " x " << n << " x " << k << ", transposed " << ta << ' ' << tb);
        CHECK(largest_difference<TestType>(m, n, k, ta, tb) < 20 * tolerance<TestType>);
      }
}

TEMPLATE_TEST_CASE("a product that waits: an update has its bits, read or not", "[gemm]", float,
                   double) {
  constexpr DType dtype = dtype_of<TestType>;
  for (const std::int64_t m : {1, 5, 6, 7, 13, 30})
    for (const std::int64_t n : {1023, 1024, 1025, 784, 4999})
      for (const std::int64_t k : {1, 2, 10, 64}) {
        const Tensor a = numbers({k, m}, -1, 1, 1, dtype), b = numbers({k, n}, -1, 1, 2, dtype),
                     w = numbers({m, n}, -1, 1, 3, dtype);
        const auto product = [&] {
          return kernels::lazy_product<TestType>(m, n, k, detail::TensorAccess::buffer(a),
                                                 detail::TensorAccess::buffer(b));
        };
        const BufferRef waiting = product(), read = product();
        if (!waiting) {  // too small or too large
          CHECK((m * n * static_cast<std::int64_t>(sizeof(TestType)) < 4096 ||
                 m * n * k > 1'000'000));
          continue;
        }
        Tensor want = zeros({m, n}, dtype), from_waiting = zeros({m, n}, dtype),
               from_read = zeros({m, n}, dtype);
        blas<TestType>(m, n, k, {a.data<TestType>(), true}, {b.data<TestType>(), false},
                       want.exclusive_data<TestType>());
        const Tensor numbers_read = detail::TensorAccess::make(read, {m, n}, m * n, dtype);
        REQUIRE_CLOSE(numbers_read, want, 0, tolerance<TestType>);  // sums may cancel
        kernels::add_scaled(from_read, w, -0.3, numbers_read);
        kernels::add_scaled(from_waiting, w, -0.3,
                            detail::TensorAccess::make(waiting, {m, n}, m * n, dtype));
        CHECK(waiting.is_pending_product());
        CHECK(!read.is_pending_product());
        REQUIRE(identical(from_waiting, from_read));
      }
}

TEMPLATE_TEST_CASE("products row by row that wait", "[gemm]", float, double) {
  constexpr DType dtype = dtype_of<TestType>;
  for (const std::int64_t count : {1, 2, 17})
    for (const std::int64_t m : {1, 3, 30})
      for (const std::int64_t n : {1, 7, 8, 33, 784, 4001}) {
        // More rows than are needed in what they come from, and what must not change behind them.
        const Tensor a = numbers({count, m}, -1, 1, 1, dtype),
                     b = numbers({count + 1, n}, -1, 1, 2, dtype);
        const BufferRef products = kernels::lazy_outer_products<TestType>(
            count, m, n, detail::TensorAccess::buffer(a), detail::TensorAccess::buffer(b));
        CHECK(!products->data.load());
        CHECK(!products.is_pending_product());
        CHECK(!products.is_transpose());
        const Tensor got =
            detail::TensorAccess::make(products, {count, m, n}, count * m * n, dtype);
        CHECK(identical(got, expand_dims(a, 2) * expand_dims(slice(b, 0, 0, count), 1)));
      }
}

TEST_CASE("a product over nothing is the bias", "[gemm]") {
  const Tensor bias = numbers({3}, -1, 1, 1), none = zeros({0});
  Tensor c = full({2, 3}, not_a_number);
  kernels::gemm<double>(2, 3, 0, {none.data<double>(), false}, {none.data<double>(), false},
                        c.exclusive_data<double>(), bias.data<double>());
  REQUIRE_CLOSE(c, broadcast_to(bias, {2, 3}), 0);
}
