// What examples give apart is read off three tapes: of the batch, of its first and of its last
// example. The same operations have to be on all of them; what has as many rows as there are
// examples on the first tape and one row on the others has a row for each example if every
// operation so far keeps rows apart (Rows, op.hpp). Numbers that were computed off the tape are
// compared. The cost has to be a sum of such rows' sums, times factors such as 1/m.
#include "autograd/row_gradients.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "autograd/kernels/outer.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape_reader.hpp"

namespace xg::detail {
namespace {

enum class Kind : char {
  whole,   // the same for the batch and an example
  number,  // one element, which may depend on the number of examples
  rows,    // a row for each example
  total,   // one element: sums over rows, added up and multiplied by numbers
};

struct NodeKind {
  Kind kind = Kind::whole;
  Rows rows = Rows::mixed;  // of an operation on rows or totals
  bool operator==(const NodeKind&) const = default;
};

const Shape& shape_of(const Node& node) { return node.output.shape(); }

/// The tape of the batch beside that of its example i.
class Comparison {
 public:
  Comparison(const Tape& batch, const Tape& one, std::int64_t count, std::int64_t i)
      : tape_(batch),
        batch_(TapeReader::memory(batch)),
        one_(TapeReader::memory(one)),
        count_(count),
        i_(i) {}

  /// Nothing unless all is known.
  std::optional<std::vector<NodeKind>> kinds() {
    if (batch_.nodes.size() != one_.nodes.size()) return {};
    kinds_.resize(batch_.nodes.size());
    for (std::size_t n = 0; n < kinds_.size(); ++n) {
      const Node &a = batch_.nodes[n], &b = one_.nodes[n];
      if (a.op != b.op || a.output.dtype() != b.output.dtype()) return {};
      if (!(a.op ? operation(n, a, b) : leaf(n, a, b))) return {};
    }
    return std::move(kinds_);
  }

 private:
  bool split(const Shape& a, const Shape& b) const {
    return a.size() > 0 && a.size() == b.size() && a[0] == count_ && b[0] == 1 &&
           std::equal(a.begin() + 1, a.end(), b.begin() + 1);
  }
  static bool is_number(const Node& a, const Node& b) {
    return a.output.size() == 1 && shape_of(a) == shape_of(b);
  }
  static bool same_state(const Node& a, const Node& b) {
    return !a.op_state || equation_of(a) == equation_of(b);
  }
  // Whether the equation may leave something out: what owns memory may be a function.
  bool may_hide(std::size_t n, const Node& a) const {
    return a.op->destroy && rows_of(n, a) == Rows::mixed;
  }
  Rows rows_of(std::size_t n, const Node& a) const {
    return a.op->rows(a.op_state, TapeReader::record(tape_, n));
  }
  bool become(std::size_t n, Kind kind, Rows rows = Rows::mixed) {
    kinds_[n] = {kind, rows};
    return true;
  }

  bool leaf(std::size_t n, const Node& a, const Node& b) {
    const BufferRef &of_a = TensorAccess::buffer(a.output), &of_b = TensorAccess::buffer(b.output);
    const std::size_t bytes = static_cast<std::size_t>(b.output.size()) * size_of(b.output.dtype());
    const auto same_from = [&](std::size_t offset) {
      return std::memcmp(of_a.data() + offset, of_b.data(), bytes) == 0;
    };
    if (shape_of(a) == shape_of(b) && (of_a == of_b || same_from(0))) return become(n, Kind::whole);
    if (split(shape_of(a), shape_of(b)) && same_from(static_cast<std::size_t>(i_) * bytes))
      return become(n, Kind::rows);
    return is_number(a, b) && become(n, Kind::number);
  }

  bool operation(std::size_t n, const Node& a, const Node& b) {
    const auto in = inputs_of(batch_, a), in_one = inputs_of(one_, b);
    if (!std::equal(in.begin(), in.end(), in_one.begin(), in_one.end())) return false;
    const auto any = [&](Kind kind) {
      return std::any_of(in.begin(), in.end(), [&](auto i) { return kinds_[i].kind == kind; });
    };
    if (any(Kind::rows)) return !any(Kind::total) && !any(Kind::number) && of_rows(n, a, b);
    if (any(Kind::total)) return of_totals(n, a, b);
    if (may_hide(n, a)) return false;
    if (!any(Kind::number) && shape_of(a) == shape_of(b) && same_state(a, b))
      return become(n, Kind::whole);
    return is_number(a, b) && become(n, Kind::number);
  }

  bool of_rows(std::size_t n, const Node& a, const Node& b) {
    const Rows rows = rows_of(n, a);
    if (rows == Rows::added || rows == Rows::averaged)
      return is_number(a, b) && become(n, Kind::total, rows);
    if (rows == Rows::mixed || !split(shape_of(a), shape_of(b))) return false;
    const auto in = inputs_of(batch_, a);
    const std::size_t rank = shape_of(batch_.nodes[in[0]]).size();
    if (rows == Rows::product || rows == Rows::transposed_product) {
      for (std::size_t k = 0; k < in.size(); ++k)
        if (kinds_[in[k]].kind != (k == 0 ? Kind::rows : Kind::whole)) return false;
      if (rank != 2 || shape_of(a).size() != 2) return false;
    }
    // Otherwise the rows of one would be the columns of another.
    std::size_t rank_of_rows = 0;
    for (const std::uint32_t i : in) {
      if (kinds_[i].kind != Kind::rows) continue;
      const std::size_t r = shape_of(batch_.nodes[i]).size();
      if (rank_of_rows != 0 && rank_of_rows != r) return false;
      rank_of_rows = r;
    }
    return (rows == Rows::reshaped || same_state(a, b)) && become(n, Kind::rows, rows);
  }

  // Rules that see no values are those of affine operations.
  bool of_totals(std::size_t n, const Node& a, const Node& b) {
    if (!is_number(a, b)) return false;
    const Rows rows = rows_of(n, a);
    const auto in = inputs_of(batch_, a);
    const bool affine =
        (rows == Rows::elementwise || rows == Rows::reshaped) && a.op->keeps == Keep::nothing;
    const bool proportional = rows == Rows::proportional && kinds_[in[0]].kind == Kind::total &&
                              kinds_[in[1]].kind != Kind::total;
    return (affine || proportional) && become(n, Kind::total, rows);
  }

  const Tape& tape_;
  const TapeMemory &batch_, &one_;
  std::int64_t count_, i_;
  std::vector<NodeKind> kinds_;
};

/// Where a tensor is used: as input `input` of node `node`, which works on rows.
struct Use {
  std::size_t node = TapeReader::none, input = 0;
  bool transposed = false;  // first
  bool found() const { return node != TapeReader::none; }
};

/// The uses of the tensors of these nodes (`none`: not used at all). Nothing unless each of them is
/// used once at most, by rows, as it is or transposed.
std::optional<std::vector<Use>> uses_of(const TapeMemory& m, const std::vector<NodeKind>& kinds,
                                        std::span<const std::size_t> sources) {
  constexpr std::size_t none = TapeReader::none;
  std::vector<std::size_t> tensor(kinds.size(), none);  // which of `sources` it is, or is from
  std::vector<Use> uses(sources.size());
  for (std::size_t k = 0; k < sources.size(); ++k) {
    if (sources[k] == none) continue;
    if (m.nodes[sources[k]].op || kinds[sources[k]].kind != Kind::whole) return {};
    tensor[sources[k]] = k;
  }
  std::vector<char> transposed(kinds.size()), used(kinds.size());
  for (std::size_t n = 0; n < kinds.size(); ++n) {
    const auto in = inputs_of(m, m.nodes[n]);
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::size_t k = tensor[in[i]];
      if (k == none) continue;
      if (std::exchange(used[in[i]], true)) return {};
      const Rows rows = kinds[n].rows;
      if (kinds[n].kind == Kind::rows) {
        const bool weight = rows == Rows::product && i == 1;
        if (!weight && (transposed[in[i]] || rows == Rows::apart || rows == Rows::reshaped))
          return {};
        uses[k] = {n, i, transposed[in[i]] != 0};
        continue;
      }
      // The transpose of a matrix is known by its buffer.
      const BufferRef& buffer = TensorAccess::buffer(m.nodes[n].output);
      if (kinds[n].kind != Kind::whole || in.size() != 1 || !buffer || !buffer.is_transpose() ||
          shape_of(m.nodes[n]).size() != 2 || transposed[in[i]] ||
          buffer->source != TensorAccess::buffer(m.nodes[in[i]].output).get())
        return {};
      tensor[n] = k;
      transposed[n] = true;
    }
  }
  return uses;
}

// Row by row the outer products of two matrices.
Tensor outer_products(const Tensor& a, const Tensor& b) {
  const std::int64_t count = a.shape()[0], m = a.shape()[1], n = b.shape()[1];
  BufferRef left = TensorAccess::buffer(a).resolved();
  if (left->bytes != static_cast<std::uint64_t>(a.size()) * size_of(a.dtype()))
    left = TensorAccess::buffer(a + 0.0);
  BufferRef lazy = visit_floating(a.dtype(), [&]<class T>(T) {
    return kernels::lazy_outer_products<T>(count, m, n, std::move(left),
                                           TensorAccess::buffer(b).resolved());
  });
  return TensorAccess::make(std::move(lazy), {count, m, n}, count * m * n, a.dtype());
}

// What rows give to a tensor that was broadcast, from the adjoint of what they gave.
Tensor over_broadcast(const Tensor& change, const Shape& shape) {
  Shape narrow = Shape::filled(change.rank(), 1), result{change.shape()[0]};
  std::copy(shape.begin(), shape.end(), narrow.end() - static_cast<std::ptrdiff_t>(shape.size()));
  narrow[0] = change.shape()[0];
  for (const std::int64_t extent : shape) result.push_back(extent);
  return reshape(sum_to(change, narrow), result);
}

/// The gradients of the rows from the adjoint of the node that uses the tensor; undefined where
/// that is not known.
Tensor gradients(const Tape& tape, const Use& use, Rows rows, const Tensor& adjoint,
                 const Tensor& of) {
  const TapeMemory& m = TapeReader::memory(tape);
  const Node& node = m.nodes[use.node];
  const Record record = TapeReader::record(tape, use.node);
  if (rows == Rows::transposed_product && use.input == 2) return adjoint;
  if (rows == Rows::transposed_product || rows == Rows::product) {
    const Tensor& x = record.input(0);
    const bool by_outputs = rows == Rows::transposed_product || use.transposed;
    return by_outputs ? outer_products(adjoint, x) : outer_products(x, adjoint);
  }
  if (!node.op->vjp) return {};
  const Tensor change = node.op->vjp(node.op_state, use.input, adjoint, record);
  if (!change.defined() || change.shape() != node.output.shape()) return {};
  return over_broadcast(change, of.shape());
}

std::optional<std::vector<Tensor>> by_rows(const CostOfExamples& cost, Inputs wrt) {
  Tape batch;
  TapeReader::keep_leaves(batch);
  const Tensor loss = cost.of_all();
  Tape first;
  TapeReader::keep_leaves(first);
  const Tensor one = cost.of_one_taken(0);
  Tape last;
  TapeReader::keep_leaves(last);
  const Tensor other = cost.of_one_taken(cost.count - 1);
  const NoRecording scope;
  for (const Tensor* t : {&loss, &one, &other})
    if (!t->defined() || t->size() != 1 || !is_floating(t->dtype())) return {};

  const auto kinds = Comparison(batch, first, cost.count, 0).kinds();
  if (!kinds || kinds != Comparison(batch, last, cost.count, cost.count - 1).kinds()) return {};
  const std::size_t end = TapeReader::find(batch, loss, "per_example_gradient");
  if (end == TapeReader::none || (*kinds)[end].kind != Kind::total ||
      TapeReader::find(first, one, "") != end || TapeReader::find(last, other, "") != end)
    return {};

  const TapeMemory& m = TapeReader::memory(batch);
  std::vector<std::size_t> sources;
  for (std::size_t k = 0; k < wrt.size(); ++k) {
    const std::size_t n = TapeReader::find(batch, wrt[k], "per_example_gradient");
    if (n != TapeReader::none && std::count(sources.begin(), sources.end(), n) > 0) return {};
    sources.push_back(n);
  }
  const auto uses = uses_of(m, *kinds, sources);
  if (!uses) return {};
  std::vector<const Tensor*> users;
  for (const Use& use : *uses)
    if (use.found()) users.push_back(&m.nodes[use.node].output);
  std::vector<Tensor> adjoints(users.size());
  pull_back(loss, Tensor::full(loss.shape(), 1, loss.dtype()), Inputs(users.data(), users.size()),
            adjoints);
  std::vector<Tensor> result;
  for (std::size_t k = 0, u = 0; k < wrt.size(); ++k) {
    const Use& use = (*uses)[k];
    const Tensor adjoint = use.found() ? adjoints[u++] : Tensor();
    if (adjoint.defined()) {
      result.push_back(gradients(batch, use, (*kinds)[use.node].rows, adjoint, wrt[k]));
      if (!result.back().defined()) return {};
    } else {
      Shape shape{cost.count};
      for (const std::int64_t extent : wrt[k].shape()) shape.push_back(extent);
      result.push_back(zeros(shape, wrt[k].dtype()));
    }
  }
  return result;
}

}  // namespace

std::optional<std::vector<Tensor>> row_gradients(const CostOfExamples& cost, Inputs wrt) {
  if (cost.count < 2) return {};
  for (std::size_t k = 0; k < wrt.size(); ++k)
    if (wrt[k].size() == 0) return {};
  try {
    return by_rows(cost, wrt);
  } catch (const Error&) {  // a cost for single examples alone
    return {};
  }
}

}  // namespace xg::detail
