// The tensor: an immutable value with a shape and a run-time type. Holds no arithmetic; that is
// in ops.hpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/dtype.hpp"
#include "autograd/shape.hpp"
#include "autograd/source_location.hpp"
#include "autograd/storage.hpp"

namespace xt {
template <class D>
class xexpression;
}

namespace xg {

class Tape;

namespace detail {
struct TensorAccess;

/// Numbers that no other thread hands out; each thread takes them in runs.
struct IdRun {
  std::uint64_t next = 0, end = 0;
};
inline constinit thread_local IdRun id_run;
IdRun next_id_run() noexcept;

/// A number that no other tensor or parameter of the process has.
inline std::uint64_t unique_id() noexcept {
  if (id_run.next == id_run.end) id_run = next_id_run();
  return id_run.next++;
}
}  // namespace detail

/// A cheap handle on an immutable, row-major, contiguous, 64-byte aligned buffer. Copying a tensor
/// shares the buffer; no operation writes into one that somebody else can see.
///
/// Numbers keep their C++ type: float gives float32, double float64, integers int64.
///
///     Tensor s = 2.0;                          // ()
///     Tensor m{{1.0, 2.0}, {3.0, 4.0}};        // (2, 2)
///     Tensor e = xt::sin(xt::linspace(0., 1., 11));   // any xtensor expression
class Tensor {
 public:
  /// An undefined tensor: no shape, no elements. As a derivative it stands for zero.
  Tensor() noexcept = default;

  /// A scalar.
  template <Number T>
  Tensor(T value) : Tensor(uninitialised({}, dtype_of<element_t<T>>)) {
    *exclusive_data<element_t<T>>() = static_cast<element_t<T>>(value);
  }
  /// A vector, matrix or rank-3 tensor of the listed numbers. Throws ShapeError for ragged lists.
  template <Number T>
  Tensor(std::initializer_list<T> values)
      : Tensor(std::span<const T>(values.begin(), values.size()),
               Shape{static_cast<std::int64_t>(values.size())}) {}
  template <Number T>
  Tensor(std::initializer_list<std::initializer_list<T>> rows);
  template <Number T>
  Tensor(std::initializer_list<std::initializer_list<std::initializer_list<T>>> blocks);

  /// The numbers of `values` in row-major order. Throws ShapeError unless `shape` has as many.
  template <Number T>
  Tensor(std::span<const T> values, const Shape& shape,
         SourceLocation place = SourceLocation::current())
      : Tensor(detail::located(place, [&] { return of_values(values, shape); })) {}
  template <Number T>
  Tensor(std::span<T> values, const Shape& shape, SourceLocation place = SourceLocation::current())
      : Tensor(std::span<const T>(values), shape, place) {}
  template <Number T>
  Tensor(const std::vector<T>& values, const Shape& shape,
         SourceLocation place = SourceLocation::current())
      : Tensor(std::span<const T>(values), shape, place) {}

  /// The elements of an xtensor expression, which is evaluated once. Comes with
  /// autograd/xtensor.hpp (part of the umbrella header).
  template <class E>
  Tensor(const xt::xexpression<E>& expression);

  /// A tensor whose elements are still to be written through `exclusive_data`.
  static Tensor uninitialised(const Shape& shape, DType dtype) {
    const std::int64_t size = element_count(shape);
    return Tensor(BufferRef(static_cast<std::uint64_t>(size) * size_of(dtype)), shape, size, dtype);
  }
  /// A tensor with every element `value`.
  static Tensor full(const Shape& shape, double value, DType dtype = DType::float64);

  bool defined() const noexcept { return static_cast<bool>(buffer_); }
  const Shape& shape() const noexcept { return shape_; }
  /// Extent of one axis; negative axes count from the last.
  std::int64_t extent(std::int64_t axis, SourceLocation place = SourceLocation::current()) const {
    return shape_[detail::located(place, [&] { return normalise_axis("extent", axis, rank()); })];
  }
  std::size_t rank() const noexcept { return shape_.size(); }
  std::int64_t size() const noexcept { return size_; }
  DType dtype() const noexcept { return dtype_; }

  /// The elements in row-major order. Throws DTypeError unless T is the stored type.
  template <Element T>
  const T* data(SourceLocation place = SourceLocation::current()) const {
    check_dtype(dtype_of<T>, place);
    return reinterpret_cast<const T*>(buffer_.data());
  }
  template <Element T>
  std::span<const T> values(SourceLocation place = SourceLocation::current()) const& {
    return {data<T>(place), static_cast<std::size_t>(size_)};
  }
  template <Element T>
  std::span<const T> values(SourceLocation place = SourceLocation::current()) const&& =
      delete;  // it would outlive the elements

  /// An xtensor adaptor over the elements, without a copy; valid while this tensor lives. Comes
  /// with autograd/xtensor.hpp. Throws DTypeError unless T is the stored type.
  template <Element T>
  auto view(SourceLocation place = SourceLocation::current()) const&;
  template <Element T>
  auto view(SourceLocation place = SourceLocation::current()) const&& =
      delete;  // it would outlive the elements

  /// The only element, as a double (or, for int64 beyond 2^53, its nearest). Throws ShapeError
  /// for a tensor of any other size.
  double item(SourceLocation place = SourceLocation::current()) const;
  /// One element, e.g. `t.at({1, 2})`. Throws ShapeError for an index out of range.
  double at(const Extents& index, SourceLocation place = SourceLocation::current()) const;

  /// The elements for writing, for whoever makes the tensor. Throws Error if somebody else holds
  /// the buffer.
  template <Element T>
  T* exclusive_data() {
    check_dtype(dtype_of<T>, SourceLocation());
    check_exclusive();
    return reinterpret_cast<T*>(buffer_.data());
  }

 private:
  friend struct detail::TensorAccess;

  Tensor(BufferRef buffer, const Shape& shape, std::int64_t size, DType dtype)
      : buffer_(std::move(buffer)),
        shape_(shape),
        size_(size),
        id_(detail::unique_id()),
        dtype_(dtype) {}
  template <Number T>
  static Tensor of_values(std::span<const T> values, const Shape& shape) {
    Tensor result = uninitialised(shape, dtype_of<element_t<T>>);
    result.check_count("Tensor", static_cast<std::int64_t>(values.size()));
    std::copy(values.begin(), values.end(), result.exclusive_data<element_t<T>>());
    return result;
  }
  void check_dtype(DType wanted, SourceLocation place) const {
    if (dtype_ != wanted || !buffer_) fail_dtype(wanted, place);
  }
  [[noreturn]] void fail_dtype(DType wanted, SourceLocation place) const;
  void check_exclusive() const {
    if (!buffer_.unique()) fail_exclusive();
  }
  [[noreturn]] void fail_exclusive() const;
  void check_count(std::string_view what, std::int64_t count) const;

  BufferRef buffer_;
  Shape shape_;
  std::int64_t size_ = 0;
  // Who this is. On a tape: the tape's serial number and the node. Otherwise tape_ is 0 and id_ is
  // a number of its own, by which a tape recognises a tensor that it meets again; version_ counts
  // the values that a parameter of that number has had, and is 0 for what is no parameter.
  std::uint64_t tape_ = 0;
  std::uint64_t id_ = 0;
  std::uint32_t version_ = 0;
  DType dtype_ = DType::float64;
};

/// Prints the elements in NumPy's manner, summarised when there are more than 1000, then type and
/// shape.
std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);
std::string to_string(const Tensor& tensor);

/// Whether two tensors have the same type, shape and elements, bit for bit (NaN equals NaN of the
/// same bits).
bool identical(const Tensor& a, const Tensor& b);

namespace detail {

/// The library's way to a tensor's private parts.
struct TensorAccess {
  static const BufferRef& buffer(const Tensor& t) noexcept { return t.buffer_; }
  static std::uint64_t tape(const Tensor& t) noexcept { return t.tape_; }
  static std::uint64_t id(const Tensor& t) noexcept { return t.id_; }
  static std::uint32_t version(const Tensor& t) noexcept { return t.version_; }
  static void set_identity(Tensor& t, std::uint64_t tape, std::uint64_t id,
                           std::uint32_t version = 0) noexcept {
    t.tape_ = tape;
    t.id_ = id;
    t.version_ = version;
  }
  /// Makes `t`, which holds no elements, the node (tape, id) of the shape and type of `like`.
  static void make_node(Tensor& t, const Tensor& like, std::uint64_t tape, std::uint64_t id) {
    t.shape_ = like.shape_;
    t.size_ = like.size_;
    t.dtype_ = like.dtype_;
    set_identity(t, tape, id);
  }
  static void set_buffer(Tensor& t, BufferRef buffer) { t.buffer_ = std::move(buffer); }
  /// A tensor of its own identity over an existing buffer.
  static Tensor make(BufferRef buffer, const Shape& shape, std::int64_t size, DType dtype) {
    return Tensor(std::move(buffer), shape, size, dtype);
  }
};

}  // namespace detail

template <Number T>
Tensor::Tensor(std::initializer_list<std::initializer_list<T>> rows) {
  const auto columns = rows.size() == 0 ? 0 : rows.begin()->size();
  *this =
      uninitialised({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns)},
                    dtype_of<element_t<T>>);
  auto* out = exclusive_data<element_t<T>>();
  for (const auto& row : rows) {
    if (row.size() != columns) throw ShapeError("[Tensor] the nested lists have unequal lengths");
    for (const T value : row) *out++ = static_cast<element_t<T>>(value);
  }
}

template <Number T>
Tensor::Tensor(std::initializer_list<std::initializer_list<std::initializer_list<T>>> blocks) {
  const auto rows = blocks.size() == 0 ? 0 : blocks.begin()->size();
  const auto columns = rows == 0 ? 0 : blocks.begin()->begin()->size();
  *this = uninitialised({static_cast<std::int64_t>(blocks.size()), static_cast<std::int64_t>(rows),
                         static_cast<std::int64_t>(columns)},
                        dtype_of<element_t<T>>);
  auto* out = exclusive_data<element_t<T>>();
  for (const auto& block : blocks) {
    if (block.size() != rows) throw ShapeError("[Tensor] the nested lists have unequal lengths");
    for (const auto& row : block) {
      if (row.size() != columns) throw ShapeError("[Tensor] the nested lists have unequal lengths");
      for (const T value : row) *out++ = static_cast<element_t<T>>(value);
    }
  }
}

}  // namespace xg
