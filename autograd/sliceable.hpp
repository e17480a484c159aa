// What a batch of examples is to code that cuts it into parts.
#pragma once

#include <concepts>
#include <cstdint>

namespace xg {

/// A number of examples, and a part of them: the examples begin <= i < end.
template <class B>
concept Sliceable = requires(const B& batch, std::int64_t begin, std::int64_t end) {
  { batch.size() } -> std::convertible_to<std::int64_t>;
  { batch.slice(begin, end) } -> std::convertible_to<B>;
};

}  // namespace xg
