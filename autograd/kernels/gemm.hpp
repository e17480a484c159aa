// The matrix product. The only place that knows which library computes it.
#pragma once

#include <cstdint>

#include "autograd/function_ref.hpp"
#include "autograd/storage.hpp"

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

/// The product as a buffer that is computed when it is first read, where that pays; otherwise
/// nothing. a is (k, m), read as its transpose, b (k, n), both in buffers that are not lazy. The
/// gradient of a weight is such a product, and mostly read but once, by the update.
template <class T>
BufferRef lazy_product(std::int64_t m, std::int64_t n, std::int64_t k, BufferRef a, BufferRef b);

/// Computes a lazy product that is still pending a few rows at a time, and calls
/// `use(offset, count, numbers)` for them, while they are in the first-level cache.
template <class T>
void for_parts_of_product(const Buffer& product,
                          FunctionRef<void(std::int64_t, std::int64_t, const T*)> use);

}  // namespace xg::kernels
