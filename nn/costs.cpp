// The costs, as expressions; their derivatives come from the tape.
#include "nn/costs.hpp"

#include "autograd/ops.hpp"
#include "autograd/tape.hpp"

namespace xg::nn {

using detail::text;

namespace {

// 1/m for the m examples of the batch.
double share(const char* cost, const Tensor& a, const Tensor& y) {
  if (!y.defined()) throw DTypeError(text("[", cost, "] the targets are undefined"));
  if (a.shape() != y.shape() || a.rank() != 2)
    throw ShapeError(text("[", cost, "] outputs of shape ", a.shape(), " and targets of shape ",
                          y.shape(), "; both must have the same shape (examples, outputs)"));
  const std::int64_t examples = a.extent(0);
  if (examples == 0) throw ValueError(text("[", cost, "] the batch is empty"));
  return 1 / static_cast<double>(examples);
}

}  // namespace

Tensor quadratic_cost(Operand a, Operand y) {
  return detail::located(a.place(), [&] {
    const double each = share("quadratic_cost", a, y);
    return 0.5 * each * squared_norm(a - y);
  });
}

Tensor cross_entropy_cost(Operand a, Operand y) {
  return detail::located(a.place(), [&] {
    const double each = share("cross_entropy_cost", a, y);
    return sum(xlogy(y, a) + xlogy(1 - y, 1 - a)) * -each;
  });
}

Tensor sigmoid_cross_entropy_cost(Operand z, Operand y) {
  return detail::located(z.place(), [&] {
    const double each = share("sigmoid_cross_entropy_cost", z, y);
    return sum(softplus(z) - y * z) * each;
  });
}

Tensor log_likelihood_cost(Operand z, Operand y) {
  return detail::located(z.place(), [&] {
    const double each = share("log_likelihood_cost", z, y);
    return sum(y * log_softmax(z)) * -each;
  });
}

std::int64_t count_correct(Operand outputs, const Tensor& labels) {
  detail::located(outputs.place(), [&] {
    if (outputs->rank() != 2 || labels.rank() != 1 || outputs->extent(0) != labels.extent(0))
      throw ShapeError(text("[count_correct] outputs of shape ", outputs->shape(),
                            " and labels of shape ", labels.shape(),
                            "; (examples, classes) and (examples,) are needed"));
    if (labels.dtype() != DType::int64)
      throw DTypeError(text("[count_correct] labels must be int64, not ", labels.dtype()));
  });
  const NoRecording scope;
  if (labels.size() == 0) return 0;
  const Tensor right = equal(argmax(outputs, -1), labels);
  std::int64_t count = 0;
  for (const std::int64_t one : right.values<std::int64_t>()) count += one;
  return count;
}

}  // namespace xg::nn
