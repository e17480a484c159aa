// The matrix product through CBLAS.
#include "autograd/kernels/gemm.hpp"

#include <cblas.h>

#include <algorithm>
#include <limits>

#include "autograd/error.hpp"

namespace xg::kernels {
namespace {

void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
               const float* b, int ldb, float* c) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, a, lda, b, ldb, 0.0f, c, n);
}
void gemm_call(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a,
               int lda, const double* b, int ldb, double* c) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, 0.0, c, n);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const float* a, const float* x, float* y) {
  cblas_sgemv(CblasRowMajor, t, rows, columns, 1.0f, a, columns, x, 1, 0.0f, y, 1);
}
void gemv_call(CBLAS_TRANSPOSE t, int rows, int columns, const double* a, const double* x,
               double* y) {
  cblas_dgemv(CblasRowMajor, t, rows, columns, 1.0, a, columns, x, 1, 0.0, y, 1);
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
  // One thread for each product: the threads are used around the products, and a product split
  // over threads would round differently for each number of them.
  static const bool single_threaded = (openblas_set_num_threads(1), true);
  static_cast<void>(single_threaded);
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
  if (in == 1) return matrix_vector(im, ik, a, b.data, c);
  if (im == 1) return matrix_vector(in, ik, Matrix<T>{b.data, !b.transposed}, a.data, c);
  gemm_call(a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans, im,
            in, ik, a.data, a.transposed ? im : ik, b.data, b.transposed ? ik : in, c);
}

template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<float>, Matrix<float>, float*);
template void gemm(std::int64_t, std::int64_t, std::int64_t, Matrix<double>, Matrix<double>,
                   double*);

}  // namespace xg::kernels
