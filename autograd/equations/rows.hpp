// What operations do to rows, tried on numbers. Internal to autograd/equations.
#pragma once

#include "autograd/equations/graph.hpp"

namespace xg::algebra {

/// How an expression stands to the axis of examples. `constant`: not at all. `rows`, `columns`: it
/// has one for each. `summed`: a sum over them, and linear in it.
enum class Stand { constant, rows, columns, summed };

/// An operation and what it is applied to, of m examples.
struct Applied {
  const Function& f;
  std::span<const Expression> x;
  const std::vector<Stand>& stands;  // of x
  std::vector<bool> integers;        // which of x are
  std::int64_t m;

  /// Whether f treats each row alone: what it makes of one is what it makes of it among others.
  bool is_by_rows() const;
  /// And whether it then also takes vectors without rows in the shape (1, n), and a single number
  /// as such: whether it can be read as one on columns.
  bool is_on_columns() const;
  /// Whether it gives the sum of what it gives for each row.
  bool sums_rows() const;
  /// Whether it is linear in input i.
  bool is_linear(std::size_t i) const;
  /// Whether it does to vectors as columns what it does to vectors.
  bool takes_columns() const;

 private:
  std::vector<Tensor> drawn() const;
  std::vector<Tensor> alone(std::vector<Tensor> all, std::int64_t row) const;
};

}  // namespace xg::algebra
