// The parameter update, and the sum of chunks' gradients.
#include "autograd/kernels/update.hpp"

#include "autograd/kernels/map.hpp"

namespace xg::kernels {
namespace {

// out[i] = f(a[i], b[i]); `out` may be `a`, so it is asked for before its elements are read.
template <class F>
void zip(Tensor& out, const Tensor& a, const Tensor& b, const F& f) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    T* to = out.exclusive_data<T>();
    const T *pa = a.data<T>(), *pb = b.data<T>();
    map(out.size(), to, f, Moving<T>{pa}, Moving<T>{pb});
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
