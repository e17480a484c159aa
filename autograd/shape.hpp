// Shapes and axes: small vectors of extents, and the rules of broadcasting and of naming axes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "autograd/dtype.hpp"

namespace xg {

/// A short vector of 64-bit integers that keeps up to four of them without a heap allocation.
class Extents {
 public:
  using value_type = std::int64_t;

  Extents() noexcept : inline_{} {}
  Extents(std::initializer_list<std::int64_t> values) : Extents(values.begin(), values.size()) {}
  /// A single extent, so that `sum(x, 0)` and `zeros(3)` read as in NumPy.
  template <Number T>
  requires std::integral<T> Extents(T value) : Extents({static_cast<std::int64_t>(value)}) {}
  Extents(const std::int64_t* values, std::size_t count) : size_(count), inline_{} {
    if (is_inline())
      for (std::size_t i = 0; i < count; ++i) inline_[i] = values[i];
    else
      std::copy_n(values, count, resize_uninitialised(count));
  }
  explicit Extents(std::span<const std::int64_t> values) : Extents(values.data(), values.size()) {}
  Extents(const Extents& other) : size_(other.size_) {
    if (is_inline())
      std::memcpy(inline_, other.inline_, sizeof inline_);
    else
      copy_heap(other);
  }
  Extents(Extents&& other) noexcept : size_(other.size_) {
    std::memcpy(inline_, other.inline_, sizeof inline_);
    other.size_ = 0;
    std::memset(other.inline_, 0, sizeof inline_);
  }
  Extents& operator=(const Extents& other) {
    if (is_inline() && other.is_inline()) {
      size_ = other.size_;
      std::memmove(inline_, other.inline_, sizeof inline_);
    } else {
      *this = Extents(other);
    }
    return *this;
  }
  Extents& operator=(Extents&& other) noexcept {
    std::swap(size_, other.size_);
    std::int64_t mine[inline_capacity];
    std::memcpy(mine, inline_, sizeof inline_);
    std::memcpy(inline_, other.inline_, sizeof inline_);
    std::memcpy(other.inline_, mine, sizeof inline_);
    return *this;
  }
  ~Extents() {
    if (!is_inline()) delete[] heap_;
  }

  /// `count` copies of `value`.
  static Extents filled(std::size_t count, std::int64_t value) {
    Extents result;
    std::fill_n(result.resize_uninitialised(count), count, value);
    return result;
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::int64_t* data() noexcept { return is_inline() ? inline_ : heap_; }
  const std::int64_t* data() const noexcept { return is_inline() ? inline_ : heap_; }
  std::int64_t* begin() noexcept { return data(); }
  std::int64_t* end() noexcept { return data() + size_; }
  const std::int64_t* begin() const noexcept { return data(); }
  const std::int64_t* end() const noexcept { return data() + size_; }
  std::int64_t& operator[](std::size_t i) noexcept { return data()[i]; }
  std::int64_t operator[](std::size_t i) const noexcept { return data()[i]; }
  std::int64_t back() const noexcept { return data()[size_ - 1]; }

  /// The extents with `value` put in before position `position`.
  Extents with_inserted(std::size_t position, std::int64_t value) const;
  /// The extents without the one at `position`.
  Extents without(std::size_t position) const;
  void push_back(std::int64_t value) {
    if (size_ < inline_capacity)
      inline_[size_++] = value;
    else
      *this = with_inserted(size_, value);
  }

  friend bool operator==(const Extents& a, const Extents& b) noexcept {
    if (a.size_ != b.size_) return false;
    if (!a.is_inline()) return std::equal(a.begin(), a.end(), b.begin());
    // What lies behind the last extent is 0 in both.
    std::int64_t differ = 0;
    for (std::size_t i = 0; i < inline_capacity; ++i) differ |= a.inline_[i] ^ b.inline_[i];
    return differ == 0;
  }

 private:
  static constexpr std::size_t inline_capacity = 4;
  bool is_inline() const noexcept { return size_ <= inline_capacity; }
  std::int64_t* resize_uninitialised(std::size_t count);
  void copy_heap(const Extents& other);

  std::size_t size_ = 0;
  union {
    std::int64_t inline_[inline_capacity];
    std::int64_t* heap_;
  };
};

/// Extent of each axis, outermost first; the empty shape is that of a scalar.
using Shape = Extents;
/// Numbers of axes; negative ones count from the last. Empty means all axes where it is an
/// argument of a reduction.
using Axes = Extents;

/// "(10, 784)"; "(3,)" for one axis and "()" for a scalar, as NumPy writes them.
std::string to_string(const Extents& extents);
std::ostream& operator<<(std::ostream& stream, const Extents& extents);

namespace detail {
std::int64_t checked_element_count(const Shape& shape);
}

/// Number of elements. Throws ShapeError for a negative extent, or a product over 2^59.
inline std::int64_t element_count(const Shape& shape) {
  std::uint64_t bits = 0;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    bits |= static_cast<std::uint64_t>(extent);
    count = static_cast<std::int64_t>(static_cast<std::uint64_t>(count) *
                                      static_cast<std::uint64_t>(extent));
  }
  // Four extents below 2^14, or two below 2^28, cannot overflow.
  if (bits < (shape.size() <= 2 ? 1u << 28 : 1u << 14) && shape.size() <= 4) return count;
  return detail::checked_element_count(shape);
}

/// The shape to which `a` and `b` broadcast together by NumPy's rule. Throws ShapeError in the
/// name of `operation`.
Shape broadcast_shapes(std::string_view operation, const Shape& a, const Shape& b);

/// `axis` counted from the front. Throws ShapeError unless -rank <= axis < rank.
std::size_t normalise_axis(std::string_view operation, std::int64_t axis, std::size_t rank);

/// The axes counted from the front, ascending; all of them for an empty list. Throws ShapeError
/// for one out of range or named twice.
Axes normalise_axes(std::string_view operation, const Axes& axes, std::size_t rank);

/// `shape` with `axes` (normalised) set to 1, or taken away without `keepdims`.
Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdims);

/// The index of the element at `offset` in row-major order.
Extents unravel_index(std::int64_t offset, const Shape& shape);

}  // namespace xg
