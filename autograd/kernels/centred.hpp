// Sums over the distances to a centre, which is a reduction itself. Each part of the numbers is
// read twice while it is in the cache, and has a centre of its own; the parts are merged.
#pragma once

#include <limits>

#include "autograd/kernels/runs.hpp"

namespace xg::kernels {

/// What is known of a part of the numbers.
template <class V>
struct Part {
  V centre, total;
};

/// What the variance needs.
struct SquaredDistances {
  using Centre = Sum;
  using Total = Squares;
  template <class V>
  static V centre(const V& sum, std::int64_t count) {
    return sum / constant<V>(static_cast<double>(count));
  }
  template <class V>
  static V origin(const V& centre) {
    return centre;
  }
  // Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample
  // variances.
  template <class V>
  static Part<V> merged(const Part<V>& a, std::int64_t count_a, const Part<V>& b,
                        std::int64_t count_b) {
    const double share = static_cast<double>(count_b) / static_cast<double>(count_a + count_b);
    const V apart = b.centre - a.centre;
    return {a.centre + apart * constant<V>(share),
            a.total + b.total + apart * apart * constant<V>(static_cast<double>(count_a) * share)};
  }
  template <class V>
  static V result(const Part<V>& a) {
    return a.total;
  }
};

struct LogSumExp {
  using Centre = Maximum;
  using Total = Exponentials;
  template <class V>
  static V centre(const V& largest, std::int64_t) {
    return largest;
  }
  // The largest, unless that is infinite itself.
  template <class V>
  static V origin(const V& centre) {
    const V infinity = constant<V>(std::numeric_limits<double>::infinity());
    return xsimd::select(xsimd::abs(centre) == infinity, V(0), centre);
  }
  template <class V>
  static Part<V> merged(const Part<V>& a, std::int64_t, const Part<V>& b, std::int64_t) {
    const V largest = Maximum::combine(a.centre, b.centre), from = origin(largest);
    return {largest, a.total * xsimd::exp(a.centre - from) + b.total * xsimd::exp(b.centre - from)};
  }
  template <class V>
  static V result(const Part<V>& a) {
    return xsimd::log(a.total) + origin(a.centre);
  }
};

/// How many attain the extreme: a distance of 0 from it, or NaN if it is infinite.
template <class Extreme>
struct Count {
  using Centre = Extreme;
  using Total = Zeros;
  template <class V>
  static V centre(const V& extreme, std::int64_t) {
    return extreme;
  }
  template <class V>
  static V origin(const V& centre) {
    return centre;
  }
  template <class V>
  static Part<V> merged(const Part<V>& a, std::int64_t, const Part<V>& b, std::int64_t) {
    const V extreme = Extreme::combine(a.centre, b.centre);
    return {extreme, xsimd::select(a.centre == extreme, a.total, V(0)) +
                         xsimd::select(b.centre == extreme, b.total, V(0))};
  }
  template <class V>
  static V result(const Part<V>& a) {
    return xsimd::select(is_nan(a.centre), a.centre, a.total);
  }
};

}  // namespace xg::kernels
