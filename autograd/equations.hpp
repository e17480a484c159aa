// "Derive it": the equations that a tape has just applied, forward and backward, as expression
// trees and as text. Knows tapes, operations and algebra; nothing of networks or costs.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/parameter.hpp"
#include "autograd/shape.hpp"
#include "autograd/tensor.hpp"

namespace xg {

/// How a quantity is called: z^l, δ^(l+1), v̄₃, ∂C/∂w².
struct Symbol {
  enum class Role { value, adjoint, derivative };

  std::string letter;
  Role role = Role::value;
  std::optional<int> layer{};   ///< the superscript
  bool relative = false;        ///< `layer` is counted from l: -1 stands for l − 1
  std::optional<int> number{};  ///< the subscript

  auto operator<=>(const Symbol&) const = default;
};

/// A tree of a closed set of kinds. Immutable; a handle, cheap to copy.
class Expression {
 public:
  enum class Kind {
    number,
    symbol,
    sum,         ///< of all parts, with broadcasting
    hadamard,    ///< ⊙ of all parts, with broadcasting; numbers stand first
    product,     ///< the matrix product of all parts
    quotient,    ///< element by element
    power,       ///< part 0 to the constant `value()`
    transpose,   ///< of part 0
    total,       ///< Σ over `axes()`
    broadcast,   ///< part 0 repeated to `shape()`
    reshape,     ///< part 0 in `shape()`
    norm,        ///< ‖part 0‖², the sum of all squares
    call,        ///< an operation applied to the parts
    derivative,  ///< f'(part 0) for an elementwise f; part 1 is what the rule of f says it is
    jacobian     ///< J_fᵀ of input `slot()` at all parts but the last, applied to the last
  };
  struct Node;

  Expression() = default;
  explicit Expression(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  explicit operator bool() const noexcept { return static_cast<bool>(node_); }
  const Node& operator*() const noexcept { return *node_; }
  const Node* operator->() const noexcept { return node_.get(); }

  Kind kind() const noexcept;
  std::span<const Expression> parts() const noexcept;
  const Shape& shape() const noexcept;
  /// Of the kinds that name them above; of others they mean nothing.
  const Symbol& symbol() const noexcept;
  double value() const noexcept;  ///< of a number, or the exponent of a power
  const Axes& axes() const noexcept;
  std::size_t slot() const noexcept;
  /// What the operation of a call, derivative or jacobian says of itself, with {0} for part 0.
  std::string function() const;

 private:
  std::shared_ptr<const Node> node_;
};

/// One rewriting: the identity that was used, and the right side after it.
struct DerivationStep {
  std::string identity;
  Expression result;
  /// In a derivation that ends with one example: what this equals of the whole batch, by its name
  /// there. Nothing once the derivation has come to the example, and in the reading of the batch.
  std::optional<Symbol> of_batch{};
};

/// `left` = `right`, for every layer in `layers` if that is set.
struct Statement {
  Symbol left;
  Expression right;
  std::string mark{};  ///< "BP1" to "BP4" where it has that form
  std::optional<std::pair<int, int>> layers{};
  /// From the raw chain rule to `right`; of the backward statements only. Those for one example
  /// begin with the whole batch.
  std::vector<DerivationStep> steps{};
  std::size_t node = 0;  ///< of the tape: that whose value or derivative this is
};

/// The equations of one pass forward and one backward, in the order of their computation: with
/// values for the leaves they are a program that computes the gradient.
struct Reading {
  std::vector<Statement> forward, backward;
};

/// What `equations` found.
struct Equations {
  /// A tensor from outside, as it is called in the two readings.
  struct Leaf {
    Symbol in_batch, in_example;
    Shape shape;  ///< a row, if a vector from outside is the one example
    bool differentiated;
    bool has_rows;  ///< one for each example, which in the reading of one is a column
  };

  std::vector<Leaf> leaves;   ///< in the order in which the tape met them
  std::int64_t examples = 0;  ///< in the batch; 0 if no axis counts examples
  int depth = 0;              ///< number of layers L of a feed-forward chain; 0 for anything else
  /// As computed, all examples at once, each a row of the matrices.
  Reading batch;
  /// For one example as column vectors, C and its derivatives being averages of these; nothing if
  /// the loss is not an average over examples.
  std::optional<Reading> example;
  std::string refusal;  ///< then says why

  /// With `proofs`, every backward statement is followed by its derivation.
  std::string text(bool proofs = false) const;
  std::string latex(bool proofs = false) const;  ///< for a document with amsmath
  std::string html(bool proofs = true) const;    ///< a whole page with MathML
  /// The content of that page, to stand in another under a heading <h2>.
  std::string html_fragment(bool proofs = true) const;
};

/// The equations behind `loss` and its derivatives with respect to `parameters`; without any, all
/// that the tape has met, or if it has met none, all floating tensors from outside. Nothing but
/// the tape is asked: each operation says by its `equation` what it computes, and its `vjp`,
/// traced, how derivatives pass through it. Every statement is checked on numbers before it is
/// accepted; where an operation's word does not stand the check it is not taken, and the operation
/// appears as a function without further meaning, or as J_fᵀ.
///
/// Throws ShapeError, DTypeError and TapeError as `gradient` does, and TapeError for a parameter
/// that the loss does not depend on.
Equations equations(const Tensor& loss, std::span<const ParameterRef> parameters = {});

/// The reading with equal statements of successive layers folded into one, for l.
Reading folded(const Reading& reading, int depth);
/// The statements that a folded one stands for.
std::vector<Statement> unfolded(const Statement& statement);

/// The value of an expression in float64. Throws ValueError for a symbol without a value.
Tensor evaluate(const Expression& expression, const std::map<Symbol, Tensor>& values);

std::string to_string(const Symbol& symbol);
std::string to_string(const Expression& expression);

}  // namespace xg
