// An operation with a facet missing: the error names the concept and the facet.
// error: Op.*op.jvp
#include <autograd/op.hpp>

using namespace xg;

struct Twice {
  static constexpr auto name = "twice";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const { return x[0]; }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return g; }
  std::string equation() const { return "2 {0}"; }
  static std::vector<Sample<Twice>> samples() { return {}; }
};

Tensor twice(const Tensor& x) { return apply(Twice{}, x); }
