// Factorisations of dense matrices. The only place that knows which library computes them.
#pragma once

#include <cstdint>

namespace xg::kernels {

// All matrices are row-major, and stay as they are. Each call computes on the caller's thread. The
// number that it returns says what is wrong with a matrix, counted from 1; 0 is success.

/// x (n, k) such that a (n, n) · x = b (n, k), by substitution for a triangular a, else by
/// elimination with exchanges. Returns the first row of a that depends on those above it. Throws
/// ShapeError for extents over 2^31 - 1.
template <class T>
std::int64_t solve(std::int64_t n, std::int64_t k, const T* a, const T* b, T* x);

/// The inverse of a (n, n). Returns as `solve`.
template <class T>
std::int64_t invert(std::int64_t n, const T* a, T* inverse);

/// ln |det a| of a (n, n). Returns as `solve`.
template <class T>
std::int64_t log_abs_determinant(std::int64_t n, const T* a, T* result);

/// The lower triangular l (n, n) with l lᵀ = (a + aᵀ) / 2, zeros above its diagonal. Returns the
/// order of the first leading minor that is not positive.
template <class T>
std::int64_t cholesky(std::int64_t n, const T* a, T* l);

/// The adjoint of a, symmetric, of l = cholesky(a) and the adjoint g of l: the blocks of the
/// factorisation in reverse, n³ multiplications and additions / 1.5. From I. Murray,
/// arXiv:1602.07527, section 3.
template <class T>
void cholesky_adjoint(std::int64_t n, const T* l, const T* g, T* adjoint);

}  // namespace xg::kernels
