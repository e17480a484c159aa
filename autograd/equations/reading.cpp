// From the whole batch to one example: which quantities have a row for each example, and what a
// statement about all rows says about one, written as a column.
#include <algorithm>
#include <cmath>

#include "autograd/equations/graph.hpp"
#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape.hpp"

namespace xg::algebra {

namespace {

/// How an expression stands to the axis of examples. `constant`: not at all. `rows`, `columns`: it
/// has one for each. `summed`: a sum over them, and linear in it.
enum class Stand { constant, rows, columns, summed };

/// Whether f treats each row alone: what it makes of one is what it makes of it among others. With
/// `vectors_as_rows` it is given those that have no rows in the shape (1, n).
bool by_rows(const Function& f, std::span<const Expression> parts, const std::vector<Stand>& stands,
             std::int64_t m, bool vectors_as_rows = false) {
  try {
    const NoRecording scope;
    std::vector<Tensor> x;
    for (std::size_t i = 0; i < parts.size(); ++i)
      x.push_back(random_uniform(parts[i].shape(), Key{7}.fold(i), DType::float64, 0.2, 0.8));
    const Tensor y = f.apply(x);
    if (y.rank() == 0 || y.extent(0) != m) return false;
    for (std::int64_t row = 0; row < m; row += std::max<std::int64_t>(m - 1, 1)) {
      std::vector<Tensor> alone = x;
      for (std::size_t i = 0; i < x.size(); ++i)
        if (stands[i] == Stand::rows)
          alone[i] = slice(x[i], 0, row, row + 1);
        else if (vectors_as_rows && x[i].rank() == 1)
          alone[i] = reshape(x[i], {1, -1});
      const Tensor one = f.apply(alone), expected = slice(y, 0, row, row + 1);
      if (one.shape() != expected.shape() || !(max(abs(one - expected)).item() <= 1e-12))
        return false;
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

class ByExample {
 public:
  ByExample(const Graph& graph, std::int64_t m) : m_(m), stands_(graph.size()) {
    for (std::size_t n = 0; n < graph.size(); ++n) {
      const Vertex& v = graph[n];
      if (!v.value) continue;
      if (v.leaf)
        stands_[n] = is_data(v) ? Stand::rows : Stand::constant;
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
        if (parts[0] == Stand::constant) return Stand::constant;
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
        break;
      }
      case Kind::call:
        if (!varied) return Stand::constant;
        if (count(Stand::rows) + count(Stand::constant) == std::ssize(parts) &&
            by_rows(*e->function, e.parts(), parts, m_))
          return Stand::rows;
        break;
      case Kind::jacobian: {
        const std::span<const Expression> x = e.parts().first(e.parts().size() - 1);
        if (count(Stand::rows) + count(Stand::constant) == std::ssize(parts) &&
            parts.back() == Stand::rows && by_rows(*e->function, x, parts, m_))
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
    for (std::size_t i = 0; i < e.parts().size(); ++i) parts.push_back(part(i));
    return with_parts(e, std::move(parts));
  }

  /// Of a sum over examples, or a constant: what one example contributes, a constant whole.
  Expression share(const Expression& e) const {
    if (stand(e) == Stand::constant) return constant(e);
    switch (e.kind()) {
      case Kind::symbol:
        return symbol(e->symbol, constant_shape(e.shape()));
      case Kind::jacobian:
        return on_row(e);
      case Kind::total: {
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
    for (const Expression& part : e.parts()) parts.push_back(share(part));
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
    if (e.kind() == Kind::call || e.kind() == Kind::power || e.kind() == Kind::derivative)
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

  Expression constant(const Expression& e) const {
    return rewrite(e, [&](const Expression& part) {
      if (part.kind() == Kind::symbol) return symbol(part->symbol, constant_shape(part.shape()));
      if (part.kind() == Kind::total) {
        const Expression& all = part.parts()[0];
        if (part.shape().size() > 0) throw Refusal{"not all axes are summed in ", part};
        return total(all, all_axes(all), {});
      }
      if ((part.kind() == Kind::broadcast || part.kind() == Kind::reshape) &&
          part.shape().size() == 1) {
        Expression::Node node = *part;
        node.shape = constant_shape(part.shape());
        return Expression(std::make_shared<const Expression::Node>(std::move(node)));
      }
      return part;
    });
  }

 private:
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
    const bool is_call = e.kind() == Kind::call;
    const std::span<const Expression> x = e.parts().first(e.parts().size() - (is_call ? 0 : 1));
    std::vector<Stand> stands;
    bool in_columns = true;
    for (const Expression& part : x) {
      stands.push_back(stand(part));
      if (stands.back() == Stand::constant && part.shape().size() == 2) in_columns = false;
    }
    in_columns = in_columns && by_rows(*e->function, x, stands, m_, true);
    const bool has_rows = is_call || stands[e->slot] == Stand::rows;

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
  if (result.count == 0) {
    result.refusal = Refusal{"no matrix from outside has a row for each example", {}};
    return result;
  }
  try {
    const ByExample split(graph, result.count);
    for (std::size_t n = 0; n < graph.size(); ++n)
      result.has_rows[n] = split.stand_of(n) == Stand::rows;
  } catch (const Refusal& refusal) {
    result.refusal = refusal;
  }
  return result;
}

Reading one_example(const Reading& batch, const Graph& graph, const Examples& examples) {
  const ByExample split(graph, examples.count);
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
