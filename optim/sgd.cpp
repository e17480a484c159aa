// Mini-batch stochastic gradient descent. The only place of optim that knows oneTBB.
#include "optim/sgd.hpp"

#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/update.hpp"
#include "autograd/tape.hpp"

namespace xg::optim {

using detail::text;

namespace {

// Each chunk has gradients of its own, which must be written, read and added. While those stay in
// the cache that is little beside the work on 64 examples; when they do not, it takes more examples
// to outweigh it, and until then a step uses its threads inside the large operations.
std::int64_t automatic_chunk_size(std::int64_t examples, std::uint64_t parameter_bytes) {
  constexpr std::uint64_t cached_bytes = std::uint64_t{512} << 10;
  constexpr std::int64_t most_chunks = 8;
  const std::int64_t smallest = parameter_bytes <= cached_bytes ? 64 : 512;
  return std::max(smallest, (examples + most_chunks - 1) / most_chunks);
}

void check_rate(double rate) {
  if (!(rate > 0) || std::isinf(rate))
    throw ValueError(text("[SGD] the learning rate must be a positive number, not ", rate));
}

}  // namespace

/// What a step works with, kept from step to step.
struct SGD::Work {
  struct Chunk {
    double weight = 0, cost = 0;
    std::vector<Tensor> gradients;
  };
  std::vector<const Tensor*> values;  // of the parameters
  std::vector<Chunk> chunks;
  bool busy = false;
  std::optional<tbb::task_arena> arena;  // if the number of threads is fixed

  std::uint64_t parameter_bytes() const {
    std::uint64_t bytes = 0;
    for (const Tensor* value : values)
      bytes += static_cast<std::uint64_t>(value->size()) * size_of(value->dtype());
    return bytes;
  }
  Inputs parameters() const { return Inputs(values.data(), values.size()); }
};

SGD::SGD(ParameterRefs parameters, const SGDOptions& options, SourceLocation place)
    : parameters_(std::move(parameters)), options_(options), work_(std::make_unique<Work>()) {
  xg::detail::located(place, [&] { check_options(); });
  for (const ParameterRef& parameter : parameters_) work_->values.push_back(&parameter.value());
  if (options_.threads > 0) work_->arena.emplace(options_.threads);
}

void SGD::check_options() const {
  check_rate(options_.learning_rate);
  if (parameters_.empty()) throw ValueError("[SGD] there are no parameters to train");
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (parameters_[i] == parameters_[k])
        throw ValueError(text("[SGD] '", parameters_[k].name(), "' and '", parameters_[i].name(),
                              "' are one parameter; list it once"));
  if (options_.threads < 0 || options_.chunk_size < 0)
    throw ValueError(text("[SGD] threads and chunk_size cannot be negative: ", options_.threads,
                          " and ", options_.chunk_size));
}

SGD::SGD(SGD&&) noexcept = default;
SGD& SGD::operator=(SGD&&) noexcept = default;
SGD::~SGD() = default;

void SGD::set_learning_rate(double rate, SourceLocation place) {
  xg::detail::located(place, [&] { check_rate(rate); });
  options_.learning_rate = rate;
}

void SGD::step(const TensorPerParameter& given, SourceLocation place) {
  std::vector<Tensor> room;
  const std::span<const Tensor> gradients = xg::detail::located(place, [&] {
    const std::span<const Tensor> ordered = given.in_order_of(parameters_, room);
    if (ordered.size() != parameters_.size())
      throw ValueError(
          text("[SGD] ", ordered.size(), " gradients for ", parameters_.size(), " parameters"));
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      parameters_[i].check_fits("SGD", ordered[i]);
    return ordered;
  });
  descend(gradients);
}

void SGD::descend(std::span<const Tensor> gradients) {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].add_scaled(-options_.learning_rate, gradients[i]);
}

double SGD::step_in_chunks(std::int64_t size, ChunkCost cost) {
  if (work_->busy) throw ValueError("[SGD] step was called by its own cost");
  work_->busy = true;
  const struct Release {
    bool& busy;
    ~Release() { busy = false; }
  } release{work_->busy};
  double value = 0;
  const auto all = [&] { value = chunks_and_update(size, cost); };
  if (work_->arena)
    work_->arena->execute(all);
  else
    all();
  return value;
}

double SGD::chunks_and_update(std::int64_t size, ChunkCost cost) {
  if (size < 1) throw ValueError("[SGD] the batch is empty");
  const std::int64_t chunk_size = options_.chunk_size > 0
                                      ? options_.chunk_size
                                      : automatic_chunk_size(size, work_->parameter_bytes());
  const auto count = static_cast<std::size_t>((size + chunk_size - 1) / chunk_size);
  std::vector<Work::Chunk>& chunks = work_->chunks;
  chunks.resize(std::max(chunks.size(), count));

  const auto differentiate = [&](std::size_t i) {
    const std::int64_t begin = static_cast<std::int64_t>(i) * chunk_size;
    const std::int64_t end = std::min(size, begin + chunk_size);
    Work::Chunk& chunk = chunks[i];
    chunk.weight = static_cast<double>(end - begin) / static_cast<double>(size);
    chunk.gradients.resize(parameters_.size());
    Tape tape;
    const Tensor loss = cost(begin, end);
    const NoRecording scope;
    if (std::none_of(parameters_.begin(), parameters_.end(),
                     [&](const Tensor& p) { return tape.has_met(p); }))
      throw ValueError("[SGD] the cost depends on none of the parameters");
    gradient(loss, work_->parameters(), chunk.gradients);
    // Several are added up on one thread; each is computed here first, if it waits to be read.
    if (count > 1)
      for (const Tensor& g : chunk.gradients) xg::detail::TensorAccess::buffer(g).data();
    chunk.cost = loss.item();
  };
  if (count == 1) {
    differentiate(0);
  } else {
    // Isolated, as kernels::for_ranges is: a tape of the caller's may be recording here.
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(
          std::size_t{0}, count,
          [&](std::size_t i) {
            const kernels::SerialScope alone;
            differentiate(i);
          },
          tbb::simple_partitioner());
    });
  }

  // The tree: neighbours at distance 1, 2, 4, ... whatever thread computed them.
  for (std::size_t distance = 1; distance < count; distance *= 2)
    for (std::size_t i = 0; i + distance < count; i += 2 * distance) {
      Work::Chunk &a = chunks[i], &b = chunks[i + distance];
      for (std::size_t k = 0; k < parameters_.size(); ++k) {
        Tensor sum = Tensor::uninitialised(a.gradients[k].shape(), a.gradients[k].dtype());
        kernels::weighted_sum(sum, a.weight, a.gradients[k], b.weight, b.gradients[k]);
        a.gradients[k] = std::move(sum);
      }
      a.cost = a.weight * a.cost + b.weight * b.cost;
      a.weight = b.weight = 1;
      b.gradients.clear();
    }
  descend(chunks[0].gradients);
  for (Tensor& gradient : chunks[0].gradients) gradient = Tensor();
  return chunks[0].cost;
}

}  // namespace xg::optim
