// The reduction of one run of numbers, in an order that depends on its length alone.
#pragma once

#include <array>
#include <limits>

#include "autograd/kernels/map.hpp"

namespace xg::kernels {

/// What of an element is combined.
struct Itself {
  template <class V>
  static V of(const V& x) {
    return x;
  }
};
struct Sum : Itself {
  using Parts = Sum;  // what combines the results of parts
  static constexpr double identity = 0;
  template <class V>
  static V combine(const V& a, const V& b) {
    return a + b;
  }
};
struct Squares : Sum {
  template <class V>
  static V of(const V& x) {
    return x * x;
  }
};
struct Exponentials : Sum {
  template <class V>
  static V of(const V& x) {
    return xsimd::exp(x);
  }
};
struct Zeros : Sum {  // how many, NaN among them
  template <class V>
  static V of(const V& x) {
    return one_where<V>((x == V(0)) | is_nan(x));
  }
};
struct Product : Itself {
  using Parts = Product;
  static constexpr double identity = 1;
  template <class V>
  static V combine(const V& a, const V& b) {
    return a * b;
  }
};
struct Maximum : Itself {
  using Parts = Maximum;
  static constexpr double identity = -std::numeric_limits<double>::infinity();
  template <class V>
  static V combine(const V& a, const V& b) {
    return xsimd::select((b > a) | is_nan(b), b, a);
  }
};
struct Minimum : Itself {
  using Parts = Minimum;
  static constexpr double identity = std::numeric_limits<double>::infinity();
  template <class V>
  static V combine(const V& a, const V& b) {
    return xsimd::select((b < a) | is_nan(b), b, a);
  }
};

/// Errors grow with the length of a run, so longer ones are cut.
inline constexpr std::int64_t run_length = 32768;

/// What stands at `from`, while more is fetched.
template <class T>
struct Ahead {
  const T* from;
  Batch<T> at(std::int64_t i) const {
    fetch_ahead(from + i);
    return load(from + i);
  }
};

/// The reduction of in.at(0), in.at(lanes), ...: of n elements, behind which something may be read
/// (see Buffer).
template <class R, class In>
auto reduce_run(std::int64_t n, const In& in) {
  using V = decltype(in.at(0));
  using T = typename V::value_type;
  const V identity(static_cast<T>(R::identity));
  std::array<V, 4> parts{identity, identity, identity, identity};
  std::int64_t i = 0;
  for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>)
    for (std::int64_t p = 0; p < 4; ++p)
      parts[static_cast<std::size_t>(p)] =
          R::combine(parts[static_cast<std::size_t>(p)], R::of(in.at(i + p * lanes<T>)));
  for (; i + lanes<T> <= n; i += lanes<T>) parts[0] = R::combine(parts[0], R::of(in.at(i)));
  V all = R::combine(R::combine(parts[0], parts[1]), R::combine(parts[2], parts[3]));
  if (i < n) all = R::combine(all, first_or(R::of(in.at(i)), n - i, identity));
  return folded<V::size / 2>(all, [](const V& a, const V& b) { return R::combine(a, b); });
}

/// Rows no longer than a batch, as many as a batch has lanes: column k of all of them is batch k.
template <class T>
struct ShortRows {
  Square<T> columns;
  std::int64_t rows, count;

  ShortRows(const T* from, std::int64_t rows_left, std::int64_t row_length)
      : rows(std::min(rows_left, lanes<T>)), count(row_length) {
    columns.fill(Batch<T>(T(0)));
    for (std::int64_t r = 0; r < rows; ++r, from += count) {
      fetch_ahead(from);
      columns[static_cast<std::size_t>(r)] = load(from);
    }
    transpose<T>(columns);
  }
  /// The reduction of each row, in the order of reduce_run.
  template <class R>
  Batch<T> reduced() const {
    Square<T> a;
    a.fill(Batch<T>(static_cast<T>(R::identity)));
    const auto n = static_cast<std::size_t>(count);
    for (std::size_t k = 0; k < n; ++k) a[k] = R::combine(a[k], R::of(columns[k]));
    for (std::size_t half = a.size() / 2; half > 0; half /= 2)
      for (std::size_t k = 0; k < half && k + half < n; ++k) a[k] = R::combine(a[k], a[k + half]);
    return a[0];
  }
  /// column = f(column).
  template <class F>
  void change(const F& f) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) columns[k] = f(columns[k]);
  }
  /// Writes the rows one after the other, where there is `room` for so many elements.
  void store_rows(T* to, std::int64_t room) {
    transpose<T>(columns);
    for (std::int64_t r = 0; r < rows; ++r, to += count, room -= count)
      if (room >= lanes<T>)
        store(to, columns[static_cast<std::size_t>(r)]);
      else
        store_first(to, columns[static_cast<std::size_t>(r)], count);
  }
};

}  // namespace xg::kernels
