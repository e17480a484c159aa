// Small helpers for tests of tensors: making them, reading them, comparing them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "tests/support/catch.hpp"

namespace xg::test {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Reproducible numbers in [low, high).
inline Tensor numbers(const Shape& shape, double low = -1, double high = 1, std::uint64_t seed = 1,
                      DType dtype = DType::float64) {
  const NoRecording scope;
  return random_uniform(shape, Key{seed}, dtype, low, high);
}

/// What f throws, in words.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// The elements as doubles, in row-major order.
inline std::vector<double> elements(const Tensor& t) {
  return visit_dtype(t.dtype(), [&]<class T>(T) {
    return std::vector<double>(t.data<T>(), t.data<T>() + t.size());
  });
}

inline Tensor tensor(const std::vector<double>& values, const Shape& shape,
                     DType dtype = DType::float64) {
  Tensor result = Tensor::uninitialised(shape, dtype);
  REQUIRE(static_cast<std::size_t>(result.size()) == values.size());
  visit_dtype(dtype, [&]<class T>(T) {
    std::transform(values.begin(), values.end(), result.exclusive_data<T>(),
                   [](double v) { return static_cast<T>(v); });
  });
  return result;
}

/// The position of each element in turn, outermost axis slowest.
template <class F>
void for_each_index(const Shape& shape, F f) {
  Extents index = Extents::filled(shape.size(), 0);
  for (std::int64_t n = element_count(shape); n > 0; --n) {
    f(index);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/// Distance in units of the last place of T at `want`; 0 for NaN against NaN.
template <class T>
double ulps(T got, long double want) {
  const T rounded = static_cast<T>(want);
  if (std::isnan(got) || std::isnan(rounded))
    return std::isnan(got) && std::isnan(rounded) ? 0 : infinity;
  if (got == rounded) return 0;
  if (std::isinf(got) || std::isinf(rounded)) return infinity;
  const T size = std::max(std::abs(rounded), std::numeric_limits<T>::min());
  const T unit = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / unit);
}

/// Where two tensors differ most, or "" if they agree within absolute + relative * |want| and in
/// type and shape; NaN agrees with NaN and infinity with itself.
inline std::string difference(const Tensor& got, const Tensor& want, double relative,
                              double absolute = 0) {
  if (got.dtype() != want.dtype() || got.shape() != want.shape())
    return detail::text(got.dtype(), ' ', got.shape(), " instead of ", want.dtype(), ' ',
                        want.shape());
  const std::vector<double> g = elements(got), w = elements(want);
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (g[i] == w[i] || (std::isnan(g[i]) && std::isnan(w[i]))) continue;
    if (!(std::abs(g[i] - w[i]) <= absolute + relative * std::abs(w[i])))
      return detail::text("element ", i, " of ", got.shape(), ": ", g[i], " instead of ", w[i]);
  }
  return "";
}

/// Tensors in the form in which the tape takes them.
class Pointers {
 public:
  explicit Pointers(const std::vector<Tensor>& tensors) {
    for (const Tensor& t : tensors) pointers_.push_back(&t);
  }
  operator Inputs() const { return {pointers_.data(), pointers_.size()}; }

 private:
  std::vector<const Tensor*> pointers_;
};

}  // namespace xg::test

/// Requires that two tensors agree in type, shape and values; see difference().
#define REQUIRE_CLOSE(got, want, ...) REQUIRE(xg::test::difference(got, want, __VA_ARGS__) == "")
