// Implicit differentiation: z = tanh(w z + x) is iterated to its fixed point, and no step of that
// is kept. The derivative comes from the equation that the fixed point fulfils.
#include <autograd/autograd.hpp>
#include <iostream>

using namespace xg;

namespace {

Tensor step(const Tensor& z, const Tensor& w, const Tensor& x) { return tanh(matmul(w, z) + x); }

// next(next(… next(start))), until it no longer changes.
template <class F>
Tensor iterate(const F& next, Tensor z) {
  for (int i = 0; i < 1000; ++i) {
    const Tensor before = z;
    z = next(z);
    if (max(abs(detach(z) - detach(before))).item() < 1e-15) break;
  }
  return z;
}

// z = f(z, w, x) gives dz = (1 − ∂f/∂z)⁻¹ (∂f/∂w dw + ∂f/∂x dx). So u = g (1 − ∂f/∂z)⁻¹, the fixed
// point of u = g + u ∂f/∂z, is what goes back through one step.
const auto fixed_point = custom_gradient(
    [](const Tensor& w, const Tensor& x) {
      const NoRecording scope;
      return iterate([&](const Tensor& z) { return step(z, w, x); }, zeros_like(x));
    },
    [](const Tensor& g, const Tensor& z, const Tensor& w, const Tensor& x) {
      const auto of_z = [&](const Tensor& v) { return step(v, w, x); };
      const Tensor u = iterate([&](const Tensor& v) { return g + vjp(of_z, z, v); }, g);
      return std::array{vjp([&](const Tensor& v) { return step(z, v, x); }, w, u),
                        vjp([&](const Tensor& v) { return step(z, w, v); }, x, u)};
    });

}  // namespace

int main() {
  const Tensor w = 0.3 * random_normal({4, 4}, Key{1}, DType::float64);
  const Tensor x = random_normal({4}, Key{2}, DType::float64);
  const auto f = [](const Tensor& a, const Tensor& b) { return sum(square(fixed_point(a, b))); };
  const auto unrolled = [](const Tensor& a, const Tensor& b) {
    return sum(square(iterate([&](const Tensor& z) { return step(z, a, b); }, zeros_like(b))));
  };
  const auto [dw, dx] = gradient(f, w, x);
  const auto [uw, ux] = gradient(unrolled, w, x);
  std::cout << "gradient\n" << dx << "\nthrough all steps\n" << ux << '\n';

  const auto kept = [&](const auto& function) {
    const Tape tape;
    function(w, x);
    return tape.bytes_kept();
  };
  std::cout << "the tape keeps " << kept(f) << " bytes, and " << kept(unrolled)
            << " of all steps\n";

  // first and second derivatives, against differences
  const GradCheck first = gradcheck(f, w, x);
  const GradCheck second = gradcheck(
      [&](const Tensor& a, const Tensor& b) {
        const auto [da, db] = gradient(f, a, b);
        return sum(square(da)) + sum(square(db));
      },
      w, x);
  std::cout << first << '\n' << second << '\n';
  return first && second ? 0 : 1;
}
