// Gathers the rows of batches ahead of the step that needs them.
#include "datasets/loader.hpp"

#include <tbb/task_group.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "autograd/random.hpp"
#include "datasets/detail/rows.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace detail {
namespace {

constexpr std::size_t cache_line = 64;
// Rows are asked for one batch ahead, but never so far that they push each other out of the
// second-level cache; of a very long row only the start, after which the hardware follows.
constexpr std::size_t prefetch_window = std::size_t{256} << 10;
constexpr std::size_t prefetch_row_limit = std::size_t{8} << 10;

// One tensor of the data set: where its rows are read, and where the batch's are written.
struct Stream {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  std::size_t row = 0;

  explicit Stream(const Tensor& tensor) {
    if (!tensor.defined()) return;
    from = bytes_of(tensor);
    row = row_bytes(tensor);
  }
  void prefetch(std::size_t example) const noexcept {
    const std::byte* const begin = from + example * row;
    const std::size_t bytes = std::min(row, prefetch_row_limit);
    for (std::size_t i = 0; i < bytes; i += cache_line) __builtin_prefetch(begin + i, 0, 2);
  }
  void copy(std::size_t example) noexcept {
    std::memcpy(to, from + example * row, row);
    to += row;
  }
};

std::int64_t batches(std::int64_t examples, const LoaderOptions& options) {
  const std::int64_t whole = examples / options.batch_size;
  return whole + (!options.drop_last && examples % options.batch_size != 0 ? 1 : 0);
}

}  // namespace

// A walk through one epoch: the order, the place in it and the batch that is there. Batches are
// gathered in blocks; while one block is used, a task of oneTBB gathers the next, so that a step
// waits for memory only if no thread is free.
class EpochWalk {
 public:
  EpochWalk(const Dataset& data, const LoaderOptions& options, std::int64_t number)
      : data_(data),
        batch_size_(static_cast<std::size_t>(options.batch_size)),
        end_(static_cast<std::size_t>(
            std::min(data.size(), batches(data.size(), options) * options.batch_size))) {
    if (options.shuffle)
      order_ = random_permutation(
          data.size(),
          Key{options.seed}.fold("order of an epoch").fold(static_cast<std::uint64_t>(number)));
    std::size_t row = 1;
    for (const Tensor* tensor : {&data.inputs, &data.targets, &data.labels})
      row += Stream(*tensor).row;
    lead_ = std::min(batch_size_, std::max<std::size_t>(1, prefetch_window / row));
    block_ = std::max<std::size_t>(1, block_bytes / (row * batch_size_));
    ahead_ = row * end_ > worth_a_task;
    gather_block(coming_);
    advance();
  }
  ~EpochWalk() {
    try {
      task_.wait();
    } catch (...) {  // what failed is a batch that nobody will ask for
    }
  }

  bool at_end() const noexcept { return at_end_; }
  const Batch& batch() const noexcept { return batch_; }

  void advance() {
    // The old batch first, so that its still warm memory serves the new one if nobody kept it.
    batch_ = {};
    if (next_ == ready_.size()) {
      task_.wait();
      std::swap(ready_, coming_);
      next_ = 0;
      if (ahead_ && position_ < end_)
        task_.run([this] { gather_block(coming_); });
      else
        gather_block(coming_);
    }
    at_end_ = ready_.empty();
    if (!at_end_) batch_ = std::move(ready_[next_++]);
  }

 private:
  static constexpr std::size_t block_bytes = std::size_t{512} << 10;
  static constexpr std::size_t worth_a_task = std::size_t{4} << 20;

  std::size_t example(std::size_t position) const {
    return order_.empty() ? position : static_cast<std::size_t>(order_[position]);
  }

  static Tensor destination(const Tensor& source, Stream& stream, std::int64_t rows) {
    if (!source.defined()) return {};
    Tensor result = Tensor::uninitialised(shape_of_rows(source, rows), source.dtype());
    stream.to = writable_bytes_of(result);
    return result;
  }

  void gather_block(std::vector<Batch>& block) {
    block.clear();
    while (position_ < end_ && block.size() < (ahead_ ? block_ : 1)) block.push_back(gather());
  }

  Batch gather() {
    Stream streams[]{Stream(data_.inputs), Stream(data_.targets), Stream(data_.labels)};
    const std::size_t last = std::min(end_, position_ + batch_size_);
    const auto rows = static_cast<std::int64_t>(last - position_);
    Batch batch{destination(data_.inputs, streams[0], rows),
                destination(data_.targets, streams[1], rows),
                destination(data_.labels, streams[2], rows)};
    for (; position_ < last; ++position_) {
      const std::size_t later = position_ + lead_;
      for (Stream& stream : streams) {
        if (!stream.from) continue;
        if (later < end_) stream.prefetch(example(later));
        stream.copy(example(position_));
      }
    }
    return batch;
  }

  Dataset data_;
  std::vector<std::int64_t> order_;  // empty: as in the data set
  std::size_t batch_size_, end_, position_ = 0, lead_ = 1, block_ = 1;
  bool ahead_ = false, at_end_ = false;
  std::vector<Batch> ready_, coming_;  // the task writes `coming_` and `position_`
  std::size_t next_ = 0;
  Batch batch_;
  tbb::task_group task_;
};

}  // namespace detail

const Batch& Epoch::Iterator::operator*() const noexcept { return walk_->batch(); }

Epoch::Iterator& Epoch::Iterator::operator++() {
  walk_->advance();
  return *this;
}

bool Epoch::Iterator::at_end() const noexcept { return walk_->at_end(); }

Epoch::Iterator Epoch::begin() const {
  return Iterator(std::make_shared<detail::EpochWalk>(data_, options_, number_));
}

std::int64_t Epoch::size() const noexcept { return detail::batches(data_.size(), options_); }

Loader::Loader(Dataset data, const LoaderOptions& options)
    : data_(std::move(data)), options_(options) {
  data_.check();
  if (options.batch_size < 1)
    throw ValueError(
        text("[Loader] expected a batch_size of at least 1, got ", options.batch_size));
}

Epoch Loader::epoch(std::int64_t number) const {
  if (number < 0) throw ValueError(text("[Loader] expected an epoch of 0 or more, got ", number));
  return Epoch(data_, options_, number);
}

}  // namespace xg::datasets
