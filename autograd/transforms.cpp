// What the transforms do with a recording.
#include "autograd/transforms.hpp"

#include "autograd/op.hpp"

namespace xg::detail {
namespace {

bool recorded(const Tensor& y) { return y.defined() && TensorAccess::tape(y) != 0; }

}  // namespace

Trace::Trace() {
  if (!Tape::recording()) own_.emplace();
}

Tensor Trace::variable(const Tensor& x) const {
  // A node of its own from the start, so that f may return it as it is. On a shared tape it depends
  // on x; otherwise it is new to everybody.
  return reshape(own_ ? detach(x) : x, x.shape());
}

std::vector<Tensor> Trace::gradient(const Tensor& y, std::span<const Tensor> xs) const {
  std::optional<NoRecording> scope;
  if (own_) scope.emplace();
  if (recorded(y) || y.size() != 1) return xg::gradient(y, xs);
  std::vector<Tensor> zero;
  for (const Tensor& x : xs) zero.push_back(zeros_like(x));
  return zero;
}

Tensor Trace::hessian(const Tensor& y, const Tensor& x) const {
  // The first derivative stays on the tape, and each of its elements is differentiated.
  std::vector<Tensor> rows;
  const Tensor first =
      reshape(recorded(y) ? xg::gradient(y, x) : xg::gradient(sum(x) * 0 + y, x), {x.size()});
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const Tensor element = slice(first, 0, i, i + 1);
    std::optional<NoRecording> scope;
    if (own_) scope.emplace();
    rows.push_back(reshape(xg::gradient(element, x), {1, x.size()}));
  }
  Shape shape = x.shape();
  for (const std::int64_t extent : x.shape()) shape.push_back(extent);
  std::optional<NoRecording> scope;
  if (own_) scope.emplace();
  return rows.empty() ? zeros(shape, x.dtype()) : reshape(concatenate(rows), shape);
}

Tensor Trace::jvp(const Tensor& y, const Tensor& x, const Tensor& tangent) const {
  std::optional<NoRecording> scope;
  if (own_) scope.emplace();
  if (tangent.shape() != x.shape())
    throw ShapeError(
        text("[jvp] the tangent has the shape ", tangent.shape(), ", x has ", x.shape()));
  require_same_dtype("jvp", tangent, x);
  const Tensor *const px = &x, *const pt = &tangent;
  Tensor change = recorded(y) ? push_forward(y, Inputs(&px, 1), Inputs(&pt, 1)) : Tensor();
  return change.defined() ? change : zeros_like(y);
}

Tensor Trace::vjp(const Tensor& y, const Tensor& x, const Tensor& adjoint) const {
  std::optional<NoRecording> scope;
  if (own_) scope.emplace();
  if (adjoint.shape() != y.shape())
    throw ShapeError(
        text("[vjp] the adjoint has the shape ", adjoint.shape(), ", f(x) has ", y.shape()));
  require_same_dtype("vjp", adjoint, y);
  const Tensor* const px = &x;
  Tensor result;
  if (recorded(y)) pull_back(y, adjoint, Inputs(&px, 1), {&result, 1});
  return result.defined() ? result : zeros_like(x);
}

}  // namespace xg::detail
