// The look at every number, and the words for what is found.
#include "autograd/anomaly.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "autograd/error.hpp"
#include "autograd/kernels/finite.hpp"
#include "autograd/scope.hpp"
#include "autograd/tape.hpp"

namespace xg {

namespace {

std::atomic<int> watchers{0};

// The first number that is not finite, and how many there are.
struct Found {
  std::int64_t first = 0, count = 0;
  double value = 0;
};

std::optional<Found> look_at(const Tensor& x) {
  if (!x.defined() || !is_floating(x.dtype())) return std::nullopt;
  return visit_floating(x.dtype(), [&]<class T>(T) -> std::optional<Found> {
    const std::span<const T> values = x.values<T>();
    if (kernels::all_finite(x.size(), values.data())) return std::nullopt;  // nearly always
    const auto is_bad = [](T value) { return !std::isfinite(value); };
    const auto first = std::find_if(values.begin(), values.end(), is_bad);
    return Found{first - values.begin(), std::count_if(first, values.end(), is_bad),
                 static_cast<double>(*first)};
  });
}

bool has_zero(const Tensor& x) {
  return visit_floating(x.dtype(), [&]<class T>(T) {
    const std::span<const T> values = x.values<T>();
    return std::find(values.begin(), values.end(), T(0)) != values.end();
  });
}

std::string describe(const Found& found, const Tensor& x) {
  std::string result = detail::text(found.value, " at ", unravel_index(found.first, x.shape()));
  if (found.count > 1) result += detail::text(", the first of ", found.count, " of its kind");
  return result;
}

// "(10, 30) from 0 to 0.98", of what is finite.
std::string range(const Tensor& x) {
  double low = INFINITY, high = -INFINITY;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double value =
        visit_dtype(x.dtype(), [&]<class T>(T) { return static_cast<double>(x.data<T>()[i]); });
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return low <= high ? detail::text(x.shape(), " from ", low, " to ", high)
                     : detail::text(x.shape(), " without a finite number");
}

}  // namespace

DetectAnomalies::DetectAnomalies() noexcept { watchers.fetch_add(1, std::memory_order_relaxed); }
DetectAnomalies::~DetectAnomalies() { watchers.fetch_sub(1, std::memory_order_relaxed); }
bool DetectAnomalies::active() noexcept { return watchers.load(std::memory_order_relaxed) > 0; }

namespace detail {

void AnomalyCheck::forward(std::size_t node, std::string_view operation, Inputs inputs,
                           const Tensor& output, SourceLocation place) {
  origins_.resize(node + 1);
  if (!rule_.empty()) {
    origins_[node] = rule_;
  } else {
    if (is_users_place(place.file_name(), place.line()))
      origins_[node] = text(", recorded at ", place.file_name(), ':', place.line());
    if (const std::string path = Scope::path(); !path.empty()) origins_[node] += "\n  in " + path;
  }
  const auto found = look_at(output);
  // Where the adjoint is 0, so is what the rule makes of any number; the end of it is looked at.
  if (!found || (adjoint_ && has_zero(*adjoint_))) return;
  std::string what = text("[", operation, "] gave ", describe(*found, output));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    what += text("; input ", i, " ", range(inputs[i]));
    // What was recorded would have been found before.
    if (const auto before = look_at(inputs[i]))
      what += text(" came with ", describe(*before, inputs[i]));
  }
  throw AnomalyError(what + rule_);
}

Tensor AnomalyCheck::backward(std::size_t node, std::string_view operation, std::size_t input,
                              const Tensor& adjoint, FunctionRef<Tensor()> rule) {
  const std::string from = origin(node);
  const std::string within =
      std::exchange(rule_, text("\n  in the derivative of [", operation, "]", from));
  const struct Restore {
    AnomalyCheck& check;
    std::string rule;
    const Tensor* adjoint;
    ~Restore() {
      check.rule_ = rule;
      check.adjoint_ = adjoint;
    }
  } restore{*this, within, std::exchange(adjoint_, &adjoint)};
  Tensor change = rule();
  if (const auto found = look_at(change))
    throw AnomalyError(text("[", operation, "] the gradient of input ", input, " is ",
                            describe(*found, change), "; the adjoint of the output is ",
                            range(adjoint), from));
  return change;
}

void AnomalyCheck::adjoint(std::size_t node, const Tensor& sum) const {
  if (const auto found = look_at(sum))
    throw AnomalyError(text("[gradient] the sum of what flows back to a tensor is ",
                            describe(*found, sum), origin(node)));
}

void AnomalyCheck::tangent(std::size_t node, std::string_view operation,
                           const Tensor& change) const {
  if (const auto found = look_at(change))
    throw AnomalyError(
        text("[", operation, "] the tangent is ", describe(*found, change), origin(node)));
}

}  // namespace detail
}  // namespace xg
