// Newton's method by `hessian` and `solve`: a logistic regression with three weights, as
// docs/second_order.md tells of it.
#include <autograd/autograd.hpp>
#include <cmath>
#include <cstdio>
#include <utility>

using namespace xg;

int main() {
  // sixty points of the plane, on this side of a line or on that, but for noise
  const Tensor points = random_normal({60, 2}, Key{1}, DType::float64);
  const Tensor x = concatenate({points, ones({60, 1})}, 1);
  const Tensor noise = random_normal({60}, Key{2}, DType::float64);
  const Tensor y = matmul(x, Tensor{1.5, -2.0, 0.5}) + noise > 0;

  // -ln of the probability of the classes, σ(z) for 1 and 1 - σ(z) for 0
  auto cost = [&](const Tensor& w) {
    const Tensor z = matmul(x, w);
    return mean(softplus(z) - y * z);
  };
  Tensor w = zeros({3});
  double norm = 1, before = 1;
  int step = 0;
  for (; step < 20; ++step) {
    const auto [value, slope] = value_and_gradient(cost, w);
    const double last = std::exchange(before, norm);
    norm = std::sqrt(squared_norm(slope).item());
    std::printf("step %d: cost %.6f, |gradient| %.1e", step, value.item(), norm);
    if (step >= 2)  // n' = c nᵖ
      std::printf(", order %.2f", std::log(norm / before) / std::log(before / last));
    std::printf("\n");
    if (norm < 1e-12) break;
    w = w - solve(hessian(cost, w), slope);
  }
  const Tensor right = mean(equal(matmul(x, w) > 0, y));
  std::printf("converged in %d steps, %.0f of 60 points right\n", step, 60 * right.item());
  return norm < 1e-12 ? 0 : 1;
}
