// A matcher for two tensors asked about a function of one.
// error: does not take the inputs as a std::vector<Tensor>
#include <autograd/matchers.hpp>

using namespace xg;

bool matches(const Tensor& x) {
  return HasCorrectGradient(x, x).match([](const Tensor& v) { return sum(v); });
}
