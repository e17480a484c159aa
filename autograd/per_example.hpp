// The gradient of each example of a batch.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

#include "autograd/named_tensors.hpp"
#include "autograd/ops.hpp"
#include "autograd/parameter.hpp"
#include "autograd/row_gradients.hpp"
#include "autograd/sliceable.hpp"
#include "autograd/tape.hpp"

namespace xg {

namespace detail {

/// The number of examples of all tensors. Throws ShapeError unless they have one, and as many.
std::int64_t example_count(Inputs tensors);
std::vector<Tensor> per_example_gradient(const CostOfExamples& cost, Inputs wrt);

inline Tensor example(const Tensor& x, std::int64_t i) { return slice(x, 0, i, i + 1); }

template <class T>
std::vector<const Tensor*> pointers_to(std::span<const T> tensors) {
  std::vector<const Tensor*> result;
  for (const Tensor& t : tensors) result.push_back(&t);
  return result;
}

/// What `take` gives, off the tape.
template <class F>
auto taken(const F& take) {
  const NoRecording scope;
  return take();
}

template <class Cost, Sliceable B>
std::vector<Tensor> per_example_gradient(Cost& cost, const B& batch, Inputs wrt) {
  const auto part = [&](std::int64_t i) { return B(batch.slice(i, i + 1)); };
  return per_example_gradient(
      {batch.size(), [&]() -> Tensor { return cost(batch); },
       [&](std::int64_t i) -> Tensor { return cost(part(i)); },
       [&](std::int64_t i) -> Tensor { return cost(taken([&] { return part(i); })); }},
      wrt);
}
template <class Cost, class... X>
std::vector<Tensor> per_example_gradient(Cost& cost, const std::tuple<X...>& batch, Inputs wrt) {
  return std::apply(
      [&](const auto&... x) {
        const Tensor* const tensors[] = {&x...};
        return per_example_gradient(
            {example_count(Inputs(tensors, sizeof...(X))), [&]() -> Tensor { return cost(x...); },
             [&](std::int64_t i) -> Tensor { return cost(example(x, i)...); },
             [&](std::int64_t i) -> Tensor {
               return cost(taken([&] { return example(x, i); })...);
             }},
            wrt);
      },
      batch);
}
template <class Cost>
std::vector<Tensor> per_example_gradient(Cost& cost, const Tensor& batch, Inputs wrt) {
  return per_example_gradient(cost, std::tie(batch), wrt);
}

}  // namespace detail

/// What each of the m examples of a batch contributes to the gradient of cost(batch), which is the
/// average of a cost over examples, or the sum: for every parameter a tensor (m, *parameter's
/// shape), row i of which is 1/m ∂C_i/∂w, or ∂C_i/∂w. The rows add up to the batch's gradient.
///
///     auto cost = [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); };
///     NamedTensors g = per_example_gradient(cost, batch, net.parameters());
///
/// A batch is what SGD::step takes, or one tensor, or several, `std::tie(x, y)` for cost(x, y), of
/// which the first axis counts the examples.
///
/// `cost` is called with the whole batch and with its first and last example. If the three
/// recordings show that rows stay apart (see `Rows`, op.hpp) and each parameter is used once, as
/// the weight or bias of a layer or beside every row, one backward pass over the batch gives all
/// gradients, and those of weights are not computed before they are read. Anything else is recorded
/// one example after the other, each as a batch of one, on several threads at once, and their costs
/// are compared with that of the batch. Results are the same bits for any number of threads. What
/// the cost computes must not hang on values that it reads off its examples.
///
/// Under a recording tape each example is recorded alone on this thread, so that the results can be
/// differentiated again.
///
/// Throws ValueError for an empty batch, or a cost that is neither the average nor the sum of that
/// of its examples alone, so that what one contributes is not known; ShapeError if the tensors of a
/// batch disagree about the number of examples, or the cost has more than one element; DTypeError
/// for a tensor that is not floating; TapeError if the cost does not depend on anything that is
/// recorded.
template <class Cost, class B>
NamedTensors per_example_gradient(Cost&& cost, const B& batch,
                                  std::span<const ParameterRef> parameters) {
  const std::vector<const Tensor*> wrt = detail::pointers_to(parameters);
  return {parameters, detail::per_example_gradient(cost, batch, Inputs(wrt.data(), wrt.size()))};
}
/// The same with respect to any tensors.
template <class Cost, class B>
std::vector<Tensor> per_example_gradient(Cost&& cost, const B& batch,
                                         std::span<const Tensor> tensors) {
  const std::vector<const Tensor*> wrt = detail::pointers_to(tensors);
  return detail::per_example_gradient(cost, batch, Inputs(wrt.data(), wrt.size()));
}

}  // namespace xg
