// One example without a batch: a tape of vectors, recorded again with each vector from outside as a
// matrix of one row.
#include <algorithm>

#include "autograd/equations/trial.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"

namespace xg::algebra {

namespace {

using detail::Node;
using detail::TapeMemory;
using detail::TapeReader;

/// Applies the operations behind the loss of a graph again, to numbers of our choice.
class Again {
 public:
  Again(const TapeMemory& m, const Graph& graph, bool rows) : values_(graph.size()) {
    for (std::size_t n = 0; n < graph.size(); ++n) {
      const Vertex& v = graph[n];
      if (!v.value) continue;
      const bool as_row = rows && is_vector(v);
      values_[n] = v.leaf ? drawn(m.nodes[n], as_row ? Shape{1, v.shape[0]} : v.shape, Key{n})
                          : applied(m.nodes[n], v, rows);
      if (v.wanted) wanted_.push_back(values_[n]);
    }
  }
  const Tensor& value(std::size_t n) const { return values_[n]; }
  const Tensor& loss() const { return values_.back(); }
  std::vector<Tensor> gradients() const {
    const NoRecording scope;
    return gradient(loss(), wanted_);
  }
  /// A vector that may be an example.
  static bool is_vector(const Vertex& v) {
    return v.leaf && v.value && !v.parameter && !v.wanted && is_floating(v.dtype) &&
           v.shape.size() == 1;
  }

 private:
  static Tensor drawn(const Node& leaf, const Shape& shape, Key key) {
    const Tensor& kept = leaf.output;
    if (is_floating(kept.dtype())) return random_uniform(shape, key, kept.dtype(), 0.2, 0.8);
    return kept.defined() ? detach(kept) : zeros(shape, kept.dtype());
  }
  Tensor applied(const Node& node, const Vertex& v, bool rows) const {
    std::vector<Tensor> inputs;
    for (const std::size_t input : v.inputs) inputs.push_back(values_[input]);
    // A row stays a row when it is made one, and when it is made a vector.
    const Tensor& x = inputs[0];
    if (rows && std::string_view(node.op->name) == "reshape" && x.rank() == 2 && x.extent(0) == 1 &&
        (v.shape.size() == 1 || v.shape == x.shape()))
      return x;
    return detail::operation_of(node)(inputs);
  }

  std::vector<Tensor> values_, wanted_;
};

bool agree(const Tensor& a, const Tensor& b) {
  if (a.size() != b.size()) return false;
  const Tensor x = reshape(cast(a, DType::float64), {-1}),
               y = reshape(cast(b, DType::float64), {-1});
  return x.size() == 0 || max(abs(x - y)).item() <= 1e-6 * (1 + max(abs(y)).item());
}

}  // namespace

std::optional<Graph> with_one_row(const Tensor& loss, const Graph& graph) {
  const bool has_matrix = std::any_of(graph.begin(), graph.end(), [](const Vertex& v) {
    return v.leaf && v.value && !v.parameter && !v.wanted && v.shape.size() > 1;
  });
  if (has_matrix || std::none_of(graph.begin(), graph.end(), Again::is_vector)) return std::nullopt;
  try {
    const TapeMemory& m = TapeReader::memory(TapeReader::of(loss, "equations"));
    std::vector<Tensor> expected;
    Tensor expected_loss;
    {
      const Tape tape;
      const Again vectors(m, graph, false);
      expected_loss = detach(vectors.loss());
      expected = vectors.gradients();
    }
    const Tape tape;
    const Again rows(m, graph, true);
    const std::vector<Tensor> found = rows.gradients();
    if (!agree(rows.loss(), expected_loss) ||
        !std::equal(found.begin(), found.end(), expected.begin(), expected.end(), agree))
      return std::nullopt;
    const NoRecording scope;  // the tape is read, and must not grow
    const Graph read = read_tape(rows.loss(), {});
    // Vertices have the numbers of the tape's nodes.
    std::vector<std::size_t> number(read.size(), no_vertex);
    for (std::size_t n = graph.size(); n-- > 0;)
      if (graph[n].value)
        if (const std::size_t i = TapeReader::find(tape, rows.value(n), "equations");
            i < read.size())
          number[i] = n;
    const auto renumbered = [&](const Expression& e) {
      return !e ? e : rewrite(e, [&](const Expression& part) {
        if (part.kind() != Kind::symbol) return part;
        Symbol s = part->symbol;
        s.number = static_cast<int>(number[vertex_of(s)]);
        return symbol(s, part.shape());
      });
    };
    for (std::size_t i = 0; i < read.size(); ++i)
      if (read[i].value && number[i] == no_vertex) return std::nullopt;
    Graph result(graph.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (!read[i].value) continue;
      const Vertex& before = graph[number[i]];
      Vertex& v = result[number[i]] = read[i];
      v.value = renumbered(v.value);
      for (auto* list : {&v.inputs, &v.users})
        for (std::size_t& n : *list) n = number[n];
      std::erase_if(v.uses, [&](const Vertex::Use& use) {
        return !before.needed || !graph[number[use.by]].needed;
      });
      for (Vertex::Use& use : v.uses)
        use = {number[use.by], renumbered(use.contribution), renumbered(use.jacobian)};
      v.parameter = before.parameter;
      v.wanted = before.wanted;
      v.needed = before.needed;
      v.name = before.name;
    }
    return find_chain(result) ? std::optional(std::move(result)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace xg::algebra
