// The stations between a tape and its equations: what each says stands in its own file. Internal to
// autograd/equations.
#pragma once

#include "autograd/equations/expression.hpp"

namespace xg::algebra {

/// A node of the tape. Values are named by `value_of(i)`, adjoints by `adjoint_of(i)`.
struct Vertex {
  struct Use {
    std::size_t by;           // the vertex that this one is an input of
    Expression contribution;  // what that adds to the adjoint; undefined if nothing
    Expression jacobian;      // the same as the chain rule has it, Jᵀ times the adjoint of `by`
  };

  Shape shape;
  DType dtype = DType::float64;
  Expression value;                        // in terms of the inputs; of a leaf its own symbol
  std::vector<std::size_t> inputs, users;  // users: each once, in ascending order
  std::vector<Use> uses;                   // in the order in which the backward pass comes by
  bool leaf = false, parameter = false;
  bool wanted = false;                         // a derivative with respect to it is asked for
  bool needed = false;                         // it lies between such a one and the loss
  std::string name;                            // of a parameter
  std::shared_ptr<const Function> function{};  // the operation; none of a leaf
};

/// The part of a tape that the loss, its last vertex, depends on.
using Graph = std::vector<Vertex>;

Symbol value_of(std::size_t vertex);
Symbol adjoint_of(std::size_t vertex);
/// The vertex of such a symbol.
inline std::size_t vertex_of(const Symbol& s) { return static_cast<std::size_t>(*s.number); }
inline bool is_adjoint(const Expression& e) {
  return e.kind() == Kind::symbol && e->symbol.role == Symbol::Role::adjoint;
}
inline bool is_value(const Expression& e) {
  return e.kind() == Kind::symbol && e->symbol.role == Symbol::Role::value;
}

/// Who reads a tape, as it stands in messages, and whether without derivatives there is nothing to
/// read. Where they are not asked for, the loss may be any recorded tensor.
struct Asked {
  std::string_view caller = "equations";
  bool derivatives = true;
};
/// derive.cpp: reads the tape, and traces the rules of its operations.
Graph read_tape(const Tensor& loss, std::span<const ParameterRef> parameters,
                const Asked& asked = {});

/// one_row.cpp: if the graph is a chain of layers for one example that is a vector: the graph of
/// the same with a row in the place of the vector.
std::optional<Graph> with_one_row(const Tensor& loss, const Graph& graph);

/// functions.cpp: the operation that `apply` applies last.
std::shared_ptr<const Function> recorded_function(const std::function<Tensor()>& apply);
/// Numbers functions of a graph that are different and would be printed alike.
void number_functions(Graph& graph);

/// bounds.cpp: where the values of expressions of a graph lie.
class Bounds {
 public:
  struct Interval {
    double low, high;
    bool low_open, high_open;  // these ends themselves are not reached
    bool excludes_zero() const {
      return low > 0 || high < 0 || (low == 0 && low_open) || (high == 0 && high_open);
    }
  };

  explicit Bounds(const Graph& graph);
  /// Nothing for what may be undefined or infinite, for finite values of the leaves.
  std::optional<Interval> of(const Expression& e) const;

 private:
  const Graph& graph_;
  std::map<const detail::OpTable*, Interval> known_;
  const detail::OpTable* log_;
  mutable std::map<std::size_t, std::optional<Interval>> vertices_;
};

/// And the rules of the simplifier about choices; without `bounds` the latter two do nothing.
Expression choose_once(const Expression& e);
Expression divide_by_choice(const Expression& e, const Bounds* bounds);
Expression choose_zero(const Expression& e, const Bounds* bounds);

/// simplify.cpp: rewrites by identities until none fits, and lists them in `steps` if given. Those
/// that hold only where something is not zero need `bounds`.
Expression tidied(Expression e, std::vector<DerivationStep>* steps, const Bounds* bounds = nullptr);
/// The same, and writes derivatives f'(x) out by their rules where something cancels then.
Expression simplified(Expression e, std::vector<DerivationStep>* steps,
                      const Bounds* bounds = nullptr);
/// Derivatives f'(x) written out by their rules, where `written_out(f'(x))`.
Expression without_derivatives(const Expression& e, std::vector<DerivationStep>* steps,
                               const Bounds& bounds,
                               const std::function<bool(const Expression&)>& written_out);

/// polynomial.cpp: a term as a number times the rest, and back, without rounding in such as 3 ·
/// 1/3.
std::pair<double, Parts> factors(const Expression& e);
Expression times(double coefficient, Parts rest);
/// An elementwise expression with every f' written out, multiplied out, cancelled and collected.
Expression multiplied_out(const Expression& e);
/// The way there: one sum of fractions, equal factors in each cancelled, and what is left of sums
/// multiplied out.
struct WayOut {
  Expression distributed, cancelled, expanded;
};
WayOut way_out(const Expression& e);

/// A chain of layers that was found in a graph: vertex numbers of layer l at l − 1.
struct Chain {
  struct Layer {
    std::size_t weight, bias, z, a;  // no_vertex where there is none
  };
  std::size_t input, target;
  std::vector<Layer> layers;
  std::vector<std::size_t> constants;  // vectors from outside that functions of layers use
};
inline constexpr std::size_t no_vertex = static_cast<std::size_t>(-1);

/// Why there is no reading of one example; `what`, if defined, completes the sentence.
struct Refusal {
  std::string why;
  Expression what;
};

/// reading.cpp: which vertices have a row for each example.
struct Examples {
  std::int64_t count = 0;      // 0: no axis of examples
  std::vector<bool> has_rows;  // by vertex
  bool vectors = false;        // from outside have an element for each, if they are so long
  std::optional<Refusal> refusal;
};
Examples find_examples(const Graph& graph);
/// Finds out of which matrices in the statements the first axis has no examples.
void mark_axes(Reading& batch, const Graph& graph, const Examples& examples);
/// The statements of `batch` for one example; throws Refusal where that has no meaning.
Reading one_example(const Reading& batch, const Graph& graph, const Examples& examples);

/// average.cpp: Σ u² over all axes written as ‖u‖².
Expression with_norms(const Expression& e);
/// Refuses a loss whose numbers are plainer as those of a sum over examples than as those of an
/// average: the reading for one example would be m times what was written down.
std::optional<Refusal> not_an_average(const Expression& loss, const Examples& examples);
/// The average over examples written as such in the numbers of a statement.
Expression with_average(const Expression& e, const Examples& examples);

/// chain.cpp: the chain of layers that the graph is, if it is one.
std::optional<Chain> find_chain(const Graph& graph);
/// notation.cpp: the names of values and adjoints. Columns of one example have small letters,
/// batches capitals.
using Names = std::map<Symbol, Symbol>;
Names notation(const Graph& graph, const std::vector<bool>& named,
               const std::optional<Chain>& chain, bool columns);
/// Marks statements of one example that have the form of the book's four.
void mark_book_forms(Reading& reading, const Chain& chain);

}  // namespace xg::algebra
