// An operation of one's own: one struct, through the same road as the library's.
#include <autograd/autograd.hpp>
#include <iostream>
#include <xtensor/xmath.hpp>

using namespace xg;

/// softsign(x) = x / (1 + |x|), whose derivative is 1 / (1 + |x|)².
struct Softsign {
  static constexpr auto name = "softsign";
  static constexpr Keep keeps = Keep::inputs;  // the rules below ask for x

  Shape shape(Inputs x) const {
    require_floating(name, x);
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    return visit_floating(x[0].dtype(), [&]<class T>(T) {
      const auto v = x[0].view<T>();
      return Tensor(v / (T(1) + xt::abs(v)));
    });
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g / square(1 + abs(r.input(0)));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "softsign({0})"; }
  static std::vector<Sample<Softsign>> samples() { return {{{}, {Tensor{-2.0, 0.5, 3.0}}}}; }
};

Tensor softsign(const Tensor& x) { return apply(Softsign{}, x); }

int main() {
  const Tensor x{{-2.0, -0.5}, {0.25, 3.0}};
  const auto f = [](const Tensor& v) { return sum(square(softsign(v))); };
  std::cout << "softsign\n" << softsign(x) << "\ngradient\n" << gradient(f, x) << '\n';

  // first and second derivatives, against differences
  const GradCheck first = gradcheck(f, x);
  const GradCheck second =
      gradcheck([&](const Tensor& v) { return sum(square(gradient(f, v))); }, x);
  std::cout << first << '\n' << second << '\n';
  return first && second ? 0 : 1;
}
