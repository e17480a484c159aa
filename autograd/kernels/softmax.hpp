// Softmax over rows.
#pragma once

#include <cstdint>

namespace xg::kernels {

/// The longest row that softmax_rows takes.
inline constexpr std::int64_t longest_softmax_row = 32768;

/// out[r] = the softmax of row r of `count` numbers, or its logarithm: what the exponentials, their
/// sum and the rest give as operations of their own, without leaving the cache between them.
template <class T>
void softmax_rows(bool logarithm, std::int64_t rows, std::int64_t count, const T* in, T* out);

}  // namespace xg::kernels
