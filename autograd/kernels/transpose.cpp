// Copies that change the order of axes, in blocks that stay in the cache.
#include "autograd/kernels/transpose.hpp"

#include <algorithm>

#include "autograd/kernels/parallel.hpp"

namespace xg::kernels {

template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* in, T* out) {
  // A block reads and writes whole lines; its columns become rows of the result.
  constexpr std::int64_t block = 64 / sizeof(T);
  const std::int64_t blocks = (columns + block - 1) / block;
  const std::int64_t grain =
      std::max<std::int64_t>(1, elementwise_grain / (block * std::max<std::int64_t>(rows, 1)));
  for_ranges(blocks, grain, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t end = std::min(columns, last * block);
    for (std::int64_t r0 = 0; r0 < rows; r0 += block)
      for (std::int64_t c0 = first * block; c0 < end; c0 += block) {
        const std::int64_t height = std::min(block, rows - r0), width = std::min(block, end - c0);
        T tile[block][block];
        for (std::int64_t r = 0; r < height; ++r)
          for (std::int64_t c = 0; c < width; ++c) tile[c][r] = in[(r0 + r) * columns + c0 + c];
        for (std::int64_t c = 0; c < width; ++c)
          std::copy_n(tile[c], height, out + (c0 + c) * rows + r0);
      }
  });
}

template <class T>
void permute(const Shape& shape, const Axes& axes, const T* in, T* out) {
  const std::size_t rank = shape.size();
  Extents stride = Extents::filled(rank, 1), extent = stride, step = stride,
          index = Extents::filled(rank, 0);
  for (std::size_t i = rank; i-- > 1;) stride[i - 1] = stride[i] * shape[i];
  for (std::size_t k = 0; k < rank; ++k) {
    extent[k] = shape[static_cast<std::size_t>(axes[k])];
    step[k] = stride[static_cast<std::size_t>(axes[k])];
  }
  const std::int64_t total = element_count(shape);
  if (total == 0) return;
  if (rank == 0) {
    *out = *in;
    return;
  }
  const std::int64_t row = extent[rank - 1], row_step = step[rank - 1];
  for (std::int64_t done = 0; done < total; done += row) {
    for (std::int64_t i = 0; i < row; ++i) *out++ = in[i * row_step];
    for (std::size_t k = rank - 1; k-- > 0;) {
      in += step[k];
      if (++index[k] < extent[k]) break;
      in -= step[k] * extent[k];
      index[k] = 0;
    }
  }
}

template void transpose(std::int64_t, std::int64_t, const float*, float*);
template void transpose(std::int64_t, std::int64_t, const double*, double*);
template void permute(const Shape&, const Axes&, const float*, float*);
template void permute(const Shape&, const Axes&, const double*, double*);
template void permute(const Shape&, const Axes&, const std::int64_t*, std::int64_t*);

}  // namespace xg::kernels
