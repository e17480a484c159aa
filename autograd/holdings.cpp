// What a tape holds, by operation, and the warning of one that only grows.
#include <algorithm>
#include <atomic>
#include <ostream>
#include <unordered_set>

#include "autograd/op.hpp"
#include "autograd/tape.hpp"
#include "autograd/tape_memory.hpp"
#include "autograd/warning.hpp"

namespace xg {

using detail::Node;
using detail::TapeMemory;
using detail::TensorAccess;

namespace {

// Calls f(node, bytes) for every node, with the bytes that no node before has held.
template <class F>
void for_each_holder(const TapeMemory& memory, F f) {
  std::unordered_set<const Buffer*> buffers;
  for (std::size_t n = 0; n < memory.nodes.size(); ++n) {
    const BufferRef& buffer = TensorAccess::buffer(memory.nodes[n].output);
    std::uint64_t bytes = 0;
    if (buffer) {
      const BufferRef owner = buffer.is_transpose() ? buffer.source() : buffer;
      if (buffers.insert(owner.get()).second) bytes = owner->bytes;
    }
    f(memory.nodes[n], bytes);
  }
}

// So many steps that grow are no coincidence.
constexpr std::uint32_t many = 100;
std::atomic<bool> has_warned{false};

}  // namespace

std::uint64_t Tape::bytes_kept() const {
  std::uint64_t result = 0;
  for_each_holder(*memory_, [&](const Node&, std::uint64_t bytes) { result += bytes; });
  return result;
}

std::vector<Tape::Holding> Tape::holdings() const {
  std::vector<Holding> result;
  for_each_holder(*memory_, [&](const Node& node, std::uint64_t bytes) {
    const std::string_view name = node.op ? node.op->name : "input";
    auto at = std::find_if(result.begin(), result.end(),
                           [&](const Holding& holding) { return holding.operation == name; });
    if (at == result.end()) at = result.insert(at, {name});
    ++at->nodes;
    at->bytes += bytes;
  });
  std::stable_sort(result.begin(), result.end(), [](const Holding& a, const Holding& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.nodes > b.nodes;
  });
  return result;
}

std::ostream& operator<<(std::ostream& stream, const Tape::Holding& holding) {
  return stream << holding.operation << ": " << holding.nodes
                << (holding.nodes == 1 ? " node, " : " nodes, ") << holding.bytes << " bytes";
}

// A step that forgets to begin anew differentiates what it has computed from tensors from outside
// alone, or with respect to other tensors than the step before. Rows of a Jacobian, taken one after
// the other, do neither.
void Tape::watch_growth(Inputs xs) {
  if (episode_ || xs.size() == 0) return;
  const TapeMemory& m = *memory_;
  const auto nodes = static_cast<std::uint32_t>(m.nodes.size());
  const auto inputs = static_cast<std::uint32_t>(m.inputs.size());
  const std::uint32_t source = find(xs[0], "gradient");
  const auto is_earlier = [&](std::uint32_t n) { return n < growth_.nodes && m.nodes[n].op; };
  const bool looks_forgotten =
      nodes > growth_.nodes &&
      (source != growth_.source ||
       std::none_of(m.inputs.begin() + growth_.inputs, m.inputs.end(), is_earlier));
  growth_ = {looks_forgotten ? growth_.steps + 1 : 0, nodes, inputs, source};
  if (growth_.steps < many || has_warned.load(std::memory_order_relaxed) ||
      has_warned.exchange(true))
    return;
  detail::warn(detail::text("[gradient] the tape has grown in each of ", many, " calls, to ", nodes,
                            " nodes that keep ", bytes_kept(), " bytes (most of them ",
                            holdings().front(),
                            "); make a new Tape for every step, or call clear() after each"));
}

}  // namespace xg
