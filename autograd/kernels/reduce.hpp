// Reductions of a block of numbers seen as (outer, count, inner) over its middle axis.
#pragma once

#include <cstdint>

namespace xg::kernels {

enum class Reduction {
  sum,
  squares,
  product,
  maximum,
  minimum,
  squared_distances,
  log_sum_exp,
  maximum_count,
  minimum_count
};

/// out[o][i] = the reduction of in[o][0..count)[i]; `squares` is the sum of squares,
/// `squared_distances` that of the distances to the mean, `maximum_count` how many are the largest.
/// The order of combination depends on the extents alone. NaN wins in maximum and minimum, and is
/// then their count. Over nothing: 0, 0, 1, -inf, +inf, 0, -inf, 0, 0.
template <class T>
void reduce(Reduction kind, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
            T* out);

/// The largest of in[o][0..count)[i], and the sum of e^(x - largest), or of e^x where the largest
/// is infinite.
template <class T>
void exponentials(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
                  T* largest, T* sums);

/// out[o][i] = the first place of the largest of in[o][0..count)[i], or of the first NaN; count >
/// 0.
template <class T>
void argmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* in,
            std::int64_t* out);

}  // namespace xg::kernels
