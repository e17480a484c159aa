// The tape itself: recording, and the backward pass. The heart of xgrad; nothing here knows any
// particular operation but the two that the chain rule itself needs, a sum and a sum to a shape.
#include "autograd/tape.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "autograd/anomaly.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

using detail::Node;
using detail::OpTable;
using detail::TapeMemory;
using detail::TensorAccess;
using detail::text;

using detail::on_this_thread;

Tape::Tape()
    : memory_(detail::take_tape_memory()),
      serial_(live_.value()),
      outer_(std::exchange(on_this_thread.innermost, this)),
      suspended_(std::exchange(on_this_thread.recorder, this)),
      bytes_before_(detail::memory_in_use.now),
      peak_before_(std::exchange(detail::memory_in_use.peak, bytes_before_)) {
  if (DetectAnomalies::active()) anomalies_ = std::make_unique<detail::AnomalyCheck>();
}

Tape::~Tape() {
  if (on_this_thread.innermost !=
      this) {  // there is no way back: the tape that is to record next is unknown
    std::cerr << "[Tape] a tape ended on another thread than its own, or before one that was made "
                 "after it on its thread; let each end with its scope\n";
    std::abort();
  }
  detail::memory_in_use.peak = std::max(detail::memory_in_use.peak, peak_before_);
  on_this_thread.innermost = outer_;
  on_this_thread.recorder = suspended_;
  detail::give_tape_memory(std::move(memory_));
}

void Tape::clear() {
  if (episode_) throw TapeError("[Tape] clear was called by a function that a checkpoint records");
  const Tape* mine = on_this_thread.innermost;
  while (mine && mine != this) mine = mine->outer_;
  if (!mine)
    throw TapeError(
        "[Tape] clear was called on another thread than the one on which the tape was made");
  memory_->clear();
  if (anomalies_) anomalies_->forget(0);
  live_.renew();
  serial_ = live_.value();
  growth_ = {};
}

// Recording ------------------------------------------------------------------------------------

std::uint32_t Tape::find(const Tensor& tensor, std::string_view caller) const {
  if (is_mine(TensorAccess::tape(tensor)))
    return static_cast<std::uint32_t>(TensorAccess::id(tensor));
  const auto& entry = leaf(tensor, caller);
  return memory_->leaves.holds(entry) ? entry.node : absent;
}

std::uint32_t Tape::node_of_input(const Tensor& tensor, std::string_view operation) {
  if (TensorAccess::tape(tensor) == serial_)
    return static_cast<std::uint32_t>(TensorAccess::id(tensor));
  if (episode_) {
    episode_->note(tensor);
    if (const std::uint32_t known = find(tensor, operation); known != absent) return known;
  }
  auto& entry = leaf(tensor, operation);
  if (memory_->leaves.holds(entry)) return entry.node;
  const auto number = static_cast<std::uint32_t>(memory_->nodes.size());
  memory_->leaves.insert(entry, TensorAccess::id(tensor), number);
  Node& node = memory_->nodes.append();
  node.op = nullptr;
  node.op_state = nullptr;
  node.input_count = 0;
  node.version = TensorAccess::version(tensor);
  TensorAccess::make_node(node.output, tensor, serial_, number);
  if (keeps_leaves_) TensorAccess::set_buffer(node.output, TensorAccess::buffer(tensor));
  return number;
}

void Tape::record(const OpTable& op, const void* state, Inputs inputs, Tensor& output,
                  SourceLocation place) {
  TapeMemory& m = *memory_;
  const auto first_input = static_cast<std::uint32_t>(m.inputs.size());
  const auto keeps = static_cast<std::uint32_t>(op.keeps) & keeps_;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::uint32_t number = node_of_input(inputs[i], op.name);
    m.inputs.push_back(number);
    if (i >= 31 || !(keeps >> i & 1u)) continue;
    Tensor& kept = m.nodes[number].output;
    if (!kept.defined()) TensorAccess::set_buffer(kept, TensorAccess::buffer(inputs[i]));
  }
  // Copied first, so that one that throws leaves no half-made node.
  void* const op_state = op.size > 0 ? m.arena.allocate(op.size, op.alignment) : nullptr;
  if (op_state) op.copy(state, op_state);
  const std::size_t index = m.nodes.size();
  Node& node = m.nodes.append();
  node.op = &op;
  node.op_state = op_state;
  node.first_input = first_input;
  node.input_count = static_cast<std::uint32_t>(inputs.size());
  node.version = 0;
  TensorAccess::make_node(node.output, output, serial_, index);
  if (keeps & static_cast<std::uint32_t>(Keep::output))
    TensorAccess::set_buffer(node.output, TensorAccess::buffer(output));
  TensorAccess::set_identity(output, serial_, index);
  if (anomalies_) anomalies_->forward(*this, index, inputs, output, place);
  if (forward_) carry(inputs, output);
}

// The chain rule -------------------------------------------------------------------------------

Tape& Tape::of(const Tensor& tensor, std::string_view caller) {
  const std::uint64_t serial = TensorAccess::tape(tensor);
  if (serial == 0)
    throw TapeError(text("[", caller, "] the tensor of shape ", tensor.shape(),
                         " was not recorded; compute it while a Tape is alive on this thread"));
  for (Tape* tape = on_this_thread.innermost; tape; tape = tape->outer_)
    if (tape->is_mine(serial)) return *tape;
  throw TapeError(text("[", caller, "] the tape on which the tensor of shape ", tensor.shape(),
                       " was recorded was cleared, has ended, or belongs to another thread"));
}

// The engine, not the rule, sums over what was broadcast.
void detail::Backward::add(std::size_t node, Tensor&& change) {
  if (!change.defined()) return;
  const Shape& shape = memory.nodes[node].output.shape();
  if (change.shape() != shape) change = sum_to(change, shape);
  Tensor& sum = adjoints[node];
  if (sum.defined())
    sum = sum + change;
  else
    sum = std::move(change);
  if (tape.anomalies_) tape.anomalies_->adjoint(node, sum);
}

void detail::Backward::through(std::size_t first, std::size_t end) {
  for (std::size_t n = end; n-- > first;) {
    if (marks[n] == unneeded || marks[n] & elsewhere) continue;
    if (!adjoints[n].defined() && !(marks[n] & expanded)) continue;
    const Node& node = memory.nodes[n];
    if (node.op && !node.op->vjp) through_all_inputs(n);
    for (std::size_t i = 0; i < node.input_count && node.op->vjp; ++i) {
      const std::uint32_t input = memory.inputs[node.first_input + i];
      if (marks[input] == unneeded) continue;
      const auto rule = [&] {
        return node.op->vjp(node.op_state, i, adjoints[n], Record(tape, n));
      };
      AnomalyCheck* const check = tape.anomalies_.get();
      add(input, check ? check->backward(n, node.op->name, i, adjoints[n], rule) : rule());
    }
    if (!(marks[n] & source)) TensorAccess::set_buffer(adjoints[n], {});
  }
}

void pull_back(const Tensor& output, Tensor adjoint, Inputs wrt, std::span<Tensor> result,
               std::string_view caller) {
  Tape& tape = Tape::of(output, caller);
  TapeMemory& m = *tape.memory_;
  const std::size_t last = tape.find(output, caller);
  detail::check_pull_back(output, adjoint, wrt.size(), result.size(), caller);
  auto [sources, marks, adjoints] = std::exchange(m.pass, {});
  tape.mark(wrt, last, caller, sources, marks);
  detail::Backward pass{tape, m, std::move(marks), std::move(adjoints)};
  if (!m.expansions.empty()) pass.place_expansions(last);
  if (pass.adjoints.size() < pass.marks.size()) pass.adjoints.resize(pass.marks.size());
  if (pass.marks[last] != detail::unneeded) pass.adjoints[last] = std::move(adjoint);
  pass.through(0, last + 1);

  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::uint32_t n = sources[i];
    if (n > last)
      result[i] = Tensor();
    else if (std::exchange(pass.marks[n], detail::taken) != detail::taken)
      result[i] = std::move(pass.adjoints[n]);
    else  // listed twice
      result[i] = result[static_cast<std::size_t>(std::find(sources.begin(), sources.end(), n) -
                                                  sources.begin())];
  }
  m.pass = {std::move(sources), std::move(pass.marks), std::move(pass.adjoints)};
}

}  // namespace xg
