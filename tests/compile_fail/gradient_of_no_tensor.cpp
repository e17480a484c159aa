// Only functions that give a tensor can be differentiated.
// error: no matching function for call to 'gradient
#include <autograd/transforms.hpp>

using namespace xg;

auto wrong(const Tensor& x) {
  return gradient([](const Tensor& v) { return to_string(v); }, x);
}
