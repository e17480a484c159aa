// Construction, access and printing of tensors.
#include "autograd/tensor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ostream>
#include <vector>

namespace xg {

using detail::text;

detail::IdRun detail::next_id_run() noexcept {
  constexpr std::uint64_t length = 1u << 20;
  static std::atomic<std::uint64_t> next{1};
  const std::uint64_t begin = next.fetch_add(1, std::memory_order_relaxed) * length;
  return {begin, begin + length};
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor result = uninitialised(shape, dtype);
  visit_dtype(dtype, [&]<class T>(T) {
    std::fill_n(result.exclusive_data<T>(), result.size(), converted<T>(value));
  });
  return result;
}

void Tensor::fail_dtype(DType wanted, SourceLocation place) const {
  DTypeError error(defined()
                       ? text("[Tensor] elements of ", dtype_, " were asked for as ", wanted,
                              "; convert with cast(x, DType::", wanted, ")")
                       : "[Tensor] the tensor is undefined (default-constructed or moved from)");
  error.add_context(place.file_name(), place.line());
  throw error;
}

void Tensor::fail_exclusive() const {
  throw Error("[Tensor] the elements are shared with another tensor and cannot be written");
}

void Tensor::check_count(std::string_view what, std::int64_t count) const {
  if (count != size_)
    throw ShapeError(text("[", what, "] ", count, " values do not fill the shape ", shape_,
                          ", which has ", size_));
}

double Tensor::item(SourceLocation place) const {
  detail::located(place, [&] {
    if (size_ != 1 || !defined())
      throw ShapeError(
          text("[item] the tensor of shape ", shape_, " has ", size_, " elements, not one"));
  });
  return visit_dtype(dtype_, [&]<class T>(T) { return static_cast<double>(*data<T>()); });
}

double Tensor::at(const Extents& index, SourceLocation place) const {
  std::int64_t offset = 0;
  detail::located(place, [&] {
    if (index.size() != rank())
      throw ShapeError(text("[at] index ", index, " for a tensor of shape ", shape_));
    for (std::size_t i = 0; i < rank(); ++i) {
      if (index[i] < 0 || index[i] >= shape_[i])
        throw ShapeError(text("[at] index ", index, " is outside the shape ", shape_));
      offset = offset * shape_[i] + index[i];
    }
  });
  return visit_dtype(dtype_, [&]<class T>(T) { return static_cast<double>(data<T>()[offset]); });
}

bool identical(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         visit_dtype(a.dtype(), [&]<class T>(T) {
           return std::memcmp(a.data<T>(), b.data<T>(),
                              static_cast<std::size_t>(a.size()) * sizeof(T)) == 0;
         });
}

namespace {

constexpr std::int64_t summarise_above = 1000, edge_items = 3;

// Writes the elements as nested brackets; every number is padded to one width.
class Printer {
 public:
  Printer(std::ostream& stream, const Tensor& tensor)
      : stream_(stream),
        shape_(tensor.shape()),
        summarise_(tensor.size() > summarise_above || tensor.size() == 0) {
    visit_dtype(tensor.dtype(), [&]<class T>(T) {
      const T* values = tensor.data<T>();
      collect(0, 0, [&](std::int64_t i) { number(values[i], tensor.dtype()); });
    });
    for (const std::string& cell : cells_) width_ = std::max(width_, cell.size());
  }

  void print(std::size_t axis = 0) {
    if (axis == shape_.size()) {
      const std::string& cell = cells_[next_++];
      stream_ << std::string(width_ - cell.size(), ' ') << cell;
      return;
    }
    stream_ << '[';
    bool first = true;
    for_shown(shape_[axis], [&](std::int64_t i) {
      if (!first && axis + 1 == shape_.size()) stream_ << ' ';
      if (!first && axis + 1 < shape_.size())
        stream_ << std::string(shape_.size() - axis - 1, '\n') << std::string(axis + 1, ' ');
      first = false;
      if (i < 0)
        stream_ << "...";
      else
        print(axis + 1);
    });
    stream_ << ']';
  }

 private:
  // Calls f with each index that is shown, and with -1 for the gap.
  template <class F>
  void for_shown(std::int64_t extent, F f) const {
    const bool gap = summarise_ && extent > 2 * edge_items;
    for (std::int64_t i = 0; i < (gap ? edge_items : extent); ++i) f(i);
    if (!gap) return;
    f(-1);
    for (std::int64_t i = extent - edge_items; i < extent; ++i) f(i);
  }

  template <class F>
  void collect(std::size_t axis, std::int64_t offset, const F& cell) {
    if (axis == shape_.size()) return cell(offset);
    for_shown(shape_[axis], [&](std::int64_t i) {
      if (i >= 0) collect(axis + 1, offset * shape_[axis] + i, cell);
    });
  }

  template <class T>
  void number(T value, DType dtype) {
    if (dtype == DType::int64) {
      cells_.push_back(std::to_string(value));
      return;
    }
    if (std::isnan(static_cast<double>(value))) {  // of either sign
      cells_.push_back("nan");
      return;
    }
    char buffer[48];
    std::snprintf(buffer, sizeof buffer, "%.5g", static_cast<double>(value));
    std::string cell = buffer;
    if (cell.find_first_of(".en") == std::string::npos) cell += '.';  // 2. as NumPy writes it
    cells_.push_back(std::move(cell));
  }

  std::ostream& stream_;
  const Shape& shape_;
  const bool summarise_;
  std::vector<std::string> cells_;
  std::size_t width_ = 0, next_ = 0;
};

}  // namespace

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) {
  if (!tensor.defined()) return stream << "undefined tensor";
  Printer(stream, tensor).print();
  return stream << (tensor.rank() > 1 ? "\n" : " ") << tensor.dtype() << ' ' << tensor.shape();
}

std::string to_string(const Tensor& tensor) { return text(tensor); }

}  // namespace xg
