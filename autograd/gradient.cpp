// What stands around the chain rule: the checks of gradient(), the forward pass of tangents, and
// what rules and readers may ask of a tape.
#include <algorithm>
#include <ostream>

#include "autograd/anomaly.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "autograd/tape_memory.hpp"
#include "autograd/tape_reader.hpp"

namespace xg {

using detail::Node;
using detail::TapeMemory;
using detail::TensorAccess;
using detail::text;

namespace detail {
namespace {
// The arrays of a tape longer than this are not kept for the next one.
constexpr std::size_t keep_nodes_below = std::size_t{1} << 19;
thread_local std::vector<std::unique_ptr<TapeMemory>> spare_tape_memory;
}  // namespace

std::unique_ptr<TapeMemory> take_tape_memory() {
  if (spare_tape_memory.empty()) return std::make_unique<TapeMemory>();
  std::unique_ptr<TapeMemory> memory = std::move(spare_tape_memory.back());
  spare_tape_memory.pop_back();
  return memory;
}

void give_tape_memory(std::unique_ptr<TapeMemory> memory) {
  const bool large = memory->nodes.capacity() > keep_nodes_below;
  memory->clear();
  if (!large) spare_tape_memory.push_back(std::move(memory));
}

void fail_undefined(std::string_view name, std::size_t input) {
  throw DTypeError(
      text("[", name, "] input ", input, " is undefined (default-constructed, or moved from)"));
}

void fail_other_thread(std::string_view name, std::size_t i, const Tensor& input) {
  throw TapeError(text("[", name, "] input ", i, ", of shape ", input.shape(),
                       ", belongs to the tape of another thread, which does not see what this one"
                       " computes; compute it there, or take its value as a constant: detach(x), or"
                       " NoRecording here"));
}

std::vector<Tensor> checked_vjps(std::string_view name, std::vector<Tensor> changes,
                                 const Record& record) {
  if (changes.size() != record.input_count())
    throw ValueError(text("[", name, "] vjps gave ", changes.size(), " tensors for ",
                          record.input_count(), " inputs"));
  return changes;
}

void fail_foreign(const Tensor& tensor, std::string_view caller) {
  throw TapeError(text("[", caller, "] a tensor of shape ", tensor.shape(),
                       " was recorded on a tape that was cleared, has ended, or is not the one in"
                       " use; write detach(x) to take its value as a constant"));
}

void fail_changed(const Tensor& parameter, std::string_view caller) {
  throw TapeError(text("[", caller, "] a parameter of shape ", parameter.shape(),
                       " was changed after this tape recorded it; take gradients before the"
                       " update, and start a new Tape for every step"));
}

void check_pull_back(const Tensor& output, const Tensor& adjoint, std::size_t tensors,
                     std::size_t results, std::string_view caller) {
  if (!adjoint.defined())
    throw DTypeError(
        text("[", caller, "] the adjoint is undefined (default-constructed, or moved from)"));
  if (!is_floating(output.dtype()))
    throw DTypeError(
        text("[", caller, "] the output is ", output.dtype(), " and has no derivative"));
  if (adjoint.shape() != output.shape() || adjoint.dtype() != output.dtype())
    throw ShapeError(text("[", caller, "] the adjoint is ", adjoint.dtype(), " ", adjoint.shape(),
                          ", the output ", output.dtype(), " ", output.shape()));
  if (results != tensors)
    throw ValueError(text("[", caller, "] ", results, " results for ", tensors, " tensors"));
}

void fail_floating(std::string_view name, Inputs inputs, std::size_t first) {
  for (std::size_t i = first; i < inputs.size(); ++i) {
    if (!is_floating(inputs[i].dtype()))
      throw DTypeError(text("[", name, "] input ", i, " is ", inputs[i].dtype(),
                            "; float32 or float64 is needed: cast(x, DType::float64)"));
    if (i > first) require_same_dtype(name, inputs[first], inputs[i]);
  }
}

void fail_promise(std::string_view name, const Shape& promised, const Tensor& output) {
  throw ShapeError(text("[", name, "] forward gave the shape ", output.shape(),
                        ", but the shape rule says ", promised));
}
}  // namespace detail

void require_same_dtype(std::string_view name, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype())
    throw DTypeError(text("[", name, "] types differ: ", a.dtype(), " ", a.shape(), " and ",
                          b.dtype(), " ", b.shape(), "; convert one with cast(x, DType::",
                          is_floating(a.dtype()) ? a.dtype() : b.dtype(), ")"));
}

// Record ---------------------------------------------------------------------------------------

const Tensor& Record::kept(const Tensor& tensor, Keep what) const {
  const detail::OpTable& op = *tape_.memory_->nodes[node_].op;
  if ((op.keeps | what) != op.keeps || !tensor.defined())
    fail_kept((op.keeps | what) != op.keeps);  // the first, even if another operation had it kept
  return tensor;
}

void Record::fail_kept(bool unlisted) const {
  const std::string_view name = tape_.memory_->nodes[node_].op->name;
  if (unlisted)
    throw TapeError(
        text("[", name, "] a rule asks the record for a tensor that `keeps` does not list"));
  throw TapeError(text("[", name,
                       "] a backward pass needs a value, but the tape of a jvp keeps none; inside"
                       " of jvp differentiate a function, gradient(f, x), and not a loss"));
}

const Tensor& Record::output() const {
  return kept(present_ ? present_->output : tape_.memory_->nodes[node_].output, Keep::output);
}

const Tensor& Record::input(std::size_t i) const {
  return kept(described_input(i), i < 31 ? keep_input(i) : Keep::inputs | Keep::output);
}

const Tensor& Record::described_input(std::size_t i) const {
  if (present_) return present_->inputs[i];
  const TapeMemory& m = *tape_.memory_;
  return m.nodes[m.inputs[m.nodes[node_].first_input + i]].output;
}

const Shape& Record::input_shape(std::size_t i) const { return described_input(i).shape(); }
DType Record::input_dtype(std::size_t i) const { return described_input(i).dtype(); }
std::size_t Record::input_count() const { return tape_.memory_->nodes[node_].input_count; }
const Shape& Record::output_shape() const { return tape_.memory_->nodes[node_].output.shape(); }

// Tape -----------------------------------------------------------------------------------------

std::size_t Tape::size() const noexcept { return memory_->nodes.size(); }

std::uint64_t Tape::peak_bytes() const noexcept {
  return static_cast<std::uint64_t>(detail::memory_in_use.peak - bytes_before_);
}

double Tape::flops(std::size_t since) const {
  double total = 0;
  for (std::size_t n = since; n < memory_->nodes.size(); ++n)
    if (const Node& node = memory_->nodes[n]; node.op)
      total += node.op->flops(node.op_state, Record(*this, n));
  return total;
}

std::ostream& operator<<(std::ostream& stream, const Tape& tape) {
  const TapeMemory& m = *tape.memory_;
  for (std::size_t n = 0; n < m.nodes.size(); ++n) {
    const Node& node = m.nodes[n];
    stream << '%' << n << " = ";
    if (!node.op) {
      stream << "input";
    } else {
      std::string equation = detail::equation_of(node);
      for (std::size_t i = 0; i < node.input_count; ++i) {
        const std::string name = text('%', m.inputs[node.first_input + i]);
        const std::string place = text('{', i, '}');
        for (std::size_t at; (at = equation.find(place)) != std::string::npos;)
          equation.replace(at, place.size(), name);
      }
      stream << equation;
    }
    stream << "  " << node.output.dtype() << ' ' << node.output.shape() << '\n';
  }
  return stream;
}

std::optional<Shape> Tape::unknown_parameter(std::size_t since,
                                             std::span<const ParameterRef> known) const {
  std::vector<std::uint32_t> nodes;
  for (const ParameterRef& parameter : known) nodes.push_back(find(parameter, "Module"));
  for (std::size_t n = since; n < memory_->nodes.size(); ++n)
    if (memory_->nodes[n].version > 0 && std::find(nodes.begin(), nodes.end(), n) == nodes.end())
      return memory_->nodes[n].output.shape();
  return std::nullopt;
}

Tensor detach(const Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  return TensorAccess::make(TensorAccess::buffer(tensor), tensor.shape(), tensor.size(),
                            tensor.dtype());
}

// Which nodes a pass visits -------------------------------------------------------------------

void Tape::mark(Inputs wrt, std::size_t last, std::string_view caller,
                std::vector<std::uint32_t>& sources, std::vector<char>& marks) const {
  sources.clear();
  marks.assign(last + 1, detail::unneeded);
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    sources.push_back(find(wrt[i], caller));
    if (sources.back() <= last) marks[sources.back()] = detail::source;
  }
  if (!sources.empty() && std::count(sources.begin(), sources.end(), absent) == std::ssize(sources))
    throw TapeError(
        text("[", caller,
             "] the tape has met none of the tensors: a copy of a parameter or a module,"
             " and a tensor that was assigned since, is not what was recorded"));
  mark(std::min(passes_from_, last + 1), marks);
}

// A node is needed if its value depends on a source and it can be differentiated.
void Tape::mark(std::size_t first, std::vector<char>& marks) const {
  const TapeMemory& m = *memory_;
  char* const mark = marks.data();
  for (std::size_t n = first, end = marks.size(); n < end; ++n) {
    const Node& node = m.nodes[n];
    if (mark[n] != detail::unneeded || !is_floating(node.output.dtype())) continue;
    const std::uint32_t* inputs = m.inputs.data() + node.first_input;
    for (std::uint32_t i = 0, count = node.input_count; i < count; ++i)
      if (mark[inputs[i]] != detail::unneeded) mark[n] = detail::needed;
  }
}

// Derivatives ----------------------------------------------------------------------------------

void detail::Forward::through(std::size_t first, std::size_t end) {
  AnomalyCheck* const check = tape.anomalies_.get();
  const auto change_by = [&](std::size_t n, std::size_t input, const Tensor& tangent) {
    const Node& node = memory.nodes[n];
    const auto rule = [&] { return node.op->jvp(node.op_state, input, tangent, Record(tape, n)); };
    return check ? check->tangent(n, node.op->name, input, tangent, rule) : rule();
  };
  for (std::size_t n = first; n < end; ++n) {
    if (!marks[n]) continue;
    Tensor sum = std::move(tangents[n]);  // of a source: its tangent
    const Node& node = memory.nodes[n];
    const auto add = [&](Tensor change) {
      if (!change.defined()) return;
      change = broadcast_to(change, node.output.shape());
      sum = sum.defined() ? sum + change : std::move(change);
    };
    if (node.op && node.op->expand)
      add(through_expansion(n));
    else
      for (std::size_t i = 0; i < node.input_count; ++i)
        if (const Tensor& tangent = tangents[memory.inputs[node.first_input + i]];
            tangent.defined())
          add(change_by(n, i, tangent));
    if (check) check->tangent(n, sum);
    tangents[n] = std::move(sum);
  }
}

Tensor push_forward(const Tensor& output, Inputs wrt, Inputs tangents) {
  const Tensor* const pointer = &output;
  Tensor result;
  push_forward(Inputs(&pointer, 1), wrt, tangents, {&result, 1});
  return result;
}

void push_forward(Inputs outputs, Inputs wrt, Inputs tangents, std::span<Tensor> result) {
  if (result.size() != outputs.size())
    throw ValueError(text("[jvp] ", result.size(), " results for ", outputs.size(), " tensors"));
  if (outputs.size() == 0) return;
  Tape& tape = Tape::of(outputs[0], "jvp");
  TapeMemory& m = *tape.memory_;
  std::vector<std::uint32_t> nodes;
  std::size_t last = 0;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    nodes.push_back(tape.find(outputs[k], "jvp"));
    if (nodes[k] != Tape::absent) last = std::max<std::size_t>(last, nodes[k]);
  }
  if (tangents.size() != wrt.size())
    throw ValueError(text("[jvp] ", tangents.size(), " tangents for ", wrt.size(), " tensors"));
  auto [sources, marks, derivatives] = std::exchange(m.pass, {});
  tape.mark(wrt, last, "jvp", sources, marks);
  derivatives.resize(std::max(derivatives.size(), last + 1));
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] > last) continue;
    if (tangents[i].shape() != wrt[i].shape())
      throw ShapeError(text("[jvp] the tangent has the shape ", tangents[i].shape(),
                            ", its tensor has ", wrt[i].shape()));
    require_same_dtype("jvp", tangents[i], wrt[i]);
    Tensor& tangent = derivatives[sources[i]];
    tangent = tangent.defined() ? tangent + tangents[i] : tangents[i];
  }
  detail::Forward pass{tape, m, std::move(marks), std::move(derivatives)};
  pass.through(0, last + 1);
  for (std::size_t k = 0; k < outputs.size(); ++k)
    result[k] = nodes[k] == Tape::absent ? Tensor() : pass.tangents[nodes[k]];
  pass.tangents.clear();  // they were needed to the end
  m.pass = {std::move(sources), std::move(pass.marks), std::move(pass.tangents)};
}

namespace {

void differentiate(const Tensor& loss, Inputs xs, std::span<Tensor> result, GradientOptions options,
                   std::string_view caller = "gradient") {
  if (!loss.defined())
    throw DTypeError(
        text("[", caller, "] the loss is undefined (default-constructed, or moved from)"));
  if (!is_floating(loss.dtype()))
    throw DTypeError(text("[", caller, "] the loss is ", loss.dtype(), " and has no derivative"));
  if (loss.size() != 1)
    throw ShapeError(text("[", caller, "] the loss must be a scalar, but has the shape ",
                          loss.shape(),
                          "; reduce it with sum or mean, or use vjp for a weighted one"));
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!xs[i].defined())
      throw DTypeError(text("[", caller, "] tensor ", i,
                            " is undefined (default-constructed, or moved"
                            " from)"));
    if (!is_floating(xs[i].dtype()))
      throw DTypeError(text("[", caller, "] tensor ", i, " is ", xs[i].dtype(),
                            " and cannot be differentiated"));
  }
  pull_back(loss, Tensor::full(loss.shape(), 1.0, loss.dtype()), xs, result, caller);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (result[i].defined()) continue;
    if (options.unused == Unused::error)
      throw TapeError(text("[", caller, "] the loss does not depend on tensor ", i, " of shape ",
                           xs[i].shape()));
    result[i] = Tensor::full(xs[i].shape(), 0.0, xs[i].dtype());
  }
}

std::vector<Tensor> gradient_of(Operand loss, const auto& xs, GradientOptions options) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& x : xs) pointers.push_back(&x);
  std::vector<Tensor> result(pointers.size());
  gradient(loss, Inputs(pointers.data(), pointers.size()), result, options);
  return result;
}

}  // namespace

void gradient(Operand loss, Inputs xs, std::span<Tensor> result, GradientOptions options) {
  detail::located(loss.place(), [&] {
    differentiate(loss, xs, result, options);
    Tape::of(loss, "gradient").watch_growth(xs);
  });
}

std::vector<Tensor> detail::gradient_of_call(const Tensor& y, std::span<const Tensor> xs,
                                             std::string_view caller) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& x : xs) pointers.push_back(&x);
  std::vector<Tensor> result(xs.size());
  differentiate(y, Inputs(pointers.data(), pointers.size()), result, {}, caller);
  return result;
}

Tensor gradient(Operand loss, const Tensor& x, GradientOptions options) {
  const Tensor* const pointer = &x;
  Tensor result;
  gradient(loss, Inputs(&pointer, 1), {&result, 1}, options);
  return result;
}

std::vector<Tensor> gradient(Operand loss, std::span<const Tensor> xs, GradientOptions options) {
  return gradient_of(loss, xs, options);
}

std::vector<Tensor> gradient(Operand loss, std::initializer_list<Tensor> xs,
                             GradientOptions options) {
  return gradient_of(loss, xs, options);
}

std::vector<Tensor> gradient(Operand loss, std::span<const ParameterRef> parameters,
                             GradientOptions options) {
  return gradient_of(loss, parameters, options);
}

}  // namespace xg
