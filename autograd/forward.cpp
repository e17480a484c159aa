// Forward mode: a tape that computes the tangent of each output as it is recorded, through the
// operation's own jvp facet. It keeps no values, but for the passes of transforms inside.
#include <algorithm>
#include <unordered_map>

#include "autograd/forward.hpp"

#include "autograd/anomaly.hpp"

#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

using detail::Node;
using detail::Tangents;
using detail::TapeMemory;
using detail::TensorAccess;

namespace {

auto place(std::vector<Tangents::Entry>& entries, std::uint32_t node) {
  return std::lower_bound(entries.begin(), entries.end(), node,
                          [](const auto& entry, std::uint32_t n) { return entry.node < n; });
}

const Tensor* find_tangent(Tangents& tangents, std::uint32_t node) {
  const auto at = place(tangents.entries, node);
  return at != tangents.entries.end() && at->node == node ? &at->tangent : nullptr;
}

// A tensor that nobody holds any more but entries, several of which may share a buffer, will not be
// used again. Dead entries are few beside the living, so that memory grows with these and not with
// the length of the tape.
void sweep(Tangents& tangents) {
  std::unordered_map<const Buffer*, std::uint32_t> holders;
  for (const Tangents::Entry& entry : tangents.entries) ++holders[entry.value.get()];
  std::erase_if(tangents.entries, [&](const Tangents::Entry& entry) {
    return entry.value->references.load(std::memory_order_acquire) <= holders[entry.value.get()];
  });
  tangents.sweep_at = 2 * tangents.entries.size() + 8;
}

}  // namespace

void Tape::set_tangent(const Tensor& tensor, const Tensor& tangent) {
  if (!std::exchange(forward_, true)) keeps_ = 0;
  const std::uint32_t node = node_of_input(tensor, "jvp");
  auto& entries = memory_->tangents.entries;
  const auto at = place(entries, node);
  if (at != entries.end() && at->node == node) {  // listed twice
    const NoRecording scope;
    at->tangent = at->tangent + tangent;
  } else {
    entries.insert(at, {node, TensorAccess::buffer(tensor), tangent});
  }
}

Tensor Tape::tangent(const Tensor& tensor) const {
  const std::uint32_t node = find(tensor, "jvp");
  const Tensor* const known = node == absent ? nullptr : find_tangent(memory_->tangents, node);
  return known ? *known : Tensor();
}

void Tape::carry(Inputs inputs, const Tensor& output) {
  TapeMemory& m = *memory_;
  const std::size_t index = m.nodes.size() - 1;
  const Node& node = m.nodes[index];
  const std::uint32_t* const numbers = m.inputs.data() + node.first_input;
  if (keeps_) {
    const auto keeps = static_cast<std::uint32_t>(node.op->keeps);
    for (std::size_t i = 0; i < std::min<std::size_t>(inputs.size(), 31); ++i)
      if (keeps >> i & 1u) m.tangents.held.push_back(numbers[i]);
    if (keeps & static_cast<std::uint32_t>(Keep::output))
      m.tangents.held.push_back(static_cast<std::uint32_t>(index));
  }
  if (!is_floating(output.dtype())) return;

  const Record::Present present{inputs, output};
  if (node.op->expand) {  // what it stands for is recorded, with tangents
    const Tensor again = node.op->expand(node.op_state, Record(*this, index, &present));
    const NoRecording scope;
    if (const Tensor known = tangent(again); known.defined()) set_tangent(output, known);
    return;
  }
  const NoRecording scope;
  Tensor sum;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor* const tangent = find_tangent(m.tangents, numbers[i]);
    if (!tangent) continue;
    const auto rule = [&] {
      return node.op->jvp(node.op_state, i, *tangent, Record(*this, index, &present));
    };
    Tensor change =
        anomalies_ ? anomalies_->tangent(index, node.op->name, i, *tangent, rule) : rule();
    if (change.defined()) sum = sum.defined() ? sum + change : std::move(change);
  }
  if (!sum.defined()) return;
  if (anomalies_) anomalies_->tangent(index, sum);
  m.tangents.entries.push_back({static_cast<std::uint32_t>(index), TensorAccess::buffer(output),
                                broadcast_to(sum, output.shape())});
  if (m.tangents.entries.size() >= m.tangents.sweep_at) sweep(m.tangents);
}

bool detail::Dual::active() noexcept {
  const Tape* const tape = Tape::recording();
  return tape && tape->forward_;
}
Tape* detail::Dual::tape() noexcept {
  Tape* const tape = Tape::recording();
  return tape && tape->keeps_ == 0 ? tape : nullptr;
}
Tensor detail::Dual::tangent(const Tape& tape, const Tensor& tensor) {
  return tape.tangent(tensor);
}
void detail::Dual::set_tangent(Tape& tape, const Tensor& tensor, const Tensor& tangent) {
  if (tangent.defined()) tape.set_tangent(tensor, tangent);
}

void Tape::hold_values() {
  ++memory_->tangents.holders;
  keeps_ = ~0u;
}

void Tape::drop_values() {
  Tangents& tangents = memory_->tangents;
  if (--tangents.holders > 0) return;
  keeps_ = 0;
  for (const std::uint32_t node : tangents.held)
    TensorAccess::set_buffer(memory_->nodes[node].output, {});
  tangents.held.clear();
}

}  // namespace xg
