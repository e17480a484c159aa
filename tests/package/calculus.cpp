// The core alone: expressions in, derivatives and views out.
#include <autograd/autograd.hpp>

#include <cmath>
#include <cstdio>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>

int main() {
  const xg::Tensor x = xt::sin(xt::linspace<double>(0., 1., 11));
  const auto f = [](const xg::Tensor& v) { return sum(exp(-v * v)); };
  const xg::Tensor g = xg::gradient(f, x);
  double worst = 0;
  for (int i = 0; i < 11; ++i) {
    const double at = std::sin(0.1 * i);
    worst = std::max(worst, std::abs(g.at({i}) + 2 * at * std::exp(-at * at)));
  }
  std::printf("calculus: largest error %g\n", worst);
  return worst < 1e-14 ? 0 : 1;
}
