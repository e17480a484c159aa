// The check itself: the tape beside the differences, and what to look for where they part.
#include "autograd/gradcheck.hpp"

#include <algorithm>

#include "autograd/gradcheck/check.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg {

using detail::digits;
using detail::text;

namespace check {

Problem problem_of(std::function<Tensor(const Tensors&)> f) {
  // A node of its own for each, so that f may return one as it is.
  const auto variables = [](const Tensors& x) {
    Tensors result;
    for (const Tensor& one : x)
      result.push_back(Tape::recording() ? reshape(one, one.shape()) : one);
    return result;
  };
  return {variables, variables, std::move(f), std::numeric_limits<double>::epsilon()};
}

Problem derivative_of(const Problem& p, const Tensors& directions) {
  return {p.set, p.again,
          [p, directions](const Tensors& x) {
            const detail::Trace trace;
            const Tensors v = p.again(x), g = trace.gradient(p.call(v), v);
            Tensor total = sum(directions[0] * g[0]);
            for (std::size_t i = 1; i < g.size(); ++i) total = total + sum(directions[i] * g[i]);
            return trace.result(total);
          },
          p.rounding};
}

double value_of(const Problem& p, const Tensors& x) {
  const NoRecording scope;
  return p.call(p.set(x)).item();
}

double value_near(const Problem& p, const Tensors& x) {
  try {
    return value_of(p, x);
  } catch (const ValueError&) {  // such as a matrix that is not positive definite there
    return NAN;
  }
}

Taped taped_of(const Problem& p, const Tensors& x) {
  const detail::Trace trace;
  const Tensors v = p.set(x);
  const Tensor y = p.call(v);
  Taped result{0, trace.gradient(y, v)};
  for (Tensor& g : result.gradients) g = detach(g);
  result.value = y.item();
  return result;
}

namespace {

bool same(double a, double b) {
  return std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b)) ||
         (std::isnan(a) && std::isnan(b)) || a == b;
}

std::string name_of(const std::vector<std::string>& names, std::size_t k) {
  return names.empty() ? text("input ", k) : names[k];
}

std::vector<GradCheck::Input> not_compared(const Tensors& x, const std::vector<std::string>& names,
                                           Verdict verdict) {
  std::vector<GradCheck::Input> result;
  for (std::size_t k = 0; k < x.size(); ++k) {
    GradCheck::Input input;
    input.number = k;
    input.shape = x[k].shape();
    input.index = Extents::filled(x[k].rank(), 0);
    input.passed = input.compared = false;
    input.verdict = verdict;
    input.name = names.empty() ? "" : names[k];
    result.push_back(std::move(input));
  }
  return result;
}

/// Derivatives of one order.
class Check {
 public:
  Check(const Problem& base, const Tensors& x, const std::vector<std::string>& names,
        const GradCheckOptions& options, bool second)
      : base_(base), x_(x), names_(names), options_(options), second_(second), p_(base) {
    call_first();
    if (!float32_.empty()) p_.rounding = rounding_of_float32;
    if (!second) return;
    Tensors directions;
    for (std::size_t i = 0; i < x.size(); ++i)
      directions.push_back(
          random_uniform(x[i].shape(), Key{i}.fold("direction"), x[i].dtype(), 0.5, 1.5));
    p_ = derivative_of(p_, directions);
  }

  /// Writes its findings behind those that are there already.
  void run(GradCheck& report) const {
    const Taped taped = taped_of(p_, x_);
    const Tensors& gradients = taped.gradients;
    std::vector<GradCheck::Input>& inputs = second_ ? report.second : report.inputs;
    const double before = value_of(p_, x_), again = value_of(p_, x_);
    std::string state = same(before, again) ? other_value(taped, before) : "";
    std::vector<Comparison> comparisons;
    bool passed = same(before, again) && state.empty();
    for (std::size_t k = 0; passed && k < x_.size(); ++k)
      comparisons.push_back(
          compare(p_, x_, k, gradients[k], options_, std::numeric_limits<std::int64_t>::max()));
    const double after = value_of(p_, x_);
    if (!same(before, again) || !same(before, after))
      state = text("two calls at the same inputs give ", digits(before), " and ",
                   digits(same(before, again) ? after : again), set_anew);
    for (const Comparison& c : comparisons) passed = passed && !c.is_failed();
    if (state.empty() && !passed) state = other_gradient(gradients);
    if (!state.empty()) {
      inputs = not_compared(x_, names_, Verdict::hidden_state);
      return fail(report, Verdict::hidden_state, std::move(state));
    }
    for (std::size_t k = 0; k < x_.size(); ++k) {
      inputs.push_back(comparisons[k].worst);
      inputs.back().name = names_.empty() ? "" : names_[k];
    }
    if (!passed)
      diagnose(report, inputs, comparisons);
    else if (const auto found = jvp_disagreement(p_, x_, options_.relative))
      diagnose_jvp(report, *found);
  }

 private:
  static constexpr auto set_anew =
      ": the function depends on hidden state or randomness. Give what is random a fixed Key, and"
      " set state anew in each call";

  /// What there is to see in one call: its value, and what makes float32 of the numbers.
  void call_first() {
    const detail::Trace trace;
    const Tensors v = base_.set(x_);
    const Tensor y = base_.call(v);
    if (!y.defined() || !is_floating(y.dtype()) || y.size() != 1) return;  // an error of gradient
    first_ = y.item();
    for (std::size_t k = 0; float32_.empty() && k < x_.size(); ++k)
      if (x_[k].dtype() == DType::float32) float32_ = name_of(names_, k) + " is float32";
    if (float32_.empty() && detail::TensorAccess::tape(y) != 0) float32_ = first_float32(y, v);
  }
  /// How a call under a tape differs from the first one, or from one without a tape. What rounds
  /// differs as little as it would for inputs that round.
  std::string other_value(const Taped& taped, double without) const {
    if (second_) return "";
    double scale = std::max(std::abs(first_), std::abs(without));
    for (std::size_t k = 0; k < x_.size(); ++k)
      scale += cast(sum(abs(taped.gradients[k]) * maximum(abs(x_[k]), 1)), DType::float64).item();
    const auto differs = [&](double a, double b) {
      const double distance = std::abs(a - b), allowed = 100 * p_.rounding * scale;
      return !same(a, b) && !(distance <= allowed) &&
             !(distance <= allowed + 100 * noise_of(p_, x_));
    };
    if (differs(first_, taped.value))
      return text("at the same inputs the first call gives ", digits(first_), " and a later one ",
                  digits(taped.value), set_anew);
    if (differs(taped.value, without))
      return text("at the same inputs the function gives ", digits(taped.value),
                  " while a tape records and ", digits(without),
                  " without one. What asks whether a tape records, as a dropout that is on in"
                  " training alone, cannot be checked: have it do the same in both");
    return "";
  }
  /// How the gradient differs when it is asked for again.
  std::string other_gradient(const Tensors& gradients) const {
    const Tensors again = taped_of(p_, x_).gradients;
    for (std::size_t k = 0; k < again.size(); ++k) {
      const Tensor a = cast(gradients[k], DType::float64), b = cast(again[k], DType::float64);
      for (std::int64_t e = 0; e < a.size(); ++e)
        if (const double x = a.data<double>()[e], y = b.data<double>()[e]; !same(x, y))
          return text("two gradients at the same inputs have ", digits(x), " and ", digits(y),
                      " at ", unravel_index(e, a.shape()), " of ", name_of(names_, k), set_anew);
    }
    return "";
  }
  void fail(GradCheck& report, Verdict verdict, std::string explanation) const {
    report.passed = false;
    if (report.verdict != Verdict::correct) return;  // the first order has it
    report.verdict = verdict;
    report.explanation = std::move(explanation);
  }

  void diagnose(GradCheck& report, std::vector<GradCheck::Input>& inputs,
                const std::vector<Comparison>& comparisons) const {
    const detail::Trace trace;
    const Tensors v = base_.set(x_);
    const Tensor y = base_.call(v);
    std::optional<Walk> walk;
    if (detail::TensorAccess::tape(y) != 0) walk.emplace(y, v);

    Context context;
    context.mine = second_ ? "the tape's second derivative" : "the tape's gradient";
    context.float32 = float32_;
    for (std::size_t k = 0; k < x_.size(); ++k)
      context.shapes.emplace_back(name_of(names_, k), x_[k].shape());
    if (walk) {
      for (auto& shape : walk->shapes()) context.shapes.push_back(std::move(shape));
      if (!second_) context.factors = walk->factors();
    }
    if (!context.float32.empty()) context.fit = 1e-3;

    Verdict verdict = Verdict::correct;
    std::vector<Finding> findings;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      findings.push_back(explain(comparisons[k], inputs[k].shape, context));
      inputs[k].verdict = findings[k].verdict;
      if (verdict == Verdict::correct) verdict = findings[k].verdict;
    }
    std::string explanation;
    std::optional<GradCheck::Operation> culprit;
    if (verdict != Verdict::float32 && verdict != Verdict::unsettled) {
      if (walk) culprit = walk->first_wrong(options_, second_, Rule::vjp);
      if (culprit && culprit->input.passed && verdict != Verdict::kink) culprit.reset();
      if (culprit && culprit->input.verdict != Verdict::wrong) verdict = culprit->input.verdict;
      if (!culprit && verdict != Verdict::kink && verdict != Verdict::not_finite)
        explanation =
            walk && !walk->untried().empty()
                ? text(
                      "the rule of every recorded operation agrees with the operation,"
                      " as far as it can be tried alone. What cannot is ",
                      walk->untried(), ": call what it does directly, without it, and check again")
                : "the rule of every recorded operation agrees with the operation:"
                  " something that depends on the inputs is computed where the tape does"
                  " not see it (detach, NoRecording, item(), data())";
    }
    for (std::size_t k = 0; k < inputs.size(); ++k)
      if (culprit && inputs[k].verdict == Verdict::wrong)
        inputs[k].explanation = "it is as wrong as the operation below makes it";
      else  // of one operation it is easier to guess where a factor comes from
        inputs[k].explanation = culprit ? findings[k].explanation : findings[k].words();
    blame(report, verdict, std::move(explanation), std::move(culprit));
  }

  void diagnose_jvp(GradCheck& report, const Disagreement& found) const {
    const detail::Trace trace;
    const Tensors v = base_.set(x_);
    const Tensor y = base_.call(v);
    std::string words =
        found.error.empty()
            ? text("along a random direction t of ", name_of(names_, found.input),
                   " the jvp gives ", digits(found.forward), ", and the gradient times t ",
                   digits(found.backward),
                   ", which agrees with the differences. Backward all is right; jvp, hvp and"
                   " hessian are not")
            : text("the gradient agrees with the differences, but the jvp along ",
                   name_of(names_, found.input), " throws: ", found.error);
    blame(report, Verdict::jvp, std::move(words),
          Walk(y, v).first_wrong(options_, second_, Rule::jvp));
  }

  void blame(GradCheck& report, Verdict verdict, std::string explanation,
             std::optional<GradCheck::Operation> culprit) const {
    const bool first = report.verdict == Verdict::correct;
    fail(report, verdict, std::move(explanation));
    if (first && culprit) (culprit->input.passed ? report.at_kink : report.first_wrong) = culprit;
  }

  const Problem& base_;
  const Tensors& x_;
  const std::vector<std::string>& names_;
  const GradCheckOptions& options_;
  bool second_;
  Problem p_;
  double first_ = NAN;   // what the very first call gave
  std::string float32_;  // what made float32 of the numbers
};

GradCheck run(const Problem& p, const Tensors& inputs, const std::vector<std::string>& names,
              const GradCheckOptions& options, bool second) {
  if (inputs.empty())
    throw ValueError(
        "[gradcheck] there is nothing to check: give at least one tensor or parameter to"
        " differentiate by");
  Tensors x;
  for (const Tensor& input : inputs) {
    if (!input.defined())
      throw DTypeError("[gradcheck] an input is undefined (default-constructed, or moved from)");
    if (!is_floating(input.dtype()))
      throw DTypeError(text("[gradcheck] the inputs must be float64 (or float32), not ",
                            input.dtype(), "; convert them with cast(x, DType::float64)"));
    x.push_back(detach(input));
  }
  GradCheck report;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Tensor values = cast(x[k], DType::float64);
    for (std::int64_t e = 0; e < values.size(); ++e) {
      const double value = values.data<double>()[e];
      if (std::isfinite(value)) continue;
      report.passed = false;
      report.verdict = Verdict::not_finite;
      report.explanation =
          text(name_of(names, k), " itself is ", number_text(value), " at ",
               unravel_index(e, values.shape()), ": there are no differences there");
      report.inputs = not_compared(x, names, report.verdict);
      return report;
    }
  }
  Check(p, x, names, options, false).run(report);
  if (second && report.verdict != Verdict::hidden_state)
    Check(p, x, names, options, true).run(report);
  return report;
}

GradCheck run(const std::function<Tensor()>& f, std::span<const ParameterRef> parameters,
              const GradCheckOptions& options, bool second) {
  Tensors values;
  std::vector<std::string> names;
  for (const ParameterRef& p : parameters) {
    values.push_back(detach(p.value()));
    names.push_back(p.name());
  }
  const auto assign = [&](const Tensors& x) {
    for (std::size_t i = 0; i < x.size(); ++i) parameters[i].assign(x[i]);
    return Tensors(parameters.begin(), parameters.end());
  };
  struct Restore {
    std::span<const ParameterRef> parameters;
    const Tensors& values;
    ~Restore() {
      for (std::size_t i = 0; i < values.size(); ++i) try {
          const ParameterRef& p = parameters[i];
          if (p.value().dtype() != values[i].dtype()) p.convert(values[i].dtype());
          p.assign(values[i]);
        } catch (const Error&) {  // f gave it another shape, for which there is no way back
        }
    }
  } const restore{parameters, values};
  const Problem p{assign, [](const Tensors& x) { return x; }, [&](const Tensors&) { return f(); },
                  std::numeric_limits<double>::epsilon()};
  return run(p, values, names, options, second);
}

}  // namespace
}  // namespace check

GradCheck detail::check_derivatives(FunctionOfVector f, const std::vector<Tensor>& inputs,
                                    const GradCheckOptions& options, bool second,
                                    SourceLocation place) {
  return located(place, [&] {
    return check::run(check::problem_of(std::move(f)), inputs, {}, options, second);
  });
}

GradCheck gradcheck(const std::function<Tensor()>& f, std::span<const ParameterRef> parameters,
                    const GradCheckOptions& options, SourceLocation place) {
  return detail::located(place, [&] { return check::run(f, parameters, options, false); });
}

GradCheck gradgradcheck(const std::function<Tensor()>& f, std::span<const ParameterRef> parameters,
                        const GradCheckOptions& options, SourceLocation place) {
  return detail::located(place, [&] { return check::run(f, parameters, options, true); });
}

}  // namespace xg
