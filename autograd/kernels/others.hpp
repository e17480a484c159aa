// The derivative of a product: the products of all other factors.
#pragma once

#include <cstdint>

namespace xg::kernels {

/// out[o][c][i] = y[o][i] times the product of in[o][k][i] over all k but c, without a division, so
/// that zeros do no harm.
template <class T>
void products_of_others(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
                        const T* y, T* out);

}  // namespace xg::kernels
