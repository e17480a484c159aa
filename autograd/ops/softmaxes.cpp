// The softmax and its logarithm.
#include <optional>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/softmax.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/grouped.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

/// What a softmax over axes that stand together is made from.
struct Parts {
  Grouped grouped;
  Tensor largest, sums;

  static std::optional<Parts> of(const Tensor& x, const Axes& axes) {
    const Grouped g = group(x.shape(), normalise_axes("softmax", axes, x.rank()));
    if (!g.together) return {};
    const auto [largest, sums] = exponentials(g, x, Shape{g.outer * g.inner});
    return Parts{g, largest, sums};
  }
};

/// y * t, which equations show in this order; 0 where t is.
Tensor weighed(const Tensor& y, const Tensor& t) {
  return Tape::recording() ? unless_zero(t, y * t) : product_unless_zero(t, y);
}

template <class Self>
struct Normalised {
  Axes axes{-1};

  Shape shape(Inputs x) const {
    require_floating(Self::name, x);
    normalise_axes(Self::name, axes, x[0].rank());
    return x[0].shape();
  }
  // The largest, the difference from it, its exponential, their sum, and what is made of these.
  double flops(const Record& r) const {
    return 5 * static_cast<double>(element_count(r.output_shape()));
  }
  /// Whether it goes over the last axis alone, and over few enough elements for one pass.
  bool is_of_rows(const Shape& shape) const {
    const auto last = static_cast<std::int64_t>(shape.size()) - 1;
    return axes.size() == 1 && (axes[0] == -1 || axes[0] == last) &&
           shape.back() <= kernels::longest_softmax_row;
  }
  static Tensor rows(bool logarithm, const Tensor& x) {
    Tensor out = Tensor::uninitialised(x.shape(), x.dtype());
    const std::int64_t count = x.shape().back();
    visit_floating(x.dtype(), [&]<class T>(T) {
      kernels::softmax_rows(logarithm, x.size() / count, count, x.data<T>(),
                            out.exclusive_data<T>());
    });
    return out;
  }
  std::string equation() const { return std::string(Self::name) + "_" + to_string(axes) + "({0})"; }
  Rows rows(const Record& r) const {
    const Axes over = normalise_axes(Self::name, axes, r.input_shape(0).size());
    return std::count(over.begin(), over.end(), 0) > 0 ? Rows::mixed : Rows::apart;
  }
  static Self over(const Axes& axes) {
    Self op;
    op.axes = axes;
    return op;
  }
  static std::vector<Sample<Self>> samples() {
    std::vector<Sample<Self>> result;
    for (const Shape& shape : {Shape{4}, Shape{1}, Shape{3, 5}, Shape{2, 0}, Shape{0, 2}})
      result.push_back({over({-1}), {numbers(shape, -3, 3)}});
    for (const Axes& axes : {Axes{}, Axes{0}, Axes{1}, Axes{0, 2}})
      result.push_back({over(axes), {numbers({2, 3, 4}, -3, 3)}});
    result.push_back({over({}), {numbers({}, -3, 3)}});
    result.push_back({over({1}), {numbers({3}, 0, 1)}, "axis 1 is out of range"});
    result.push_back({over({-1}), {Tensor{1, 2}}, "input 0 is int64"});
    return result;
  }
  static std::vector<Sample<Self>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n);
    return {{over({0}), {numbers({side, side}, -3, 3)}},
            {over({1}), {numbers({side, side}, -3, 3)}},
            {over({1}), {numbers({n / 10, 10}, -3, 3)}}};
  }
};

struct Softmax : Normalised<Softmax> {
  static constexpr auto name = "softmax";
  static constexpr Keep keeps = Keep::output;
  Tensor forward(Inputs x, const Shape& shape) const {
    if (x[0].size() == 0) return detach(x[0]);
    if (is_of_rows(shape)) return rows(false, x[0]);
    const NoRecording scope;
    if (const auto parts = Parts::of(x[0], axes)) {
      const auto share = [](const auto& v, const auto& largest, const auto& inverse) {
        return xsimd::exp(v - largest) * inverse;
      };
      return spread(parts->grouped, share, x[0], parts->largest, 1 / parts->sums);
    }
    const Tensor e = exp(x[0] - max(x[0], axes, true));
    return e / sum(e, axes, true);
  }
  // The Jacobian diag(y) − y yᵀ is symmetric.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor& y = r.output();
    return weighed(y, g - sum(product_unless_zero(g, y), axes, true));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
};

struct LogSoftmax : Normalised<LogSoftmax> {
  static constexpr auto name = "log_softmax";
  static constexpr Keep keeps = Keep::output;
  Tensor forward(Inputs x, const Shape& shape) const {
    if (x[0].size() == 0) return detach(x[0]);
    if (is_of_rows(shape)) return rows(true, x[0]);
    const NoRecording scope;
    if (const auto parts = Parts::of(x[0], axes)) {
      const auto below = [](const auto& v, const auto& largest, const auto& shift) {
        return v - largest - shift;
      };
      return spread(parts->grouped, below, x[0], parts->largest, log(parts->sums));
    }
    const Tensor shifted = x[0] - max(x[0], axes, true);
    return shifted - log(sum(exp(shifted), axes, true));
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g - weighed(exp(r.output()), sum(g, axes, true));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return t - sum(weighed(exp(r.output()), t), axes, true);
  }
};

}  // namespace

std::vector<CatalogueEntry> softmaxes() { return {entry<Softmax>(), entry<LogSoftmax>()}; }

}  // namespace ops

Tensor softmax(Operand x, const Axes& axes) { return apply(ops::Softmax::over(axes), x); }
Tensor log_softmax(Operand x, const Axes& axes) { return apply(ops::LogSoftmax::over(axes), x); }

}  // namespace xg
