// Calculus without any network, and xtensor in and out.
#include <autograd/autograd.hpp>
#include <iostream>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>

using namespace xg;

int main() {
  auto f = [](const Tensor& x) { return sum(exp(-x * x)); };
  // derivatives nest: the third derivative of each element
  auto first = [&](const Tensor& x) { return sum(gradient(f, x)); };
  auto second = [&](const Tensor& x) { return sum(gradient(first, x)); };
  auto third = [&](const Tensor& x) { return gradient(second, x); };

  Tensor x{0.5, 1.0, -2.0};
  Tensor g = gradient(f, x);  // same shape as x
  Tensor h = hessian(f, x);
  std::cout << "gradient " << g << "\nhessian\n" << h << "\nthird derivative " << third(x) << '\n';

  // on a tape of one's own
  Tape tape;
  Tensor a{{1.0, 2.0}, {3.0, 4.0}}, b{1.0, -1.0};
  Tensor y = sum(square(matmul(a, b)));
  std::cout << "dy/da\n" << gradient(y, a) << "\nthe tape so far\n" << tape;

  // xtensor in, xtensor out
  Tensor t = xt::sin(xt::linspace<double>(0., 1., 11));
  auto view = t.view<double>();  // an xtensor adaptor, no copy
  std::cout << "sum " << xt::sum(view)() << '\n';
}
