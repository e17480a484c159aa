// Not installed: the rows of a tensor as bytes, so that moving them needs no element type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "autograd/tensor.hpp"

namespace xg::datasets::detail {

/// The elements of a tensor that is defined, for reading.
inline const std::byte* bytes_of(const Tensor& tensor) {
  return visit_dtype(tensor.dtype(), [&]<class T>(T) {
    return reinterpret_cast<const std::byte*>(tensor.data<T>());
  });
}

/// The elements of a tensor that nobody else holds, for writing.
inline std::byte* writable_bytes_of(Tensor& tensor) {
  return visit_dtype(tensor.dtype(), [&]<class T>(T) {
    return reinterpret_cast<std::byte*>(tensor.exclusive_data<T>());
  });
}

/// The shape of `count` rows of a tensor with at least one axis.
inline Shape shape_of_rows(const Tensor& tensor, std::int64_t count) {
  Shape shape = tensor.shape();
  shape[0] = count;
  return shape;
}

/// Bytes of one row of a tensor with at least one axis.
inline std::size_t row_bytes(const Tensor& tensor) {
  return static_cast<std::size_t>(element_count(shape_of_rows(tensor, 1))) *
         size_of(tensor.dtype());
}

}  // namespace xg::datasets::detail
