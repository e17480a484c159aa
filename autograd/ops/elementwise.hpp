// What all elementwise operations share: shape rules, loops, and the two derivative rules, which
// are one because the Jacobian is diagonal. Internal to autograd/ops.
#pragma once

#include "autograd/forward.hpp"
#include "autograd/kernels/broadcast.hpp"
#include "autograd/kernels/finite.hpp"
#include "autograd/kernels/map.hpp"
#include "autograd/kernels/power.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg::ops {

using kernels::constant;

/// f of inputs of one shape and type, element by element.
template <std::size_t n, class F>
Tensor map_alike(const std::array<const Tensor*, n>& x, const F& f) {
  Tensor out = Tensor::uninitialised(x[0]->shape(), x[0]->dtype());
  visit_floating(out.dtype(), [&]<class T>(T) {
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      kernels::map(out.size(), out.exclusive_data<T>(), f,
                   kernels::Moving<T>{x[k]->template data<T>()}...);
    }
    (std::make_index_sequence<n>());
  });
  return out;
}

// Where an adjoint or tangent is exactly 0, so is what an elementwise rule, or that of a reduction
// or softmax, makes of it, whatever the derivative is there: 0 times infinity or NaN counts as 0
// (see `where` in ops.hpp).

/// `change`, on SIMD batches, but 0 where t is.
template <class V>
V unless_zero(const V& t, const V& change) {
  return xsimd::select(t == V(0), V(0), change);
}

/// Whether every number of a tensor is finite.
inline bool is_finite(const Tensor& x) {
  return visit_floating(x.dtype(),
                        [&]<class T>(T) { return kernels::all_finite(x.size(), x.data<T>()); });
}

/// The same of tensors, as an operation of its own, so that it can be differentiated; nearly always
/// every number is finite, and there is nothing to do.
inline Tensor unless_zero(const Tensor& t, Tensor change) {
  if (!change.defined()) return change;
  bool finite = is_finite(change);
  // The next derivative may be infinite where this one is not.
  if (finite && detail::Dual::active())
    if (const Tensor tangent = detail::Dual::tangent(*Tape::recording(), change); tangent.defined())
      finite = is_finite(tangent);
  return finite ? change : where(equal(t, 0), 0, change);
}

/// A row of one input gives
/// - `name`, `symbol`, `keeps`;
/// - `value(x)`: the function, on a SIMD batch;
/// - `differential(i, t, record)`: t times the derivative, as tensor operations. With t a tangent
///   it is the change of the output, with t an adjoint that of the input;
/// - `samples()`;
/// - if it is worth it, `slope(t, kept)`: the same as `differential` in one loop over SIMD batches,
///   from the input or the output, whichever it keeps. It serves where nobody records;
/// - and `bend(kept)`, the derivative of slope(1, kept) with respect to what is kept. It serves
///   where a tape in forward mode records the rule.
template <class Self>
struct Unary {
  Shape shape(Inputs x) const {
    require_floating(Self::name, x);
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    return map_alike<1>({&x[0]}, [this](const auto& v) { return self().value(v); });
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    if constexpr (requires(kernels::Batch<double> v) { self().slope(v, v); }) {
      const auto kept = [&]() -> const Tensor& {
        return Self::keeps == Keep::output ? r.output() : r.input(0);
      };
      if (!Tape::recording()) return sloped(g, kept());
      if constexpr (requires(kernels::Batch<double> v) { self().bend(v); })
        if (Tape* const tape = detail::Dual::tape()) return dual(*tape, g, kept());
    }
    if constexpr (Self::keeps == Keep::nothing)  // the derivative is a finite number
      return self().differential(i, g, r);
    else
      return unless_zero(g, self().differential(i, g, r));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return std::string(Self::symbol) + "({0})"; }
  static Rows rows(const Record&) { return Rows::elementwise; }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }

  Tensor sloped(const Tensor& t, const Tensor& kept) const {
    return map_alike<2>({&t, &kept}, [this](const auto& a, const auto& v) {
      return unless_zero(a, self().slope(a, v));
    });
  }
  // The change of slope(g, kept) is slope(ġ, kept) + g bend(kept) times that of what is kept.
  [[gnu::noinline]] Tensor dual(Tape& tape, const Tensor& g, const Tensor& kept) const {
    const Tensor of_g = detail::Dual::tangent(tape, g), of_kept = detail::Dual::tangent(tape, kept);
    const NoRecording scope;
    const Tensor result = sloped(g, kept);
    Tensor tangent;
    if (of_g.defined() && of_kept.defined())
      tangent = map_alike<4>({&of_g, &kept, &g, &of_kept},
                             [this](const auto& t, const auto& v, const auto& a, const auto& b) {
                               return unless_zero(t, self().slope(t, v)) + bent(a, b, v);
                             });
    else if (of_kept.defined())
      tangent = map_alike<3>(
          {&kept, &g, &of_kept},
          [this](const auto& v, const auto& a, const auto& b) { return this->bent(a, b, v); });
    else if (of_g.defined())
      tangent = sloped(of_g, kept);
    detail::Dual::set_tangent(tape, result, tangent);
    return result;
  }
  template <class V>
  V bent(const V& a, const V& b, const V& kept) const {
    return unless_zero(a, unless_zero(b, a * b * self().bend(kept)));
  }
};

/// Whether `tail` is the last extents of `shape`.
inline bool ends_with(const Shape& shape, const Shape& tail) {
  return tail.size() <= shape.size() &&
         std::equal(tail.begin(), tail.end(), shape.end() - tail.size());
}

/// out = f(a, b) with NumPy's broadcasting; `f` takes and gives SIMD batches.
template <class T, class F>
void map_broadcast(const F& f, const Tensor& a, const Tensor& b, Tensor& out) {
  using kernels::Fixed, kernels::Moving;
  const T *pa = a.data<T>(), *pb = b.data<T>();
  T* po = out.exclusive_data<T>();
  const std::int64_t n = out.size();
  if (n == 0) return;
  const auto all = [&](const auto& x, const auto& y) { kernels::map(n, po, f, x, y); };
  if (a.size() == n && b.size() == n) return all(Moving<T>{pa}, Moving<T>{pb});
  if (a.size() == n && b.size() == 1) return all(Moving<T>{pa}, Fixed<T>{*pb});
  if (a.size() == 1 && b.size() == n) return all(Fixed<T>{*pa}, Moving<T>{pb});
  // How much of the output may be written in the range that ends at `end`: behind the last element
  // there is room for a batch.
  const auto limit = [n](std::int64_t end) { return end < n ? end : n + kernels::lanes<T>; };
  if (a.size() == n && ends_with(a.shape(), b.shape())) {  // b for each row of a
    const std::int64_t row = b.size();
    const std::int64_t grain = std::max<std::int64_t>(1, kernels::elementwise_grain / row);
    return kernels::for_ranges(n / row, grain, [&](std::int64_t r, std::int64_t end) {
      for (std::int64_t i = r * row; i < end * row; i += row)
        kernels::map_row(f, row, limit(end * row) - i, po + i, Moving<T>{pa + i}, Moving<T>{pb});
    });
  }
  const kernels::BroadcastPlan<2> plan(out.shape(), {&a.shape(), &b.shape()});
  kernels::for_ranges(n, kernels::elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    plan.for_each_row(begin, end, [&](const auto& offset, std::int64_t at, std::int64_t count) {
      const auto row = [&](const auto& x, const auto& y) {
        kernels::map_row(f, count, limit(end) - at, po + at, x, y);
      };
      const Moving<T> ma{pa + offset[0]}, mb{pb + offset[1]};
      if (plan.row_stride(0) == 0 && plan.row_stride(1) == 0)
        row(Fixed<T>{*ma.from}, Fixed<T>{*mb.from});
      else if (plan.row_stride(0) == 0)
        row(Fixed<T>{*ma.from}, mb);
      else if (plan.row_stride(1) == 0)
        row(ma, Fixed<T>{*mb.from});
      else
        row(ma, mb);
    });
  });
}

/// f(t, x), where nobody records, of two tensors that broadcast; 0 where t is.
template <class F>
Tensor map_unless_zero(std::string_view name, const Tensor& t, const Tensor& x, const F& f) {
  Tensor out = Tensor::uninitialised(broadcast_shapes(name, t.shape(), x.shape()), t.dtype());
  visit_floating(t.dtype(), [&]<class T>(T) {
    map_broadcast<T>([&](const auto& a, const auto& b) { return unless_zero(a, f(a, b)); }, t, x,
                     out);
  });
  return out;
}

/// t * x, of two tensors that broadcast; 0 where t is.
inline Tensor product_unless_zero(const Tensor& t, const Tensor& x) {
  if (Tape::recording()) return unless_zero(t, t * x);
  return map_unless_zero("multiply", t, x, [](const auto& a, const auto& b) { return a * b; });
}

/// A row of two inputs, which broadcast; as Unary, with `value(a, b)` and, if it is worth it,
/// `slope<i>(t, a, b)`, which serves where nothing is broadcast, or `unrecorded(i, t, record)`: the
/// same as `differential` where nobody records, and 0 where t is.
template <class Self>
struct Binary {
  Shape shape(Inputs x) const {
    if constexpr (Self::any_dtype)
      require_same_dtype(Self::name, x[0], x[1]);
    else
      require_floating(Self::name, x);
    return broadcast_shapes(Self::name, x[0].shape(), x[1].shape());
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const auto loop = [&]<class T>(T) {
      map_broadcast<T>([this](const auto& a, const auto& b) { return self().value(a, b); }, x[0],
                       x[1], out);
    };
    if constexpr (Self::any_dtype)
      visit_dtype(x[0].dtype(), loop);
    else
      visit_floating(x[0].dtype(), loop);
    return out;
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    if constexpr (requires { self().unrecorded(i, g, r); })
      if (!Tape::recording()) return self().unrecorded(i, g, r);
    if constexpr (requires(kernels::Batch<double> v) { self().template slope<0>(v, v, v); })
      if (!Tape::recording() && r.input_shape(0) == g.shape() && r.input_shape(1) == g.shape())
        return i == 0 ? sloped<0>(g, r) : sloped<1>(g, r);
    if constexpr (Self::keeps == Keep::nothing)  // the derivative is a finite number
      return self().differential(i, g, r);
    else
      return unless_zero(g, self().differential(i, g, r));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "{0} " + std::string(Self::symbol) + " {1}"; }
  static Rows rows(const Record&) { return Rows::elementwise; }

  static constexpr bool any_dtype = false;

 private:
  template <std::size_t i>
  Tensor sloped(const Tensor& g, const Record& r) const {
    return map_alike<3>({&g, &r.input(0), &r.input(1)},
                        [this](const auto& t, const auto& a, const auto& b) {
                          return unless_zero(t, self().template slope<i>(t, a, b));
                        });
  }
  const Self& self() const { return static_cast<const Self&>(*this); }
};

}  // namespace xg::ops
