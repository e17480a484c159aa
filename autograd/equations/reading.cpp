// From the whole batch to one example: which quantities have a row for each example, and what a
// statement about all rows says about one, written as a column.
#include <algorithm>
#include <cmath>

#include "autograd/equations/rows.hpp"

namespace xg::algebra {

namespace {

class ByExample {
 public:
  /// With `vectors` those of m elements have one for each example.
  ByExample(const Graph& graph, std::int64_t m, bool vectors)
      : graph_(graph), m_(m), stands_(graph.size()) {
    for (std::size_t n = 0; n < graph.size(); ++n) {
      const Vertex& v = graph[n];
      if (!v.value) continue;
      if (v.leaf)
        stands_[n] = is_data(v) || (vectors && is_data_vector(v) && v.shape[0] == m)
                         ? Stand::rows
                         : Stand::constant;
      else
        stands_[n] = stand(v.value);
    }
    if (stands_.back() != Stand::summed)
      throw Refusal{"the loss is not a sum over the examples", {}};
  }

  static bool is_data(const Vertex& v) {
    return v.leaf && v.value && !v.parameter && !v.wanted && is_floating(v.dtype) &&
           v.shape.size() == 2;
  }
  static bool is_data_vector(const Vertex& v) {
    return v.leaf && v.value && !v.parameter && !v.wanted && v.shape.size() == 1;
  }
  Stand stand_of(std::size_t vertex) const { return stands_[vertex]; }

  Stand stand(const Expression& e) const {
    std::vector<Stand> parts;
    for (const Expression& part : e.parts()) parts.push_back(stand(part));
    const auto count = [&](Stand s) { return std::count(parts.begin(), parts.end(), s); };
    if (e.kind() == Kind::number) return Stand::constant;
    if (e.kind() == Kind::symbol) {
      const Stand s = stands_[vertex_of(e->symbol)];
      // An adjoint of what is the same for all examples is the average of theirs.
      return is_adjoint(e) && s == Stand::constant ? Stand::summed : s;
    }
    const bool varied = count(Stand::constant) != std::ssize(parts);
    switch (e.kind()) {
      case Kind::sum:
      case Kind::hadamard:
      case Kind::quotient:
      case Kind::power:
      case Kind::derivative:
        if (!varied) return Stand::constant;
        if (count(Stand::rows) > 0 &&
            count(Stand::rows) + count(Stand::constant) == std::ssize(parts)) {
          for (std::size_t i = 0; i < parts.size(); ++i)
            check_row(e.parts()[i], parts[i], e.shape());
          return Stand::rows;
        }
        if (e.kind() == Kind::sum &&
            count(Stand::summed) + count(Stand::constant) == std::ssize(parts))
          return Stand::summed;
        if (count(Stand::summed) == 1 && count(Stand::constant) + 1 == std::ssize(parts) &&
            (e.kind() == Kind::hadamard ||
             (e.kind() == Kind::quotient && parts[0] == Stand::summed)))
          return Stand::summed;
        break;
      case Kind::product: {
        if (!varied) return Stand::constant;
        if (count(Stand::summed) == 1 && count(Stand::constant) + 1 == std::ssize(parts))
          return Stand::summed;
        if (count(Stand::columns) == 0 && count(Stand::rows) == 1 && parts[0] == Stand::rows)
          return Stand::rows;
        if (count(Stand::rows) == 0 && count(Stand::columns) == 1 && parts.back() == Stand::columns)
          return Stand::columns;
        const std::size_t at = meeting(parts);
        if (at != no_vertex && count(Stand::constant) + 2 == std::ssize(parts))
          return Stand::summed;
        break;
      }
      case Kind::transpose:
        if (parts[0] == Stand::rows) return Stand::columns;
        return parts[0] == Stand::columns ? Stand::rows : parts[0];
      case Kind::total: {
        if (parts[0] == Stand::constant || parts[0] == Stand::summed) return parts[0];
        if (parts[0] != Stand::rows) break;
        const bool over_examples = std::find(e->axes.begin(), e->axes.end(), 0) != e->axes.end();
        if (!over_examples && e.shape().size() > 2) break;
        return over_examples ? Stand::summed : Stand::rows;
      }
      case Kind::broadcast:
      case Kind::reshape: {
        const Shape& from = e.parts()[0].shape();
        const bool to_rows = (e.shape().size() == 2 || e.shape().size() == 1) && e.shape()[0] == m_;
        if (parts[0] == Stand::rows && to_rows && from[0] == m_ &&
            (e.kind() == Kind::broadcast || element_count(from) == m_))
          return Stand::rows;
        if (parts[0] == Stand::constant)
          return e.kind() == Kind::broadcast && e.shape().size() == 2 && to_rows &&
                         (from.size() < 2 || from[0] == 1)
                     ? Stand::rows
                     : Stand::constant;
        if (parts[0] == Stand::summed) return Stand::summed;
        break;
      }
      case Kind::call:
        if (!varied) return Stand::constant;
        if (count(Stand::rows) + count(Stand::constant) != std::ssize(parts)) break;
        if (applied(e, e.parts(), parts).is_by_rows()) return Stand::rows;
        if (applied(e, e.parts(), parts).sums_rows()) return Stand::summed;
        break;
      case Kind::jacobian: {
        const std::span<const Expression> x = e.parts().first(e.parts().size() - 1);
        if (count(Stand::rows) + count(Stand::constant) == std::ssize(parts) &&
            parts.back() == Stand::rows && applied(e, x, parts).is_by_rows())
          return parts[e->slot] == Stand::rows ? Stand::rows : Stand::summed;
        break;
      }
      default:
        break;
    }
    throw Refusal{"examples are mixed in ", e};
  }

  /// Of what has rows: the one of an example, as a column.
  Expression column(const Expression& e) const {
    const auto part = [&](std::size_t i) { return column(e.parts()[i]); };
    if (stand(e) == Stand::constant) return constant(e);
    switch (e.kind()) {
      case Kind::symbol:
        return symbol(e->symbol, column_shape(e.shape()));
      case Kind::product: {
        Parts parts{column(e.parts()[0])};
        for (std::size_t i = 1; i < e.parts().size(); ++i)
          parts.insert(parts.begin(), transpose(constant(e.parts()[i])));
        return product(std::move(parts));
      }
      case Kind::transpose:
        return column_of_columns(e.parts()[0]);
      case Kind::total:
        return total(part(0), all_axes(part(0)), column_shape(e.shape()));
      case Kind::broadcast:
        return broadcast(part(0), column_shape(e.shape()));
      case Kind::reshape:
        return reshape(part(0), column_shape(e.shape()));
      case Kind::call:
      case Kind::jacobian:
        return on_row(e);
      default:
        break;
    }
    Parts parts;
    for (std::size_t i = 0; i < e.parts().size(); ++i) {
      parts.push_back(part(i));
      // (1, n) beside rows
      if (stand(e.parts()[i]) == Stand::constant && parts.back().shape().size() == 2 &&
          e.parts()[i].shape().size() == 2)
        parts.back() = transpose(parts.back());
    }
    return with_parts(e, std::move(parts));
  }

  /// Of a sum over examples, or a constant: what one example contributes, a constant whole.
  Expression share(const Expression& e) const {
    if (stand(e) == Stand::constant) return constant(e);
    switch (e.kind()) {
      case Kind::symbol:
        return symbol(e->symbol, constant_shape(e.shape()));
      case Kind::call:
      case Kind::jacobian:
        return on_row(e);
      case Kind::broadcast:
        return broadcast(beside(e, e.parts()[0], share(e.parts()[0])), constant_shape(e.shape()));
      case Kind::reshape:
        return reshape(share(e.parts()[0]), constant_shape(e.shape()));
      case Kind::total: {
        if (stand(e.parts()[0]) == Stand::summed) return total_of(e, share(e.parts()[0]));
        const Expression c = column(e.parts()[0]);
        if (e.shape().size() == 0) return total(c, all_axes(c), {});
        return e.shape().size() == 2 ? transpose(c) : c;
      }
      case Kind::product: {
        std::vector<Stand> stands;
        for (const Expression& part : e.parts()) stands.push_back(stand(part));
        const std::size_t at = meeting(stands);
        if (at == no_vertex) break;
        Parts parts;
        for (std::size_t i = 0; i < e.parts().size(); ++i)
          parts.push_back(i == at       ? column_of_columns(e.parts()[i])
                          : i == at + 1 ? transpose(column(e.parts()[i]))
                                        : constant(e.parts()[i]));
        return product(std::move(parts));
      }
      default:
        break;
    }
    Parts parts;
    for (const Expression& part : e.parts()) parts.push_back(beside(e, part, share(part)));
    return with_parts(e, std::move(parts));
  }

  /// `e`, linear in adjoints, with those terms times m that have no adjoint but examples: what
  /// remains of the others when each adjoint is m times that of the average.
  Expression times_count(const Expression& e, bool rows) const {
    Parts parts(e.parts().begin(), e.parts().end());
    const bool is_sum = e.kind() == Kind::sum;
    if (!any(e, is_adjoint)) {
      if (!rows && stand(e) == Stand::constant) return e;
      const auto is_share = [&](const Expression& part) { return stand(part) == Stand::summed; };
      const auto share = std::find_if(parts.begin(), parts.end(), is_share);
      if (rows || share == parts.end()) return hadamard({number(static_cast<double>(m_)), e});
      for (auto it = is_sum ? parts.begin() : share; it != (is_sum ? parts.end() : share + 1); ++it)
        *it = times_count(*it, rows);
      return with_parts(e, std::move(parts));
    }
    if (e.kind() == Kind::symbol) return e;
    if (e.kind() == Kind::power || e.kind() == Kind::derivative ||
        (e.kind() == Kind::call && !is_linear_in_adjoints(e)))
      throw Refusal{"an adjoint stands in ", e};
    std::size_t linear = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!is_sum && !any(parts[i], is_adjoint)) continue;
      parts[i] = times_count(parts[i], rows);
      ++linear;
    }
    if (!is_sum && linear != 1) throw Refusal{"two adjoints stand in ", e};
    return with_parts(e, std::move(parts));
  }

  /// What is the same for all examples, with vectors as columns.
  Expression constant(const Expression& e) const {
    Parts parts;
    for (const Expression& part : e.parts()) parts.push_back(beside(e, part, constant(part)));
    switch (e.kind()) {
      case Kind::symbol:
        return symbol(e->symbol, constant_shape(e.shape()));
      case Kind::total:
        return total_of(e, parts[0]);
      case Kind::broadcast:
        return broadcast(parts[0], constant_shape(e.shape()));
      case Kind::reshape:
        return reshape(parts[0], constant_shape(e.shape()));
      case Kind::call:
      case Kind::jacobian:
        break;
      default:
        return parts.empty() ? e : with_parts(e, std::move(parts));
    }
    const std::span<const Expression> x = inputs_of(e);
    Expression::Node node = *e;
    if (applied(e, x, std::vector<Stand>(x.size(), Stand::constant)).takes_columns()) {
      node.parts = std::move(parts);
      node.shape = constant_shape(e.shape());
      return Expression(std::make_shared<const Expression::Node>(std::move(node)));
    }
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (const Shape& shape = e.parts()[i].shape(); shape.size() == 1)
        parts[i] = reshape(parts[i], shape);
    node.parts = std::move(parts);
    const Expression result(std::make_shared<const Expression::Node>(std::move(node)));
    return e.shape().size() == 1 ? reshape(result, constant_shape(e.shape())) : result;
  }

 private:
  static std::span<const Expression> inputs_of(const Expression& e) {
    return e.parts().first(e.parts().size() - (e.kind() == Kind::jacobian ? 1 : 0));
  }
  Applied applied(const Expression& e, std::span<const Expression> x,
                  const std::vector<Stand>& stands) const {
    Applied result{*e->function, x, stands, {}, m_};
    for (const Expression& part : x)
      result.integers.push_back(is_value(part) &&
                                !is_floating(graph_[vertex_of(part->symbol)].dtype));
    return result;
  }
  bool is_linear_in_adjoints(const Expression& e) const {
    std::vector<Stand> stands;
    for (const Expression& part : e.parts()) stands.push_back(stand(part));
    for (std::size_t i = 0; i < e.parts().size(); ++i)
      if (any(e.parts()[i], is_adjoint) && !applied(e, e.parts(), stands).is_linear(i))
        return false;
    return true;
  }
  /// The sum `e` of what is no row of an example, `inner`.
  static Expression total_of(const Expression& e, const Expression& inner) {
    if (e.shape().size() == 0) return total(inner, all_axes(inner), {});
    if (e.parts()[0].shape().size() == 1)
      return reshape(total(inner, all_axes(inner), {}), constant_shape(e.shape()));
    if (inner.shape() != e.parts()[0].shape()) throw Refusal{"not all axes are summed in ", e};
    const Expression result = total(inner, e->axes, e.shape());
    return e.shape().size() == 1 ? reshape(result, constant_shape(e.shape())) : result;
  }
  /// `part` of `e` in columns: a row, if it is a vector beside a matrix.
  static Expression beside(const Expression& e, const Expression& part, const Expression& column) {
    const bool in_matrix = e.shape().size() == 2 && part.shape().size() == 1 &&
                           column.shape().size() == 2 &&
                           (e.kind() == Kind::sum || e.kind() == Kind::hadamard ||
                            e.kind() == Kind::quotient || e.kind() == Kind::broadcast);
    return in_matrix ? transpose(column) : column;
  }
  static std::size_t meeting(const std::vector<Stand>& stands) {
    for (std::size_t i = 0; i + 1 < stands.size(); ++i)
      if (stands[i] == Stand::columns && stands[i + 1] == Stand::rows) return i;
    return no_vertex;
  }
  static Axes all_axes(const Expression& e) {
    Axes axes;
    for (std::size_t i = 0; i < e.shape().size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    return axes;
  }
  /// (m, n) -> (n, 1), (m,) -> ().
  static Shape column_shape(const Shape& shape) {
    return shape.size() == 2 ? Shape{shape[1], 1} : Shape{};
  }
  /// (n,) -> (n, 1)
  static Shape constant_shape(const Shape& shape) {
    return shape.size() == 1 ? Shape{shape[0], 1} : shape;
  }
  void check_row(const Expression& e, Stand s, const Shape& shape) const {
    const bool fits = s == Stand::rows    ? e.shape().size() == shape.size()
                      : shape.size() == 2 ? e.shape().size() < 2 || e.shape()[0] == 1
                                          : element_count(e.shape()) == 1;
    if (!fits) throw Refusal{"examples are mixed in ", e};
  }
  Expression column_of_columns(const Expression& e) const {
    if (e.kind() == Kind::transpose) return column(e.parts()[0]);
    Parts parts;
    for (std::size_t i = 0; i < e.parts().size(); ++i)
      parts.push_back(i + 1 < e.parts().size() ? constant(e.parts()[i])
                                               : column_of_columns(e.parts()[i]));
    return product(std::move(parts));
  }
  /// An operation on what belongs to one example. Alone, or with parameters that it takes in any
  /// shape, it can be read as one on columns; beside others the example has to stand as a row.
  Expression on_row(const Expression& e) const {
    const std::span<const Expression> x = inputs_of(e);
    std::vector<Stand> stands;
    bool in_columns = true;
    for (const Expression& part : x) {
      stands.push_back(stand(part));
      if (stands.back() == Stand::constant && part.shape().size() == 2) in_columns = false;
    }
    const bool has_rows = stand(e) == Stand::rows;
    in_columns = in_columns && (has_rows || e.kind() == Kind::jacobian) &&
                 applied(e, x, stands).is_on_columns();

    Expression::Node node = *e;
    node.by_rows = in_columns;
    if (in_columns)
      node.shape = has_rows ? column_shape(e.shape()) : constant_shape(e.shape());
    else if (has_rows)
      node.shape[0] = 1;
    for (Expression& part : node.parts) {
      const Shape shape = part.shape();
      const bool is_row = stand(part) == Stand::rows;
      part = column(part);
      if (in_columns) continue;
      if (shape.size() == 1)
        part = reshape(part, is_row ? Shape{1} : shape);
      else if (is_row)
        part = transpose(part);
    }
    const Expression result(std::make_shared<const Expression::Node>(std::move(node)));
    if (in_columns) return result;
    if (e.shape().size() == 1)
      return reshape(result, has_rows ? Shape{} : constant_shape(e.shape()));
    return has_rows ? transpose(result) : result;
  }

  const Graph& graph_;
  std::int64_t m_;
  std::vector<Stand> stands_;
};

}  // namespace

Examples find_examples(const Graph& graph) {
  Examples result;
  result.has_rows.assign(graph.size(), false);
  for (std::size_t n = 0; n < graph.size(); ++n) {
    if (!ByExample::is_data(graph[n])) continue;
    const std::int64_t rows = graph[n].shape[0];
    if (result.count != 0 && rows != result.count) {
      result.refusal = {detail::text("the matrices from outside have ", result.count, " and ", rows,
                                     " rows, so that neither counts the examples"),
                        {}};
      result.count = 0;
      return result;
    }
    result.count = rows;
  }
  // Labels alone count examples, too.
  for (std::size_t n = 0; n < graph.size() && result.count == 0; ++n)
    if (ByExample::is_data_vector(graph[n]) && !is_floating(graph[n].dtype))
      result.count = graph[n].shape[0];
  if (result.count == 0) {
    result.refusal = Refusal{"no matrix from outside has a row for each example", {}};
    return result;
  }
  // A vector of as many elements may be one of all examples, or have one for each.
  const bool may_have_rows = std::any_of(graph.begin(), graph.end(), [&](const Vertex& v) {
    return ByExample::is_data_vector(v) && v.shape[0] == result.count;
  });
  for (const bool vectors : {false, true}) try {
      if (vectors && !may_have_rows) break;
      const ByExample split(graph, result.count, vectors);
      for (std::size_t n = 0; n < graph.size(); ++n)
        result.has_rows[n] = split.stand_of(n) == Stand::rows;
      result.vectors = vectors;
      result.refusal.reset();
      break;
    } catch (const Refusal& refusal) {
      result.refusal = refusal;
    }
  return result;
}

void mark_axes(Reading& batch, const Graph& graph, const Examples& examples) {
  std::optional<ByExample> split;
  if (!examples.refusal) split.emplace(graph, examples.count, examples.vectors);
  const auto has_examples = [&](const Expression& e) {
    try {
      if (split) return split->stand(e) == Stand::rows;
    } catch (const Refusal&) {
    }
    return e.shape()[0] == examples.count;
  };
  const auto marked = [&](const Expression& e) {
    return rewrite(e, [&](const Expression& part) {
      const bool sums = part.kind() == Kind::total && part->axes == Axes{0};
      if (!sums && part.kind() != Kind::call) return part;
      if (part.parts().empty() || part.parts()[0].shape().size() != 2 ||
          has_examples(part.parts()[0]))
        return part;
      Expression::Node node = *part;
      node.of_examples = false;
      return Expression(std::make_shared<const Expression::Node>(std::move(node)));
    });
  };
  for (auto* list : {&batch.forward, &batch.backward})
    for (Statement& s : *list) {
      s.right = marked(s.right);
      for (DerivationStep& step : s.steps) step.result = marked(step.result);
    }
}

Reading one_example(const Reading& batch, const Graph& graph, const Examples& examples) {
  const ByExample split(graph, examples.count, examples.vectors);
  const auto convert = [&](const Statement& s) {
    const bool rows = examples.has_rows[vertex_of(s.left)];
    const bool summed = split.stand_of(vertex_of(s.left)) == Stand::summed;
    Statement result{.left = s.left, .right = s.right};
    if (s.left.role != Symbol::Role::value || summed) {
      const Expression e = split.times_count(s.right, rows);
      result.right = rows ? split.column(e) : split.share(e);
    } else {
      result.right = rows ? split.column(s.right) : split.constant(s.right);
    }
    result.steps.push_back({rows ? "one row of that of the batch, as a column, times m"
                                 : "one of the m terms of which that of the batch is the average",
                            result.right});
    result.right = simplified(result.right, &result.steps);
    const Expression with = with_norms(result.right);
    if (!same(with, result.right)) result.steps.push_back({"Σ u² = ‖u‖²", with});
    result.right = with;
    return result;
  };
  Reading result;
  for (const Statement& s : batch.forward) result.forward.push_back(convert(s));
  for (const Statement& s : batch.backward) result.backward.push_back(convert(s));
  return result;
}

}  // namespace xg::algebra
