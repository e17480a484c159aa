// Walks a tape: every operation is tried alone, at the values that it had.
#include "autograd/gradcheck/check.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape_reader.hpp"

namespace xg::check {

using detail::TapeReader;
using detail::text;

namespace {

Tensor in_float64(const Tensor& t) {
  return t.dtype() == DType::float32 ? cast(t, DType::float64) : detach(t);
}

bool finite(const Tensor& t) {
  if (!is_floating(t.dtype())) return true;
  return visit_floating(t.dtype(), [&]<class T>(T) {
    for (const T v : t.values<T>())
      if (!std::isfinite(v)) return false;
    return true;
  });
}

}  // namespace

std::string derivative_symbol(const std::string& equation, std::string_view name) {
  const auto bracket = equation.find('(');
  const std::string head = equation.substr(0, bracket);
  if (bracket == std::string::npos || head.empty() ||
      head.find_first_of("{ ⊙") != std::string::npos || equation.back() != ')')
    return text(name, "'");
  return head + "'";
}

// By differences, so that a wrong rule does not matter. Where some elements are moved the results
// must move as when all are, and elsewhere they must stay.
Tensor elementwise_derivative(const std::function<Tensor(std::span<const Tensor>)>& apply,
                              const Tensor& x) {
  const NoRecording scope;
  const auto f = [&](const Tensor& v) { return apply({&v, 1}); };
  const Tensor y = f(x);
  if (y.shape() != x.shape() || y.dtype() != x.dtype() || x.size() == 0) return {};
  const double h = 1e-3;
  const Tensor some = cast(random_uniform(x.shape(), Key{1}, x.dtype()) > 0.5, x.dtype());
  const Tensor above = f(x + h);
  if (!identical(f(x + h * some), where(some, above, y))) return {};
  return (8 * (above - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

std::string first_float32(const Tensor& output, const Tensors& variables) {
  const Tape& tape = TapeReader::of(output, "gradcheck");
  const detail::TapeMemory& m = TapeReader::memory(tape);
  const std::size_t count = TapeReader::find(tape, output, "gradcheck") + 1;
  std::vector<char> depends(count, 0);
  for (const Tensor& v : variables)
    if (const std::size_t n = TapeReader::find(tape, v, "gradcheck"); n < count) depends[n] = 1;
  for (std::size_t n = 0; n < count; ++n)
    for (const std::uint32_t input : detail::inputs_of(m, m.nodes[n])) {
      if (!depends[input]) continue;
      depends[n] = 1;
      if (const Tensor& y = m.nodes[n].output; y.dtype() == DType::float32)
        return text("node %", n, ", ", m.nodes[n].op->name, ", gives float32 ", y.shape());
    }
  return "";
}

Walk::Walk(const Tensor& output, const Tensors& variables) {
  const NoRecording scope;
  const Tape& tape = TapeReader::of(output, "gradcheck");
  const detail::TapeMemory& m = TapeReader::memory(tape);
  const std::size_t count = TapeReader::find(tape, output, "gradcheck") + 1;
  values_.resize(count);
  actual_.assign(count, 1);
  depends_.assign(count, 0);
  std::vector<char> reaches(count, 0);
  for (const Tensor& v : variables)
    if (const std::size_t n = TapeReader::find(tape, v, "gradcheck"); n < count) {
      values_[n] = in_float64(v);
      depends_[n] = 1;
    }
  for (std::size_t n = 0; n < count; ++n) {
    const detail::Node& node = m.nodes[n];
    Step step{n,
              "",
              "",
              {},
              {},
              node.output.shape(),
              node.output.dtype(),
              false,
              node.op && node.op->expand};
    if (node.op) {
      step.name = node.op->name;
      step.symbol = derivative_symbol(detail::equation_of(node), step.name);
      step.apply = detail::operation_of(node);
      for (const std::uint32_t input : detail::inputs_of(m, node)) {
        step.inputs.push_back(input);
        step.relevant = step.relevant || depends_[input];
        actual_[n] = actual_[n] && actual_[input];
      }
      step.relevant = step.relevant && is_floating(step.dtype);
      depends_[n] = depends_[n] || step.relevant;
    }
    steps_.push_back(std::move(step));
    Tensor& value = values_[n];
    if (!value.defined() && node.output.defined()) value = in_float64(node.output);
    if (value.defined()) {
      actual_[n] = 1;
      continue;
    }
    try {
      if (node.op) value = in_float64(steps_[n].apply(inputs_of(steps_[n])));
    } catch (const Error&) {
    }
    if (value.defined()) continue;
    actual_[n] = 0;
    value = is_floating(node.output.dtype())
                ? random_uniform(node.output.shape(), Key{n}, DType::float64, 0.2, 0.8)
                : zeros(node.output.shape(), node.output.dtype());
  }
  reaches[count - 1] = 1;
  for (std::size_t n = count; n-- > 0;) {
    steps_[n].relevant = steps_[n].relevant && reaches[n];
    for (const std::size_t input : steps_[n].inputs) reaches[input] |= reaches[n];
  }
}

Tensors Walk::inputs_of(const Step& step) const {
  Tensors result;
  for (const std::size_t n : step.inputs) result.push_back(values_[n]);
  return result;
}

std::vector<std::pair<std::string, Shape>> Walk::shapes() const {
  std::vector<std::pair<std::string, Shape>> result;
  for (const Step& step : steps_)
    if (step.relevant) result.emplace_back(text("the result of ", step.name), step.shape);
  return result;
}

std::vector<Factor> Walk::factors() const {
  const NoRecording scope;
  std::vector<Factor> result;
  for (const Step& step : steps_)
    if (actual_[step.node] && is_floating(step.dtype))
      result.push_back({step.name.empty()
                            ? text("the tensor %", step.node, ' ', step.shape)
                            : text("the result %", step.node, " of ", step.name, ' ', step.shape),
                        values_[step.node]});
  for (const Step& step : steps_) {
    if (!step.relevant || step.inputs.size() != 1) continue;
    try {
      if (Tensor d = elementwise_derivative(step.apply, values_[step.inputs[0]]); d.defined())
        result.push_back({text(step.symbol, "(%", step.inputs[0], "), the derivative of ",
                               step.name, " where it was applied ", step.shape),
                          std::move(d)});
    } catch (const Error&) {
    }
  }
  return result;
}

std::vector<Factor> Walk::factors_of(const Step& step, const Tensors& x, const Tensor& y) const {
  const NoRecording scope;
  std::vector<Factor> own;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (is_floating(x[i].dtype())) own.push_back({text("input ", i), in_float64(x[i])});
  own.push_back({"the output", in_float64(y)});
  std::vector<Factor> result = own;
  const auto add = [&](const char* before, const Factor& f, const char* after, Tensor value) {
    result.push_back({text(before, f.name, after), std::move(value)});
  };
  for (const Factor& f : own) {
    const Tensor &t = f.value, s = sigmoid(t);
    add("σ'(", f, ")", s * (1 - s));
    add("tanh'(", f, ")", 1 - square(tanh(t)));
    add("cos(", f, ")", cos(t));
    add("sin(", f, ")", sin(t));
    add("exp(", f, ")", exp(t));
    add("σ(", f, ")", s);
    add("tanh(", f, ")", tanh(t));
    add("ln(", f, ")", log(t));
    add("(", f, ")²", square(t));
    add("√(", f, ")", sqrt(t));
    add("1 − (", f, ")", 1 - t);
    add("1 − (", f, ")²", 1 - square(t));
    add("a (1 − a) with a = ", f, "", t * (1 - t));
  }
  if (x.size() == 1)
    if (Tensor d = elementwise_derivative(step.apply, own[0].value); d.defined())
      result.push_back({step.symbol + "(input 0), the operation's own derivative", std::move(d)});
  for (Factor& f : factors()) result.push_back(std::move(f));
  return result;
}

std::optional<GradCheck::Operation> Walk::first_wrong(const GradCheckOptions& options, bool second,
                                                      Rule rule) {
  std::optional<GradCheck::Operation> at_kink;
  untried_.clear();
  for (const Step& step : steps_) {
    if (!step.relevant) continue;
    auto found = check(step, options, second, rule);
    if (!found) continue;
    if (!found->input.passed) return found;
    if (!at_kink) at_kink = std::move(found);
  }
  return at_kink;
}

std::optional<GradCheck::Operation> Walk::check(const Step& step, const GradCheckOptions& options,
                                                bool second, Rule rule) {
  const NoRecording scope;
  const Tensors x = inputs_of(step);
  const auto not_all = [&] {
    untried_ += text(untried_.empty() ? "" : ", ", step.name, " (node %", step.node, ')');
  };
  try {
    auto found = check_as(step, x, options, second, rule);
    if (!found && step.expands) not_all();
    return found;
  } catch (const Error&) {  // an operation of a user's may take only what the tape had
  }
  Tensors as_recorded = x;
  for (std::size_t i = 0; i < x.size(); ++i)
    as_recorded[i] = cast(x[i], steps_[step.inputs[i]].dtype);
  try {
    auto found = check_as(step, as_recorded, options, second, rule);
    if (!found && step.expands) not_all();
    return found;
  } catch (const Error&) {
    not_all();
    return std::nullopt;
  }
}

std::optional<GradCheck::Operation> Walk::check_as(const Step& step, const Tensors& x,
                                                   const GradCheckOptions& options, bool second,
                                                   Rule rule) const {
  std::vector<std::size_t> places;  // of the inputs that vary
  Tensors free;
  bool actual = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    actual = actual && actual_[step.inputs[i]];
    if (!depends_[step.inputs[i]] || !is_floating(x[i].dtype())) continue;
    places.push_back(i);
    free.push_back(x[i]);
  }
  const Tensor y = step.apply(x);
  if (!is_floating(y.dtype()) || (!actual && !finite(y))) return std::nullopt;
  const bool rough = y.dtype() == DType::float32 || x[places[0]].dtype() == DType::float32;
  const Tensor weights = random_uniform(y.shape(), Key{step.node}, y.dtype(), 0.5, 1.5);
  // The adjoint is a variable as well: a rule that computes numbers forgets that it depends on it.
  free.push_back(weights);
  Problem p = problem_of([&](const Tensors& v) {
    Tensors all = x;
    for (std::size_t k = 0; k < places.size(); ++k) all[places[k]] = v[k];
    return sum(v.back() * step.apply(all));
  });
  if (rough) p.rounding = rounding_of_float32;
  if (second) {
    Tensors directions;
    for (std::size_t k = 0; k < places.size(); ++k)
      directions.push_back(
          random_uniform(free[k].shape(), Key{k}.fold("direction"), free[k].dtype(), 0.5, 1.5));
    directions.push_back(zeros_like(weights));
    p = derivative_of(p, directions);
  }
  if (rule == Rule::jvp) {
    const auto found = jvp_disagreement(p, free, 1e-6);
    if (!found || found->input == places.size()) return std::nullopt;
    return wrong_jvp(step, x, y, places[found->input], *found, second, rough);
  }
  const Tensors gradients = taped_of(p, free).gradients;
  if (agree_along(p, free, gradients, rough ? 1e-2 : 1e-6)) return std::nullopt;
  GradCheckOptions here = options;
  here.relative = rough ? 1e-2 : 1e-5;
  for (std::size_t k = 0; k < free.size(); ++k) {
    Comparison c = compare(p, free, k, gradients[k], here, 4096);
    if (!c.is_failed()) continue;
    Context context = context_of(step, x, y, second, rough);
    if (k < places.size()) context.elementwise = is_elementwise(step, x, places[k]);
    Finding finding = explain(c, free[k].shape(), context);
    if (finding.verdict == Verdict::float32 || finding.verdict == Verdict::unsettled) continue;
    GradCheck::Operation result = operation_of(step, x, std::move(c.worst), std::move(finding));
    result.input.number = k < places.size() ? places[k] : x.size();
    if (k == places.size()) result.input.name = "the adjoint";
    return result;
  }
  return std::nullopt;
}

Context Walk::context_of(const Step& step, const Tensors& x, const Tensor& y, bool second,
                         bool rough) const {
  Context context;
  context.mine = second ? "the derivative of its vjp" : "its vjp";
  context.truth = second ? "the differences of its vjp" : "the differences of its forward";
  context.function = second ? "its vjp" : "its forward";
  for (std::size_t i = 0; i < x.size(); ++i)
    context.shapes.emplace_back(text("input ", i), x[i].shape());
  if (!second) context.factors = factors_of(step, x, y);
  if (rough) context.float32 = text(step.name, " computes in float32");
  if (rough) context.fit = 1e-3;
  return context;
}

bool Walk::is_elementwise(const Step& step, const Tensors& x, std::size_t i) const {
  const auto of_one = [&](std::span<const Tensor> v) {
    Tensors all = x;
    all[i] = v[0];
    return step.apply(all);
  };
  return elementwise_derivative(of_one, x[i]).defined();
}

GradCheck::Operation Walk::operation_of(const Step& step, const Tensors& x, GradCheck::Input worst,
                                        Finding finding) const {
  GradCheck::Operation result{step.name, step.node, {}, step.shape, std::move(worst)};
  for (const Tensor& t : x) result.input_shapes.push_back(t.shape());
  result.input.verdict = finding.verdict;
  result.input.explanation = finding.words();
  result.input.passed = finding.excused;
  return result;
}

// The sentence on the numbers is that on a vjp, of the elements of the output.
GradCheck::Operation Walk::wrong_jvp(const Step& step, const Tensors& x, const Tensor& y,
                                     std::size_t i, const Disagreement& found, bool second,
                                     bool rough) const {
  Finding finding{Verdict::jvp, "its jvp disagrees with its vjp"};
  GradCheck::Input worst;
  worst.shape = x[i].shape();
  worst.analytic = found.forward;
  worst.numeric = found.backward;
  worst.error = std::abs(found.forward - found.backward);
  if (!found.error.empty()) {
    finding.explanation = text("its jvp throws: ", found.error);
  } else if (second) {
    finding.explanation += ", the differences of which agree, where both are differentiated";
  } else {
    Comparison c = compare_tangent(step.apply, x, i, rough ? 1e-2 : 1e-5);
    Context context = context_of(step, x, y, false, rough);
    context.mine = "its jvp";
    context.elementwise = is_elementwise(step, x, i);
    if (const Finding reason = explain(c, y.shape(), context); !reason.explanation.empty())
      finding.explanation += ", and with the differences: " + reason.words();
    worst = std::move(c.worst);
  }
  worst.number = i;
  GradCheck::Operation result = operation_of(step, x, std::move(worst), std::move(finding));
  result.rule = "jvp";
  return result;
}

}  // namespace xg::check
