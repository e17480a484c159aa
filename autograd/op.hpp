// What an operation is: one struct with every facet, and `apply`, the only road onto the tape.
// Users write their operations against this header, as the library does.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autograd/operand.hpp"
#include "autograd/tape.hpp"
#include "autograd/tensor.hpp"

namespace xg {

/// What the tape has to keep for an operation's derivative rules.
enum class Keep : std::uint32_t { nothing = 0, inputs = 0x7fffffffu, output = 0x80000000u };
constexpr Keep operator|(Keep a, Keep b) noexcept {
  return static_cast<Keep>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
/// Keeps input number `i` (below 31) alone.
constexpr Keep keep_input(std::size_t i) noexcept { return static_cast<Keep>(1u << i); }

/// What an operation does with the rows of its inputs, their parts along the first axis, whatever
/// their number.
enum class Rows {
  mixed,               ///< nothing is known
  elementwise,         ///< no more than what broadcasting puts side by side meets
  apart,               ///< row i of the output comes from row i of the inputs
  reshaped,            ///< the elements stay in their order
  product,             ///< of input 0, row by row, and a matrix, input 1
  transposed_product,  ///< of input 0, row by row, and the transpose of input 1; plus input 2
  proportional,        ///< elementwise, and proportional to input 0
  added,               ///< the output is a sum over rows of what each of them gives
  averaged,            ///< the average
};

/// One recorded application, as an operation's derivative rules see it. What it gives stays where
/// it is as long as the tape is not cleared.
class Record {
 public:
  /// Input `i` or the output. Throws TapeError if the operation's `keeps` does not list it, or the
  /// tape, of a jvp, keeps no values.
  const Tensor& input(std::size_t i) const;
  const Tensor& output() const;
  /// Shapes are always known.
  const Shape& input_shape(std::size_t i) const;
  const Shape& output_shape() const;
  DType input_dtype(std::size_t i) const;
  std::size_t input_count() const;

 private:
  friend class Tape;
  friend struct detail::Backward;
  friend struct detail::Forward;
  friend struct detail::TapeReader;
  /// What is being recorded, which the tape need not keep.
  struct Present {
    Inputs inputs;
    const Tensor& output;
  };
  Record(const Tape& tape, std::size_t node, const Present* present = nullptr)
      : tape_(tape), node_(node), present_(present) {}
  const Tensor& described_input(std::size_t i) const;
  const Tensor& kept(const Tensor& tensor, Keep what) const;
  [[noreturn]] void fail_kept(bool unlisted) const;

  const Tape& tape_;
  std::size_t node_;
  const Present* present_;
};

/// An example of an operation at work, for the checks that go over all operations: float64 inputs
/// at which it is smooth, or, with `error` set, inputs that it must refuse with a text that has
/// `error` in it.
template <class O>
struct Sample {
  Sample(O operation, std::vector<Tensor> tensors, std::string expected_error = "")
      : op(std::move(operation)), inputs(std::move(tensors)), error(std::move(expected_error)) {}

  O op;
  std::vector<Tensor> inputs;
  std::string error;
};

namespace detail {

template <class O>
concept HasRules = requires(const O& op, const Tensor& tensor, const Record& record,
                            std::size_t i) {
  { op.vjp(i, tensor, record) } -> std::same_as<Tensor>;
  { op.jvp(i, tensor, record) } -> std::same_as<Tensor>;
};

/// What has, in place of rules, `expand(record)`: its output anew, as other operations record it.
/// A pass over the tape then goes through those in its place. Only `checkpoint` is such.
template <class O>
concept Expands = requires(const O& op, const Record& record) {
  { op.expand(record) } -> std::same_as<Tensor>;
};
template <class O>
concept SharesWork = requires(const O& op, const Tensor& adjoint, const Record& record) {
  { op.vjps(adjoint, record) } -> std::same_as<std::vector<Tensor>>;
};
struct NoRules {
  Tensor vjp(std::size_t, const Tensor&, const Record&) const;
  Tensor jvp(std::size_t, const Tensor&, const Record&) const;
};
template <class O>
using RulesOf = std::conditional_t<Expands<O>, NoRules, O>;

}  // namespace detail

/// An operation. Its rules are written in ordinary tensor operations, so that they can themselves
/// be differentiated; an undefined tensor stands for zero.
///
/// - `name`: as it stands in messages and printed tapes.
/// - `keeps`: which inputs, and whether the output, the rules below may ask the record for.
/// - `shape(inputs)`: checks the inputs (ShapeError, DTypeError, ValueError) and gives the shape
///   of the output.
/// - `forward(inputs, shape)`: the output.
/// - `vjp(i, adjoint, record)`: the adjoint of the output times the Jacobian with respect to input
///   i. It may have the output's shape where input i was broadcast; the engine sums it.
/// - `jvp(i, tangent, record)`: the Jacobian with respect to input i times a tangent of input i.
///   The engine adds the inputs up, and broadcasts to the output's shape.
/// - `equation()`: Unicode text with {0}, {1}, ... for the inputs: + − ⊙ / ᵀ ² ³ ^, a space for the
///   matrix product or a number times, brackets, and functions by name. Printed tapes show it, and
///   `equations` (equations.hpp) takes it at its word where a check on numbers allows.
/// - `samples()`: examples for the checks.
///
/// More facets may be given where the default does not fit:
/// - `vjps(adjoint, record)`: what `vjp` gives for all inputs, at once, in a vector; for rules that
///   share work. The backward pass then calls it alone.
/// - `flops(record)`: floating-point operations of one application, a number from the record's
///   shapes. By default one for each element of the output.
/// - `rows(record)`: what it does with rows; inputs without rows of their own are beside every row
///   as a whole. An operation that gives it tells all its members in `equation`. By default
///   `mixed`, which is always right: `per_example_gradient` then takes example by example.
/// - `at_size(n)`: samples of about n elements in all, for benchmarks and checks of large inputs.
///   By default one of `samples()` is repeated along its axes.
template <class O>
concept Op = std::copyable<O> && detail::HasRules<detail::RulesOf<O>> &&
    requires(const O& op, Inputs inputs, const Shape& shape) {
  { O::name } -> std::convertible_to<std::string_view>;
  { O::keeps } -> std::convertible_to<Keep>;
  { op.shape(inputs) } -> std::same_as<Shape>;
  { op.forward(inputs, shape) } -> std::same_as<Tensor>;
  { op.equation() } -> std::convertible_to<std::string>;
  { O::samples() } -> std::same_as<std::vector<Sample<O>>>;
};

template <Op O>
Tensor apply(const O& op, Inputs inputs, SourceLocation place = SourceLocation());

namespace detail {

[[noreturn]] void fail_undefined(std::string_view name, std::size_t input);
/// `changes`. Throws ValueError unless there is one for each input.
std::vector<Tensor> checked_vjps(std::string_view name, std::vector<Tensor> changes,
                                 const Record& record);
void fail_floating(std::string_view name, Inputs inputs, std::size_t first);
[[noreturn]] void fail_other_thread(std::string_view name, std::size_t i, const Tensor& input);
[[noreturn]] void fail_promise(std::string_view name, const Shape& promised, const Tensor& output);

using Rule = Tensor (*)(const void* op, std::size_t i, const Tensor& d, const Record& record);

/// An operation's facets with its type erased, one table for each operation. A facet that it does
/// not have is null.
struct OpTable {
  std::string_view name;
  Keep keeps;
  std::size_t size, alignment;  // of the struct; 0 if it has no members
  void (*copy)(const void* op, void* where);
  void (*destroy)(void* op) noexcept;  // null if there is nothing to do
  Rule vjp, jvp;
  std::vector<Tensor> (*vjps)(const void* op, const Tensor& adjoint, const Record& record);
  Tensor (*expand)(const void* op, const Record& record);
  std::string (*equation)(const void* op);
  double (*flops)(const void* op, const Record& record);
  Rows (*rows)(const void* op, const Record& record);
  Tensor (*apply)(const void* op, Inputs inputs);
};

/// An operation without members need not be stored: it is made anew where it is asked.
template <Op O>
inline constexpr bool is_stateless = std::is_empty_v<O>&& std::is_default_constructible_v<O>;

template <Op O>
decltype(auto) stored(const void* op) {
  if constexpr (is_stateless<O>)
    return O{};
  else
    return *static_cast<const O*>(op);
}

template <Op O>
constexpr Rule vjp_of() {
  if constexpr (Expands<O> || SharesWork<O>)
    return nullptr;
  else
    return [](const void* op, std::size_t i, const Tensor& adjoint, const Record& record) {
      return stored<O>(op).vjp(i, adjoint, record);
    };
}
template <Op O>
constexpr Rule jvp_of() {
  if constexpr (Expands<O>)
    return nullptr;
  else
    return [](const void* op, std::size_t i, const Tensor& tangent, const Record& record) {
      return stored<O>(op).jvp(i, tangent, record);
    };
}
template <Op O>
constexpr decltype(OpTable::vjps) vjps_of() {
  if constexpr (SharesWork<O>)
    return [](const void* op, const Tensor& adjoint, const Record& record) -> std::vector<Tensor> {
      return checked_vjps(O::name, stored<O>(op).vjps(adjoint, record), record);
    };
  else
    return nullptr;
}
template <Op O>
constexpr decltype(OpTable::expand) expand_of() {
  if constexpr (Expands<O>)
    return [](const void* op, const Record& record) { return stored<O>(op).expand(record); };
  else
    return nullptr;
}

/// The largest struct of an operation, in bytes: what does not fit belongs behind a pointer.
inline constexpr std::size_t largest_op = 8192;

template <Op O>
requires(sizeof(O) <= largest_op && alignof(O) <= 64) inline constexpr OpTable op_table{
    O::name,
    O::keeps,
    is_stateless<O> ? 0 : sizeof(O),
    alignof(O),
    [](const void* op, void* where) { new (where) O(*static_cast<const O*>(op)); },
    std::is_trivially_destructible_v<O> ? nullptr
                                        : +[](void* op) noexcept { static_cast<O*>(op)->~O(); },
    vjp_of<O>(),
    jvp_of<O>(),
    vjps_of<O>(),
    expand_of<O>(),
    [](const void* op) -> std::string { return stored<O>(op).equation(); },
    [](const void* op, const Record& record) -> double {
      if constexpr (requires(const O& o) { o.flops(record); })
        return stored<O>(op).flops(record);
      else
        return static_cast<double>(element_count(record.output_shape()));
    },
    [](const void* op, const Record& record) -> Rows {
      if constexpr (requires(const O& o) { o.rows(record); })
        return stored<O>(op).rows(record);
      else
        return Rows::mixed;
    },
    [](const void* op, Inputs inputs) { return xg::apply(stored<O>(op), inputs); }};

/// Throws DTypeError for an undefined input.
inline void check_defined(std::string_view name, Inputs inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined()) fail_undefined(name, i);
}
/// Throws TapeError for an input of a tape that is alive on another thread: it does not see what is
/// made of it here, where there is no tape, and its gradient would be wrong.
inline void check_thread(std::string_view name, Inputs inputs) {
  if (on_this_thread.innermost || on_this_thread.silenced > 0) return;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (const std::uint64_t tape = TensorAccess::tape(inputs[i]); tape != 0 && is_live(tape))
      fail_other_thread(name, i, inputs[i]);
}
/// Throws ShapeError if `forward` did not give the shape that `shape` promised.
inline void check_promise(std::string_view name, const Shape& promised, const Tensor& output) {
  if (!output.defined() || output.shape() != promised) fail_promise(name, promised, output);
}

}  // namespace detail

/// Applies an operation: checks the inputs, computes, and records when a tape is recording on this
/// thread. What goes wrong is said to be at `place`, or where the operands were given.
template <Op O>
Tensor apply(const O& op, Inputs inputs, SourceLocation place) {
  try {
    detail::check_defined(O::name, inputs);
    const Shape shape = op.shape(inputs);
    Tensor output = op.forward(inputs, shape);
    detail::check_promise(O::name, shape, output);
    if (Tape* tape = Tape::recording())
      tape->record(detail::op_table<O>, &op, inputs, output, place);
    else
      detail::check_thread(O::name, inputs);
    return output;
  } catch (Error& error) {
    error.add_context(place.file_name(), place.line(), O::name);
    throw;
  }
}

template <Op O>
Tensor apply(const O& op, Operand x) {
  const Tensor* const pointers[] = {&x.tensor()};
  return apply(op, Inputs(pointers, 1), x.place());
}
template <Op O>
Tensor apply(const O& op, Operand x, Operand y) {
  const Tensor* const pointers[] = {&x.tensor(), &y.tensor()};
  return apply(op, Inputs(pointers, 2), x.place());
}
template <Op O>
Tensor apply(const O& op, Operand x, Operand y, Operand z) {
  const Tensor* const pointers[] = {&x.tensor(), &y.tensor(), &z.tensor()};
  return apply(op, Inputs(pointers, 3), x.place());
}

/// Of any number of inputs.
template <Op O>
Tensor apply(const O& op, std::span<const Tensor> inputs,
             SourceLocation place = SourceLocation::current()) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) pointers.push_back(&input);
  return apply(op, Inputs(pointers.data(), pointers.size()), place);
}

/// Checks for an operation's shape rule. Throw DTypeError unless all inputs from `first` on have
/// one floating type.
inline void require_floating(std::string_view name, Inputs inputs, std::size_t first = 0) {
  for (std::size_t i = first; i < inputs.size(); ++i)
    if (!is_floating(inputs[i].dtype()) || inputs[i].dtype() != inputs[first].dtype())
      detail::fail_floating(name, inputs, first);
}
/// Throw DTypeError unless both have one type, of any kind.
void require_same_dtype(std::string_view name, const Tensor& a, const Tensor& b);

}  // namespace xg
