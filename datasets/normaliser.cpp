// Two passes over the examples: means first, then squared distances from them.
#include "datasets/normaliser.hpp"

#include <cmath>
#include <vector>

namespace xg::datasets {

using xg::detail::text;

namespace {

template <class T>
struct Columns {
  const T* values;
  std::size_t rows, columns;

  // Calls f(column, value) for every element, row by row.
  template <class F>
  void each(F f) const {
    const T* value = values;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) f(c, *value++);
  }
};

template <class T>
void fit_columns(const Columns<T>& data, T* mean, T* scale) {
  const auto n = static_cast<double>(data.rows);
  std::vector<double> centre(data.columns), squares(data.columns);
  // Told by comparing: the rounded mean of equal numbers need not be that number.
  std::vector<char> varies(data.columns);
  data.each([&](std::size_t c, T value) {
    centre[c] += static_cast<double>(value);
    varies[c] |= static_cast<char>(value != data.values[c]);
  });
  for (double& sum : centre) sum /= n;
  data.each([&](std::size_t c, T value) {
    const double distance = static_cast<double>(value) - centre[c];
    squares[c] += distance * distance;
  });
  for (std::size_t c = 0; c < data.columns; ++c) {
    mean[c] = varies[c] ? static_cast<T>(centre[c]) : data.values[c];
    const T deviation = static_cast<T>(std::sqrt(squares[c] / n));
    scale[c] = varies[c] && deviation > T{0} ? deviation : T{1};
  }
}

}  // namespace

Normaliser Normaliser::fit(const Dataset& data) {
  data.check();
  const Tensor& inputs = data.inputs;
  if (!is_floating(inputs.dtype()))
    throw DTypeError(
        text("[Normaliser] expected inputs of float32 or float64, got ", inputs.dtype()));
  if (data.size() == 0) throw ValueError("[Normaliser] expected at least one example, got none");
  const Shape features = inputs.shape().without(0);
  Normaliser result{Tensor::uninitialised(features, inputs.dtype()),
                    Tensor::uninitialised(features, inputs.dtype())};
  visit_floating(inputs.dtype(), [&]<class T>(T) {
    fit_columns<T>({inputs.data<T>(), static_cast<std::size_t>(data.size()),
                    static_cast<std::size_t>(result.mean.size())},
                   result.mean.exclusive_data<T>(), result.scale.exclusive_data<T>());
  });
  return result;
}

Dataset Normaliser::operator()(const Dataset& data) const {
  data.check();
  const Tensor& inputs = data.inputs;
  if (!(inputs.shape().without(0) == mean.shape()))
    throw ShapeError(text("[Normaliser] fitted on inputs of shape ", mean.shape(),
                          " each, got inputs of shape ", inputs.shape()));
  if (inputs.dtype() != mean.dtype())
    throw DTypeError(text("[Normaliser] fitted on ", mean.dtype(), ", got ", inputs.dtype()));
  Dataset result = data;
  result.inputs = Tensor::uninitialised(inputs.shape(), inputs.dtype());
  visit_floating(inputs.dtype(), [&]<class T>(T) {
    T* out = result.inputs.exclusive_data<T>();
    const Columns<T> columns{inputs.data<T>(), static_cast<std::size_t>(data.size()),
                             static_cast<std::size_t>(mean.size())};
    const T *shift = mean.data<T>(), *divisor = scale.data<T>();
    columns.each([&](std::size_t c, T value) { *out++ = (value - shift[c]) / divisor[c]; });
  });
  return result;
}

}  // namespace xg::datasets
