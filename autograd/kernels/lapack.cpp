// Factorisations through the LAPACK that is part of OpenBLAS.
#include "autograd/kernels/lapack.hpp"

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

template std::int64_t solve(std::int64_t, std::int64_t, const float*, const float*, float*);
template std::int64_t solve(std::int64_t, std::int64_t, const double*, const double*, double*);
template std::int64_t invert(std::int64_t, const float*, float*);
template std::int64_t invert(std::int64_t, const double*, double*);
template std::int64_t log_abs_determinant(std::int64_t, const float*, float*);
template std::int64_t log_abs_determinant(std::int64_t, const double*, double*);
template std::int64_t cholesky(std::int64_t, const float*, float*);
template std::int64_t cholesky(std::int64_t, const double*, double*);

}  // namespace xg::kernels
