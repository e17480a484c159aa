// The report of a gradient check as text.
#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <utility>

#include "autograd/gradcheck/check.hpp"

namespace xg {

using check::number_text;
using check::wrapped;
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
    case Verdict::no_change:
      return "a gradient of what does not change";
    case Verdict::jvp:
      return "jvp and vjp disagree";
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

// Nothing is torn apart that stands in short brackets, such as a shape.
std::string check::wrapped(const std::string& words, std::size_t indent) {
  constexpr std::size_t width = 80, short_bracket = 24;
  const auto columns = [](std::string_view part) {
    return static_cast<std::size_t>(std::count_if(
        part.begin(), part.end(), [](char c) { return (c & 0xc0) != 0x80; }));  // UTF-8
  };
  const auto count = [](const std::string& part, char c) {
    return std::count(part.begin(), part.end(), c);
  };
  std::string result;
  std::istringstream lines(words);
  for (std::string line; std::getline(lines, line);) {
    std::size_t used = width;  // the first word begins a line
    const auto put = [&](const std::string& word) {
      const bool fits = used + 1 + columns(word) <= width;
      result += fits ? " " : '\n' + std::string(indent, ' ');
      result += word;
      used = (fits ? used + 1 : indent) + columns(word);
    };
    std::istringstream parts(line);
    std::string word;
    for (std::string part; parts >> part;) {
      word += word.empty() ? part : ' ' + part;
      if (count(word, '(') > count(word, ')') && columns(word) < short_bracket) continue;
      put(std::exchange(word, {}));
    }
    if (!word.empty()) put(word);
  }
  return result;
}

namespace {

/// A table of the steps: above the best ones truncation limits the difference, below rounding.
void write_sweep(std::ostream& stream, const GradCheck::Input& input) {
  const auto best =
      std::min_element(input.sweep.begin(), input.sweep.end(),
                       [](const GradCheck::Step& a, const GradCheck::Step& b) {
                         return a.error < b.error || (std::isnan(b.error) && !std::isnan(a.error));
                       });
  if (std::none_of(input.sweep.begin(), input.sweep.end(),
                   [](const GradCheck::Step& s) { return std::isfinite(s.numeric); })) {
    stream << "\n    the differences are " << number_text(input.numeric)
           << " with every step, or the function refuses it";
    return;
  }
  stream << "\n    step        differences     off by      limited by";
  for (auto s = input.sweep.begin(); s != input.sweep.end(); ++s) {
    const char* limit = "";
    if (!std::isfinite(s->numeric))
      limit = "not finite";
    else if (!(s->error <= 4 * input.uncertainty))
      limit = s < best ? "truncation" : "rounding";
    stream << "\n    " << std::left << std::setw(12) << text(std::setprecision(3), s->step)
           << std::setw(16) << number_text(s->numeric, 9);
    if (*limit)
      stream << std::setw(12) << text(std::setprecision(2), s->error) << limit;
    else
      stream << text(std::setprecision(2), s->error);
  }
  if (std::isfinite(input.uncertainty))
    stream << "\n    they settle to " << text(std::setprecision(2), input.uncertainty);
  else
    stream << "\n    they do not settle";
}

void write_input(std::ostream& stream, const GradCheck::Input& input, const char* analytic) {
  stream << "\n  " << (input.name.empty() ? text("input ", input.number) : input.name) << ' '
         << input.shape << ": ";
  if (element_count(input.shape) == 0) {
    stream << "no elements";
    return;
  }
  if (!input.compared) {
    stream << "not compared";
    return;
  }
  stream << "worst at " << input.index << ": " << analytic << ' ' << number_text(input.analytic)
         << ", differences " << number_text(input.numeric);
  if (std::isfinite(input.error))
    stream << ", error " << input.error << " (relative " << input.relative_error << ')';
  stream << (input.passed ? " passed" : " FAILED");
  if (!input.passed && !input.explanation.empty()) stream << wrapped(input.explanation, 4);
}

void write_operation(std::ostream& stream, const GradCheck::Operation& op) {
  stream << op.name << " (node %" << op.node << "), ";
  for (std::size_t i = 0; i < op.input_shapes.size(); ++i)
    stream << (i > 0 ? " x " : "") << op.input_shapes[i];
  stream << " -> " << op.output_shape;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const GradCheck& report) {
  stream << "gradcheck: " << (report.passed ? "passed" : "FAILED");
  if (!report.passed && report.verdict != Verdict::correct) stream << ", " << report.verdict;
  stream << wrapped(report.explanation, 2);
  const auto write = [&](const GradCheck::Input& input) {
    write_input(stream, input, "tape");
    if (!input.passed && !input.sweep.empty()) write_sweep(stream, input);
  };
  for (const GradCheck::Input& input : report.inputs) write(input);
  if (!report.second.empty()) stream << "\n second derivatives";
  for (const GradCheck::Input& input : report.second) write(input);
  if (const auto& op = report.first_wrong) {
    // Where the operation itself is not finite its rule is not to blame.
    const bool computes = op->rule == "jvp" || std::isfinite(op->input.numeric);
    stream << (computes ? "\n first wrong operation: " : "\n first operation that is not finite: ");
    write_operation(stream, *op);
    stream << ", tried alone";
    if (op->rule == "vjp")
      write_input(stream, op->input, "vjp");
    else
      stream << "\n  with a tangent of input " << op->input.number << ' ' << op->input.shape << ':'
             << wrapped(op->input.explanation, 4);
  }
  if (const auto& op = report.at_kink) {
    stream << "\n the kink is that of ";
    write_operation(stream, *op);
    stream << ", at " << op->input.index << " of input " << op->input.number
           << wrapped("nothing is wrong with its rule: move x, so that the check says something",
                      2);
  }
  return stream;
}

std::string to_string(const GradCheck& report) { return text(report); }

}  // namespace xg
