// Relations, and the choice between two tensors. Every relation has the derivative 0.
#include "autograd/catalogue.hpp"
#include "autograd/ops/elementwise.hpp"

namespace xg {
namespace ops {
namespace {

/// What the relations share; `holds(a, b)` gives a SIMD mask.
template <class Self>
struct Relation : Binary<Self> {
  static constexpr Keep keeps = Keep::nothing;
  static constexpr bool any_dtype = true;
  template <class V>
  V value(const V& a, const V& b) const {
    return kernels::one_where<V>(Self::holds(a, b));
  }
  Tensor differential(std::size_t, const Tensor&, const Record&) const { return {}; }
  static auto samples() { return binary_samples<Self>(-2, 2); }
};

struct Equal : Relation<Equal> {
  static constexpr auto name = "equal", symbol = "=";
  static auto holds(const auto& a, const auto& b) { return a == b; }
};
struct NotEqual : Relation<NotEqual> {
  static constexpr auto name = "not_equal", symbol = "≠";
  static auto holds(const auto& a, const auto& b) { return !(a == b); }  // right for NaN
};
struct Less : Relation<Less> {
  static constexpr auto name = "less", symbol = "<";
  static auto holds(const auto& a, const auto& b) { return a < b; }
};
struct LessEqual : Relation<LessEqual> {
  static constexpr auto name = "less_equal", symbol = "≤";
  static auto holds(const auto& a, const auto& b) { return a <= b; }
};

/// out[i] = c[i] ? a[i] : b[i], each with its stride, which is 0 or 1.
template <class C, class T>
void choose(std::int64_t n, const C* c, std::int64_t sc, const T* a, std::int64_t sa, const T* b,
            std::int64_t sb, T* out) {
  const auto loop = [&](const auto& condition, const auto& first, const auto& second) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = condition(i) != C(0) ? first(i) : second(i);
  };
  const auto each = [](const auto* from) { return [from](std::int64_t i) { return from[i]; }; };
  const auto one = [](const auto* from) { return [v = *from](std::int64_t) { return v; }; };
  if (n == 0)
    return;
  else if (sc == 0)
    loop(
        one(c), [&](auto i) { return a[i * sa]; }, [&](auto i) { return b[i * sb]; });
  else if (sa == 0 && sb == 0)
    loop(each(c), one(a), one(b));
  else if (sa == 0)
    loop(each(c), one(a), each(b));
  else if (sb == 0)
    loop(each(c), each(a), one(b));
  else
    loop(each(c), each(a), each(b));
}

struct Where {
  static constexpr auto name = "where";
  static constexpr Keep keeps = keep_input(0);

  Shape shape(Inputs x) const {
    require_same_dtype(name, x[1], x[2]);
    return broadcast_shapes(name, x[0].shape(), broadcast_shapes(name, x[1].shape(), x[2].shape()));
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[1].dtype());
    const kernels::BroadcastPlan<3> plan(shape, {&x[0].shape(), &x[1].shape(), &x[2].shape()});
    visit_dtype(x[0].dtype(), [&]<class C>(C) {
      visit_dtype(x[1].dtype(), [&]<class T>(T) {
        const std::int64_t sc = plan.row_stride(0), sa = plan.row_stride(1),
                           sb = plan.row_stride(2);
        T* to = out.exclusive_data<T>();
        const C* const conditions = x[0].data<C>();
        const T *const as = x[1].data<T>(), *const bs = x[2].data<T>();
        kernels::for_ranges(out.size(), kernels::elementwise_grain, [&](auto begin, auto end) {
          plan.for_each_row(begin, end, [&](const auto& offset, std::int64_t at, auto count) {
            choose(count, conditions + offset[0], sc, as + offset[1], sa, bs + offset[2], sb,
                   to + at);
          });
        });
      });
    });
    return out;
  }
  Tensor vjp(std::size_t i, const Tensor& t, const Record& r) const {
    if (i == 0) return {};
    return i == 1 ? where(r.input(0), t, 0) : where(r.input(0), 0, t);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "where({0}, {1}, {2})"; }
  static Rows rows(const Record&) { return Rows::elementwise; }
  static std::vector<Sample<Where>> samples() {
    std::vector<Sample<Where>> result;
    for (const auto& [a, b] : broadcasting_shapes()) {
      const auto condition = [](const Shape& shape) {
        return cast(numbers(shape, -1, 1) > 0, DType::int64);
      };
      result.push_back({{}, {condition(a), numbers(a, -2, 2, 2), numbers(b, -2, 2, 3)}});
      result.push_back({{}, {condition(b), numbers(a, -2, 2, 2), numbers(b, -2, 2, 3)}});
    }
    result.push_back(
        {{}, {numbers({2, 1}, 1, 2), numbers({3}, 0, 1, 2), numbers({2, 3}, 0, 1, 3)}});
    result.push_back({{}, {Tensor{1, 0, 7}, numbers({3}, 0, 1, 2), numbers({2, 3}, 0, 1, 3)}});
    result.push_back({{},
                      {Tensor{1, 0}, numbers({2}, 0, 1), numbers({3}, 0, 1)},
                      "shapes do not broadcast: (2,) and (3,)"});
    result.push_back({{},
                      {Tensor{1, 0}, Tensor{1.f, 2.f}, Tensor{1., 2.}},
                      "types differ: float32 (2,) and float64 (2,)"});
    return result;
  }
};

}  // namespace

std::vector<CatalogueEntry> comparison() {
  return {entry<Equal>(), entry<NotEqual>(), entry<Less>(), entry<LessEqual>(), entry<Where>()};
}

}  // namespace ops

Tensor equal(Operand a, Operand b) { return apply(ops::Equal{}, a, b); }
Tensor not_equal(Operand a, Operand b) { return apply(ops::NotEqual{}, a, b); }
Tensor operator<(Operand a, Operand b) { return apply(ops::Less{}, a, b); }
Tensor operator<=(Operand a, Operand b) { return apply(ops::LessEqual{}, a, b); }
Tensor operator>(Operand a, Operand b) { return apply(ops::Less{}, b, a); }
Tensor operator>=(Operand a, Operand b) { return apply(ops::LessEqual{}, b, a); }
Tensor where(Operand condition, Operand a, Operand b) {
  return apply(ops::Where{}, condition, a, b);
}

}  // namespace xg
