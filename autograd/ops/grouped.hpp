// A tensor as the kernels of reductions see it, and the way back from a reduction to the tensor's
// shape. Internal to autograd/ops.
#pragma once

#include <algorithm>
#include <utility>

#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/spread.hpp"
#include "autograd/ops.hpp"

namespace xg::ops {

/// A tensor seen as (outer, count, inner), to be reduced over the middle axis.
struct Grouped {
  std::int64_t outer = 1, count = 1, inner = 1;
  bool together = true;  // whether the reduced axes are
};

/// What `axes`, which are ascending, make of `shape`, if they stand together.
inline Grouped group(const Shape& shape, const Axes& axes) {
  Grouped result;
  bool after = false;
  std::size_t next = 0;  // of the axes
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (next < axes.size() && axes[next] == static_cast<std::int64_t>(i)) {
      ++next;
      result.count *= shape[i];
      result.together = result.together && !(after && shape[i] != 1);
    } else {
      const bool before = result.count == 1;
      (before ? result.outer : result.inner) *= shape[i];
      after = after || (!before && shape[i] != 1);
    }
  }
  return result;
}

/// Moves reduced axes that do not stand together to the end.
inline Tensor brought_together(Grouped& grouped, const Tensor& x, const Axes& axes) {
  if (grouped.together) return x;
  Axes order;
  for (std::size_t i = 0; i < x.rank(); ++i)
    if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) == axes.end())
      order.push_back(static_cast<std::int64_t>(i));
  for (const std::int64_t axis : axes) order.push_back(axis);
  const NoRecording scope;
  grouped = {grouped.outer * grouped.inner, grouped.count, 1};
  return permute(x, order);
}

/// The largest element of each reduction and the sum of e^(x - largest), NaN where that is
/// infinite, as tensors of `shape`.
inline std::pair<Tensor, Tensor> exponentials(const Grouped& g, const Tensor& x,
                                              const Shape& shape) {
  Tensor largest = Tensor::uninitialised(shape, x.dtype()),
         sums = Tensor::uninitialised(shape, x.dtype());
  visit_floating(x.dtype(), [&]<class T>(T) {
    kernels::exponentials(g.outer, g.count, g.inner, x.data<T>(), largest.exclusive_data<T>(),
                          sums.exclusive_data<T>());
  });
  const NoRecording scope;
  return {largest, sums + (largest - largest)};
}

/// f(x, y...) for each element of x, `y` being those of its reduction: tensors of as many elements
/// as there are reductions.
template <class F, class... Y>
Tensor spread(const Grouped& g, const F& f, const Tensor& x, const Y&... y) {
  Tensor out = Tensor::uninitialised(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>(T) {
    kernels::spread(g.outer, g.count, g.inner, out.exclusive_data<T>(), f, x.data<T>(),
                    y.template data<T>()...);
  });
  return out;
}

}  // namespace xg::ops
