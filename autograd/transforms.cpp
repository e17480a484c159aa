// What the transforms do with a recording.
#include "autograd/transforms.hpp"

#include "autograd/anomaly.hpp"
#include "autograd/op.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

namespace detail {
namespace {

bool recorded(const Tensor& y) { return y.defined() && TensorAccess::tape(y) != 0; }

// Tensors in the form in which the tape takes them.
class Pointers {
 public:
  Pointers(std::span<const Tensor> tensors) {
    for (const Tensor& t : tensors) pointers_.push_back(&t);
  }
  operator Inputs() const { return {pointers_.data(), pointers_.size()}; }

 private:
  std::vector<const Tensor*> pointers_;
};

void require_floating_arguments(std::string_view caller, std::span<const Tensor> xs) {
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!xs[i].defined())
      throw DTypeError(
          text("[", caller, "] tensor ", i, " is undefined (default-constructed, or moved from)"));
    if (!is_floating(xs[i].dtype()))
      throw DTypeError(text("[", caller, "] tensor ", i, " is ", xs[i].dtype(),
                            " and cannot be differentiated"));
  }
}

void require_floating_result(std::string_view caller, const Tensor& y) {
  if (!y.defined() || !is_floating(y.dtype()))
    throw DTypeError(text("[", caller, "] what the function gave is ",
                          y.defined() ? text(y.dtype()) : "undefined", " and has no derivative"));
}

// What the call is differentiated with respect to.
std::vector<Tensor> variables(const Trace& trace, const Call& call) {
  std::vector<Tensor> result(call.x.begin(), call.x.end());
  if (!call.of_parameters)
    for (Tensor& x : result) x = trace.variable(x);
  return result;
}

std::int64_t total_size(std::span<const Tensor> xs) {
  std::int64_t size = 0;
  for (const Tensor& x : xs) size += x.size();
  return size;
}

// One in a single place.
Tensor unit(const Tensor& like, std::int64_t place) {
  Tensor result = Tensor::full(like.shape(), 0, like.dtype());
  visit_floating(like.dtype(), [&]<class T>(T) { result.exclusive_data<T>()[place] = 1; });
  return result;
}

Shape joined(Shape a, const Shape& b) {
  for (const std::int64_t extent : b) a.push_back(extent);
  return a;
}

// The changes of `ys` when `xs` change by `tangents`.
std::vector<Tensor> pushed_forward(std::span<const Tensor> ys, std::span<const Tensor> xs,
                                   std::span<const Tensor> tangents) {
  std::vector<const Tensor*> outputs;
  for (const Tensor& y : ys)
    if (recorded(y)) outputs.push_back(&y);
  std::vector<Tensor> changes(outputs.size()), result;
  push_forward(Inputs(outputs.data(), outputs.size()), Pointers(xs), Pointers(tangents), changes);
  std::size_t next = 0;
  for (const Tensor& y : ys) {
    const Tensor change = recorded(y) ? changes[next++] : Tensor();
    result.push_back(change.defined() ? change : zeros_like(y));
  }
  return result;
}

// A Jacobian of its columns, one for each element of x, or its rows.
Tensor stacked(const std::vector<Tensor>& lines, const Tensor& y, const Tensor& x, bool columns) {
  const Shape shape = joined(y.shape(), x.shape());
  if (lines.empty() || y.size() == 0) return zeros(shape, x.dtype());
  const Tensor whole = reshape(stack(lines), {static_cast<std::int64_t>(lines.size()), -1});
  return reshape(columns ? transpose(whole) : whole, shape);
}

// The Jacobians of ys by xs, from the changes along one element of xs[i] after the other.
std::vector<std::vector<Tensor>> by_columns(
    std::span<const Tensor> ys, std::span<const Tensor> xs,
    FunctionRef<std::vector<Tensor>(std::size_t i, const Tensor& direction)> changes_along) {
  std::vector<std::vector<Tensor>> result(ys.size());
  for (std::size_t i = 0; i < xs.size(); ++i) {
    std::vector<std::vector<Tensor>> columns(ys.size());
    for (std::int64_t place = 0; place < xs[i].size(); ++place) {
      const std::vector<Tensor> changes = changes_along(i, unit(xs[i], place));
      for (std::size_t k = 0; k < ys.size(); ++k) columns[k].push_back(changes[k]);
    }
    for (std::size_t k = 0; k < ys.size(); ++k)
      result[k].push_back(stacked(columns[k], ys[k], xs[i], true));
  }
  return result;
}

bool all_finite(const std::vector<std::vector<Tensor>>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const std::vector<Tensor>& row) {
    return std::all_of(row.begin(), row.end(), ops::is_finite);
  });
}

}  // namespace

/// While this lives, a pass goes over the recording: it is not recorded itself, unless for a
/// transform further out, and its values are kept only if that goes backward.
class Trace::Pass {
 public:
  explicit Pass(const Trace& trace) : tape_(trace.shared_), held_(trace.held_) {
    if (!tape_) {
      scope_.emplace();
      return;
    }
    before_ = std::exchange(tape_->passes_from_, trace.since_);
    if (held_ && tape_->memory_->tangents.holders == 1) tape_->keeps_ = 0;
  }
  ~Pass() {
    if (!tape_) return;
    tape_->passes_from_ = before_;
    if (held_) tape_->keeps_ = ~0u;
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

 private:
  std::optional<NoRecording> scope_;
  Tape* tape_;
  std::size_t before_ = 0;
  bool held_;
};

Trace::Trace() {
  shared_ = Tape::recording();
  if (!shared_) {
    own_.emplace();
    return;
  }
  since_ = shared_->size();
  held_ = shared_->forward_;
  if (held_) shared_->hold_values();
}

Trace::~Trace() {
  if (held_) shared_->drop_values();
}

Tensor Trace::variable(const Tensor& x) const {
  // A node of its own from the start, so that f may return it as it is. On a shared tape it depends
  // on x; otherwise it is new to everybody.
  return reshape(own_ ? detach(x) : x, x.shape());
}

std::vector<Tensor> Trace::gradient(const Tensor& y, std::span<const Tensor> xs,
                                    std::string_view caller) const {
  const Pass pass(*this);
  if (recorded(y) || y.size() != 1) return gradient_of_call(y, xs, caller);
  std::vector<Tensor> zero;
  for (const Tensor& x : xs) zero.push_back(zeros_like(x));
  return zero;
}

std::vector<Tensor> Trace::vjp(const Tensor& y, std::span<const Tensor> xs,
                               const Tensor& adjoint) const {
  const Pass pass(*this);
  if (!adjoint.defined())
    throw DTypeError("[vjp] the adjoint is undefined (default-constructed, or moved from)");
  if (adjoint.shape() != y.shape())
    throw ShapeError(
        text("[vjp] the adjoint has the shape ", adjoint.shape(), ", f(x) has ", y.shape()));
  require_same_dtype("vjp", adjoint, y);
  std::vector<Tensor> result(xs.size());
  if (recorded(y)) pull_back(y, adjoint, Pointers(xs), result);
  for (std::size_t i = 0; i < xs.size(); ++i)
    if (!result[i].defined()) result[i] = zeros_like(xs[i]);
  return result;
}

std::vector<Tensor> Trace::jacobian(const Tensor& y, std::span<const Tensor> xs) const {
  if (total_size(xs) <= y.size()) return jacobians({&y, 1}, xs)[0];
  const Pass pass(*this);
  std::vector<std::vector<Tensor>> rows(xs.size());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    std::vector<Tensor> row(xs.size());
    if (recorded(y)) pull_back(y, unit(y, i), Pointers(xs), row, "jacobian");
    for (std::size_t k = 0; k < xs.size(); ++k)
      rows[k].push_back(row[k].defined() ? row[k] : zeros_like(xs[k]));
  }
  std::vector<Tensor> result;
  for (std::size_t k = 0; k < xs.size(); ++k) result.push_back(stacked(rows[k], y, xs[k], false));
  return result;
}

std::vector<std::vector<Tensor>> Trace::jacobians(std::span<const Tensor> ys,
                                                  std::span<const Tensor> xs) const {
  const Pass pass(*this);
  return by_columns(ys, xs, [&](std::size_t i, const Tensor& direction) {
    return pushed_forward(ys, xs.subspan(i, 1), {&direction, 1});
  });
}

void Trace::go_forward(std::string_view caller, std::span<const Tensor> xs,
                       std::span<const Tensor> tangents) {
  if (tangents.size() != xs.size())
    throw ValueError(
        text("[", caller, "] ", tangents.size(), " tangents for ", xs.size(), " tensors"));
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!tangents[i].defined())
      throw DTypeError(
          text("[", caller, "] tangent ", i, " is undefined (default-constructed, or moved from)"));
    if (tangents[i].shape() != xs[i].shape())
      throw ShapeError(text("[", caller, "] tangent ", i, " has the shape ", tangents[i].shape(),
                            ", its tensor has ", xs[i].shape()));
    require_same_dtype(caller, tangents[i], xs[i]);
    if (own_) own_->set_tangent(xs[i], tangents[i]);
  }
}

std::vector<Tensor> Trace::jvp(std::span<const Tensor> ys, std::span<const Tensor> xs,
                               std::span<const Tensor> tangents) const {
  const Pass pass(*this);
  if (!own_) return pushed_forward(ys, xs, tangents);
  std::vector<Tensor> result;
  for (const Tensor& y : ys) {
    const Tensor change = own_->tangent(y);
    result.push_back(change.defined() ? change : zeros_like(y));
  }
  return result;
}

ValueAndDerivatives value_and_gradient(const Call& call, std::string_view caller) {
  require_floating_arguments(caller, call.x);
  const Trace trace;
  const std::vector<Tensor> x = variables(trace, call);
  const Tensor y = call.f(x);
  std::vector<Tensor> g = trace.gradient(y, x, caller);
  return {trace.result(y), std::move(g)};
}

ValueAndDerivatives value_and_jvp(const Call& call, std::span<const Tensor> tangents) {
  require_floating_arguments("jvp", call.x);
  Trace trace;
  const std::vector<Tensor> x = variables(trace, call);
  trace.go_forward("jvp", x, tangents);
  const Tensor y = call.f(x);
  require_floating_result("jvp", y);
  std::vector<Tensor> change = trace.jvp({&y, 1}, x, tangents);
  return {trace.result(y), std::move(change)};
}

std::vector<Tensor> vjp(const Call& call, const Tensor& adjoint) {
  require_floating_arguments("vjp", call.x);
  const Trace trace;
  const std::vector<Tensor> x = variables(trace, call);
  const Tensor y = call.f(x);
  require_floating_result("vjp", y);
  return trace.vjp(y, x, adjoint);
}

std::vector<Tensor> jacobian(const Call& call) {
  require_floating_arguments("jacobian", call.x);
  const Trace trace;
  const std::vector<Tensor> x = variables(trace, call);
  const Tensor y = call.f(x);
  require_floating_result("jacobian", y);
  return trace.jacobian(y, x);
}

std::vector<Tensor> hvp(const Call& call, std::span<const Tensor> tangents,
                        std::string_view caller) {
  require_floating_arguments(caller, call.x);
  Trace trace;
  const std::vector<Tensor> x = variables(trace, call);
  trace.go_forward(caller, x, tangents);
  const std::vector<Tensor> g =
      value_and_gradient({call.f, x, call.of_parameters}, caller).derivatives;
  return trace.jvp(g, x, tangents);
}

std::vector<std::vector<Tensor>> hessian(const Call& call) {
  require_floating_arguments("hessian", call.x);
  const bool nested = Tape::recording();
  if (nested || !DetectAnomalies::active() || total_size(call.x) == 0) {
    const Trace trace;
    const std::vector<Tensor> x = variables(trace, call);
    const auto g = value_and_gradient({call.f, x, call.of_parameters}, "hessian").derivatives;
    std::vector<std::vector<Tensor>> result = trace.jacobians(g, x);
    if (nested || all_finite(result)) return result;
  }
  // What is 0 because nobody asks for it meets, on a recorded gradient, its infinite derivative; a
  // tape in forward mode sees both at once.
  return by_columns(call.x, call.x, [&](std::size_t i, const Tensor& direction) {
    std::vector<Tensor> directions;
    for (const Tensor& x : call.x) directions.push_back(zeros_like(x));
    directions[i] = direction;
    return hvp(call, directions, "hessian");
  });
}

}  // namespace detail
}  // namespace xg
