// The matrix product. The only place that knows which library computes it.
#pragma once

#include <cstdint>

namespace xg::kernels {

/// One operand: row-major, read as its transpose if `transposed`.
template <class T>
struct Matrix {
  const T* data;
  bool transposed;
};

/// What is to become of the numbers that the result has before.
enum class Before { overwrite, add };

/// c (m, n) = a (m, k) · b (k, n), or c + a · b, the shapes being those after transposition. Large
/// products run on several threads, in pieces that depend on the shape alone. Throws ShapeError for
/// extents over 2^31 - 1.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T* c,
          Before before = Before::overwrite);

}  // namespace xg::kernels
