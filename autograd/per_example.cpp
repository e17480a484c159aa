// Gradients of single examples in general: each on a tape of its own, several at a time.
#include "autograd/per_example.hpp"

#include <algorithm>
#include <cstring>

#include "autograd/kernels/parallel.hpp"
#include "autograd/transforms.hpp"

namespace xg::detail {
namespace {

constexpr const char* caller = "per_example_gradient";

Shape rows_of(std::int64_t examples, const Shape& shape) {
  Shape result{examples};
  for (const std::int64_t extent : shape) result.push_back(extent);
  return result;
}

Tensor share_of(const Tensor& loss, std::int64_t examples) {
  return Tensor::full(loss.shape(), 1 / static_cast<double>(examples), loss.dtype());
}

void check_cost(const Tensor& loss) {
  if (!loss.defined() || !is_floating(loss.dtype()))
    throw DTypeError(text("[", caller, "] the cost is ",
                          loss.defined() ? text(loss.dtype()) : "undefined",
                          " and has no derivative"));
  if (loss.size() != 1)
    throw ShapeError(text("[", caller,
                          "] the cost of an example must be a scalar, but has the shape ",
                          loss.shape(), "; reduce it with sum or mean"));
}

// A transform on the tape that records, as others are.
std::vector<Tensor> on_the_recording_tape(std::int64_t examples,
                                          FunctionRef<Tensor(std::int64_t)> cost, Inputs wrt) {
  const Trace trace;
  std::vector<Tensor> xs;
  for (std::size_t k = 0; k < wrt.size(); ++k) xs.push_back(wrt[k]);
  std::vector<std::vector<Tensor>> rows(wrt.size());
  for (std::int64_t i = 0; i < examples; ++i) {
    const Tensor loss = cost(i);
    check_cost(loss);
    const std::vector<Tensor> gradients = trace.vjp(loss, xs, share_of(loss, examples));
    for (std::size_t k = 0; k < wrt.size(); ++k) rows[k].push_back(gradients[k]);
  }
  std::vector<Tensor> result;
  for (const std::vector<Tensor>& some : rows) result.push_back(stack(some));
  return result;
}

}  // namespace

std::int64_t example_count(Inputs tensors) {
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    if (tensors[k].rank() == 0)
      throw ShapeError(text("[", caller, "] tensor ", k, " of the batch has no axis of examples"));
    if (tensors[k].shape()[0] != tensors[0].shape()[0])
      throw ShapeError(text("[", caller,
                            "] the tensors of the batch have different numbers of"
                            " examples: ",
                            tensors[0].shape(), " and ", tensors[k].shape()));
  }
  return tensors[0].shape()[0];
}

std::vector<Tensor> per_example_gradient(const CostOfExamples& cost, Inputs wrt) {
  const std::int64_t examples = cost.count;
  if (examples < 1) throw ValueError(text("[", caller, "] the batch is empty"));
  for (std::size_t k = 0; k < wrt.size(); ++k)
    if (!wrt[k].defined() || !is_floating(wrt[k].dtype()))
      throw DTypeError(text("[", caller, "] tensor ", k, " is ",
                            wrt[k].defined() ? text(wrt[k].dtype()) : "undefined",
                            " and cannot be differentiated"));
  if (Tape::recording()) return on_the_recording_tape(examples, cost.of_one, wrt);
  if (auto result = row_gradients(cost, wrt)) return *std::move(result);

  std::vector<Tensor> result;
  std::vector<std::byte*> rows;
  for (std::size_t k = 0; k < wrt.size(); ++k) {
    result.push_back(Tensor::uninitialised(rows_of(examples, wrt[k].shape()), wrt[k].dtype()));
    rows.push_back(TensorAccess::buffer(result[k]).data());
  }
  const auto of_example = [&](std::int64_t i, std::span<Tensor> gradients) {
    const Tape tape;
    const Tensor loss = cost.of_one(i);
    const NoRecording scope;
    check_cost(loss);
    pull_back(loss, share_of(loss, examples), wrt, gradients, caller);
    for (std::size_t k = 0; k < wrt.size(); ++k) {
      const std::size_t bytes = static_cast<std::size_t>(wrt[k].size()) * size_of(wrt[k].dtype());
      std::byte* const row = rows[k] + static_cast<std::size_t>(i) * bytes;
      const BufferRef& buffer = TensorAccess::buffer(gradients[k]);
      if (!buffer)
        std::memset(row, 0, bytes);
      else if (buffer.is_pending_product())
        buffer->fill(*buffer.get(), row);  // computed where it is wanted
      else
        std::memcpy(row, buffer.data(), bytes);
    }
  };
  constexpr std::int64_t most_tasks = 16;
  kernels::for_ranges(examples, (examples + most_tasks - 1) / most_tasks,
                      [&](std::int64_t begin, std::int64_t end) {
                        const kernels::SerialScope alone;
                        std::vector<Tensor> gradients(wrt.size());
                        for (std::int64_t i = begin; i < end; ++i) of_example(i, gradients);
                      });
  return result;
}

}  // namespace xg::detail
