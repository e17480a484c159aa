// Loops that write an array from whole SIMD batches.
#pragma once

#include <algorithm>
#include <cstdint>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/simd.hpp"

namespace xg::kernels {

/// Bytes of a result from which on it is written past the cache: measured, where that costs the
/// next reader less than it spares the writer.
inline constexpr std::int64_t streamed_bytes = std::int64_t{32} << 20;

/// An input that advances with the output.
template <class T>
struct Moving {
  const T* from;
  Batch<T> at(std::int64_t i) const { return load(from + i); }
  void fetch(std::int64_t i) const { fetch_ahead(from + i); }
};
/// An input that is one number everywhere.
template <class T>
struct Fixed {
  Batch<T> value;
  Batch<T> at(std::int64_t) const { return value; }
  void fetch(std::int64_t) const {}
};

// Loops are flattened: a call within, even one that the compiler thinks too large to be worth
// inlining, would put every constant back into its register for each batch.

/// put(out + i, f(in[i]...)) for the batches of [i, end). The rest is given by value, so that no
/// store can be thought to change it.
template <class T, class Put, class F, class... In>
[[gnu::flatten]] void map_range(std::int64_t i, std::int64_t end, T* out, Put put, F f, In... in) {
  for (; i < end; i += lanes<T>) {
    (in.fetch(i), ...);
    put(out + i, f(in.at(i)...));
  }
}

/// As map, for more than one range. Kept apart so that what calls map for a few elements stays
/// small.
template <class T, class F, class... In>
[[gnu::noinline]] void map_ranges(std::int64_t n, T* out, const F& f, const In&... in) {
  const bool streamed = n * static_cast<std::int64_t>(sizeof(T)) >= streamed_bytes;
  for_several_ranges(n, elementwise_grain, [&](std::int64_t i, std::int64_t end) {
    if (streamed) {
      map_range(
          i, end, out, [](T* to, const Batch<T>& batch) { stream(to, batch); }, f, in...);
      finish_streaming();
    } else {
      map_range(
          i, end, out, [](T* to, const Batch<T>& batch) { store(to, batch); }, f, in...);
    }
  });
}

/// out[i] = f(in[i]...) for n elements. Whole batches are stored even at the end, see Buffer; `out`
/// is the beginning of one.
template <class T, class F, class... In>
[[gnu::flatten]] void map(std::int64_t n, T* out, const F& f, const In&... in) {
  if (n > elementwise_grain) return map_ranges(n, out, f, in...);
  for (std::int64_t i = 0; i < n; i += lanes<T>) store<T>(out + i, f(in.at(i)...));
}

/// out[i] = f(a[i]...) for a row of n elements. Whole batches are stored even at the end, where
/// `room` elements from `out` on may be written: the next row is written after it.
template <class T, class F, class... In>
void map_row(const F& f, std::int64_t n, std::int64_t room, T* out, const In&... in) {
  const std::int64_t rest = n % lanes<T>;
  const std::int64_t whole = n - rest + lanes<T> <= room ? n : n - rest;
  std::int64_t i = 0;
  for (; i < whole; i += lanes<T>) store<T>(out + i, f(in.at(i)...));
  if (i < n) store_first<T>(out + i, f(in.at(i)...), rest);
}

/// As map_row, past the cache, all but the lines that the row shares with its neighbours.
/// finish_streaming() comes before anybody else may read.
template <class T, class F, class... In>
[[gnu::flatten]] void stream_row(const F& f, std::int64_t n, T* out, const In&... in) {
  constexpr std::uintptr_t line = sizeof(Batch<T>);
  const auto before =
      static_cast<std::int64_t>((0 - reinterpret_cast<std::uintptr_t>(out)) % line / sizeof(T));
  std::int64_t i = std::min(n, before);
  if (i > 0) store_first<T>(out, f(in.at(0)...), i);
  for (; i + lanes<T> <= n; i += lanes<T>) {
    (in.fetch(i), ...);
    stream<T>(out + i, f(in.at(i)...));
  }
  if (i < n) store_first<T>(out + i, f(in.at(i)...), n - i);
}

/// Writes n elements that make(begin, end, to) puts at `to`, range by range: in place or, for a
/// result that is written past the cache, in a block that is then streamed. `out` is the beginning
/// of a buffer.
template <class T, class F>
void write_blocks(std::int64_t n, T* out, const F& make) {
  const bool streamed = n * static_cast<std::int64_t>(sizeof(T)) >= streamed_bytes;
  for_ranges(n, elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    if (!streamed) return make(begin, end, out + begin);
    constexpr std::int64_t block = 2048;
    alignas(64) T made[block];
    for (; begin < end; begin += block) {
      const std::int64_t count = std::min(block, end - begin);
      make(begin, begin + count, made);
      for (std::int64_t i = 0; i < count; i += lanes<T>) stream(out + begin + i, load(made + i));
    }
    finish_streaming();
  });
}

/// Whether rows of `length` elements are worth stream_row in a result of n elements.
template <class T>
bool streams_rows(std::int64_t n, std::int64_t length) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  return n * size >= streamed_bytes && length * size >= 1024;
}

}  // namespace xg::kernels
