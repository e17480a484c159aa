// An operation of one's own: one struct, through the same road as the library's.
#include <autograd/autograd.hpp>
#include <autograd/catalogue.hpp>
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

Tensor softsign(Operand x) { return apply(Softsign{}, x); }

/// √(a² + b²). The rules of both inputs need g / √(a² + b²), and `vjps` computes it once.
struct Hypotenuse {
  static constexpr auto name = "hypotenuse";
  static constexpr Keep keeps = Keep::inputs | Keep::output;

  Shape shape(Inputs x) const {
    require_floating(name, x);
    if (x[0].shape() != x[1].shape())
      throw ShapeError(
          detail::text("[hypotenuse] shapes differ: ", x[0].shape(), " and ", x[1].shape()));
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    return visit_floating(x[0].dtype(), [&]<class T>(T) {
      return Tensor(xt::hypot(x[0].view<T>(), x[1].view<T>()));
    });
  }
  std::vector<Tensor> vjps(const Tensor& g, const Record& r) const {
    const Tensor share = g / r.output();
    return {share * r.input(0), share * r.input(1)};
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const { return vjps(g, r)[i]; }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return t * r.input(i) / r.output();
  }
  std::string equation() const { return "√(({0})² + ({1})²)"; }
  static std::vector<Sample<Hypotenuse>> samples() {
    return {{{}, {Tensor{3.0, -1.0}, Tensor{4.0, 0.5}}},
            {{}, {Tensor{3.0, -1.0}, Tensor{4.0}}, "shapes differ: (2,) and (1,)"}};
  }
};

Tensor hypotenuse(Operand a, Operand b) { return apply(Hypotenuse{}, a, b); }

int main() {
  const Tensor x{{-2.0, -0.5}, {0.25, 3.0}};
  const auto f = [](const Tensor& v) { return sum(square(softsign(v))); };
  std::cout << "softsign\n" << softsign(x) << "\ngradient\n" << gradient(f, x) << '\n';

  // first and second derivatives, against differences
  const GradCheck first = gradcheck(f, x);
  const GradCheck second =
      gradcheck([&](const Tensor& v) { return sum(square(gradient(f, v))); }, x);
  std::cout << first << '\n' << second << '\n';

  // all samples of an operation, to the second order
  bool passed = first && second;
  for (const auto& sample : entry<Hypotenuse>().samples) {
    if (!sample.error.empty()) continue;
    const auto loss = [&](const std::vector<Tensor>& v) { return sum(square(sample.apply(v))); };
    const GradCheck report = gradgradcheck(loss, sample.inputs);
    std::cout << report << '\n';
    passed = passed && report;
  }

  // printed tapes and derived equations show the operation as it says itself
  const Tape tape;
  const Tensor cost = f(hypotenuse(x, 2 * x));
  std::cout << tape;
  return passed ? 0 : 1;
}
