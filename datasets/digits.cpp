// The embedded digits: their text, compressed, is linked in by the build from data/digits.csv.gz.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/detail/csv_text.hpp"
#include "datasets/images.hpp"

namespace xg::datasets {

namespace detail {
extern const unsigned char digits_csv_gz[];
extern const std::size_t digits_csv_gz_size;
}  // namespace detail

using xg::detail::text;

namespace {

constexpr std::int64_t pixels = 64, classes = 10;
constexpr double brightest = 16.0;

Dataset from_table(const Tensor& table, DType dtype) {
  const std::int64_t n = table.extent(0);
  Dataset result;
  result.inputs = Tensor::uninitialised({n, pixels}, dtype);
  result.labels = Tensor::uninitialised({n}, DType::int64);
  std::int64_t* label = result.labels.exclusive_data<std::int64_t>();
  visit_floating(dtype, [&]<class T>(T) {
    T* input = result.inputs.exclusive_data<T>();
    const double* cell = table.data<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t p = 0; p < pixels; ++p) *input++ = static_cast<T>(*cell++ / brightest);
      *label++ = static_cast<std::int64_t>(*cell++);
    }
  });
  result.targets = one_hot_targets(result.labels, classes, dtype);
  return result;
}

}  // namespace

Split digits(DType dtype) {
  if (!is_floating(dtype))
    throw DTypeError(text("[digits] expected float32 or float64, got ", dtype));
  detail::Source source("digits", "embedded digits.csv.gz",
                        {detail::digits_csv_gz, detail::digits_csv_gz_size});
  const Dataset all = from_table(detail::parse_csv(source, {}), dtype);
  std::vector<std::int64_t> train, test;
  for (std::int64_t i = 0; i < all.size(); ++i) (i % 5 == 4 ? test : train).push_back(i);
  return {all.take(train), all.take(test)};
}

}  // namespace xg::datasets
