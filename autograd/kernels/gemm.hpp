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

/// c (m, n) = a (m, k) · b (k, n), the shapes being those after transposition, plus `bias` (n,) in
/// each row if there is one. Large products run on several threads, in pieces that depend on the
/// shape alone. Throws ShapeError for extents over 2^31 - 1.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T* c,
          const T* bias = nullptr);

/// Has the library compute on the thread that calls it. We cut large products by their size alone,
/// while it would cut, and round, differently for each number of threads.
void use_one_thread();

}  // namespace xg::kernels
