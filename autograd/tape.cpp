// The tape itself: recording, and the backward pass. The heart of xgrad; nothing here knows any
// particular operation but the two that the chain rule itself needs, a sum and a sum to a shape.
#include "autograd/tape.hpp"

#include <algorithm>

#include "autograd/anomaly.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

using detail::Node;
using detail::OpTable;
using detail::TapeMemory;
using detail::TensorAccess;
using detail::text;

namespace {
thread_local Tape* innermost = nullptr;  // the newest tape alive on this thread
thread_local Tape* recorder = nullptr;   // the tape that records, if any
enum Mark : char { unneeded, needed, source, taken };
}  // namespace

Tape::Tape()
    : memory_(detail::take_tape_memory()),
      serial_(detail::unique_id()),
      outer_(std::exchange(innermost, this)),
      suspended_(std::exchange(recorder, this)),
      bytes_before_(detail::memory_in_use.now),
      peak_before_(std::exchange(detail::memory_in_use.peak, bytes_before_)) {
  if (DetectAnomalies::active()) anomalies_ = std::make_unique<detail::AnomalyCheck>();
}

Tape::~Tape() {
  detail::memory_in_use.peak = std::max(detail::memory_in_use.peak, peak_before_);
  innermost = outer_;
  recorder = suspended_;
  detail::give_tape_memory(std::move(memory_));
}

void Tape::clear() {
  memory_->clear();
  serial_ = detail::unique_id();
}

Tape* Tape::recording() noexcept { return recorder; }
NoRecording::NoRecording() noexcept : suspended_(std::exchange(recorder, nullptr)) {}
NoRecording::~NoRecording() { recorder = suspended_; }

// Recording ------------------------------------------------------------------------------------

detail::Leaf& Tape::leaf(const Tensor& tensor, std::string_view caller) const {
  if (TensorAccess::tape(tensor) != 0)
    throw TapeError(text("[", caller, "] a tensor of shape ", tensor.shape(),
                         " was recorded on a tape that was cleared, has ended, or is not the one in"
                         " use; write detach(x) to take its value as a constant"));
  auto& entry = memory_->leaves.find(TensorAccess::id(tensor));
  if (memory_->leaves.holds(entry) &&
      memory_->nodes[entry.node].version != TensorAccess::version(tensor))
    throw TapeError(text("[", caller, "] a parameter of shape ", tensor.shape(),
                         " was changed after this tape recorded it; take gradients before the"
                         " update, and start a new Tape for every step"));
  return entry;
}

std::uint32_t Tape::find(const Tensor& tensor, std::string_view caller) const {
  if (TensorAccess::tape(tensor) == serial_)
    return static_cast<std::uint32_t>(TensorAccess::id(tensor));
  const auto& entry = leaf(tensor, caller);
  return memory_->leaves.holds(entry) ? entry.node : absent;
}

std::uint32_t Tape::node_of_input(const Tensor& tensor, std::string_view operation) {
  if (TensorAccess::tape(tensor) == serial_)
    return static_cast<std::uint32_t>(TensorAccess::id(tensor));
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
  if (anomalies_) anomalies_->forward(index, op.name, inputs, output, place);
  if (forward_) carry(inputs, output);
}

// The chain rule -------------------------------------------------------------------------------

const Tape& Tape::of(const Tensor& tensor, std::string_view caller) {
  const std::uint64_t serial = TensorAccess::tape(tensor);
  if (serial == 0)
    throw TapeError(text("[", caller, "] the tensor of shape ", tensor.shape(),
                         " was not recorded; compute it while a Tape is alive on this thread"));
  for (const Tape* tape = innermost; tape; tape = tape->outer_)
    if (tape->serial_ == serial) return *tape;
  throw TapeError(text("[", caller, "] the tape on which the tensor of shape ", tensor.shape(),
                       " was recorded was cleared, has ended, or belongs to another thread"));
}

// A node is needed if its value depends on a source and it can be differentiated.
void Tape::mark(Inputs wrt, std::size_t last, std::string_view caller,
                std::vector<std::uint32_t>& sources, std::vector<char>& marks) const {
  sources.clear();
  marks.assign(last + 1, unneeded);
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    sources.push_back(find(wrt[i], caller));
    if (sources.back() <= last) marks[sources.back()] = source;
  }
  for (std::size_t n = 0; n <= last; ++n) {
    const Node& node = memory_->nodes[n];
    if (marks[n] != unneeded || !is_floating(node.output.dtype())) continue;
    const std::uint32_t* inputs = memory_->inputs.data() + node.first_input;
    for (std::uint32_t i = 0; i < node.input_count; ++i)
      if (marks[inputs[i]] != unneeded) marks[n] = needed;
  }
}

void pull_back(const Tensor& output, Tensor adjoint, Inputs wrt, std::span<Tensor> result,
               std::string_view caller) {
  const Tape& tape = Tape::of(output, caller);
  TapeMemory& m = *tape.memory_;
  const auto last = static_cast<std::size_t>(TensorAccess::id(output));
  if (adjoint.shape() != output.shape() || adjoint.dtype() != output.dtype())
    throw ShapeError(text("[", caller, "] the adjoint is ", adjoint.dtype(), " ", adjoint.shape(),
                          ", the output ", output.dtype(), " ", output.shape()));
  if (result.size() != wrt.size())
    throw ValueError(
        text("[", caller, "] ", result.size(), " results for ", wrt.size(), " tensors"));
  auto [sources, marks, adjoints] = std::exchange(m.pass, {});
  tape.mark(wrt, last, caller, sources, marks);
  adjoints.resize(std::max(adjoints.size(), last + 1));  // all undefined
  if (marks[last] != unneeded) adjoints[last] = std::move(adjoint);

  for (std::size_t n = last + 1; n-- > 0;) {
    if (marks[n] == unneeded || !adjoints[n].defined()) continue;
    const Node& node = m.nodes[n];
    for (std::size_t i = 0; i < node.input_count; ++i) {
      const std::uint32_t input = m.inputs[node.first_input + i];
      if (marks[input] == unneeded) continue;
      Tensor change = node.op->vjp(node.op_state, i, adjoints[n], Record(tape, n));
      if (!change.defined()) continue;
      if (tape.anomalies_) tape.anomalies_->backward(n, node.op->name, i, adjoints[n], change);
      const Shape& shape = m.nodes[input].output.shape();
      if (change.shape() != shape) change = sum_to(change, shape);
      Tensor& sum = adjoints[input];
      if (sum.defined())
        sum = sum + change;
      else
        sum = std::move(change);
    }
    if (marks[n] != source) TensorAccess::set_buffer(adjoints[n], {});
  }

  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] > last)
      result[i] = Tensor();
    else if (std::exchange(marks[sources[i]], taken) != taken)
      result[i] = std::move(adjoints[sources[i]]);
    else  // listed twice
      result[i] = result[static_cast<std::size_t>(
          std::find(sources.begin(), sources.end(), sources[i]) - sources.begin())];
  }
  m.pass = {std::move(sources), std::move(marks), std::move(adjoints)};
}

}  // namespace xg
