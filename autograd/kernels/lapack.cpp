// Factorisations through the LAPACK that is part of OpenBLAS.
#include "autograd/kernels/lapack.hpp"

#include <cblas.h>
#include <f77blas.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/error.hpp"
#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/transpose.hpp"
#include "autograd/storage.hpp"

namespace xg::kernels {
namespace {

// LAPACK stores matrices by columns: what it is given of ours is the transpose.

void getrf(blasint n, float* a, blasint* pivots, blasint* info) {
  BLASFUNC(sgetrf)(&n, &n, a, &n, pivots, info);
}
void getrf(blasint n, double* a, blasint* pivots, blasint* info) {
  BLASFUNC(dgetrf)(&n, &n, a, &n, pivots, info);
}
void getrs(char t, blasint n, blasint k, float* lu, blasint* pivots, float* b, blasint* info) {
  BLASFUNC(sgetrs)(&t, &n, &k, lu, &n, pivots, b, &n, info);
}
void getrs(char t, blasint n, blasint k, double* lu, blasint* pivots, double* b, blasint* info) {
  BLASFUNC(dgetrs)(&t, &n, &k, lu, &n, pivots, b, &n, info);
}
void potrf(char part, blasint n, float* a, blasint* info) {
  BLASFUNC(spotrf)(&part, &n, a, &n, info);
}
void potrf(char part, blasint n, double* a, blasint* info) {
  BLASFUNC(dpotrf)(&part, &n, a, &n, info);
}

// b (k, n) := b a⁻¹ for the upper ('U') or lower ('L') triangle of a (n, n), with ones for its
// diagonal if `diagonal` is 'U'.
void trsm(char part, char diagonal, blasint k, blasint n, float* a, float* b) {
  char side = 'R', transposed = 'N';
  float one = 1;
  BLASFUNC(strsm)(&side, &part, &transposed, &diagonal, &k, &n, &one, a, &n, b, &k);
}
void trsm(char part, char diagonal, blasint k, blasint n, double* a, double* b) {
  char side = 'R', transposed = 'N';
  double one = 1;
  BLASFUNC(dtrsm)(&side, &part, &transposed, &diagonal, &k, &n, &one, a, &n, b, &k);
}
void trtri(char part, blasint n, float* a, blasint* info) {
  char diagonal = 'N';
  BLASFUNC(strtri)(&part, &diagonal, &n, a, &n, info);
}
void trtri(char part, blasint n, double* a, blasint* info) {
  char diagonal = 'N';
  BLASFUNC(dtrtri)(&part, &diagonal, &n, a, &n, info);
}

// Of blocks of row-major matrices whose rows are n apart. c (m, k) -= a · b
void subtract_product(CBLAS_TRANSPOSE transposed, blasint m, blasint k, blasint inner,
                      const float* a, const float* b, float* c, blasint n) {
  cblas_sgemm(CblasRowMajor, transposed, CblasNoTrans, m, k, inner, -1, a, n, b, n, 1, c, n);
}
void subtract_product(CBLAS_TRANSPOSE transposed, blasint m, blasint k, blasint inner,
                      const double* a, const double* b, double* c, blasint n) {
  cblas_dgemm(CblasRowMajor, transposed, CblasNoTrans, m, k, inner, -1, a, n, b, n, 1, c, n);
}
// c (m, k) := c d⁻¹ for a lower triangular d (k, k)
void divide_by_triangle(blasint m, blasint k, const float* d, float* c, blasint n) {
  cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, m, k, 1, d, n, c,
              n);
}
void divide_by_triangle(blasint m, blasint k, const double* d, double* c, blasint n) {
  cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, m, k, 1, d, n, c,
              n);
}

blasint as_blasint(std::int64_t extent) {
  if (extent > std::numeric_limits<int>::max())
    throw ShapeError(detail::text("[solve] an extent is over 2^31 - 1: ", extent));
  return static_cast<blasint>(extent);
}

// Room for numbers, from the thread's pool.
template <class T>
class Workspace {
 public:
  explicit Workspace(std::int64_t count) : buffer_(static_cast<std::uint64_t>(count) * sizeof(T)) {}
  T* data() const { return reinterpret_cast<T*>(buffer_.data()); }

 private:
  BufferRef buffer_;
};

/// The factors of aᵀ, n > 0.
template <class T>
class Factors {
 public:
  Factors(std::int64_t n, const T* a) : n_(as_blasint(n)), lu_(n * n), pivots_(n) {
    use_one_thread();
    std::copy_n(a, n * n, lu_.data());
    getrf(n_, lu_.data(), pivots_.data(), &dependent_row_);
  }
  /// A pivot of 0: a column of aᵀ that depends on those before it.
  std::int64_t dependent_row() const { return dependent_row_; }
  T diagonal(std::int64_t i) const { return lu_.data()[i * (n_ + 1)]; }
  /// Solves a x = b for k columns b in place.
  void solve(std::int64_t k, T* columns) const {
    blasint info = 0;
    getrs('T', n_, as_blasint(k), lu_.data(), pivots_.data(), columns, &info);
  }
  /// u⁻¹ l⁻¹ with its columns exchanged back: a⁻ᵀ by columns, which is a⁻¹ by rows.
  void invert(T* inverse) const {
    const std::int64_t n = n_;
    for (std::int64_t j = 0; j < n; ++j) {
      std::copy_n(lu_.data() + j * n, j + 1, inverse + j * n);
      std::fill_n(inverse + j * n + j + 1, n - j - 1, T(0));
    }
    blasint info = 0;
    trtri('U', n_, inverse, &info);
    trsm('L', 'U', n_, n_, lu_.data(), inverse);
    for (std::int64_t j = n; j-- > 0;)
      if (const std::int64_t other = pivots_.data()[j] - 1; other != j)
        std::swap_ranges(inverse + j * n, inverse + (j + 1) * n, inverse + other * n);
  }

 private:
  blasint n_, dependent_row_ = 0;
  Workspace<T> lu_;
  Workspace<blasint> pivots_;
};

// The reverse of a factorisation, one column after the other: g, the adjoint of the lower triangle
// of l (b, b), becomes that of the matrix's. Rows are n apart.
template <class T>
void reverse_block(std::int64_t b, const T* l, T* g, std::int64_t n) {
  for (std::int64_t j = b; j-- > 0;) {
    const T *const row = l + j * n, d = row[j];
    T *const row_g = g + j * n, &d_g = row_g[j];
    for (std::int64_t i = j + 1; i < b; ++i) {
      T& c_g = g[i * n + j];
      d_g -= l[i * n + j] * c_g / d;
      c_g /= d;
    }
    d_g /= d;
    for (std::int64_t k = 0; k < j; ++k) row_g[k] -= d_g * row[k];
    for (std::int64_t i = j + 1; i < b; ++i) {
      const T c_g = g[i * n + j];
      for (std::int64_t k = 0; k < j; ++k) {
        row_g[k] -= c_g * l[i * n + k];
        g[i * n + k] -= c_g * row[k];
      }
    }
    d_g /= 2;
  }
}

/// 'L' or 'U' for a (n, n) with zeros beyond that triangle and none on its diagonal, else 0.
template <class T>
char triangle_of(std::int64_t n, const T* a) {
  const auto is_zero = [](T v) { return v == 0; };
  bool lower = true, upper = true;
  for (std::int64_t i = 0; i < n && (lower || upper); ++i) {
    const T* const row = a + i * n;
    if (is_zero(row[i])) return 0;
    lower = lower && std::all_of(row + i + 1, row + n, is_zero);
    upper = upper && std::all_of(row, row + i, is_zero);
  }
  return lower ? 'L' : upper ? 'U' : char(0);
}

}  // namespace

template <class T>
std::int64_t solve(std::int64_t n, std::int64_t k, const T* a, const T* b, T* x) {
  if (n == 0 || k == 0) return 0;
  if (const char part = triangle_of(n, a)) {
    // xᵀ aᵀ = bᵀ: what the buffers hold, by columns. The triangle of aᵀ is the other one.
    use_one_thread();
    std::copy_n(b, n * k, x);
    trsm(part == 'L' ? 'U' : 'L', 'N', as_blasint(k), as_blasint(n), const_cast<T*>(a), x);
    return 0;
  }
  const Factors<T> factors(n, a);
  if (factors.dependent_row() > 0) return factors.dependent_row();
  if (k == 1) {
    std::copy_n(b, n, x);
    factors.solve(1, x);
    return 0;
  }
  const Workspace<T> columns(n * k);
  permute({n, k}, {1, 0}, b, columns.data());
  factors.solve(k, columns.data());
  permute({k, n}, {1, 0}, columns.data(), x);
  return 0;
}

template <class T>
std::int64_t invert(std::int64_t n, const T* a, T* inverse) {
  if (n == 0) return 0;
  const Factors<T> factors(n, a);
  if (factors.dependent_row() > 0) return factors.dependent_row();
  factors.invert(inverse);
  return 0;
}

template <class T>
std::int64_t log_abs_determinant(std::int64_t n, const T* a, T* result) {
  double sum = 0;
  if (n > 0) {
    const Factors<T> factors(n, a);
    if (factors.dependent_row() > 0) return factors.dependent_row();
    for (std::int64_t i = 0; i < n; ++i)
      sum += std::log(std::abs(static_cast<double>(factors.diagonal(i))));
  }
  *result = static_cast<T>(sum);
  return 0;
}

template <class T>
std::int64_t cholesky(std::int64_t n, const T* a, T* l) {
  if (n == 0) return 0;
  use_one_thread();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      l[i * n + j] = j <= i ? (a[i * n + j] + a[j * n + i]) / 2 : T(0);
  blasint info = 0;
  potrf('U', as_blasint(n), l, &info);
  if (info > 0) return info;
  for (std::int64_t i = 0; i < n; ++i)  // OpenBLAS lets NaN pass
    if (!(l[i * (n + 1)] > 0)) return i + 1;
  return 0;
}

template <class T>
void cholesky_adjoint(std::int64_t n, const T* l, const T* g, T* adjoint) {
  use_one_thread();
  constexpr std::int64_t block = 64;
  const Workspace<T> both(block * n);
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(g + i * n, i + 1, adjoint + i * n);
  const blasint stride = as_blasint(n);
  for (std::int64_t end = n; end > 0;) {
    // Of the rows from `begin` to `end`: r (b, left) | d (b, b), and below them, (m, left) | c.
    const std::int64_t begin = std::max<std::int64_t>(end - block, 0);
    const auto left = static_cast<blasint>(begin), b = static_cast<blasint>(end - begin),
               m = static_cast<blasint>(n - end);
    const T *const r = l + begin * n, *const d = r + begin;
    T *const r_g = adjoint + begin * n, *const d_g = r_g + begin;
    if (m > 0) {
      const T* const c = l + end * n + begin;
      T* const c_g = adjoint + end * n + begin;
      divide_by_triangle(m, b, d, c_g, stride);
      subtract_product(CblasNoTrans, m, left, b, c_g, r, c_g - begin, stride);
      subtract_product(CblasTrans, b, left, m, c_g, c - begin, r_g, stride);
      subtract_product(CblasTrans, b, b, m, c_g, c, d_g, stride);
    }
    reverse_block(b, d, d_g, n);
    // The block is the lower half of what was a symmetric matrix less r rᵀ.
    for (std::int64_t i = 0; i < b; ++i)
      for (std::int64_t j = 0; j <= i; ++j)
        both.data()[i * n + j] = both.data()[j * n + i] = d_g[i * n + j] * (i == j ? 2 : 1);
    subtract_product(CblasNoTrans, b, left, b, both.data(), r, r_g, stride);
    end = begin;
  }
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      adjoint[i * n + j] = adjoint[j * n + i] = adjoint[i * n + j] / 2;
}

template std::int64_t solve(std::int64_t, std::int64_t, const float*, const float*, float*);
template std::int64_t solve(std::int64_t, std::int64_t, const double*, const double*, double*);
template std::int64_t invert(std::int64_t, const float*, float*);
template std::int64_t invert(std::int64_t, const double*, double*);
template std::int64_t log_abs_determinant(std::int64_t, const float*, float*);
template std::int64_t log_abs_determinant(std::int64_t, const double*, double*);
template std::int64_t cholesky(std::int64_t, const float*, float*);
template std::int64_t cholesky(std::int64_t, const double*, double*);
template void cholesky_adjoint(std::int64_t, const float*, const float*, float*);
template void cholesky_adjoint(std::int64_t, const double*, const double*, double*);

}  // namespace xg::kernels
