// Gradients of single examples in general: each on a tape of its own, several at a time.
#include "autograd/per_example.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "autograd/kernels/parallel.hpp"
#include "autograd/transforms.hpp"

namespace xg::detail {
namespace {

constexpr const char* caller = "per_example_gradient";

Shape rows_of_shape(std::int64_t examples, const Shape& shape) {
  Shape result{examples};
  for (const std::int64_t extent : shape) result.push_back(extent);
  return result;
}

/// Whether the cost of the batch is the sum of its examples' costs, not their average. Nothing if
/// the values leave it open.
std::optional<bool> is_sum(const Tensor& batch, std::span<const double> costs) {
  const auto m = static_cast<double>(costs.size());
  const double whole = batch.item();
  double sum = 0, size = 0;
  for (const double one : costs) {
    sum += one;
    size += std::abs(one);
  }
  const double close = (batch.dtype() == DType::float32 ? 1e-4 : 1e-9) * size;
  const bool as_average = std::abs(whole - sum / m) <= close / m,
             as_sum = std::abs(whole - sum) <= close;
  if ((as_average && as_sum) || !std::isfinite(whole + sum)) return {};
  if (as_average || as_sum) return as_sum;
  throw ValueError(text("[", caller, "] the cost of the batch, ", whole,
                        ", is neither the average of its ", costs.size(), " examples' costs, ",
                        sum / m, ", nor their sum, ", sum,
                        ": it mixes examples, or divides by another number, or draws at random"));
}

double distance(const std::vector<Tensor>& gradients, const std::vector<Tensor>& rows) {
  double result = 0;
  for (std::size_t k = 0; k < rows.size(); ++k)
    result += sum(abs(gradients[k] - sum(rows[k], 0))).item();
  return result;
}

/// The rows, given those of an average and of a sum.
std::vector<Tensor> that_add_up(const CostOfExamples& cost, std::span<const double> costs,
                                FunctionRef<std::vector<Tensor>(double share)> rows_of,
                                FunctionRef<std::vector<Tensor>()> gradient_of_batch) {
  std::vector<Tensor> averaged = rows_of(1 / static_cast<double>(cost.count));
  if (cost.count == 1) return averaged;
  const std::optional<bool> known = is_sum(taken(cost.of_all), costs);
  if (known && !*known) return averaged;
  std::vector<Tensor> summed = rows_of(1);
  if (known) return summed;
  const std::vector<Tensor> whole = gradient_of_batch();
  const NoRecording scope;
  return distance(whole, summed) < distance(whole, averaged) ? summed : averaged;
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
std::vector<Tensor> on_the_recording_tape(const CostOfExamples& cost, Inputs wrt) {
  const Trace trace;
  std::vector<Tensor> xs, losses;
  for (std::size_t k = 0; k < wrt.size(); ++k) xs.push_back(wrt[k]);
  std::vector<double> costs;
  for (std::int64_t i = 0; i < cost.count; ++i) {
    losses.push_back(cost.of_one(i));
    check_cost(losses.back());
    costs.push_back(losses.back().item());
  }
  const auto vjp = [&](const Tensor& loss, double share) {
    return trace.vjp(loss, xs, Tensor::full(loss.shape(), share, loss.dtype()));
  };
  const auto rows_of = [&](double share) {
    std::vector<std::vector<Tensor>> rows(wrt.size());
    for (const Tensor& loss : losses) {
      const std::vector<Tensor> gradients = vjp(loss, share);
      for (std::size_t k = 0; k < wrt.size(); ++k) rows[k].push_back(gradients[k]);
    }
    std::vector<Tensor> result;
    for (const std::vector<Tensor>& some : rows) result.push_back(stack(some));
    return result;
  };
  return that_add_up(cost, costs, rows_of, [&] { return vjp(cost.of_all(), 1); });
}

// Each on a tape of its own, several at a time.
std::vector<Tensor> on_tapes_of_their_own(const CostOfExamples& cost, Inputs wrt) {
  const std::int64_t examples = cost.count;
  std::vector<double> costs(static_cast<std::size_t>(examples));
  const auto one_gradient = [&](const Tensor& loss, double share, std::span<Tensor> gradients) {
    const NoRecording scope;
    check_cost(loss);
    pull_back(loss, Tensor::full(loss.shape(), share, loss.dtype()), wrt, gradients, caller);
  };
  const auto rows_of = [&](double share) {
    std::vector<Tensor> result;
    std::vector<std::byte*> rows;
    for (std::size_t k = 0; k < wrt.size(); ++k) {
      result.push_back(
          Tensor::uninitialised(rows_of_shape(examples, wrt[k].shape()), wrt[k].dtype()));
      rows.push_back(TensorAccess::buffer(result[k]).data());
    }
    const auto of_example = [&](std::int64_t i, std::span<Tensor> gradients) {
      const Tape tape;
      const Tensor loss = cost.of_one(i);
      one_gradient(loss, share, gradients);
      costs[static_cast<std::size_t>(i)] = loss.item();
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
  };
  return that_add_up(cost, costs, rows_of, [&] {
    const Tape tape;
    std::vector<Tensor> result(wrt.size());
    one_gradient(cost.of_all(), 1, result);
    for (std::size_t k = 0; k < wrt.size(); ++k)
      if (!result[k].defined()) result[k] = zeros_like(wrt[k]);
    return result;
  });
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
  if (Tape::recording()) return on_the_recording_tape(cost, wrt);
  if (auto result = row_gradients(cost, wrt)) return *std::move(result);
  return on_tapes_of_their_own(cost, wrt);
}

}  // namespace xg::detail
