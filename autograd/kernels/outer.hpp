// Sums of few outer products, such as the gradient of a weight over a mini-batch.
#pragma once

#include <cstdint>

#include "autograd/storage.hpp"

namespace xg::kernels {

/// aᵀ b as a buffer that is computed when it is first read, where that pays; otherwise nothing.
/// a (k, m) and b (k, n) are in buffers that are not lazy. The gradient of a weight is
/// such a product, and mostly read but once, by the update.
template <class T>
BufferRef lazy_product(std::int64_t m, std::int64_t n, std::int64_t k, BufferRef a, BufferRef b);

/// The outer products (count, m, n) of rows a_i of a (count, m) and b_i of b (count, n), computed
/// when they are first read. Neither buffer is lazy.
template <class T>
BufferRef lazy_outer_products(std::int64_t count, std::int64_t m, std::int64_t n, BufferRef a,
                              BufferRef b);

/// out = w + factor · a lazy product that is still pending, with the bits of the two steps one
/// after the other; `out` may be `w`.
template <class T>
void add_product(const Buffer& product, T factor, const T* w, T* out);

}  // namespace xg::kernels
