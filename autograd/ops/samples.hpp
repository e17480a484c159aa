// Inputs for the operations' samples. Internal to autograd/ops.
#pragma once

#include <cmath>

#include "autograd/op.hpp"
#include "autograd/random.hpp"

namespace xg::ops {

/// Reproducible float64 numbers in [low, high).
inline Tensor numbers(const Shape& shape, double low, double high, std::uint64_t seed = 1) {
  return random_uniform(shape, Key{seed}, DType::float64, low, high);
}

/// The extent of a square matrix of about n elements.
inline std::int64_t side_of_square(std::int64_t n) {
  return static_cast<std::int64_t>(std::sqrt(static_cast<double>(n)));
}

/// Shapes that a function of one tensor must cope with.
inline std::vector<Shape> awkward_shapes() {
  return {{}, {1}, {0}, {7}, {3, 1}, {2, 0, 3}, {2, 3, 4}, {1, 2, 1, 2, 1, 3}};
}

/// Pairs of shapes that broadcast: alike, both ways, against scalars, ones and emptiness.
inline std::vector<std::pair<Shape, Shape>> broadcasting_shapes() {
  return {{{}, {}},          {{3, 4}, {3, 4}}, {{3, 4}, {}},     {{}, {2, 3}},
          {{5, 3}, {3}},     {{3}, {5, 3}},    {{4, 1}, {1, 3}}, {{2, 3, 4}, {2, 1, 4}},
          {{2, 1}, {2, 17}}, {{0, 3}, {3}},    {{1}, {0}},       {{2, 1, 3, 1, 2}, {3, 2, 1}},
          {{1, 1}, {1}}};
}

template <class O>
std::vector<Sample<O>> unary_samples(double low, double high, const O& op = {}) {
  std::vector<Sample<O>> result;
  for (const Shape& shape : awkward_shapes()) result.push_back({op, {numbers(shape, low, high)}});
  result.push_back({op, {Tensor{1, 2, 3}}, "input 0 is int64; float32 or float64 is needed"});
  result.push_back({op, {Tensor()}, "input 0 is undefined"});
  return result;
}

template <class O>
std::vector<Sample<O>> binary_samples(double low, double high, const O& op = {}) {
  std::vector<Sample<O>> result;
  for (const auto& [a, b] : broadcasting_shapes())
    result.push_back({op, {numbers(a, low, high, 1), numbers(b, low, high, 2)}});
  result.push_back({op,
                    {numbers({2, 3}, low, high), numbers({2, 4}, low, high)},
                    "shapes do not broadcast: (2, 3) and (2, 4)"});
  result.push_back({op, {Tensor(1.0), Tensor(1.f)}, "types differ: float64 () and float32 ()"});
  return result;
}

}  // namespace xg::ops
