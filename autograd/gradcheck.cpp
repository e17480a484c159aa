// The comparison of the tape with central differences.
#include "autograd/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

namespace xg {

using detail::text;

namespace {

Extents index_of(std::int64_t offset, const Shape& shape) {
  Extents index = shape;
  for (std::size_t i = shape.size(); i-- > 0; offset /= shape[i]) index[i] = offset % shape[i];
  return index;
}

// (8 (f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h, whose error is of the order h⁴.
double difference(const std::function<double(double)>& f, double x, double step) {
  const double h = step * std::max(1.0, std::abs(x));
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

}  // namespace

GradCheck gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                    const std::vector<Tensor>& inputs, const GradCheckOptions& options) {
  for (const Tensor& input : inputs)
    if (input.dtype() != DType::float64)
      throw DTypeError(text("[gradcheck] the inputs must be float64, not ", input.dtype(),
                            "; convert them with cast(x, DType::float64)"));
  std::vector<Tensor> gradients;
  {
    const detail::Trace trace;
    std::vector<Tensor> variables;
    for (const Tensor& input : inputs) variables.push_back(trace.variable(input));
    gradients = trace.gradient(f(variables), variables);
  }
  const NoRecording scope;
  GradCheck report;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    GradCheck::Input worst{k, inputs[k].shape(), Extents::filled(inputs[k].rank(), 0)};
    double worst_share = -1;
    for (std::int64_t e = 0; e < inputs[k].size(); ++e) {
      std::vector<Tensor> moved = inputs;
      const auto at = [&](double value) {
        Tensor changed(inputs[k].values<double>(), inputs[k].shape());
        changed.exclusive_data<double>()[e] = value;
        moved[k] = changed;
        return f(moved).item();
      };
      const double numeric = difference(at, inputs[k].data<double>()[e], options.step);
      const double analytic = gradients[k].data<double>()[e];
      const double error = std::abs(analytic - numeric);
      const double scale = std::max(std::abs(analytic), std::abs(numeric));
      double share = error / (options.absolute + options.relative * scale);
      if (std::isnan(share)) share = INFINITY;
      if (share <= worst_share) continue;
      worst_share = share;
      worst.index = index_of(e, inputs[k].shape());
      worst.analytic = analytic;
      worst.numeric = numeric;
      worst.error = error;
      worst.relative_error = scale > 0 ? error / scale : 0;
      worst.passed = share <= 1;
    }
    report.passed = report.passed && worst.passed;
    report.inputs.push_back(worst);
  }
  return report;
}

std::ostream& operator<<(std::ostream& stream, const GradCheck& report) {
  const auto verdict = [](bool passed) { return passed ? "passed" : "FAILED"; };
  stream << "gradcheck: " << verdict(report.passed);
  for (const GradCheck::Input& input : report.inputs) {
    stream << "\n  input " << input.number << ' ' << input.shape << ": ";
    if (element_count(input.shape) == 0) {
      stream << "no elements";
      continue;
    }
    stream << "worst at " << input.index << ": tape " << input.analytic << ", differences "
           << input.numeric << ", error " << input.error << " (relative " << input.relative_error
           << ") " << verdict(input.passed);
  }
  return stream;
}

std::string to_string(const GradCheck& report) { return text(report); }

}  // namespace xg
