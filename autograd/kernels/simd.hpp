// The SIMD vocabulary of the kernels: one batch type over xsimd 8 to 13, loops over rows, and the
// functions that xsimd has under other names or not at all.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <xsimd/xsimd.hpp>

namespace xg::kernels {

template <class T>
using Batch = xsimd::batch<T>;

template <class T>
inline constexpr std::int64_t lanes = static_cast<std::int64_t>(Batch<T>::size);

template <class T>
Batch<T> load(const T* from) {
  return Batch<T>::load_unaligned(from);
}
template <class T>
void store(T* to, const Batch<T>& batch) {
  batch.store_unaligned(to);
}
template <class T>
void store_first(T* to, const Batch<T>& batch, std::int64_t count) {
  alignas(64) T lane[Batch<T>::size];
  batch.store_aligned(lane);
  std::memcpy(to, lane, static_cast<std::size_t>(count) * sizeof(T));
}

/// out[i] = f(a[i]...) for a row of n elements. Whole batches are loaded and stored even at the
/// end: what lies behind the row belongs to the buffer (see Buffer) and is written after it, by
/// the next row, or never read.
template <class T, class F, class... In>
void map_row(const F& f, std::int64_t n, T* out, const In&... in) {
  for (std::int64_t i = 0; i < n; i += lanes<T>) store<T>(out + i, f(in.at(i)...));
}

/// An input of map_row that advances with the row.
template <class T>
struct Moving {
  const T* from;
  Batch<T> at(std::int64_t i) const { return load(from + i); }
};
/// An input of map_row that is one number for the whole row.
template <class T>
struct Fixed {
  Batch<T> value;
  Batch<T> at(std::int64_t) const { return value; }
};

/// f of each lane.
template <class V, class F>
V each_lane(const V& x, const F& f) {
  alignas(64) typename V::value_type lane[V::size];
  x.store_aligned(lane);
  for (auto& one : lane) one = f(one);
  return V::load_aligned(lane);
}

/// The error function and 1 - erf(x). xsimd's are 70 ulp off in double, and NaN for very large
/// numbers, so doubles go through the C library one by one.
template <class V>
V erf(const V& x) {
  if constexpr (std::is_same_v<typename V::value_type, float>)
    return xsimd::erf(x);
  else
    return each_lane(x, [](double one) { return std::erf(one); });
}
template <class V>
V erfc(const V& x) {
  if constexpr (std::is_same_v<typename V::value_type, float>)
    return xsimd::erfc(x);
  else
    return each_lane(x, [](double one) { return std::erfc(one); });
}

/// Where x is NaN. (In xsimd 8.1, x != x is false there.)
template <class V>
auto is_nan(const V& x) {
  return !(x == x);
}

/// A constant in the type of a SIMD batch.
template <class V>
V constant(double value) {
  return V(static_cast<typename V::value_type>(value));
}

/// 1 where the mask holds, else 0.
template <class V, class Mask>
V one_where(const Mask& mask) {
  return xsimd::select(mask, V(1), V(0));
}

}  // namespace xg::kernels
