// What stands in the picture of a graph: its nodes in words, and for blocks that repeat one of
// them with the edges of all.
#include "autograd/graph.hpp"

#include "autograd/equations/trial.hpp"
#include "autograd/op.hpp"
#include "autograd/pictures/picture.hpp"

namespace xg {

namespace pictures {

using algebra::Names;
using algebra::Vertex;
using detail::text;

namespace {

class Painter {
 public:
  Painter(const Tensor& loss, std::span<const ParameterRef> parameters, const GraphOptions& options)
      : options_(options),
        derivatives_(options.backward || options.norms),
        graph_(algebra::read_tape(loss, parameters, {"graph", derivatives_})),
        m_(detail::TapeReader::memory(detail::TapeReader::of(loss, "graph"))) {
    name(loss);
    if (options.values) values_ = values_of(m_, graph_, loss, parameters);
    if (options.norms) norms_ = norms_of(m_, graph_, loss);
    list_items();
    if (drawn_.size() > options.fold_above) runs_ = repeated_blocks(items_);
  }

  Picture picture() const {
    Picture result;
    result.backward = options_.backward;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const Run* const run = run_of(i);
      if (run && run->block(i) > 0) continue;
      result.nodes.push_back(node(drawn_[i], run));
    }
    for (const Run& run : runs_)
      result.blocks.push_back(text("× ", run.count, ": equal blocks, of which this is the first"));
    for (std::size_t i = 0; i < items_.size(); ++i)
      for (std::size_t slot = 0; slot < items_[i].inputs.size(); ++slot)
        if (auto edge = edge_between(i, slot)) result.edges.push_back(std::move(*edge));
    if (!options_.backward) return result;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      std::size_t by = 0, slot = 0;  // of the use before; uses come in the order of slots
      for (const Vertex::Use& use : graph_[drawn_[i]].uses) {
        slot = use.by == by ? slot + 1 : 0;
        by = use.by;
        const std::size_t user = position_[by];
        while (items_[user].inputs[slot] != i) ++slot;
        auto edge = edge_between(user, slot);
        if (!edge) continue;
        edge->backward = true;
        edge->term = use.contribution ? written(algebra::tidied(use.contribution, nullptr)) : "0";
        result.edges.push_back(std::move(*edge));
      }
    }
    return result;
  }

 private:
  /// Names as in the equations of the whole batch, but one for every node.
  void name(const Tensor& loss) {
    std::vector<bool> named(graph_.size());
    for (std::size_t n = 0; n < graph_.size(); ++n) named[n] = !graph_[n].leaf;
    names_ = algebra::notation(graph_, named, algebra::find_chain(graph_), false);
    if (loss.size() != 1 && names_.at(algebra::value_of(graph_.size() - 1)).letter == "C")
      names_[algebra::value_of(graph_.size() - 1)] = {.letter = "f"};
    for (std::size_t n = 0; n < graph_.size(); ++n) {
      if (!graph_[n].value) continue;
      Symbol adjoint = names_.at(algebra::value_of(n));
      adjoint.role = Symbol::Role::adjoint;
      names_.try_emplace(algebra::adjoint_of(n), adjoint);
    }
  }

  void list_items() {
    position_.resize(graph_.size());
    std::map<std::string, std::size_t> kinds;
    for (std::size_t n = 0; n < graph_.size(); ++n) {
      const Vertex& v = graph_[n];
      if (!v.value) continue;  // the loss does not depend on it
      position_[n] = drawn_.size();
      drawn_.push_back(n);
      std::string kind = text(v.dtype, v.shape, v.parameter, v.wanted, v.needed);
      if (v.function)
        kind += text(static_cast<const void*>(v.function->operation), '\n', v.function->variant,
                     '\n', v.function->facet);
      Item item{kinds.try_emplace(kind, kinds.size()).first->second, v.leaf, {}};
      for (const std::size_t input : v.inputs) item.inputs.push_back(position_[input]);
      items_.push_back(std::move(item));
    }
  }

  const Run* run_of(std::size_t item) const {
    for (const Run& run : runs_)
      if (run.holds(item)) return &run;
    return nullptr;
  }

  std::string written(const Expression& e) const {
    return to_string(algebra::rewrite(e, [&](const Expression& part) {
      if (part.kind() != algebra::Kind::symbol) return part;
      const auto it = names_.find(part->symbol);
      return it == names_.end() ? part : algebra::symbol(it->second, part.shape());
    }));
  }
  std::string value_name(std::size_t n) const { return to_string(names_.at(algebra::value_of(n))); }
  std::string adjoint_name(std::size_t n) const {
    return to_string(names_.at(algebra::adjoint_of(n)));
  }

  Picture::Node node(std::size_t n, const Run* run) const {
    using Kind = Picture::Kind;
    const Vertex& v = graph_[n];
    // The same node of the last block, if there are blocks.
    const std::size_t last = run ? drawn_[position_[n] + (run->count - 1) * run->length] : n;
    const auto from_to = [](const std::string& from, const std::string& to) {
      return from == to ? from : from + " … " + to;
    };
    Picture::Node result{n, Kind::operation, "", {}, {}, no_block};
    if (run) result.block = static_cast<std::size_t>(run - runs_.data());
    const std::string range = from_to(value_name(n), value_name(last));
    if (!v.leaf) {
      result.kind = n + 1 == graph_.size() ? Kind::loss : Kind::operation;
      result.title = m_.nodes[n].op->name;
      result.forward.push_back(value_name(n) + " = " + written(v.value));
    } else {
      result.kind = v.parameter ? Kind::parameter : Kind::input;
      const bool has_name = v.parameter && !v.name.empty();
      result.title =
          has_name ? from_to(v.name, graph_[last].name) : (v.parameter ? "parameter" : "input");
      if (result.title != range) result.forward.push_back(range);
    }
    result.forward.push_back(text(v.dtype, ' ', v.shape));
    if (options_.values) result.forward.push_back(summary(values_[n]));
    if (!v.needed) return result;
    const std::string adjoints = from_to(adjoint_name(n), adjoint_name(last));
    if (options_.norms)
      result.backward.push_back("‖" + adjoints +
                                "‖ = " + from_to(brief(norms_[n]), brief(norms_[last])));
    else if (options_.backward)
      result.backward.push_back(n + 1 == graph_.size() ? adjoints + " = 1" : adjoints);
    return result;
  }

  /// To an item from its input, drawn between the first blocks where they repeat; nothing if it
  /// says no more than the edge of an earlier block.
  std::optional<Picture::Edge> edge_between(std::size_t to, std::size_t slot) const {
    const std::size_t from = items_[to].inputs[slot];
    const Run *const source = run_of(from), *const user = run_of(to);
    Picture::Edge edge{drawn_[from], drawn_[to], false, false, "", ""};
    if (source) edge.from = drawn_[source->first + source->place(from)];
    if (user) edge.to = drawn_[user->first + user->place(to)];
    const auto number = [](const Run& run, std::size_t block) {
      return block == 0               ? std::string("the first")
             : block + 1 == run.count ? std::string("the last")
                                      : text("number ", block + 1);
    };
    if (source && source == user) {
      const std::size_t steps = user->block(to) - source->block(from);
      if (source->block(from) > 0) return std::nullopt;
      edge.turns = steps > 0;
      if (edge.turns) edge.which = steps == 1 ? "to the next" : text(steps, " blocks on");
      return edge;
    }
    if (source && user && goes_along(items_, *source, *user, to, slot)) {
      if (user->block(to) > 0) return std::nullopt;
      const std::size_t block = source->block(from);
      edge.which = block == 0 ? "one by one" : text("one by one, from number ", block + 1, " on");
      return edge;
    }
    if (source) {
      const bool each = is_used_in_each(items_, *source, to, source->place(from));
      if (each && source->block(from) > 0) return std::nullopt;
      edge.which = "of " + (each ? std::string("each") : number(*source, source->block(from)));
    }
    if (user) {
      const std::size_t first = user->first + user->place(to);
      const bool stays =
          items_[first].inputs[slot] == from && items_[first + user->length].inputs[slot] == from;
      if (stays && user->block(to) > 0) return std::nullopt;
      if (source) edge.which += ", ";
      edge.which += "to " + (stays ? std::string("each") : number(*user, user->block(to)));
    }
    return edge;
  }

  GraphOptions options_;
  bool derivatives_;
  algebra::Graph graph_;
  const detail::TapeMemory& m_;
  Names names_;
  std::vector<Tensor> values_;
  std::vector<double> norms_;
  std::vector<std::size_t> drawn_, position_;  // nodes of the tape by item, and the other way
  std::vector<Item> items_;
  std::vector<Run> runs_;
};

}  // namespace
}  // namespace pictures

Graph graph(const Tensor& loss, std::span<const ParameterRef> parameters,
            const GraphOptions& options) {
  const NoRecording scope;
  return Graph(pictures::to_dot(pictures::Painter(loss, parameters, options).picture()));
}

}  // namespace xg
