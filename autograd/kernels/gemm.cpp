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
// piece: the pieces together cost one to seven per cent more than the whole, most where they are
// columns.
constexpr std::int64_t worth_cutting = std::int64_t{1} << 23, largest_piece = 512;
// The least multiplications in a task of small products, and of one with a vector, which does
// little but fetch numbers, perhaps from the other core's cache.
constexpr std::int64_t small_task = std::int64_t{1} << 21;

// Two equal pieces, or more.
std::int64_t extent_of_a_piece(std::int64_t extent) {
  const std::int64_t pieces =
      std::max<std::int64_t>(2, (extent + largest_piece - 1) / largest_piece);
  return ((extent + pieces - 1) / pieces + 15) / 16 * 16;
}

// OpenBLAS's kernels for small products, which do not pack their operands and are two to six times
// as fast at these sizes. It has them for AVX-512 and uses them up to a million multiplications;
// for b transposed, up to 1200 elements of the result and from k = 32 on.
bool small_kernels() {
  static const bool result = [] {
    const std::string_view core = openblas_get_corename();
    return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  }();
  return result;
}
constexpr std::int64_t small_product = 1'000'000, small_result = 1200, least_inner = 32;
// The most columns for which b is turned over.
constexpr std::int64_t few_columns = 128;

struct Extent {
  std::int64_t rows, columns;
};

// How much of a product to compute at a time so that each part is a small one; the whole if that is
// no gain, as with only a few rows or columns in a part. (64 x 30 x 784: 19 µs instead of 42; 30 x
// 784 x 64: 18 instead of 28; 4 x 512 x 784: 24 instead of 155.)
Extent part_at_a_time(std::int64_t m, std::int64_t n, std::int64_t k, bool a_transposed,
                      bool b_transposed) {
  if (m * n * k <= small_product && (!b_transposed || m * n <= small_result)) return {m, n};
  if ((a_transposed && b_transposed) || !small_kernels()) return {m, n};
  const std::int64_t result = b_transposed ? small_result : small_product;
  const std::int64_t rows = std::min({m, small_product / (n * k), result / n});
  if (rows >= 8) return {rows, n};
  const std::int64_t columns = std::min({n, small_product / (m * k), result / m}) / 16 * 16;
  return {m, columns >= (b_transposed ? 32 : 128) ? columns : n};
}

// y (rows) = matrix (rows, columns) · x + beta y
template <class T>
void matrix_vector(int rows, int columns, Matrix<T> matrix, const T* x, T beta, T* y) {
  const std::int64_t all = std::int64_t{rows} * columns;
  const std::int64_t grain =
      all <= small_task ? rows : std::max<std::int64_t>(1, small_task / columns);
  for_ranges(rows, grain, [&](std::int64_t i, std::int64_t end) {
    const int some = static_cast<int>(end - i);
    if (matrix.transposed)
      gemv_call(CblasTrans, columns, some, matrix.data + i, rows, x, beta, y + i);
    else
      gemv_call(CblasNoTrans, some, columns, matrix.data + i * columns, columns, x, beta, y + i);
  });
}

}  // namespace

void use_one_thread() {
  static const bool done = (openblas_set_num_threads(1), true);
  static_cast<void>(done);
}

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
  use_one_thread();
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
  const T beta = bias ? 1 : 0;
  // Rows [i, i + rows) and columns [j, j + columns) of c.
  const auto piece = [&](std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns) {
    gemm_call(a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              static_cast<int>(rows), static_cast<int>(columns), ik,
              a.data + (a.transposed ? i : i * k), a.transposed ? im : ik,
              b.data + (b.transposed ? j * k : j), b.transposed ? ik : in, beta, c + i * n + j, in);
  };

  if (bias)
    for_ranges(m, m * n <= elementwise_grain ? m : std::max<std::int64_t>(1, elementwise_grain / n),
               [&](std::int64_t i, std::int64_t end) {
                 // Behind the last row of all there is room for a batch.
                 const std::int64_t limit = end * n + (end == m ? lanes<T> : 0);
                 for (; i < end; ++i)
                   map_row([](const Batch<T>& x) { return x; }, n, limit - i * n, c + i * n,
                           Moving<T>{bias});
               });
  if (k == 0) return;
  if (n == 1) return matrix_vector(im, ik, a, b.data, beta, c);
  if (m == 1) return matrix_vector(in, ik, Matrix<T>{b.data, !b.transposed}, a.data, beta, c);

  T turned[least_inner * few_columns];
  if (!a.transposed && b.transposed && k < least_inner && n <= few_columns && small_kernels()) {
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t j = 0; j < n; ++j) turned[i * n + j] = b.data[j * k + i];
    b = {turned, false};
  }
  const Extent part = part_at_a_time(m, n, k, a.transposed, b.transposed);
  const auto task = [&](std::int64_t extent) {
    return extent * std::max<std::int64_t>(1, small_task / (part.rows * part.columns * k));
  };
  if (part.rows < m) {
    for_ranges(m, task(part.rows), [&](std::int64_t i, std::int64_t end) {
      for (; i < end; i += part.rows) piece(i, std::min(part.rows, end - i), 0, n);
    });
  } else if (part.columns < n) {
    for_ranges(n, task(part.columns), [&](std::int64_t j, std::int64_t end) {
      for (; j < end; j += part.columns) piece(0, m, j, std::min(part.columns, end - j));
    });
  } else if (m * n * k < worth_cutting) {
    piece(0, m, 0, n);
  } else if (m >= n) {
    for_ranges(m, extent_of_a_piece(m),
               [&](std::int64_t i, std::int64_t end) { piece(i, end - i, 0, n); });
  } else {
    for_ranges(n, extent_of_a_piece(n),
               [&](std::int64_t j, std::int64_t end) { piece(0, m, j, end - j); });
  }
}

template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<float>, Matrix<float>, float*,
                   const float*);
template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<double>, Matrix<double>,
                   double*, const double*);

}  // namespace xg::kernels
