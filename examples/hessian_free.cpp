// Hessian-free optimisation: conjugate gradients that know a matrix by its products alone. On a
// quadratic function they end after n steps; then the book's network. docs/second_order.md tells.
#include <autograd/autograd.hpp>
#include <cmath>
#include <cstdio>
#include <datasets/datasets.hpp>
#include <nn/nn.hpp>

using namespace xg;

namespace {

using Tensors = std::vector<Tensor>;  // one for each parameter

double dot(const Tensors& a, const Tensors& b) {
  double result = 0;
  for (std::size_t i = 0; i < a.size(); ++i) result += sum(a[i] * b[i]).item();
  return result;
}
/// a + factor b
Tensors sum_of(const Tensors& a, double factor, const Tensors& b) {
  Tensors result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(a[i] + factor * b[i]);
  return result;
}

struct Solution {
  Tensors x;
  int steps;
};

// The x with A x = b, of an A that is known by its products alone. Ends after `most` steps, where
// the residual is small beside b, or where A is not positive along a direction.
template <class Product>
Solution conjugate_gradients(const Product& times, const Tensors& b, double small, int most) {
  Tensors x, residual = b, direction = b;
  for (const Tensor& t : b) x.push_back(zeros_like(t));
  double norm = dot(b, b);
  const double enough = small * small * norm;
  int steps = 0;
  while (steps < most && norm > enough) {
    const Tensors bent = times(direction);
    const double curvature = dot(direction, bent);
    if (curvature <= 0) break;
    ++steps;
    x = sum_of(x, norm / curvature, direction);
    residual = sum_of(residual, -norm / curvature, bent);
    const double before = std::exchange(norm, dot(residual, residual));
    direction = sum_of(residual, norm / before, direction);
  }
  return {x, steps};
}

/// How many steps the minimum of ½ xᵀ a x − bᵀ x takes.
void minimise_quadratic(const char* what, const Tensor& a) {
  const Tensor b = random_normal({a.extent(0)}, Key{3}, DType::float64);
  auto f = [&](const Tensor& x) { return einsum("i,i", x, matmul(a, x)) / 2 - sum(b * x); };
  const Tensor start = zeros_like(b);
  const auto [x, steps] = conjugate_gradients(
      [&](const Tensors& v) { return Tensors{hvp(f, start, v[0])}; }, {b}, 1e-10, 100);
  const double left = std::sqrt(squared_norm(gradient(f, x[0])).item());
  std::printf("%s: %d steps, |gradient| %.0e\n", what, steps, left);
}

struct Network : nn::Module {
  nn::Dense hidden{64, 30}, output{30, 10};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return output(sigmoid(hidden(x))); }
};

}  // namespace

int main() {
  const Tensor r = random_normal({12, 12}, Key{1}, DType::float64);
  minimise_quadratic("12 eigenvalues", matmul(r, transpose(r)) + eye(12));
  const Tensor u = random_normal({12, 2}, Key{2}, DType::float64);
  minimise_quadratic("3 eigenvalues", matmul(u, transpose(u)) + eye(12));

  const datasets::Split digits = datasets::digits(DType::float64);
  Network net;
  net.to(DType::float64);
  nn::initialise(net, nn::initialisers::scaled_normal, 1);
  const auto parameters = net.parameters();
  auto outputs = [&] { return net(digits.train.inputs); };
  auto cost = [&](const Tensor& z) {
    return nn::sigmoid_cross_entropy_cost(z, digits.train.targets);
  };

  double damping = 1;
  for (int step = 1; step <= 12; ++step) {
    const Tensor z = outputs();
    const double before = cost(z).item();
    const NamedTensors down = vjp(outputs, parameters, -gradient(cost, z));
    // (Jᵀ H J + λ) v with the Hessian H of the cost in the outputs z alone: Gauss and Newton's
    // matrix, which is never negative, as that of the cost in the parameters may be.
    auto times = [&](const Tensors& v) {
      const Tensor bent = hvp(cost, z, jvp(outputs, parameters, v));
      return sum_of(vjp(outputs, parameters, bent).tensors(), damping, v);
    };
    const auto [s, steps] = conjugate_gradients(times, down.tensors(), 0.05, 50);
    const double promised = dot(s, down.tensors()) - dot(s, times(s)) / 2;
    for (std::size_t i = 0; i < s.size(); ++i) parameters[i].add_scaled(1, s[i]);
    const double after = cost(outputs()).item();
    std::printf("step %2d: cost %.4f -> %.4f, %d products, λ %.2g\n", step, before, after, steps,
                damping);
    // λ follows how much of what the quadratic model promises the cost keeps.
    const double kept = (before - after) / promised;
    if (kept > 0.75) damping /= 3;
    if (kept < 0.25) damping *= 3;
  }
  std::printf(
      "%lld of %lld test digits right\n",
      static_cast<long long>(nn::count_correct(net(digits.test.inputs), digits.test.labels)),
      static_cast<long long>(digits.test.size()));
}
