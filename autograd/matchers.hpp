// The gradient check as a matcher for test frameworks. Has the members that Catch2 (2 and 3) asks
// of a matcher, and includes nothing of it.
#pragma once

#include <string>
#include <vector>

#include "autograd/gradcheck.hpp"

namespace xg {

/// The place at which HasCorrectGradient checks.
struct Place {
  std::vector<Tensor> inputs;
};
template <std::convertible_to<Tensor>... X>
Place at(const X&... x) {
  return {{Tensor(x)...}};
}

/// `REQUIRE_THAT(f, HasCorrectGradient(at(x, y)))` for the scalar function f(x, y); what it prints
/// is the report of gradcheck. Without Catch2, `HasCorrectGradient(at(x)).match(f)` is true or
/// false, and `toString()` then gives the report.
class HasCorrectGradient {
 public:
  explicit HasCorrectGradient(Place place, const GradCheckOptions& options = {})
      : place_(std::move(place)), options_(options) {}

  template <class F>
  bool match(const F& f) const {
    return holds(gradcheck(of(f), place_.inputs, options_));
  }
  std::string toString() const { return "has a correct gradient\n" + report_; }

 protected:
  template <class F>
  std::function<Tensor(const std::vector<Tensor>&)> of(const F& f) const {
    return [this, &f](const std::vector<Tensor>& x) { return call<F>(f, x); };
  }
  bool holds(const GradCheck& report) const {
    report_ = to_string(report);
    return report.passed;
  }

  Place place_;
  GradCheckOptions options_;

 private:
  // As many tensors as the place has, of which there are at most six.
  template <class F, class... X>
  Tensor call(const F& f, const std::vector<Tensor>& x, const X&... arguments) const {
    if constexpr (std::is_invocable_r_v<Tensor, const F&, const std::vector<Tensor>&>) {
      return f(x);
    } else {
      if constexpr (std::is_invocable_r_v<Tensor, const F&, const X&...>)
        if (sizeof...(X) == x.size()) return f(arguments...);
      if constexpr (sizeof...(X) < 6) {
        if (sizeof...(X) < x.size()) return call(f, x, arguments..., x[sizeof...(X)]);
      }
      throw ValueError(detail::text("[HasCorrectGradient] the function does not take the ",
                                    x.size(), " tensors of at(...)"));
    }
  }

  mutable std::string report_;
};

/// The same for first and second derivatives.
class HasCorrectSecondDerivatives : public HasCorrectGradient {
 public:
  using HasCorrectGradient::HasCorrectGradient;

  template <class F>
  bool match(const F& f) const {
    return holds(gradgradcheck(of(f), place_.inputs, options_));
  }
};

}  // namespace xg
