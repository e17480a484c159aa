// The parameter update, and the sum of chunks' gradients.
#include "autograd/kernels/update.hpp"

#include "autograd/kernels/parallel.hpp"
#include "autograd/kernels/simd.hpp"

namespace xg::kernels {
namespace {

// out[i] = f(a[i], b[i]); `out` may be `a`, so it is asked for before its elements are read. From
// the end backwards: the end of a gradient was written last and may still be in the first-level
// cache, and the beginning of a parameter is what the next step reads first.
template <class F>
void zip(Tensor& out, const Tensor& a, const Tensor& b, const F& f) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    T* to = out.exclusive_data<T>();
    const T *pa = a.data<T>(), *pb = b.data<T>();
    for_ranges(out.size(), elementwise_grain, [&](std::int64_t i, std::int64_t end) {
      for (std::int64_t k = i + (end - i - 1) / lanes<T> * lanes<T>; k >= i; k -= lanes<T>)
        store<T>(to + k, f(load(pa + k), load(pb + k)));
    });
  });
}

}  // namespace

void add_scaled(Tensor& out, const Tensor& w, double factor, const Tensor& direction) {
  zip(out, w, direction,
      [factor]<class V>(const V& a, const V& b) { return a + constant<V>(factor) * b; });
}

void weighted_sum(Tensor& out, double wa, const Tensor& a, double wb, const Tensor& b) {
  zip(out, a, b, [wa, wb]<class V>(const V& x, const V& y) {
    return constant<V>(wa) * x + constant<V>(wb) * y;
  });
}

}  // namespace xg::kernels
