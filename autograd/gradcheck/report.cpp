// The report of a gradient check as text.
#include <algorithm>
#include <iomanip>
#include <ostream>

#include "autograd/gradcheck/check.hpp"

namespace xg {

using detail::text;

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::correct:
      return "correct";
    case Verdict::wrong_sign:
      return "wrong sign";
    case Verdict::constant_factor:
      return "wrong by a constant factor";
    case Verdict::missing_factor:
      return "a factor is missing";
    case Verdict::transposed:
      return "transposed";
    case Verdict::no_gradient:
      return "no gradient arrives";
    case Verdict::kink:
      return "wrong only at a kink";
    case Verdict::float32:
      return "wrong because of float32";
    case Verdict::hidden_state:
      return "depends on hidden state or randomness";
    case Verdict::not_finite:
      return "not finite";
    case Verdict::unsettled:
      return "the differences do not settle";
    case Verdict::wrong:
      break;
  }
  return "wrong";
}

std::ostream& operator<<(std::ostream& stream, Verdict verdict) {
  return stream << to_string(verdict);
}

namespace {

/// A table of the steps: above the best ones truncation limits the difference, below rounding.
void write_sweep(std::ostream& stream, const GradCheck::Input& input) {
  const auto best =
      std::min_element(input.sweep.begin(), input.sweep.end(),
                       [](const GradCheck::Step& a, const GradCheck::Step& b) {
                         return a.error < b.error || (std::isnan(b.error) && !std::isnan(a.error));
                       });
  stream << "\n    step        differences     off by      limited by";
  for (auto s = input.sweep.begin(); s != input.sweep.end(); ++s) {
    const char* limit = "";
    if (!(s->error <= 4 * input.uncertainty)) limit = s < best ? "truncation" : "rounding";
    stream << "\n    " << std::left << std::setw(12) << text(std::setprecision(3), s->step)
           << std::setw(16) << text(std::setprecision(9), s->numeric);
    if (*limit)
      stream << std::setw(12) << text(std::setprecision(2), s->error) << limit;
    else
      stream << text(std::setprecision(2), s->error);
  }
  stream << "\n    they settle to " << text(std::setprecision(2), input.uncertainty);
}

void write_input(std::ostream& stream, const GradCheck::Input& input, const char* analytic) {
  stream << "\n  " << (input.name.empty() ? text("input ", input.number) : input.name) << ' '
         << input.shape << ": ";
  if (element_count(input.shape) == 0) {
    stream << "no elements";
    return;
  }
  if (input.verdict == Verdict::hidden_state) {
    stream << "not compared";
    return;
  }
  stream << "worst at " << input.index << ": " << analytic << ' ' << input.analytic
         << ", differences " << input.numeric << ", error " << input.error << " (relative "
         << input.relative_error << ") " << (input.passed ? "passed" : "FAILED");
  if (input.passed) return;
  if (!input.explanation.empty()) stream << "\n    " << input.explanation;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const GradCheck& report) {
  stream << "gradcheck: " << (report.passed ? "passed" : "FAILED");
  if (!report.passed && report.verdict != Verdict::correct) stream << ", " << report.verdict;
  if (!report.explanation.empty()) stream << "\n  " << report.explanation;
  const auto write = [&](const GradCheck::Input& input) {
    write_input(stream, input, "tape");
    if (!input.passed && !input.sweep.empty()) write_sweep(stream, input);
  };
  for (const GradCheck::Input& input : report.inputs) write(input);
  if (!report.second.empty()) stream << "\n second derivatives";
  for (const GradCheck::Input& input : report.second) write(input);
  if (const auto& op = report.first_wrong) {
    stream << "\n first wrong operation: " << op->name << " (node %" << op->node << "), ";
    for (std::size_t i = 0; i < op->input_shapes.size(); ++i)
      stream << (i > 0 ? " x " : "") << op->input_shapes[i];
    stream << " -> " << op->output_shape << ", tried alone";
    write_input(stream, op->input, "vjp");
  }
  return stream;
}

std::string to_string(const GradCheck& report) { return text(report); }

}  // namespace xg
