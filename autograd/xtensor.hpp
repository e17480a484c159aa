// The bridge to xtensor: any expression in, adaptors out. Only pointers, shapes and adaptors cross
// to the user's translation unit, because xtensor's containers change with compiler flags.
#pragma once

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>  // xtensor 0.26 and later
#else
#include <xtensor/xadapt.hpp>
#endif

#include <algorithm>
#include <cstddef>
#include <vector>

#include "autograd/tensor.hpp"

namespace xg {

template <class E>
Tensor::Tensor(const xt::xexpression<E>& expression) {
  const E& e = expression.derived_cast();
  using T = element_t<typename E::value_type>;
  Shape shape = Shape::filled(e.dimension(), 0);
  std::transform(e.shape().begin(), e.shape().end(), shape.begin(),
                 [](auto extent) { return static_cast<std::int64_t>(extent); });
  *this = uninitialised(shape, dtype_of<T>);
  std::transform(e.template begin<xt::layout_type::row_major>(),
                 e.template end<xt::layout_type::row_major>(), exclusive_data<T>(),
                 [](auto value) { return static_cast<T>(value); });
}

template <Element T>
auto Tensor::view(SourceLocation place) const& {
  return xt::adapt<xt::layout_type::row_major>(
      data<T>(place), static_cast<std::size_t>(size_), xt::no_ownership(),
      std::vector<std::size_t>(shape_.begin(), shape_.end()));
}

}  // namespace xg
