// How inputs of several shapes are walked in step: axes that can be are merged, and what is left
// is a loop over rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "autograd/shape.hpp"

namespace xg::kernels {

/// For N inputs and an output shape: the merged shape, and each input's stride along each of its
/// axes. Along the last axis every stride is 0 or 1.
template <std::size_t N>
class BroadcastPlan {
 public:
  BroadcastPlan(const Shape& out, const std::array<const Shape*, N>& in) {
    std::array<std::int64_t, N> elements;  // of the inner axes, so far
    elements.fill(1);
    // From the innermost axis outwards; an axis merges with the one inside it if every input
    // either moves on contiguously or stays fixed along both.
    std::array<Extents, N> reversed;
    Extents extents;
    for (std::size_t back = 1; back <= out.size(); ++back) {
      const std::int64_t extent = out[out.size() - back];
      if (extent == 1) continue;
      std::array<std::int64_t, N> stride;
      bool merges = !extents.empty();
      for (std::size_t k = 0; k < N; ++k) {
        const bool has = back <= in[k]->size();
        const std::int64_t own = has ? (*in[k])[in[k]->size() - back] : 1;
        stride[k] = own == 1 ? 0 : elements[k];
        elements[k] *= own;
        if (merges) {
          const std::int64_t inner = reversed[k].back();
          merges = stride[k] == inner * extents.back();
        }
      }
      if (merges) {
        extents[extents.size() - 1] *= extent;
        continue;
      }
      extents.push_back(extent);
      for (std::size_t k = 0; k < N; ++k) reversed[k].push_back(stride[k]);
    }
    if (extents.empty()) {
      extents.push_back(1);
      for (std::size_t k = 0; k < N; ++k) reversed[k].push_back(0);
    }
    row_ = extents[0];
    outer_ = extents.without(0);
    for (std::size_t k = 0; k < N; ++k) {
      row_stride_[k] = reversed[k][0];
      outer_stride_[k] = reversed[k].without(0);
    }
  }

  /// Each input's stride along a row.
  std::int64_t row_stride(std::size_t input) const noexcept { return row_stride_[input]; }

  /// Elements of the output in a row.
  std::int64_t row_length() const noexcept { return row_; }

  /// Calls f(offsets, at, count) for each row, or what of it lies in [begin, end) of the output:
  /// its place there, its number of elements, and where each input stands.
  template <class F>
  void for_each_row(std::int64_t begin, std::int64_t end, F f) const {
    if (begin >= end) return;
    std::array<std::int64_t, N> offset{};
    Extents index = Extents::filled(outer_.size(), 0);
    std::int64_t skipped = 0;  // of the first row
    if (begin > 0) {
      skipped = begin % row_;
      std::int64_t rest = begin / row_;
      for (std::size_t axis = 0; axis < outer_.size(); ++axis) {
        index[axis] = rest % outer_[axis];
        rest /= outer_[axis];
        for (std::size_t k = 0; k < N; ++k) offset[k] += index[axis] * outer_stride_[k][axis];
      }
    }
    for (std::int64_t at = begin; at < end; skipped = 0) {
      const std::int64_t count = std::min(row_ - skipped, end - at);
      std::array<std::int64_t, N> here = offset;
      for (std::size_t k = 0; k < N; ++k) here[k] += skipped * row_stride_[k];
      f(here, at, count);
      at += count;
      for (std::size_t axis = 0; axis < outer_.size(); ++axis) {  // the fastest comes first
        for (std::size_t k = 0; k < N; ++k) offset[k] += outer_stride_[k][axis];
        if (++index[axis] < outer_[axis]) break;
        for (std::size_t k = 0; k < N; ++k) offset[k] -= outer_stride_[k][axis] * outer_[axis];
        index[axis] = 0;
      }
    }
  }

 private:
  std::int64_t row_ = 0;
  std::array<std::int64_t, N> row_stride_{};
  Extents outer_;
  std::array<Extents, N> outer_stride_;
};

}  // namespace xg::kernels
