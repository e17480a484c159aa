// Broadcasting and axis arithmetic; knows nothing of tensors.
#include "autograd/shape.hpp"

#include <ostream>

namespace xg {

using detail::text;

DType dtype_from_name(std::string_view name) {
  for (const DType dtype : {DType::float32, DType::float64, DType::int64})
    if (name == to_string(dtype)) return dtype;
  throw ValueError(text("[dtype] unknown type '", name, "'; there are float32, float64 and int64"));
}

std::ostream& operator<<(std::ostream& stream, DType dtype) { return stream << to_string(dtype); }

std::int64_t* Extents::resize_uninitialised(std::size_t count) {
  size_ = count;
  if (!is_inline()) heap_ = new std::int64_t[count];
  return data();
}

void Extents::copy_heap(const Extents& other) {
  std::copy_n(other.heap_, size_, resize_uninitialised(other.size_));
}

Extents Extents::with_inserted(std::size_t position, std::int64_t value) const {
  Extents result;
  std::int64_t* out = result.resize_uninitialised(size_ + 1);
  out = std::copy_n(begin(), position, out);
  *out++ = value;
  std::copy(begin() + position, end(), out);
  return result;
}

Extents Extents::without(std::size_t position) const {
  Extents result;
  std::int64_t* out = std::copy_n(begin(), position, result.resize_uninitialised(size_ - 1));
  std::copy(begin() + position + 1, end(), out);
  return result;
}

std::string to_string(const Extents& extents) {
  std::string result = "(";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (i > 0) result += ", ";
    result += std::to_string(extents[i]);
  }
  return result + (extents.size() == 1 ? ",)" : ")");
}

std::ostream& operator<<(std::ostream& stream, const Extents& extents) {
  return stream << to_string(extents);
}

std::int64_t detail::checked_element_count(const Shape& shape) {
  constexpr std::int64_t limit = std::int64_t{1} << 59;  // so that bytes can be counted
  std::int64_t count = 1;
  bool overflow = false, empty = false;
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw ShapeError(text("[shape] negative extent in ", shape));
    empty = empty || extent == 0;
    overflow = __builtin_mul_overflow(count, extent, &count) || overflow;
  }
  if (empty) return 0;
  if (overflow || count > limit) throw ShapeError(text("[shape] too many elements: ", shape));
  return count;
}

Shape broadcast_shapes(std::string_view operation, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    std::int64_t& extent = result[offset + i];
    if (extent == 1)
      extent = shorter[i];
    else if (shorter[i] != 1 && shorter[i] != extent)
      throw ShapeError(text("[", operation, "] shapes do not broadcast: ", a, " and ", b,
                            "; extents must be equal or 1, counted from the last axis"));
  }
  return result;
}

std::size_t normalise_axis(std::string_view operation, std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank)
    throw ShapeError(text("[", operation, "] axis ", axis, " is out of range for a tensor with ",
                          rank, rank == 1 ? " axis" : " axes"));
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

Axes normalise_axes(std::string_view operation, const Axes& axes, std::size_t rank) {
  if (axes.size() == 1) return static_cast<std::int64_t>(normalise_axis(operation, axes[0], rank));
  Axes result = Axes::filled(axes.empty() ? rank : axes.size(), 0);
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = axes.empty() ? static_cast<std::int64_t>(i)
                             : static_cast<std::int64_t>(normalise_axis(operation, axes[i], rank));
  if (axes.empty()) return result;
  std::sort(result.begin(), result.end());
  if (std::adjacent_find(result.begin(), result.end()) != result.end())
    throw ShapeError(text("[", operation, "] an axis is named twice in ", axes));
  return result;
}

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape result;
  std::size_t next = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool reduced = next < axes.size() && axes[next] == static_cast<std::int64_t>(i);
    next += reduced;
    if (!reduced || keepdims) result.push_back(reduced ? 1 : shape[i]);
  }
  return result;
}

Extents unravel_index(std::int64_t offset, const Shape& shape) {
  Extents index = shape;
  for (std::size_t i = shape.size(); i-- > 0; offset /= shape[i]) index[i] = offset % shape[i];
  return index;
}

}  // namespace xg
