// Mini-batches: walks over a data set in a random order, epoch after epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>

#include "datasets/dataset.hpp"

namespace xg::datasets {

struct LoaderOptions {
  std::int64_t batch_size = 32;
  std::uint64_t seed = 0;  ///< with the number of the epoch, decides the order of the examples
  bool shuffle = true;     ///< otherwise the examples come in the order of the data set
  bool drop_last = false;  ///< leave out the last batch of an epoch if it is smaller
};

namespace detail {
class EpochWalk;
}

/// One epoch: a range of batches that together hold every example once (without the smaller last
/// batch if that is dropped). Every begin() starts the same epoch again. Holds what it needs of its
/// Loader, so it may outlive it.
class Epoch {
 public:
  /// Stands at one batch; copies move together, as those of a stream do.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = const Batch*;
    using reference = const Batch&;

    /// The batch, until the next ++; a copy of it (a few handles) stays valid longer.
    const Batch& operator*() const noexcept;
    const Batch* operator->() const noexcept { return &**this; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& iterator, std::default_sentinel_t) noexcept {
      return iterator.at_end();
    }

   private:
    friend class Epoch;
    explicit Iterator(std::shared_ptr<detail::EpochWalk> walk) : walk_(std::move(walk)) {}
    bool at_end() const noexcept;

    std::shared_ptr<detail::EpochWalk> walk_;
  };

  Iterator begin() const;
  std::default_sentinel_t end() const noexcept { return {}; }
  /// Number of batches.
  std::int64_t size() const noexcept;

 private:
  friend class Loader;
  Epoch(const Dataset& data, const LoaderOptions& options, std::int64_t number)
      : data_(data), options_(options), number_(number) {}

  Dataset data_;
  LoaderOptions options_;
  std::int64_t number_;
};

/// Cuts a data set into mini-batches. Each begin() walks through the next epoch, in another order:
///
///     Loader loader{train, {.batch_size = 10, .seed = 1}};
///     for (int epoch = 0; epoch < 30; ++epoch)
///       for (const auto& batch : loader) step(batch.inputs, batch.targets);
///
/// Shares the data set's memory and copies only the rows of batches, into buffers of the pool. For
/// data beyond the cache, about 512 KiB of batches are gathered ahead by a task of oneTBB, so that
/// a step need not wait for memory while a thread is free. What comes depends on the data set, the
/// options and the number of the epoch only. One loader belongs to one thread.
class Loader {
 public:
  /// Throws ValueError unless batch_size >= 1, and what Dataset::check() throws.
  explicit Loader(Dataset data, const LoaderOptions& options = {});

  /// Starts the next epoch: the first call epoch 0, the second epoch 1, and so on.
  Epoch::Iterator begin() { return epoch(next_epoch_++).begin(); }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// Epoch `number`, whichever begin() comes next. Throws ValueError for a negative number.
  Epoch epoch(std::int64_t number) const;

  /// Batches in an epoch; none for a data set without examples.
  std::int64_t size() const noexcept { return Epoch(data_, options_, 0).size(); }

 private:
  Dataset data_;
  LoaderOptions options_;
  std::int64_t next_epoch_ = 0;
};

}  // namespace xg::datasets
