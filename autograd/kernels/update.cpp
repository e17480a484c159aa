// The parameter update, and the sum of chunks' gradients.
#include "autograd/kernels/update.hpp"

#include "autograd/kernels/map.hpp"
#include "autograd/kernels/outer.hpp"

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
  const auto f = [factor]<class V>(const V& a, const V& b) { return a + constant<V>(factor) * b; };
  const BufferRef& buffer = detail::TensorAccess::buffer(direction);
  if (!buffer.is_pending_product()) return zip(out, w, direction, f);
  visit_floating(out.dtype(), [&]<class T>(T) {
    T* const to = out.exclusive_data<T>();
    add_product(*buffer.get(), static_cast<T>(factor), w.data<T>(), to);
  });
}

void weighted_sum(Tensor& out, double wa, const Tensor& a, double wb, const Tensor& b) {
  zip(out, a, b, [wa, wb]<class V>(const V& x, const V& y) {
    return constant<V>(wa) * x + constant<V>(wb) * y;
  });
}

}  // namespace xg::kernels
