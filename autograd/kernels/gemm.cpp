// The matrix product through CBLAS.
#include "autograd/kernels/gemm.hpp"

#include <cblas.h>

#include <algorithm>
#include <limits>

#include "autograd/error.hpp"
#include "autograd/kernels/parallel.hpp"

namespace xg::kernels {
namespace {

void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
               const float* b, int ldb, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, a, lda, b, ldb, 0.0f, c, ldc);
}
void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a,
               int lda, const double* b, int ldb, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, 0.0, c, ldc);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const float* a, const float* x, float* y) {
  cblas_sgemv(CblasRowMajor, t, rows, columns, 1.0f, a, columns, x, 1, 0.0f, y, 1);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const double* a, const double* x,
               double* y) {
  cblas_dgemv(CblasRowMajor, t, rows, columns, 1.0, a, columns, x, 1, 0.0, y, 1);
}

// Multiplications from which on a product is cut, and the most rows or columns of the result in a
// piece: enough that the pieces together cost little more than the whole (halves of 512 columns 7
// %).
constexpr std::int64_t worth_cutting = std::int64_t{1} << 23, largest_piece = 512;

// Two equal pieces, or more.
std::int64_t extent_of_a_piece(std::int64_t longer) {
  const std::int64_t pieces =
      std::max<std::int64_t>(2, (longer + largest_piece - 1) / largest_piece);
  return ((longer + pieces - 1) / pieces + 15) / 16 * 16;
}

// OpenBLAS does not pack its operands up to a million multiplications, which is much faster where
// one of the extents is small. Such products go to it in steps along the longer axis of the result,
// if these are not too short: of a few rows, or of columns enough for its kernel.
constexpr std::int64_t unpacked = 1'000'000, small_extent = 32, fewest_rows = 16,
                       fewest_columns = 96;

std::int64_t step_along_longer(std::int64_t m, std::int64_t n, std::int64_t k) {
  const std::int64_t longer = std::max(m, n), line = m * n * k / longer;
  if (line * longer <= unpacked || std::min({m, n, k}) > small_extent) return longer;
  const std::int64_t step = unpacked / line / 8 * 8;
  return step < (m > n ? fewest_rows : fewest_columns) ? longer : step;
}

// y (rows) = matrix (rows, columns) · x
template <class T>
void matrix_vector(int rows, int columns, Matrix<T> matrix, const T* x, T* y) {
  if (matrix.transposed)
    gemv_call(CblasTrans, columns, rows, matrix.data, x, y);
  else
    gemv_call(CblasNoTrans, rows, columns, matrix.data, x, y);
}

}  // namespace

template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T* c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
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
  if (in == 1) return matrix_vector(im, ik, a, b.data, c);
  if (im == 1) return matrix_vector(in, ik, Matrix<T>{b.data, !b.transposed}, a.data, c);
  // Rows [i, i + rows) and columns [j, j + columns) of c.
  const auto piece = [&](std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns) {
    gemm_call(a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              static_cast<int>(rows), static_cast<int>(columns), ik,
              a.data + (a.transposed ? i : i * k), a.transposed ? im : ik,
              b.data + (b.transposed ? j * k : j), b.transposed ? ik : in, c + i * n + j, in);
  };
  const std::int64_t longer = std::max(m, n), step = step_along_longer(m, n, k);
  const auto range = [&](std::int64_t i, std::int64_t end) {
    for (; i < end; i += step) {
      const std::int64_t extent = std::min(step, end - i);
      if (m > n)
        piece(i, extent, 0, n);
      else
        piece(0, m, i, extent);
    }
  };
  if (m * n * k < worth_cutting)
    range(0, longer);
  else
    for_ranges(longer, extent_of_a_piece(longer), range);
}

template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<float>, Matrix<float>, float*);
template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<double>, Matrix<double>,
                   double*);

}  // namespace xg::kernels
