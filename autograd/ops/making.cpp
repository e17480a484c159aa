// What converts tensors, and what makes them of nothing.
#include <algorithm>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/parallel.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

struct Cast {
  DType to = DType::float64;

  static constexpr auto name = "cast";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape& shape) const {
    if (x[0].dtype() == to) return detach(x[0]);
    Tensor out = Tensor::uninitialised(shape, to);
    visit_dtype(x[0].dtype(), [&]<class From>(From) {
      visit_dtype(to, [&]<class To>(To) {
        const From* const in = x[0].data<From>();
        To* const result = out.exclusive_data<To>();
        kernels::for_ranges(out.size(), kernels::elementwise_grain, [&](auto begin, auto end) {
          std::transform(in + begin, in + end, result + begin, converted<To, From>);
        });
      });
    });
    return out;
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return cast(g, r.input_dtype(0));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return cast(t, to); }
  std::string equation() const { return detail::text(to, "({0})"); }
  static std::vector<Sample<Cast>> samples() {
    return {{{DType::float64}, {numbers({2, 3}, -1, 1)}},
            {{DType::float64}, {numbers({0}, -1, 1)}},
            {{DType::float64}, {numbers({}, -1, 1)}},
            {{DType::float64}, {Tensor{1, 2}}},
            {{DType::float64}, {Tensor()}, "input 0 is undefined"}};
  }
};

}  // namespace

std::vector<CatalogueEntry> making() { return {entry<Cast>()}; }

}  // namespace ops

Tensor cast(Operand x, DType dtype) { return apply(ops::Cast{dtype}, x); }

Tensor zeros(const Shape& shape, DType dtype, SourceLocation place) {
  return full(shape, 0, dtype, place);
}
Tensor ones(const Shape& shape, DType dtype, SourceLocation place) {
  return full(shape, 1, dtype, place);
}
Tensor full(const Shape& shape, double value, DType dtype, SourceLocation place) {
  return detail::located(place, [&] { return Tensor::full(shape, value, dtype); });
}
Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype()); }

Tensor arange(std::int64_t count, DType dtype, SourceLocation place) {
  Tensor out = detail::located(place, [&] { return Tensor::uninitialised({count}, dtype); });
  visit_dtype(dtype, [&]<class T>(T) {
    T* to = out.exclusive_data<T>();
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(i);
  });
  return out;
}

Tensor eye(std::int64_t n, DType dtype, SourceLocation place) {
  const NoRecording scope;
  return detail::located(place, [&] { return one_hot(arange(n), n, dtype); });
}

}  // namespace xg
