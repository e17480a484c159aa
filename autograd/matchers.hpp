// The gradient check as a matcher for test frameworks. Has the members that Catch2 (2 and 3) asks
// of a matcher, and includes nothing of it.
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include "autograd/gradcheck.hpp"

namespace xg {

namespace detail {

/// Matches scalar functions of n tensors, or of a vector of n, by their derivatives at a place.
template <std::size_t n, bool second>
class GradientMatcher {
 public:
  explicit GradientMatcher(std::vector<Tensor> inputs) : inputs_(std::move(inputs)) {}

  /// The same with other tolerances and steps.
  GradientMatcher with(const GradCheckOptions& options) const {
    GradientMatcher result = *this;
    result.options_ = options;
    return result;
  }
  template <class F>
  bool match(const F& f) const {
    // First as tensors: a lambda of `auto` may take a vector only in name.
    const GradCheck report = [&] {
      if constexpr (takes<const F, std::make_index_sequence<n>>)
        return check_derivatives(of_tensors<n>(f), inputs_, options_, second);
      else
        return check_derivatives(of_vector(f), inputs_, options_, second);
    }();
    report_ = to_string(report);
    return report.passed;
  }
  std::string toString() const { return "has a correct gradient\n" + report_; }

 private:
  std::vector<Tensor> inputs_;
  GradCheckOptions options_{};
  mutable std::string report_{};
};

}  // namespace detail

/// `REQUIRE_THAT(f, HasCorrectGradient(x, y))` for the scalar function f(x, y), or f of a
/// std::vector of both; what it prints is the report of gradcheck. Other tolerances go behind it,
/// `HasCorrectGradient(x).with({.relative = 1e-4})`. Without Catch2,
/// `HasCorrectGradient(x).match(f)` is true or false, and `toString()` then gives the report.
template <std::convertible_to<Tensor>... X>
requires(sizeof...(X) >
         0) detail::GradientMatcher<sizeof...(X), false> HasCorrectGradient(const X&... x) {
  return detail::GradientMatcher<sizeof...(X), false>({Tensor(x)...});
}
/// The same for first and second derivatives.
template <std::convertible_to<Tensor>... X>
requires(sizeof...(X) >
         0) detail::GradientMatcher<sizeof...(X), true> HasCorrectSecondDerivatives(const X&... x) {
  return detail::GradientMatcher<sizeof...(X), true>({Tensor(x)...});
}

}  // namespace xg
