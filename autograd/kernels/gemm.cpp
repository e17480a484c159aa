// The matrix product through CBLAS.
#include "autograd/kernels/gemm.hpp"

#include <cblas.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "autograd/error.hpp"
#include "autograd/kernels/map.hpp"
#include "autograd/kernels/parallel.hpp"

namespace xg::kernels {
namespace {

void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
               const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
}
void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a,
               int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, beta, c, ldc);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const float* a, int lda, const float* x,
               float beta, float* y) {
  cblas_sgemv(CblasRowMajor, t, rows, columns, 1.0f, a, lda, x, 1, beta, y, 1);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const double* a, int lda, const double* x,
               double beta, double* y) {
  cblas_dgemv(CblasRowMajor, t, rows, columns, 1.0, a, lda, x, 1, beta, y, 1);
}

// Multiplications from which on a product is cut, and the most rows or columns of the result in a
// piece: enough that the pieces together cost little more than the whole.
constexpr std::int64_t worth_cutting = std::int64_t{1} << 23, extent_of_a_piece = 512;
// The least in a task of one with a vector, which reads each number once, and of a small one.
constexpr std::int64_t numbers_of_a_task = std::int64_t{1} << 18,
                       multiplications_of_a_task = std::int64_t{1} << 21;

// OpenBLAS's kernels for small products, which do not pack their operands and are two to three
// times as fast at these sizes. It has them for AVX-512 and uses them up to a million
// multiplications; for b transposed, up to 1200 elements of the result and from k = 32 on.
bool has_small_kernels() {
  const std::string_view core = openblas_get_corename();
  return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
}
constexpr std::int64_t small_product = 1'000'000, small_result = 1200, least_inner = 32;
// With fewer rows than these at a time they lose what they gain.
constexpr std::int64_t least_rows = 8;
// The most columns for which b is turned over.
constexpr std::int64_t few_columns = 128;

// How many rows of a product to compute at a time so that each part is a small one; all m if it is
// no gain. (64 x 30 x 784: 19 µs instead of 42; 30 x 784 x 64: 18 instead of 28.)
std::int64_t rows_at_a_time(std::int64_t m, std::int64_t n, std::int64_t k, bool b_transposed) {
  std::int64_t rows = std::min(m, small_product / (n * k));
  if (b_transposed) rows = std::min(rows, small_result / n);
  return rows < least_rows ? m : rows;
}

// y (rows) = matrix (rows, columns) · x + beta y
template <class T>
void matrix_vector(int rows, int columns, Matrix<T> matrix, const T* x, T beta, T* y) {
  const std::int64_t grain = std::max<std::int64_t>(1, numbers_of_a_task / columns);
  for_ranges(rows, grain, [&](std::int64_t i, std::int64_t end) {
    const int some = static_cast<int>(end - i);
    if (matrix.transposed)
      gemv_call(CblasTrans, columns, some, matrix.data + i, rows, x, beta, y + i);
    else
      gemv_call(CblasNoTrans, some, columns, matrix.data + i * columns, columns, x, beta, y + i);
  });
}

}  // namespace

template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T* c,
          const T* bias) {
  if (m == 0 || n == 0) return;
  if (k == 0 && !bias) {
    std::fill_n(c, m * n, T(0));
    return;
  }
  if (std::max({m, n, k}) > std::numeric_limits<int>::max())
    throw ShapeError(detail::text("[matmul] an extent is over 2^31 - 1: ", m, ", ", n, ", ", k));
  // One thread for each call: we cut large products by their size alone, while the library would
  // cut, and round, differently for each number of threads.
  static const bool single_threaded = (openblas_set_num_threads(1), true);
  static_cast<void>(single_threaded);
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
  const T beta = bias ? 1 : 0;
  // Rows [i, i + rows) and columns [j, j + columns) of c.
  const auto piece = [&](std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns) {
    gemm_call(a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              static_cast<int>(rows), static_cast<int>(columns), ik,
              a.data + (a.transposed ? i : i * k), a.transposed ? im : ik,
              b.data + (b.transposed ? j * k : j), b.transposed ? ik : in, beta, c + i * n + j, in);
  };

  const std::int64_t extent = std::max(m, n);
  if (std::min(m, n) > 1 && m * n * k >= worth_cutting && extent > extent_of_a_piece) {
    const std::int64_t pieces = (extent + extent_of_a_piece - 1) / extent_of_a_piece;
    const std::int64_t grain = ((extent + pieces - 1) / pieces + 15) / 16 * 16;
    for_ranges(extent, grain, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t i = m >= n ? begin : 0, rows = m >= n ? end - begin : m;
      const std::int64_t j = m >= n ? 0 : begin, columns = m >= n ? n : end - begin;
      for (std::int64_t r = i; bias && r < i + rows; ++r)
        std::copy_n(bias + j, columns, c + r * n + j);
      piece(i, rows, j, columns);
    });
    return;
  }

  for (std::int64_t i = 0; bias && i < m; ++i)
    map_row([](const Batch<T>& x) { return x; }, n, (m - i) * n + lanes<T>, c + i * n,
            Moving<T>{bias});
  if (k == 0) return;
  if (n == 1) return matrix_vector(im, ik, a, b.data, beta, c);
  if (m == 1) return matrix_vector(in, ik, Matrix<T>{b.data, !b.transposed}, a.data, beta, c);
  static const bool small_kernels = has_small_kernels();
  if (!small_kernels || (a.transposed && b.transposed)) return piece(0, m, 0, n);
  T turned[least_inner * few_columns];
  if (b.transposed && k < least_inner) {
    if (n > few_columns) return piece(0, m, 0, n);
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t j = 0; j < n; ++j) turned[i * n + j] = b.data[j * k + i];
    b = {turned, false};
  }
  const std::int64_t rows = rows_at_a_time(m, n, k, b.transposed);
  const std::int64_t grain =
      rows * std::max<std::int64_t>(1, multiplications_of_a_task / (rows * n * k));
  for_ranges(m, grain, [&](std::int64_t i, std::int64_t end) {
    for (; i < end; i += rows) piece(i, std::min(rows, end - i), 0, n);
  });
}

template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<float>, Matrix<float>, float*,
                   const float*);
template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<double>, Matrix<double>,
                   double*, const double*);

}  // namespace xg::kernels
