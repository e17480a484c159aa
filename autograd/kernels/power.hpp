// Powers: floats as 2^(b log2 a) in double, which has the digits that this loses; what is not
// ordinary, and doubles, through the C library.
#pragma once

#include <algorithm>
#include <limits>
#include <numbers>

#include "autograd/kernels/simd.hpp"

namespace xg::kernels {
namespace detail {

typedef double Doubles __attribute__((vector_size(sizeof(Batch<double>))));
// Lanes of no ordinary number are computed as well, and overflow.
typedef std::uint64_t Bits __attribute__((vector_size(sizeof(Batch<double>))));
typedef std::int64_t SignedBits __attribute__((vector_size(sizeof(Batch<double>))));

// A whole number n below 2^51 as the double n + 1.5 2^52 has n in its last bits.
constexpr double with_whole = 0x1.8p52;
constexpr auto whole_bits = std::bit_cast<std::uint64_t>(with_whole);
constexpr int mantissa_bits = 52;

/// log2 of positive normal numbers, to about 12 digits.
inline Doubles log2(Doubles x) {
  // x = 2^k m with m between √½ and √2
  constexpr auto least = std::bit_cast<std::uint64_t>(0.5 * std::numbers::sqrt2);
  const Bits bits = std::bit_cast<Bits>(x);
  const Bits k = std::bit_cast<Bits>(std::bit_cast<SignedBits>(bits - least) >> mantissa_bits);
  const Doubles m = std::bit_cast<Doubles>(bits - (k << mantissa_bits));
  // ln m = 2 (s + s³/3 + s⁵/5 + ...) with |s| < 0.172
  const Doubles s = (m - 1) / (m + 1), square = s * s;
  Doubles series = square * (1. / 15) + 1. / 13;
  for (const double next : {1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1.})
    series = series * square + next;
  return std::bit_cast<Doubles>(k + whole_bits) - with_whole +
         2 * std::numbers::log2e * (s * series);
}

/// 2^x for |x| <= 1000, to about 11 digits.
inline Doubles exp2(Doubles x) {
  const Doubles rounded = x + with_whole;
  const Bits k = std::bit_cast<Bits>(rounded) - whole_bits;
  const Doubles f = (x - (rounded - with_whole)) * std::numbers::ln2;  // at most ln(2) / 2
  // e^f = 1 + f + f²/2! + f³/3! + ...
  Doubles series = f * (1. / 362880) + 1. / 40320;
  for (const double next : {1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1., 1.})
    series = series * f + next;
  return std::bit_cast<Doubles>(std::bit_cast<Bits>(series) + (k << mantissa_bits));
}

/// a^b of positive finite numbers and finite ones.
inline Batch<float> ordinary_pow(const Batch<float>& a, const Batch<float>& b) {
  typedef float Half __attribute__((vector_size(sizeof(Batch<float>) / 2)));
  struct Halves {
    Half half[2];
  };
  const auto one = [&](Half x, Half y) {
    const Doubles exponent =
        __builtin_convertvector(y, Doubles) * log2(__builtin_convertvector(x, Doubles));
    const auto within = xsimd::clip(std::bit_cast<Batch<double>>(exponent), Batch<double>(-1000.),
                                    Batch<double>(1000.));
    return __builtin_convertvector(exp2(std::bit_cast<Doubles>(within)), Half);
  };
  const auto x = std::bit_cast<Halves>(a), y = std::bit_cast<Halves>(b);
  return std::bit_cast<Batch<float>>(
      Halves{{one(x.half[0], y.half[0]), one(x.half[1], y.half[1])}});
}

}  // namespace detail

/// a to the power b. What of the floats is not ordinary (a base that is not above 0, infinities,
/// NaN), and doubles, go through the C library one by one.
template <class V>
V pow(const V& a, const V& b) {
  using T = typename V::value_type;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr bool is_float = std::is_same_v<T, float>;
  alignas(64) T x[V::size], y[V::size], result[V::size];
  if constexpr (is_float) {
    const V ordinary = detail::ordinary_pow(a, b);
    if (xsimd::all((a > V(0)) & (a < V(infinity)) & (xsimd::abs(b) < V(infinity)))) return ordinary;
    ordinary.store_aligned(result);
  }
  a.store_aligned(x);
  b.store_aligned(y);
  for (std::size_t i = 0; i < V::size; ++i)
    if (!is_float || !(x[i] > 0 && x[i] < infinity && std::abs(y[i]) < infinity))
      result[i] = std::pow(x[i], y[i]);
  return V::load_aligned(result);
}

}  // namespace xg::kernels
