// Gradients derived by hand beside those of the tape.
#include "autograd/compare_backprop.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <ostream>

#include "autograd/gradcheck/backward.hpp"
#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape_reader.hpp"

namespace xg {

using detail::text;

namespace check {
namespace {

std::span<const double> numbers(const Tensor& t) { return t.values<double>(); }

double largest(const Tensor& t) {
  double result = 0;
  for (const double v : numbers(t)) result = std::max(result, std::abs(v));
  return result;
}

class Backprop {
 public:
  Backprop(const NamedTensors& mine, const Tensor& loss, std::span<const ParameterRef> parameters,
           const CompareOptions& options)
      : loss_(loss), parameters_(parameters), mine_(parameters.size()) {
    bool rough = false;
    for (const ParameterRef& p : parameters) rough |= p.value().dtype() == DType::float32;
    check_names(mine);
    for (const auto& [name, gradient] : mine) {
      if (!gradient.defined() || !is_floating(gradient.dtype()))
        throw DTypeError(text("[compare_backprop] the gradient of ", name, " is ",
                              gradient.defined() ? text("int64, not floating") : "undefined"));
      rough |= gradient.dtype() == DType::float32;
      mine_[index_of(name)] = cast(gradient, DType::float64);
    }
    tolerance_ = options.relative > 0 ? options.relative : rough ? 1e-4 : 1e-8;
    fit_ = std::max(tolerance_, 1e-6);
    for (const Tensor& g : gradient(loss, parameters)) tape_.push_back(cast(g, DType::float64));
    for (const Tensor& g : tape_) floor_ = std::max(floor_, 1e-12 * largest(g));
  }

  BackpropComparison run() {
    const Backward backward(loss_, parameters_);
    std::vector<std::size_t> order(parameters_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const auto pa = backward.place(a), pb = backward.place(b);
      return pa && pb ? *pa > *pb : pa && !pb;
    });
    BackpropComparison report;
    for (const std::size_t k : order) {
      report.rows.push_back(row(k));
      const BackpropComparison::Row& r = report.rows.back();
      if (r.passed) continue;
      if (report.passed) {
        report.layer = layer_of(r.name);
        report.verdict = r.verdict;
      }
      report.passed = false;
    }
    if (!report.passed) explain_all(backward, order, report);
    return report;
  }

 private:
  void check_names(const NamedTensors& mine) const {
    if (mine.size() == 0) throw ValueError("[compare_backprop] no gradient is given");
    for (std::size_t i = 0; i < mine.size(); ++i) {
      if (index_of(mine.names()[i]) == parameters_.size()) {
        std::string names;
        for (const ParameterRef& p : parameters_) names += (names.empty() ? "" : ", ") + p.name();
        throw ValueError(text("[compare_backprop] no parameter is called ", mine.names()[i],
                              "; there are: ", names));
      }
      for (std::size_t j = 0; j < i; ++j)
        if (mine.names()[j] == mine.names()[i])
          throw ValueError(
              text("[compare_backprop] the gradient of ", mine.names()[i], " is given twice"));
    }
  }
  std::size_t index_of(const std::string& name) const {
    std::size_t k = 0;
    while (k < parameters_.size() && parameters_[k].name() != name) ++k;
    return k;
  }

  bool agree(const Tensor& a, const Tensor& b) const {
    const double allowed = tolerance_ * largest(b) + floor_;
    for (std::size_t i = 0; i < numbers(a).size(); ++i)
      if (!(std::abs(numbers(a)[i] - numbers(b)[i]) <= allowed)) return false;
    return true;
  }

  /// Compares one gradient, and explains what concerns it alone.
  BackpropComparison::Row row(std::size_t k) const {
    BackpropComparison::Row r{parameters_[k].name(), tape_[k].shape()};
    const Tensor &a = mine_[k], &b = tape_[k];
    r.index = Extents::filled(b.rank(), 0);
    r.given = a.defined();
    if (!r.given) return r;
    if (a.shape() != b.shape()) {
      r.passed = false;
      r.verdict = Verdict::wrong;
      r.explanation = text("its shape is ", a.shape(), shape_reason(a, b, r.verdict));
      return r;
    }
    double worst = -1;
    for (std::size_t i = 0; i < numbers(b).size(); ++i) {
      const double error = std::abs(numbers(a)[i] - numbers(b)[i]);
      if (error <= worst) continue;
      worst = std::isnan(error) ? INFINITY : error;
      r.index = unravel_index(static_cast<std::int64_t>(i), b.shape());
      r.mine = numbers(a)[i];
      r.tape = numbers(b)[i];
    }
    if (worst > 0) r.relative_error = worst / std::max(largest(b), floor_);
    r.passed = agree(a, b);
    if (r.passed) return r;
    r.verdict = Verdict::wrong;
    if (!std::isfinite(r.mine) || !std::isfinite(r.tape)) {
      r.verdict = Verdict::not_finite;
      r.explanation =
          text(std::isfinite(r.tape) ? "your gradient" : "the tape's gradient", " is ",
               number_text(std::isfinite(r.tape) ? r.mine : r.tape), " at ", r.index,
               std::isfinite(r.tape) ? ": look for a division by 0, 0 · inf, or a logarithm or root"
                                       " of what is not positive"
                                     : ": DetectAnomalies names the operation that makes it so");
    }
    return r;
  }

  std::string shape_reason(const Tensor& a, const Tensor& b, Verdict& verdict) const {
    const NoRecording scope;
    if (b.rank() == 2 && a.shape() == Shape{b.shape()[1], b.shape()[0]}) {
      if (!agree(transpose(a), b)) return text(", the transpose of ", b.shape());
      verdict = Verdict::transposed;
      return ": it is the transpose of the right gradient (BP4: δ^l (a^(l-1))ᵀ has a row for each"
             " neuron)";
    }
    if (a.size() == b.size() && agree(reshape(a, b.shape()), b))
      return text(", though its numbers are right; reshape it to ", b.shape());
    if (a.rank() == b.rank() + 1 && a.size() > 0) {
      const Tensor total = sum(a, 0);
      if (total.shape() == b.shape() && agree(total, b))
        return ": summed over axis 0, the examples, it is right";
      if (total.shape() == b.shape() && agree(total / a.shape()[0], b))
        return ": averaged over axis 0, the examples, it is right";
    }
    return text(", not ", b.shape());
  }

  bool comparable(std::size_t k) const {
    return mine_[k].defined() && mine_[k].shape() == tape_[k].shape();
  }

  /// c with mine = c · these gradients, for all that are compared or for one.
  std::optional<double> factor(const std::vector<Tensor>& gradients,
                               std::optional<std::size_t> only = {}) const {
    std::vector<double> mine, other;
    for (std::size_t k = 0; k < mine_.size(); ++k) {
      if (!comparable(k) || (only && k != *only)) continue;
      mine.insert(mine.end(), numbers(mine_[k]).begin(), numbers(mine_[k]).end());
      other.insert(other.end(), numbers(gradients[k]).begin(), numbers(gradients[k]).end());
    }
    // Each gradient has a size of its own, which must not hide that it does not fit.
    const auto c = constant_factor(mine, other, fit_);
    for (std::size_t k = 0; c && k < mine_.size(); ++k) {
      if (!comparable(k) || (only && k != *only)) continue;
      const double allowed = fit_ * largest(mine_[k]) + floor_;
      for (std::size_t i = 0; i < numbers(mine_[k]).size(); ++i)
        if (!(std::abs(numbers(mine_[k])[i] - *c * numbers(gradients[k])[i]) <= allowed))
          return std::nullopt;
    }
    return c;
  }

  Context words() const {
    Context context{"your gradient", "the tape's"};
    context.fit = fit_;
    context.has_powers = false;  // of layers a number is a mean sooner than a power
    const Tape& tape = detail::TapeReader::of(loss_, "compare_backprop");
    const detail::TapeMemory& m = detail::TapeReader::memory(tape);
    for (std::size_t n = 0; n < m.nodes.size(); ++n)
      if (!m.nodes[n].op && m.nodes[n].version == 0 && m.nodes[n].output.shape().size() > 0)
        context.shapes.emplace_back("the data", m.nodes[n].output.shape());
    for (const ParameterRef& p : parameters_)
      context.shapes.emplace_back(p.name(), p.value().shape());
    return context;
  }

  std::string with_factor(const Mistake& mistake, double c, const Context& context) const {
    if (std::abs(c - 1) <= fit_) return mistake.words;
    return text(mistake.words, "\n  and with that, ", describe_constant(c, context).words());
  }

  void explain_all(const Backward& backward, const std::vector<std::size_t>& order,
                   BackpropComparison& report) const {
    const Context context = words();
    const bool all_comparable = std::all_of(order.begin(), order.end(), [&](std::size_t k) {
      return comparable(k) || !mine_[k].defined();
    });
    // Of one neuron and one example σ' is a number as well, though one without a reason.
    const auto multiple = factor(tape_);
    const auto constant = all_comparable ? multiple : std::nullopt;
    const auto by_constant = [&](const Finding& finding) {
      report.verdict = finding.verdict;
      report.explanation = finding.words();
      for (auto& row : report.rows)
        if (!row.passed) {
          row.verdict = finding.verdict;
          row.explanation.clear();
        }
    };
    if (constant)
      if (const Finding finding = describe_constant(*constant, context);
          finding.verdict == Verdict::wrong_sign || !finding.guess.empty())
        return by_constant(finding);
    for (std::size_t i = 0; i < order.size(); ++i)
      if (report.rows[i].verdict == Verdict::wrong && comparable(order[i]))
        alone(order[i], context, report.rows[i]);
    // One mistake that explains all; without a further factor if possible.
    std::optional<std::pair<Mistake, double>> found;
    std::vector<std::optional<Mistake>> of_row(order.size());
    bool numbers_differ = false;  // not shapes alone
    for (std::size_t i = 0; i < order.size(); ++i)
      numbers_differ = numbers_differ || (!report.rows[i].passed && comparable(order[i]));
    const auto try_mistake = [&](const Mistake& mistake) {
      if (const auto c = factor(mistake.gradients); c && (!multiple || std::abs(*c - 1) <= fit_)) {
        if (!found || std::abs(*c - 1) <= fit_) found = {mistake, *c};
        if (std::abs(*c - 1) <= fit_) return true;
      }
      for (std::size_t i = 0; i < order.size(); ++i)
        if (const std::size_t k = order[i]; !report.rows[i].passed && comparable(k) &&
                                            report.rows[i].verdict == Verdict::wrong &&
                                            !of_row[i] && agree(mine_[k], mistake.gradients[k]))
          of_row[i] = mistake;
      return false;
    };
    if (numbers_differ) backward.for_each_mistake(try_mistake);
    if (constant && !(found && std::abs(found->second - 1) <= fit_))
      return by_constant(describe_constant(*constant, context));
    if (found) {
      report.verdict = found->first.verdict;
      report.explanation = with_factor(found->first, found->second, context);
      for (std::size_t i = 0; i < order.size(); ++i)
        if (!report.rows[i].passed && comparable(order[i])) {
          report.rows[i].verdict = report.verdict;
          report.rows[i].explanation.clear();
        }
    } else {
      for (std::size_t i = 0; i < order.size(); ++i)
        if (of_row[i]) {
          report.rows[i].verdict = of_row[i]->verdict;
          report.rows[i].explanation = of_row[i]->words;
        }
      for (const auto& row : report.rows)
        if (!row.passed) {
          report.verdict = row.verdict;
          break;
        }
    }
    if (report.explanation.empty()) report.hint = hint(report);
  }

  void alone(std::size_t k, const Context& context, BackpropComparison::Row& r) const {
    const NoRecording scope;
    const Tensor &a = mine_[k], &b = tape_[k];
    if (std::all_of(numbers(a).begin(), numbers(a).end(), [](double v) { return v == 0; })) {
      r.verdict = Verdict::no_gradient;
      r.explanation = "it is zero";
    } else if (const auto c = factor(tape_, k)) {
      Finding finding = describe_constant(*c, context);
      r.verdict = finding.verdict;
      r.explanation = finding.words();
    } else if (b.rank() == 2 && b.shape()[0] == b.shape()[1] && agree(transpose(a), b)) {
      r.verdict = Verdict::transposed;
      r.explanation = "it is the transpose of the right gradient";
    }
  }

  /// In the first layer that parts: a bias shows δ itself (BP3), a weight δ aᵀ (BP4).
  std::string hint(const BackpropComparison& report) const {
    bool bias_right = false, bias_wrong = false, weight_wrong = false, first = true;
    bool explained = true, more_wrong = false;
    for (const auto& row : report.rows) {
      if (!row.given) continue;
      if (layer_of(row.name) == report.layer) {
        explained = explained && (row.passed || !row.explanation.empty());
        bias_right |= row.shape.size() == 1 && row.passed;
        bias_wrong |= row.shape.size() == 1 && !row.passed;
        weight_wrong |= row.shape.size() == 2 && !row.passed;
      } else if (!bias_wrong && !weight_wrong) {
        first = false;
      } else {
        more_wrong = more_wrong || (!row.passed && row.explanation.empty());
      }
    }
    if (bias_right && weight_wrong)
      return "the error δ of this layer is right, as its bias shows (BP3); look at BP4,"
             " ∂C/∂w^l = δ^l (a^(l-1))ᵀ";
    if (bias_wrong && weight_wrong && !explained)
      return first ? "look at the error of this layer, δ^L (BP1)"
                   : "all layers behind it are right; look at the step to the error δ^l of this one"
                     " (BP2)";
    if (explained && more_wrong)
      return "the errors of the layers before this one are computed from its own; correct that,"
             " and look again";
    return "";
  }

  const Tensor& loss_;
  std::span<const ParameterRef> parameters_;
  std::vector<Tensor> mine_, tape_;  // by parameter, in float64
  double tolerance_ = 0, fit_ = 0;
  double floor_ = 0;  // what rounding leaves of a gradient that is zero
};

}  // namespace
}  // namespace check

BackpropComparison compare_backprop(const NamedTensors& mine, const Tensor& loss,
                                    std::span<const ParameterRef> parameters,
                                    const CompareOptions& options, SourceLocation place) {
  return detail::located(place, [&] {
    const NoRecording scope;
    return check::Backprop(mine, loss, parameters, options).run();
  });
}

std::ostream& operator<<(std::ostream& stream, const BackpropComparison& report) {
  stream << "backpropagation by hand and by tape: "
         << (report.passed ? "they agree" : text("they part at layer `", report.layer, "`"));
  std::size_t name_width = 0, shape_width = 0;
  for (const auto& row : report.rows) {
    name_width = std::max(name_width, row.name.size());
    shape_width = std::max(shape_width, text(row.shape).size());
  }
  for (std::size_t i = 0; i < report.rows.size(); ++i) {
    const auto& row = report.rows[i];
    stream << "\n  " << std::left << std::setw(static_cast<int>(name_width + 2)) << row.name
           << std::setw(static_cast<int>(shape_width + 2)) << text(row.shape);
    if (!row.given)
      stream << "not given";
    else if (row.passed)
      stream << "agrees to " << text(std::setprecision(2), row.relative_error);
    else if (row.mine == 0 && row.tape == 0)
      stream << "WRONG";
    else
      stream << text(std::setprecision(6), "WRONG   at ", row.index, " by hand ",
                     check::number_text(row.mine), ", by tape ", check::number_text(row.tape));
    // What holds for several rows stands below the last of them.
    if (i + 1 == report.rows.size() || report.rows[i + 1].explanation != row.explanation)
      stream << check::wrapped(row.explanation, 4);
  }
  if (report.passed) return stream;
  if (!report.explanation.empty())
    stream << "\n" << report.verdict << ':' << check::wrapped(report.explanation, 2);
  if (!report.hint.empty()) stream << check::wrapped("hint: " + report.hint, 0);
  return stream;
}

std::string to_string(const BackpropComparison& report) { return text(report); }

}  // namespace xg
