// Copies that change the order of axes.
#pragma once

#include "autograd/shape.hpp"

namespace xg::kernels {

/// out[i0, i1, ...] = in[...] where axis k of `out` is axis axes[k] of `in` (of shape `shape`).
/// `out` is the beginning of a buffer.
template <class T>
void permute(const Shape& shape, const Axes& axes, const T* in, T* out);

}  // namespace xg::kernels
