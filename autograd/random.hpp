// Random tensors that depend on a key and a shape and on nothing else: no hidden state, no order of
// drawing, no standard library distribution.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "autograd/tensor.hpp"

namespace xg {

/// One block of Philox4x32-10: four random words that are a function of `counter` and `key`.
/// Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3",
/// SC'11.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) noexcept;

/// What a random draw is for. A key gives the same numbers every time; keys for different purposes
/// are folded from one seed:
///
///     Key key = Key{seed}.fold("dropout").fold(step).fold(layer);
struct Key {
  std::uint64_t seed = 0;

  /// An independent key for stream number `stream`.
  Key fold(std::uint64_t stream) const noexcept;
  /// An independent key for what `name` says.
  Key fold(std::string_view name) const noexcept;

  friend bool operator==(const Key&, const Key&) = default;
};

/// Numbers spread evenly over the half-open interval [low, high), whose bounds are first rounded to
/// `dtype`. Element i depends on (key, i) only, so a shorter tensor is a prefix of a longer one.
/// Throws DTypeError for int64, ValueError unless low < high and both (and their distance) are
/// finite, ShapeError for a negative extent.
Tensor random_uniform(const Shape& shape, Key key, DType dtype = DType::float32, double low = 0.0,
                      double high = 1.0, SourceLocation place = SourceLocation::current());

/// Normally distributed numbers, by the Box-Muller transform. Element i depends on (key, i) only;
/// the float32 values are the float64 values, rounded. Throws DTypeError for int64, ValueError
/// unless mean and stddev are finite and stddev >= 0, ShapeError for a negative extent.
Tensor random_normal(const Shape& shape, Key key, DType dtype = DType::float32, double mean = 0.0,
                     double stddev = 1.0, SourceLocation place = SourceLocation::current());

/// The numbers 0 .. n-1 in an order that is equally likely to be any (Fisher-Yates, with draws free
/// of modulo bias). Throws ValueError unless 0 <= n <= 2^32.
std::vector<std::int64_t> random_permutation(std::int64_t n, Key key);

}  // namespace xg
