// Recording a part of a computation for a while and again, and how a pass over the tape goes
// through it.
#include "autograd/checkpoint.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "autograd/anomaly.hpp"
#include "autograd/catalogue.hpp"
#include "autograd/forward.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"
#include "autograd/stash.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {
namespace detail {

// Episodes -------------------------------------------------------------------------------------

Episode::Episode(Tape& tape)
    : tape_(tape),
      outer_(std::exchange(tape.episode_, this)),
      recorder_before_(Tape::exchange_recording(&tape)),
      serial_before_(std::exchange(tape.serial_, live_.value())),
      nodes_(tape.memory_->nodes.size()),
      inputs_(tape.memory_->inputs.size()),
      arena_(tape.memory_->arena.place()),
      keeps_before_(std::exchange(tape.keeps_, ~0u)),
      forward_before_(std::exchange(tape.forward_, false)) {}

Episode::~Episode() {
  pause();
  TapeMemory& m = *tape_.memory_;
  for (const Tensor& t : used_) {
    if (TensorAccess::tape(t) != 0) continue;
    Leaf& leaf = m.leaves.find(TensorAccess::id(t));
    if (m.leaves.holds(leaf) && leaf.node >= nodes_) m.leaves.erase(leaf);
  }
  std::erase_if(m.expansions, [this](const Expansion& e) { return e.begin >= nodes_; });
  tape_.keeps_ = keeps_before_;
  tape_.forward_ = forward_before_;
  m.nodes.truncate(nodes_);
  if (tape_.anomalies_) tape_.anomalies_->forget(nodes_);
  m.inputs.resize(inputs_);
  m.arena.return_to(arena_);
  tape_.serial_ = serial_before_;
  tape_.episode_ = outer_;
}

void Episode::pause() noexcept {
  if (!std::exchange(paused_, true)) Tape::exchange_recording(recorder_before_);
}

void Episode::note(const Tensor& tensor) {
  // Numbers of outside tensors are below 2^63.
  const bool outside = TensorAccess::tape(tensor) == 0;
  const std::uint64_t key = TensorAccess::id(tensor) | (outside ? 0 : std::uint64_t{1} << 63);
  if (seen_.insert(key).second) used_.push_back(tensor);
}

double Episode::flops() const { return tape_.flops(nodes_); }
bool Episode::made(const Tensor& t) const { return TensorAccess::tape(t) == tape_.serial_; }

// The operation --------------------------------------------------------------------------------

namespace {

std::size_t hash_of(const Tensor& t) {
  const auto* const bytes = reinterpret_cast<const char*>(TensorAccess::buffer(t).data());
  return std::hash<std::string_view>{}(
      {bytes, static_cast<std::size_t>(t.size()) * size_of(t.dtype())});
}

std::size_t hash_of(Inputs x) {
  std::size_t result = 0;
  for (std::size_t i = 0; i < x.size(); ++i) result = 31 * result + hash_of(x[i]);
  return result;
}

struct Checkpoint {
  struct State {
    State(std::function<Tensor(Inputs)> function, std::size_t count)
        : f(std::move(function)), arguments(count) {}

    std::function<Tensor(Inputs)> f;
    std::size_t arguments;  // the first inputs; the others are what f uses beside them
    double flops = 0;
    Stash output{};                               // what f gave
    std::size_t of_arguments = 0, of_output = 0;  // hashes at the first call
  };
  std::shared_ptr<State> state;

  static constexpr auto name = "checkpoint";
  static constexpr Keep keeps = Keep::inputs;

  Shape shape(Inputs x) const {
    if (const Tensor known = state->output.look(); known.defined()) return known.shape();
    const NoRecording scope;
    std::vector<const Tensor*> arguments;
    for (std::size_t i = 0; i < state->arguments; ++i) arguments.push_back(&x[i]);
    const Tensor y = state->f(Inputs(arguments.data(), arguments.size()));
    state->output.put(y);
    return y.shape();
  }
  Tensor forward(Inputs, const Shape&) const { return state->output.take(); }
  Tensor expand(const Record& r) const {
    std::vector<const Tensor*> arguments;
    for (std::size_t i = 0; i < state->arguments; ++i) arguments.push_back(&r.input(i));
    Tensor y = state->f(Inputs(arguments.data(), arguments.size()));
    if (y.defined() && y.shape() == r.output_shape() &&
        hash_of(Inputs(arguments.data(), arguments.size())) == state->of_arguments &&
        hash_of(y) != state->of_output)
      throw TapeError(
          "[checkpoint] the function gave other numbers than when it was first called; what it uses"
          " must be the same in the backward pass, and what it draws come from the same key");
    return y;
  }
  double flops(const Record&) const { return state->flops; }
  std::string equation() const { return "checkpoint({...})"; }
  static std::vector<Sample<Checkpoint>> samples() {
    const auto of = [](std::size_t arguments, std::function<Tensor(Inputs)> f) {
      return Checkpoint{std::make_shared<State>(std::move(f), arguments)};
    };
    using ops::numbers;
    return {{of(1, [](Inputs x) { return tanh(square(x[0])); }), {numbers({2, 3}, -1, 1)}},
            {of(2, [](Inputs x) { return x[0] * sigmoid(matmul(x[0], x[1])); }),
             {numbers({3, 3}, -1, 1, 1), numbers({3, 3}, -1, 1, 2)}},
            {of(2, [](Inputs x) { return x[0] + x[1]; }),
             {numbers({2}, -1, 1), numbers({3}, -1, 1)},
             "shapes do not broadcast"}};
  }
};

}  // namespace

namespace {

Tensor checkpoint_at(SourceLocation place, std::function<Tensor(Inputs)> f, Inputs x,
                     const FunctionRef<Tensor(Inputs)>* now) {
  const auto call = [&] { return now ? (*now)(x) : f(x); };
  if (Dual::active()) return call();  // which keeps nothing anyway
  const Checkpoint op{std::make_shared<Checkpoint::State>(nullptr, x.size())};
  Checkpoint::State& state = *op.state;
  std::vector<const Tensor*> inputs;
  for (std::size_t i = 0; i < x.size(); ++i) inputs.push_back(&x[i]);
  check_defined(Checkpoint::name, x);
  std::vector<Tensor> used;
  {
    const Episode episode(*Tape::recording());
    Tensor y = call();
    if (!y.defined()) throw DTypeError("[checkpoint] the function gave an undefined tensor");
    if (!episode.made(y)) return y;  // an argument, or a constant
    used = episode.used();
    state.f = std::move(f);
    state.flops = episode.flops();
    state.output.put(detach(y));
    state.of_arguments = hash_of(x);
    state.of_output = hash_of(y);
  }
  const auto is_argument = [&](const Tensor& t) {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (TensorAccess::tape(x[i]) == TensorAccess::tape(t) &&
          TensorAccess::id(x[i]) == TensorAccess::id(t))
        return true;
    return false;
  };
  // What nobody else holds by now was a number that f made; it will make it again.
  for (const Tensor& t : used)
    if (!TensorAccess::buffer(t).unique() && !is_argument(t)) inputs.push_back(&t);
  return apply(op, Inputs(inputs.data(), inputs.size()), place);
}

}  // namespace

Tensor checkpoint(std::function<Tensor(Inputs)> f, Inputs x, SourceLocation place,
                  const FunctionRef<Tensor(Inputs)>* now) {
  return located(place, [&] { return checkpoint_at(place, std::move(f), x, now); });
}

// Passes over the tape -------------------------------------------------------------------------

namespace {

char with(char mark, Mark flag) { return static_cast<char>(mark | flag); }
char without(char mark, Mark flag) { return static_cast<char>(mark & ~flag); }

}  // namespace

Expansion Backward::record_expansion(Tape& tape, std::size_t n) {
  const NodeList& nodes = tape.memory_->nodes;
  const Node& node = nodes[n];
  const std::size_t begin = nodes.size();
  // The pass goes through it at once, also where nothing else of the pass is kept.
  const struct Keeping {
    std::uint32_t& keeps;
    std::uint32_t before = std::exchange(keeps, ~0u);
    ~Keeping() { keeps = before; }
  } keeping{tape.keeps_};
  const Tensor y = node.op->expand(node.op_state, Record(tape, n));
  const std::uint32_t result = y.defined() ? tape.find(y, "checkpoint") : Tape::absent;
  for (std::size_t i = begin; i < nodes.size(); ++i)
    if (nodes[i].version > 0)
      throw TapeError(text("[checkpoint] the function uses a parameter of shape ",
                           nodes[i].output.shape(),
                           " that it did not use when it was first called; if it holds a copy of a"
                           " module, let it refer to the module"));
  if (result == Tape::absent || result < begin || y.shape() != node.output.shape() ||
      y.dtype() != node.output.dtype())
    throw TapeError(text("[checkpoint] the function gave ", node.output.dtype(), " ",
                         node.output.shape(), " when it was first called, and something else",
                         y.defined() ? text(", ", y.dtype(), " ", y.shape(), ",") : "",
                         " in the backward pass; it must do the same each time"));
  return {n, begin, nodes.size(), result};
}

void Backward::through_all_inputs(std::size_t n) {
  const Node& node = memory.nodes[n];
  if (node.op->expand) return through_expansion(n);
  AnomalyCheck* const check = tape.anomalies_.get();
  std::vector<Tensor> changes;
  const auto all = [&] {
    changes = node.op->vjps(node.op_state, adjoints[n], Record(tape, n));
    return Tensor();
  };
  check ? check->backward(n, node.op->name, 0, adjoints[n], all) : all();
  for (std::size_t i = 0; i < node.input_count; ++i)
    if (const std::uint32_t input = memory.inputs[node.first_input + i]; marks[input] != unneeded) {
      const auto rule = [&] { return std::move(changes[i]); };
      add(input, check ? check->backward(n, node.op->name, i, adjoints[n], rule) : rule());
    }
}

void Backward::through_expansion(std::size_t n) {
  if (marks[n] & expanded) {
    const Expansion known =
        *std::find_if(memory.expansions.begin(), memory.expansions.end(),
                      [n](const Expansion& expansion) { return expansion.node == n; });
    for (std::size_t k = known.begin; k < known.end; ++k) marks[k] = without(marks[k], elsewhere);
    add(known.result, Tensor(adjoints[n]));
    return through(known.begin, known.end);
  }
  std::optional<Episode> episode;
  if (Tape::recording() != &tape) episode.emplace(tape);
  const Expansion made = record_expansion(tape, n);
  if (episode) {
    episode->pause();
  } else {
    // To whom asks for the new output it is node n, so that all adjoints of it meet there.
    Tensor& result = memory.nodes[made.result].output;
    const Tensor tangent = tape.forward_ && result.defined() ? tape.tangent(result) : Tensor();
    TensorAccess::set_identity(result, tape.serial_, n);
    if (tangent.defined()) {  // as long as this output lives, whatever became of the first one
      std::erase_if(memory.tangents.entries, [n](const auto& entry) { return entry.node == n; });
      tape.set_tangent(result, tangent);
    }
    memory.expansions.push_back(made);
  }
  marks.resize(made.end, unneeded);
  adjoints.resize(std::max(adjoints.size(), made.end));
  tape.mark(made.begin, marks);
  if (marks[made.result] != unneeded) adjoints[made.result] = adjoints[n];
  through(made.begin, made.end);
  if (episode) marks.resize(made.begin);
}

void Backward::place_expansions(std::size_t last) {
  const std::size_t end = memory.expansions.back().end;
  if (marks.size() < end) marks.resize(end, unneeded);
  tape.mark(last + 1, marks);
  for (const Expansion& expansion : memory.expansions) {
    if (expansion.node > last && !(marks[expansion.node] & elsewhere)) continue;
    for (std::size_t k = expansion.begin; k < expansion.end; ++k)
      if (marks[k] != unneeded) {
        marks[k] = with(marks[k], elsewhere);
        marks[expansion.node] = with(marks[expansion.node], expanded);
      }
  }
}

Tensor Forward::through_expansion(std::size_t n) {
  std::optional<Episode> episode;
  if (Tape::recording() != &tape) episode.emplace(tape);
  const Expansion made = Backward::record_expansion(tape, n);
  if (episode) episode->pause();
  marks.resize(made.end, unneeded);
  tangents.resize(std::max(tangents.size(), made.end));
  tape.mark(made.begin, marks);
  through(made.begin, made.end);
  const Tensor result = std::move(tangents[made.result]);
  for (std::size_t k = made.begin; k < made.end; ++k) tangents[k] = Tensor();
  if (episode) marks.resize(made.begin);
  return result;
}

}  // namespace detail

namespace ops {
std::vector<CatalogueEntry> checkpoints() { return {entry<detail::Checkpoint>()}; }
}  // namespace ops

}  // namespace xg
