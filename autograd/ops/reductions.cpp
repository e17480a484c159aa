// Reductions over one, several or all axes.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/others.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/grouped.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using kernels::Reduction;

Tensor reduce(Reduction kind, const Tensor& x, const Axes& axes, const Shape& shape) {
  Tensor out = Tensor::uninitialised(shape, x.dtype());
  Grouped g = group(x.shape(), axes);
  const Tensor from = brought_together(g, x, axes);
  visit_floating(x.dtype(), [&]<class T>(T) {
    kernels::reduce(kind, g.outer, g.count, g.inner, from.data<T>(), out.exclusive_data<T>());
  });
  return out;
}

/// g / by, where nobody records; 0 where g is.
Tensor quotient_unless_zero(const Tensor& g, const Tensor& by) {
  return map_unless_zero("divide", g, by, [](const auto& a, const auto& b) { return a / b; });
}

/// What the reductions share: the axes, the shape rule, and the way back to the input's shape.
template <class Self>
struct Over {
  Axes axes;
  bool keepdims = false;

  Shape shape(Inputs x) const {
    require_floating(Self::name, x);
    if (axes.empty() && !keepdims) return {};
    return reduced_shape(x[0].shape(), normalised(x[0].shape()), keepdims);
  }
  Axes normalised(const Shape& shape) const {
    return normalise_axes(Self::name, axes, shape.size());
  }
  /// Number of elements in each reduction.
  std::int64_t count(const Shape& shape) const {
    std::int64_t n = 1;
    for (const std::int64_t axis : normalised(shape)) n *= shape[static_cast<std::size_t>(axis)];
    return n;
  }
  void require_elements(Inputs x) const {
    if (count(x[0].shape()) == 0)
      throw ShapeError(detail::text("[", Self::name, "] no elements to choose from: shape ",
                                    x[0].shape(), " over axes ", normalised(x[0].shape())));
  }
  /// A tensor of the output's shape with the reduced axes back as extents of 1.
  Tensor expanded(const Tensor& t, const Record& r) const {
    if (t.rank() == 0) return t;  // it broadcasts as it is
    const Shape in = r.input_shape(0);
    return reshape(t, reduced_shape(in, normalised(in), true));
  }
  double flops(const Record& r) const {
    return static_cast<double>(element_count(r.input_shape(0)));
  }
  /// How the kernels see the input, if they can as it stands and nobody records: then a derivative
  /// may be a loop of its own instead of tensor operations.
  std::optional<Grouped> unrecorded(const Record& r) const {
    const Grouped grouped = group(r.input_shape(0), normalised(r.input_shape(0)));
    if (Tape::recording() || !grouped.together) return {};
    return grouped;
  }
  /// The sum over the reduced axes, in the output's shape.
  Tensor collected(const Tensor& t) const { return sum(t, axes, keepdims); }

  std::string equation() const {
    return std::string(Self::symbol) + (axes.empty() ? "({0})" : "_" + to_string(axes) + "({0})");
  }
  Rows rows(const Record& r) const {
    const Axes over = normalised(r.input_shape(0));
    if (std::count(over.begin(), over.end(), 0) == 0) return Rows::apart;
    if constexpr (requires { Self::of_rows; }) return Self::of_rows;
    return Rows::mixed;
  }
  static Self over(const Axes& axes, bool keepdims = false) {
    Self op;
    op.axes = axes;
    op.keepdims = keepdims;
    return op;
  }
  static std::vector<Sample<Self>> samples() { return samples_between(-2, 2); }
  static std::vector<Sample<Self>> samples_between(double low, double high) {
    std::vector<Sample<Self>> result;
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{5}, Shape{3, 1}, Shape{2, 3, 4}, Shape{37}})
      result.push_back({over({}), {numbers(shape, low, high)}});
    for (const Axes& axes : {Axes{0}, Axes{-1}, Axes{1}, Axes{0, 2}, Axes{1, 2}, Axes{0, 1, -1}})
      for (const bool keep : {false, true})
        result.push_back({over(axes, keep), {numbers({2, 3, 4}, low, high)}});
    result.push_back({over({0}), {numbers({3, 21}, low, high)}});
    result.push_back({over({1}),
                      {numbers({3, 0, 2}, low, high)},
                      Self::of_nothing ? "" : "no elements to choose from"});
    result.push_back({over({1}), {numbers({0, 2}, low, high)}});
    result.push_back({over({2}), {numbers({2, 2}, 0, 1)}, "axis 2 is out of range"});
    result.push_back({over({0, -2}), {numbers({2, 2}, 0, 1)}, "an axis is named twice"});
    result.push_back({over({}), {Tensor{1, 2}}, "input 0 is int64"});
    return result;
  }
  static std::vector<Sample<Self>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{over({0}), {numbers({side, side}, 0.5, 1.5)}},
            {over({1}), {numbers({side, side}, 0.5, 1.5)}},
            {over({1}), {numbers({n / 10, 10}, 0.5, 1.5)}}};
  }
};

struct Sum : Over<Sum> {
  static constexpr auto name = "sum", symbol = "Σ";
  static constexpr Rows of_rows = Rows::added;
  static constexpr Keep keeps = Keep::nothing;
  static constexpr bool of_nothing = true;
  Tensor forward(Inputs x, const Shape& shape) const {
    return reduce(Reduction::sum, x[0], normalised(x[0].shape()), shape);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return broadcast_to(expanded(g, r), r.input_shape(0));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return collected(t); }
};

struct SquaredNorm : Over<SquaredNorm> {
  static constexpr auto name = "squared_norm";
  static constexpr Rows of_rows = Rows::added;
  static constexpr Keep keeps = Keep::inputs;
  static constexpr bool of_nothing = true;
  Tensor forward(Inputs x, const Shape& shape) const {
    return reduce(Reduction::squares, x[0], normalised(x[0].shape()), shape);
  }
  // 2 x for each element.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor& x = r.input(0);
    if (g.size() == 1 && !Tape::recording())
      return g.item() == 0 ? zeros_like(x) : scale(x, 2 * g.item());
    return product_unless_zero(expanded(scale(g, 2), r), x);
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return scale(collected(product_unless_zero(t, r.input(0))), 2);
  }
  std::string equation() const { return "‖{0}‖²" + (axes.empty() ? "" : "_" + to_string(axes)); }
};

struct Mean : Over<Mean> {
  static constexpr auto name = "mean", symbol = "mean";
  static constexpr Rows of_rows = Rows::averaged;
  static constexpr Keep keeps = Keep::nothing;
  static constexpr bool of_nothing = true;  // NaN, as 0 / 0
  Tensor forward(Inputs x, const Shape& shape) const {
    const NoRecording scope;
    return reduce(Reduction::sum, x[0], normalised(x[0].shape()), shape) / count(x[0].shape());
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return broadcast_to(expanded(g / count(r.input_shape(0)), r), r.input_shape(0));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return collected(t) / std::max<std::int64_t>(1, count(r.input_shape(0)));
  }
};

struct Var : Over<Var> {
  double ddof = 0;

  static constexpr auto name = "var", symbol = "var";
  static constexpr Keep keeps = Keep::inputs;
  static constexpr bool of_nothing = true;
  Tensor forward(Inputs x, const Shape& shape) const {
    const NoRecording scope;
    return reduce(Reduction::squared_distances, x[0], normalised(x[0].shape()), shape) /
           divisor(x[0].shape());
  }
  // 2 (x − mean) / (n − ddof); what the mean itself contributes sums to zero.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor& x = r.input(0);
    if (const auto grouped = unrecorded(r))
      return spread(
          *grouped,
          [](const auto& v, const auto& centre, const auto& by) {
            return unless_zero(by, (v - centre) * by);
          },
          x, mean(x, axes), unless_zero(g, scale(g, 2 / divisor(x.shape()))));
    return product_unless_zero(expanded(g, r), slope(x));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return collected(product_unless_zero(t, slope(r.input(0))));
  }
  double flops(const Record& r) const { return 4 * Over::flops(r); }
  static std::vector<Sample<Var>> samples() {
    auto result = Over::samples();
    result.push_back({with({1}, false, 1), {numbers({2, 4}, -2, 2)}});
    return result;
  }
  static Var with(const Axes& axes, bool keepdims, double ddof) {
    Var op = over(axes, keepdims);
    op.ddof = ddof;
    return op;
  }

 private:
  double divisor(const Shape& shape) const { return static_cast<double>(count(shape)) - ddof; }
  Tensor slope(const Tensor& x) const {
    return (x - mean(x, axes, true)) * (2 / divisor(x.shape()));
  }
};

/// The products of all other elements along the first axis of (n, k), without a division, so that
/// zeros do no harm: halves are multiplied pairwise on the way up, and on the way down each gets
/// its partner's share.
Tensor products_of_others(const Tensor& x) {
  const std::int64_t n = x.extent(0);
  if (n <= 1) return ones_like(x);
  const std::int64_t half = (n + 1) / 2;
  const Tensor a = slice(x, 0, 0, half);
  Tensor b = slice(x, 0, half, n);
  if (n % 2 == 1) b = concatenate({b, ones({1, x.extent(1)}, x.dtype())});
  const Tensor others = products_of_others(a * b);
  return slice(concatenate({others * b, others * a}), 0, 0, n);
}

struct Prod : Over<Prod> {
  static constexpr auto name = "prod", symbol = "Π";
  static constexpr Keep keeps = Keep::inputs;
  static constexpr bool of_nothing = true;
  Tensor forward(Inputs x, const Shape& shape) const {
    return reduce(Reduction::product, x[0], normalised(x[0].shape()), shape);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor& x = r.input(0);
    if (const auto grouped = unrecorded(r)) {
      Tensor out = Tensor::uninitialised(x.shape(), x.dtype());
      const bool zeros = visit_floating(x.dtype(), [&]<class T>(T) {
        kernels::products_of_others(grouped->outer, grouped->count, grouped->inner, x.data<T>(),
                                    g.data<T>(), out.exclusive_data<T>());
        return kernels::has_zero(g.size(), g.data<T>());
      });
      if (!zeros) return out;
      return spread(
          *grouped, [](const auto& v, const auto& t) { return unless_zero(t, v); }, out, g);
    }
    return product_unless_zero(expanded(g, r), slope(x));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return collected(product_unless_zero(t, slope(r.input(0))));
  }
  static std::vector<Sample<Prod>> samples() {
    auto result = Over::samples();
    result.push_back({over({}), {Tensor{2., 0., 3.}}});
    result.push_back({over({0}), {Tensor{{2., 0., 3.}, {0., 0., 4.}, {5., 6., 0.}}}});
    return result;
  }

 private:
  Tensor slope(const Tensor& x) const {
    const Axes reduced = normalised(x.shape());
    Axes order = reduced, back = Axes::filled(x.rank(), 0);
    for (std::size_t i = 0; i < x.rank(); ++i)
      if (std::find(reduced.begin(), reduced.end(), static_cast<std::int64_t>(i)) == reduced.end())
        order.push_back(static_cast<std::int64_t>(i));
    for (std::size_t i = 0; i < x.rank(); ++i)
      back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    const Tensor moved = permute(x, order);
    const std::int64_t n = count(x.shape());
    const Shape flat{n, n == 0 ? 0 : x.size() / n};
    return permute(reshape(products_of_others(reshape(moved, flat)), moved.shape()), back);
  }
};

/// Max and min: the derivative goes in equal parts to all elements that attain the value.
template <class Self>
struct Extreme : Over<Self> {
  static constexpr Keep keeps = Keep::inputs | Keep::output;
  static constexpr bool of_nothing = false;
  Shape shape(Inputs x) const {
    Shape result = Over<Self>::shape(x);
    if (element_count(result) > 0) this->require_elements(x);
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    return reduce(Self::kind, x[0], this->normalised(x[0].shape()), shape);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    if (const auto grouped = this->unrecorded(r)) {
      const auto share_of = [](const auto& x, const auto& extreme, const auto& part) {
        using V = std::decay_t<decltype(x)>;
        return part * kernels::one_where<V>(x == extreme);
      };
      const Axes reduced = this->normalised(r.input_shape(0));
      const Tensor ties = reduce(Self::count, r.input(0), reduced, r.output_shape());
      return spread(*grouped, share_of, r.input(0), r.output(), quotient_unless_zero(g, ties));
    }
    return product_unless_zero(this->expanded(g, r), share(r));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return this->collected(product_unless_zero(t, share(r)));
  }

 private:
  Tensor share(const Record& r) const {
    const Tensor attains = equal(r.input(0), this->expanded(r.output(), r));
    return attains / sum(attains, this->axes, true);
  }
};

struct Max : Extreme<Max> {
  static constexpr auto name = "max", symbol = "max";
  static constexpr Reduction kind = Reduction::maximum, count = Reduction::maximum_count;
};
struct Min : Extreme<Min> {
  static constexpr auto name = "min", symbol = "min";
  static constexpr Reduction kind = Reduction::minimum, count = Reduction::minimum_count;
};

struct ArgMax : Over<ArgMax> {
  static constexpr auto name = "argmax", symbol = "argmax";
  static constexpr Keep keeps = Keep::nothing;
  static constexpr bool of_nothing = false;
  Shape shape(Inputs x) const {
    Shape result = Over::shape(x);
    if (element_count(result) > 0) require_elements(x);
    return result;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, DType::int64);
    const Axes reduced = normalised(x[0].shape());
    Grouped g = group(x[0].shape(), reduced);
    const Tensor from = brought_together(g, x[0], reduced);
    visit_floating(x[0].dtype(), [&]<class T>(T) {
      kernels::argmax(g.outer, g.count, g.inner, from.data<T>(),
                      out.exclusive_data<std::int64_t>());
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor&, const Record&) const { return {}; }
  Tensor jvp(std::size_t, const Tensor&, const Record&) const { return {}; }
};

struct LogSumExp : Over<LogSumExp> {
  static constexpr auto name = "logsumexp", symbol = "ln Σ exp";
  static constexpr Keep keeps = Keep::inputs | Keep::output;
  static constexpr bool of_nothing = true;  // ln 0 = -inf
  Tensor forward(Inputs x, const Shape& shape) const {
    return reduce(Reduction::log_sum_exp, x[0], normalised(x[0].shape()), shape);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    if (const auto grouped = unrecorded(r)) {
      const auto weight = [](const auto& x, const auto& largest, const auto& part) {
        return unless_zero(part, part * xsimd::exp(x - largest));
      };
      const Tensor& x = r.input(0);
      const auto [largest, sums] = exponentials(*grouped, x, g.shape());
      const Tensor nothing = equal(largest, -std::numeric_limits<double>::infinity());
      return spread(*grouped, weight, x, where(nothing, 0, largest),
                    quotient_unless_zero(g, where(nothing, 1, sums)));
    }
    return product_unless_zero(expanded(g, r), weights(r));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return collected(product_unless_zero(t, weights(r)));
  }
  double flops(const Record& r) const { return 4 * Over::flops(r); }

 private:
  // The softmax; 0 where there is no weight at all.
  Tensor weights(const Record& r) const {
    const Tensor total = expanded(r.output(), r);
    const Tensor e =
        exp(r.input(0) - where(equal(total, -std::numeric_limits<double>::infinity()), 0, total));
    // Nearly 1, but not quite where the rounding of a large output is felt.
    const Tensor whole = sum(e, axes, true);
    return e / where(equal(whole, 0), 1, whole);
  }
};

}  // namespace

std::vector<CatalogueEntry> reductions() {
  return {entry<Sum>(), entry<SquaredNorm>(), entry<Mean>(),   entry<Var>(),      entry<Prod>(),
          entry<Max>(), entry<Min>(),         entry<ArgMax>(), entry<LogSumExp>()};
}

}  // namespace ops

Tensor sum(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::Sum::over(axes, keepdims), x);
}
Tensor squared_norm(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::SquaredNorm::over(axes, keepdims), x);
}
Tensor mean(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::Mean::over(axes, keepdims), x);
}
Tensor var(Operand x, const Axes& axes, bool keepdims, double ddof) {
  return apply(ops::Var::with(axes, keepdims, ddof), x);
}
Tensor prod(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::Prod::over(axes, keepdims), x);
}
Tensor max(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::Max::over(axes, keepdims), x);
}
Tensor min(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::Min::over(axes, keepdims), x);
}
Tensor argmax(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::ArgMax::over(axes, keepdims), x);
}
Tensor logsumexp(Operand x, const Axes& axes, bool keepdims) {
  return apply(ops::LogSumExp::over(axes, keepdims), x);
}

namespace {

Tensor checked_sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const std::size_t lead = x.rank() - std::min(x.rank(), shape.size());
  if (lead == 1 && std::equal(shape.begin(), shape.end(), x.shape().begin() + 1)) return sum(x, 0);
  Axes axes;
  for (std::size_t i = 0; i < x.rank(); ++i)
    if (i < lead || (shape[i - lead] == 1 && x.shape()[i] != 1))
      axes.push_back(static_cast<std::int64_t>(i));
  const Shape summed = reduced_shape(x.shape(), axes, true);
  if (shape.size() > x.rank() ||
      !std::equal(shape.begin(), shape.end(), summed.begin() + static_cast<std::ptrdiff_t>(lead)))
    throw ShapeError(detail::text("[sum_to] ", x.shape(), " is not a broadcast of ", shape));
  if (axes.size() == lead) return sum(x, axes);
  return reshape(sum(x, axes, true), shape);
}

}  // namespace

Tensor sum_to(Operand x, const Shape& shape) {
  return detail::located(x.place(), [&] { return checked_sum_to(x, shape); });
}

}  // namespace xg
