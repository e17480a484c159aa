// The look at every number, and the words for what is found.
#include "autograd/anomaly.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "autograd/error.hpp"
#include "autograd/forward.hpp"
#include "autograd/kernels/finite.hpp"
#include "autograd/scope.hpp"
#include "autograd/tape.hpp"
#include "autograd/tape_reader.hpp"

namespace xg {

namespace {

std::atomic<int> watchers{0};

// A derivative rule at work on this thread.
struct RuleAtWork {
  const detail::AnomalyCheck& check;
  std::size_t node;
  std::string_view operation;
  const Tensor& given;      // an adjoint or tangent
  const RuleAtWork* outer;  // which called it

  // "in the derivative of [sqrt], recorded at ..."
  std::string where() const {
    return detail::text("\n  in the derivative of [", operation, "]", check.origin(node));
  }
};
thread_local const RuleAtWork* at_work = nullptr;

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
  return visit_floating(x.dtype(),
                        [&]<class T>(T) { return kernels::has_zero(x.size(), x.data<T>()); });
}

std::string describe(const Found& found, const Tensor& x) {
  std::string result = detail::text(found.value, " at ", unravel_index(found.first, x.shape()));
  if (found.count > 1) result += detail::text(", the first of ", found.count, " of its kind");
  return result;
}

// "(10, 30) from 0 to 0.98", of what is finite, and the first number that is not.
std::string range(const Tensor& x) {
  double low = INFINITY, high = -INFINITY;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double value =
        visit_dtype(x.dtype(), [&]<class T>(T) { return static_cast<double>(x.data<T>()[i]); });
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  std::string result = low <= high ? detail::text(x.shape(), " from ", low, " to ", high)
                                   : detail::text(x.shape(), " without a finite number");
  // What was recorded would have been found before.
  if (const auto before = look_at(x)) result += " came with " + describe(*before, x);
  return result;
}

// Where what a rule is given is 0, so is what it makes of any number; the end of it is looked at.
bool is_mended_later() {
  for (const RuleAtWork* rule = at_work; rule; rule = rule->outer)
    if (has_zero(rule->given)) return true;
  return false;
}

// The number to speak of, if there is one.
std::optional<Found> anomaly(const Tensor& x) {
  const auto found = look_at(x);
  return found && !is_mended_later() ? found : std::nullopt;
}

}  // namespace

DetectAnomalies::DetectAnomalies() {
  for (Tape* tape = detail::on_this_thread.innermost; tape; tape = tape->outer_)
    if (!tape->anomalies_) tape->anomalies_ = std::make_unique<detail::AnomalyCheck>();
  watchers.fetch_add(1, std::memory_order_relaxed);
}
DetectAnomalies::~DetectAnomalies() { watchers.fetch_sub(1, std::memory_order_relaxed); }
bool DetectAnomalies::active() noexcept { return watchers.load(std::memory_order_relaxed) > 0; }

namespace detail {

void AnomalyCheck::forward(const Tape& tape, std::size_t node, Inputs inputs, const Tensor& output,
                           SourceLocation place) {
  const Node& made = TapeReader::memory(tape).nodes[node];
  origins_.resize(node);  // tensors from outside have none
  const std::string rule = at_work ? at_work->where() : "";
  std::string& origin = origins_.emplace_back(rule);
  if (!at_work) {
    if (is_users_place(place.file_name(), place.line()))
      origin = text(", recorded at ", place.file_name(), ':', place.line());
    if (const std::string path = Scope::path(); !path.empty()) origin += "\n  in " + path;
  }
  const auto found = anomaly(output);
  if (!found) return;
  // What only moves numbers, or chooses, has made none.
  if (made.op->name == "where" ||
      made.op->flops(made.op_state, TapeReader::record(tape, node)) == 0)
    return;
  // Within a rule it came with what the rule is about, of which the end will tell.
  for (std::size_t i = 0; i < inputs.size() && at_work; ++i)
    if (look_at(inputs[i])) return;
  std::string what = text("[", made.op->name, "] gave ", describe(*found, output));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    what += text("; input ", i, " ", range(inputs[i]));
  throw AnomalyError(what + rule);
}

Tensor AnomalyCheck::look_behind(const Words& words, std::size_t node, std::string_view operation,
                                 std::size_t input, const Tensor& given,
                                 FunctionRef<Tensor()> rule) {
  const auto result = [&] {
    const RuleAtWork now{*this, node, operation, given, at_work};
    const struct Restore {
      const RuleAtWork* outer;
      ~Restore() { at_work = outer; }
    } restore{std::exchange(at_work, &now)};
    return rule();
  }();
  const auto check = [&](const char* of, const Tensor& x) {
    if (const auto bad = anomaly(x))
      throw AnomalyError(text("[", operation, "] the ", of, words.result, input, " is ",
                              describe(*bad, x), "; the ", words.given, " is ", range(given),
                              origin(node)));
  };
  check("", result);
  if (result.defined() && Dual::active())
    check("tangent of the ", Dual::tangent(*Tape::recording(), result));
  return result;
}

Tensor AnomalyCheck::backward(std::size_t node, std::string_view operation, std::size_t input,
                              const Tensor& adjoint, FunctionRef<Tensor()> rule) {
  return look_behind({"gradient of input ", "adjoint of the output"}, node, operation, input,
                     adjoint, rule);
}

Tensor AnomalyCheck::tangent(std::size_t node, std::string_view operation, std::size_t input,
                             const Tensor& tangent, FunctionRef<Tensor()> rule) {
  return look_behind({"change of the output by input ", "tangent of the input"}, node, operation,
                     input, tangent, rule);
}

void AnomalyCheck::adjoint(std::size_t node, const Tensor& sum) const {
  if (const auto found = anomaly(sum))
    throw AnomalyError(text("[gradient] the sum of what flows back to a tensor is ",
                            describe(*found, sum), origin(node)));
}

void AnomalyCheck::tangent(std::size_t node, const Tensor& sum) const {
  if (const auto found = anomaly(sum))
    throw AnomalyError(
        text("[jvp] the sum of the tangents of a tensor is ", describe(*found, sum), origin(node)));
}

void AnomalyCheck::forget(std::size_t first) { origins_.resize(std::min(first, origins_.size())); }

}  // namespace detail
}  // namespace xg
