// The SIMD vocabulary of the kernels: one batch type over xsimd 8 to 13, and the functions that
// xsimd has under other names or not at all.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>
#ifdef __SSE2__
#include <immintrin.h>
#endif

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
/// The first `count` elements; zeros behind them.
template <class T>
Batch<T> load_first(const T* from, std::int64_t count) {
  alignas(64) T lane[Batch<T>::size] = {};
  std::memcpy(lane, from, static_cast<std::size_t>(count) * sizeof(T));
  return Batch<T>::load_aligned(lane);
}
template <class T>
void store_first(T* to, const Batch<T>& batch, std::int64_t count) {
  alignas(64) T lane[Batch<T>::size];
  batch.store_aligned(lane);
  std::memcpy(to, lane, static_cast<std::size_t>(count) * sizeof(T));
}

/// As store, but past the cache, for results too large to stay there: a line need not be read
/// before it is overwritten. `to` is aligned to the batch. finish_streaming() comes before anybody
/// else may read.
template <class T>
void stream(T* to, const Batch<T>& batch) {
#ifdef __AVX512F__
  if constexpr (sizeof batch == 64)
    return _mm512_stream_si512(reinterpret_cast<__m512i*>(to), std::bit_cast<__m512i>(batch));
#endif
#ifdef __AVX__
  if constexpr (sizeof batch == 32)
    return _mm256_stream_si256(reinterpret_cast<__m256i*>(to), std::bit_cast<__m256i>(batch));
#endif
#ifdef __SSE2__
  if constexpr (sizeof batch == 16)
    return _mm_stream_si128(reinterpret_cast<__m128i*>(to), std::bit_cast<__m128i>(batch));
#endif
  store(to, batch);
}
inline void finish_streaming() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

/// Asks for what stands a little after `from`. A loop that computes much on each batch does not
/// look far enough ahead itself to keep the memory busy.
template <class T>
void fetch_ahead(const T* from) {
  constexpr std::size_t bytes = 2048;
  __builtin_prefetch(from + bytes / sizeof(T));
}

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

/// ln(1 + x) for x in [0, 1]. For floats 2 artanh(s) = 2 (s + s³/3 + s⁵/5 + ...) with
/// s = x / (2 + x) <= 1/3, of which the first term left out is below 2^-29 of the whole. The first
/// one is written as x - s x, to which the rounding of s matters less.
template <class V>
V log1p_of_unit(const V& x) {
  if constexpr (std::is_same_v<typename V::value_type, float>) {
    const V s = x / (x + V(2)), square = s * s;
    V series(2.f / 15);
    for (const float n : {13.f, 11.f, 9.f, 7.f, 5.f, 3.f}) series = series * square + V(2 / n);
    return x - s * (x - square * series);
  } else {
    return xsimd::log1p(x);
  }
}

/// Where x is NaN. (In xsimd 8.1, x != x is false there.)
template <class V>
auto is_nan(const V& x) {
  return xsimd::isnan(x);
}

/// -1, 0 or 1; 0 and NaN stay what they are.
template <class V>
V sign(const V& x) {
  return xsimd::select(x > V(0), V(1), xsimd::select(x < V(0), V(-1), x));
}

/// A batch in a form whose elements the compiler can move about.
template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(sizeof(Batch<T>))));
  using Places = std::make_index_sequence<Batch<T>::size>;
};

/// The elements of a and b in turn, from element `first` of each on.
template <std::size_t first, class T>
Batch<T> interleaved(const Batch<T>& a, const Batch<T>& b) {
  using Vector = typename Lanes<T>::Vector;
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return std::bit_cast<Batch<T>>(
        __builtin_shufflevector(std::bit_cast<Vector>(a), std::bit_cast<Vector>(b),
                                (first + k / 2 + k % 2 * Batch<T>::size)...));
  }
  (typename Lanes<T>::Places());
}

/// Each lane in the place of its neighbour: those whose number differs by `by`, a power of 2.
template <std::size_t by, class T>
Batch<T> exchanged(const Batch<T>& x) {
  const auto vector = std::bit_cast<typename Lanes<T>::Vector>(x);
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return std::bit_cast<Batch<T>>(__builtin_shufflevector(vector, vector, (k ^ by)...));
  }
  (typename Lanes<T>::Places());
}

/// A square of as many rows as a batch has elements.
template <class T>
using Square = std::array<Batch<T>, Batch<T>::size>;

/// Exchanges rows and columns.
template <class T>
void transpose(Square<T>& a) {
  // A perfect shuffle of all elements moves each bit of a position up by one; as many of them as a
  // column number has bits make it the row number.
  constexpr std::size_t side = Batch<T>::size;
  for (std::size_t bit = 1; bit < side; bit *= 2) {
    Square<T> b;
    for (std::size_t r = 0; r < side / 2; ++r) {
      b[2 * r] = interleaved<0, T>(a[r], a[r + side / 2]);
      b[2 * r + 1] = interleaved<side / 2, T>(a[r], a[r + side / 2]);
    }
    a = b;
  }
}

/// The first `count` elements of x, and `rest` in place of the others.
template <class T>
Batch<T> first_or(const Batch<T>& x, std::int64_t count, const Batch<T>& rest) {
  constexpr auto place = []<std::size_t... k>(std::index_sequence<k...>) {
    return typename Lanes<T>::Vector{static_cast<T>(k)...};
  }
  (typename Lanes<T>::Places());
  return xsimd::select(std::bit_cast<Batch<T>>(place) < Batch<T>(static_cast<T>(count)), x, rest);
}

/// All elements in one: combine(x, x moved by half of the lanes), by a quarter of them, and so on.
template <std::size_t by, class T, class F>
T folded(const Batch<T>& x, const F& combine) {
  const auto vector = std::bit_cast<typename Lanes<T>::Vector>(x);
  if constexpr (by == 0) {
    return vector[0];
  } else {
    const auto moved = [&]<std::size_t... k>(std::index_sequence<k...>) {
      return __builtin_shufflevector(vector, vector, (k + by)...);
    }
    (typename Lanes<T>::Places());
    return folded<by / 2>(combine(x, std::bit_cast<Batch<T>>(moved)), combine);
  }
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
