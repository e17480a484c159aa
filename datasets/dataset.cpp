// Checks a data set, and takes examples out of it.
#include "datasets/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "autograd/random.hpp"
#include "datasets/detail/rows.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace {

Tensor slice_rows(const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  if (!tensor.defined()) return {};
  const Shape shape = detail::shape_of_rows(tensor, end - begin);
  const BufferRef& buffer = xg::detail::TensorAccess::buffer(tensor);
  if (end - begin == tensor.shape()[0]) return tensor;
  // A lazy buffer knows its own shape and cannot stand for fewer rows.
  if (begin == 0 && !buffer.is_lazy())
    return xg::detail::TensorAccess::make(buffer, shape, element_count(shape), tensor.dtype());
  Tensor result = Tensor::uninitialised(shape, tensor.dtype());
  const std::size_t row = detail::row_bytes(tensor);
  std::memcpy(detail::writable_bytes_of(result),
              detail::bytes_of(tensor) + static_cast<std::size_t>(begin) * row,
              static_cast<std::size_t>(end - begin) * row);
  return result;
}

Tensor take_rows(const Tensor& tensor, std::span<const std::int64_t> rows) {
  if (!tensor.defined()) return {};
  const auto count = static_cast<std::int64_t>(rows.size());
  Tensor result = Tensor::uninitialised(detail::shape_of_rows(tensor, count), tensor.dtype());
  const std::size_t row = detail::row_bytes(tensor);
  const std::byte* const from = detail::bytes_of(tensor);
  std::byte* to = detail::writable_bytes_of(result);
  for (const std::int64_t i : rows) {
    std::memcpy(to, from + static_cast<std::size_t>(i) * row, row);
    to += row;
  }
  return result;
}

void check_rows(const char* name, const Tensor& tensor, std::int64_t examples) {
  if (tensor.defined() && (tensor.rank() == 0 || tensor.shape()[0] != examples))
    throw ShapeError(text("[Dataset] expected one row of ", name, " for each of the ", examples,
                          " inputs, got the shape ", tensor.shape()));
}

}  // namespace

void Dataset::check() const {
  if (!inputs.defined()) throw ShapeError("[Dataset] the inputs are undefined");
  if (inputs.rank() == 0)
    throw ShapeError("[Dataset] expected inputs with an axis of examples, got the shape ()");
  check_rows("targets", targets, size());
  check_rows("labels", labels, size());
  if (!labels.defined()) return;
  if (labels.rank() != 1)
    throw ShapeError(
        text("[Dataset] expected labels of shape (", size(), ",), got ", labels.shape()));
  if (labels.dtype() != DType::int64)
    throw DTypeError(text("[Dataset] expected labels of int64, got ", labels.dtype()));
}

Dataset Dataset::slice(std::int64_t begin, std::int64_t end) const {
  check();
  if (begin < 0 || begin > end || end > size())
    throw ShapeError(text("[Dataset::slice] expected 0 <= begin <= end <= ", size(), ", got begin ",
                          begin, " and end ", end));
  return {slice_rows(inputs, begin, end), slice_rows(targets, begin, end),
          slice_rows(labels, begin, end)};
}

Dataset Dataset::take(std::span<const std::int64_t> rows) const {
  check();
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] < 0 || rows[i] >= size())
      throw ShapeError(text("[Dataset::take] expected rows from 0 to ", size() - 1, ", got ",
                            rows[i], " at position ", i));
  return {take_rows(inputs, rows), take_rows(targets, rows), take_rows(labels, rows)};
}

Split split(const Dataset& data, double fraction_of_second, std::uint64_t seed) {
  data.check();
  if (!(fraction_of_second >= 0.0 && fraction_of_second <= 1.0))
    throw ValueError(text("[split] expected a fraction from 0 to 1 for the second part, got ",
                          fraction_of_second));
  std::vector<std::int64_t> order = random_permutation(data.size(), Key{seed}.fold("split"));
  const auto boundary =
      order.end() - std::llround(static_cast<double>(data.size()) * fraction_of_second);
  std::sort(order.begin(), boundary);
  std::sort(boundary, order.end());
  return {data.take({order.begin(), boundary}), data.take({boundary, order.end()})};
}

Tensor one_hot_targets(const Tensor& labels, std::int64_t classes, DType dtype) {
  if (!labels.defined() || labels.dtype() != DType::int64)
    throw DTypeError(text("[one_hot_targets] expected labels of int64, got ",
                          labels.defined() ? to_string(labels.dtype()) : "an undefined tensor"));
  if (labels.rank() != 1)
    throw ShapeError(
        text("[one_hot_targets] expected labels with one axis, got the shape ", labels.shape()));
  if (classes < 1)
    throw ValueError(text("[one_hot_targets] expected at least one class, got ", classes));
  const auto values = labels.values<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < 0 || values[i] >= classes)
      throw ValueError(text("[one_hot_targets] expected labels from 0 to ", classes - 1, ", got ",
                            values[i], " at position ", i));
  Tensor result = Tensor::full({labels.size(), classes}, 0.0, dtype);
  visit_dtype(dtype, [&]<class T>(T) {
    T* row = result.exclusive_data<T>();
    for (const std::int64_t label : values) {
      row[label] = T{1};
      row += classes;
    }
  });
  return result;
}

}  // namespace xg::datasets
