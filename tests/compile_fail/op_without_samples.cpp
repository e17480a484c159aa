// An operation that nothing could check.
// error: Op.*O::samples|Op.*samples
#include <autograd/op.hpp>

using namespace xg;

struct Twice {
  static constexpr auto name = "twice";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const { return x[0]; }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return t; }
  std::string equation() const { return "2 {0}"; }
};

Tensor twice(const Tensor& x) { return apply(Twice{}, x); }
