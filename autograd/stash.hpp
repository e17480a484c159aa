// What the shape rule of an operation that calls a function has computed, until `forward` of the
// same application asks for it. Internal to autograd.
#pragma once

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/tensor.hpp"

namespace xg::detail {

/// One for each thread, as threads may apply one struct at the same time.
class Stash {
 public:
  void put(Tensor output) {
    const std::lock_guard lock(mutex_);
    entries_.emplace_back(std::this_thread::get_id(), std::move(output));
  }
  /// The last that this thread has put there; undefined if there is none.
  Tensor look() {
    const std::lock_guard lock(mutex_);
    const auto at = last();
    return at == entries_.rend() ? Tensor() : at->second;
  }
  Tensor take() {
    const std::lock_guard lock(mutex_);
    const auto at = last();
    if (at == entries_.rend()) return {};
    Tensor output = std::move(at->second);
    entries_.erase(std::next(at).base());
    return output;
  }

 private:
  using Entries = std::vector<std::pair<std::thread::id, Tensor>>;
  Entries::reverse_iterator last() {
    return std::find_if(entries_.rbegin(), entries_.rend(), [](const auto& entry) {
      return entry.first == std::this_thread::get_id();
    });
  }

  std::mutex mutex_;
  Entries entries_;
};

}  // namespace xg::detail
