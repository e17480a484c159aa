// Gathers the rows of one batch after the other and asks for those of the next ahead of time.
#include "datasets/loader.hpp"

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

// A walk through one epoch: the order, the place in it and the batch that is there.
class EpochWalk {
 public:
  EpochWalk(const Dataset& data, const LoaderOptions& options, std::int64_t number)
      : data_(data),
        streams_{Stream(data.inputs), Stream(data.targets), Stream(data.labels)},
        batch_size_(static_cast<std::size_t>(options.batch_size)),
        end_(static_cast<std::size_t>(
            std::min(data.size(), batches(data.size(), options) * options.batch_size))) {
    if (options.shuffle)
      order_ = random_permutation(
          data.size(),
          Key{options.seed}.fold("order of an epoch").fold(static_cast<std::uint64_t>(number)));
    std::size_t bytes = 1;
    for (const Stream& stream : streams_) bytes += stream.row;
    lead_ = std::min(batch_size_, std::max<std::size_t>(1, prefetch_window / bytes));
    advance();
  }

  bool at_end() const noexcept { return at_end_; }
  const Batch& batch() const noexcept { return batch_; }

  void advance() {
    // The old batch first, so that its still warm memory serves the new one if nobody kept it.
    batch_ = {};
    at_end_ = position_ == end_;
    if (at_end_) return;
    const std::size_t last = std::min(end_, position_ + batch_size_);
    const auto rows = static_cast<std::int64_t>(last - position_);
    batch_.inputs = destination(data_.inputs, streams_[0], rows);
    batch_.targets = destination(data_.targets, streams_[1], rows);
    batch_.labels = destination(data_.labels, streams_[2], rows);
    for (; position_ < last; ++position_) {
      const std::size_t ahead = position_ + lead_;
      for (Stream& stream : streams_) {
        if (!stream.from) continue;
        if (ahead < end_) stream.prefetch(example(ahead));
        stream.copy(example(position_));
      }
    }
  }

 private:
  std::size_t example(std::size_t position) const {
    return order_.empty() ? position : static_cast<std::size_t>(order_[position]);
  }

  static Tensor destination(const Tensor& source, Stream& stream, std::int64_t rows) {
    if (!source.defined()) return {};
    Tensor result = Tensor::uninitialised(shape_of_rows(source, rows), source.dtype());
    stream.to = writable_bytes_of(result);
    return result;
  }

  Dataset data_;
  Stream streams_[3];
  std::vector<std::int64_t> order_;  // empty: as in the data set
  std::size_t batch_size_, end_, position_ = 0, lead_ = 1;
  bool at_end_ = false;
  Batch batch_;
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
