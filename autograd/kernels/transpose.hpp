// Copies that change the order of axes.
#pragma once

#include <cstdint>

#include "autograd/shape.hpp"

namespace xg::kernels {

/// out (columns, rows) = the transpose of in (rows, columns). T is any type of 4 or 8 bytes.
template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* in, T* out);

/// out[i0, i1, ...] = in[...] where axis k of `out` is axis axes[k] of `in` (of shape `shape`).
template <class T>
void permute(const Shape& shape, const Axes& axes, const T* in, T* out);

}  // namespace xg::kernels
