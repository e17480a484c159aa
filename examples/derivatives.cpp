// Derivatives of all kinds, as docs/derivatives.md tells of them.
#include <autograd/autograd.hpp>
#include <iostream>
#include <nn/nn.hpp>

using namespace xg;

namespace {

struct Net : nn::Module {
  nn::Dense hidden{2, 4}, output{4, 1};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return output(tanh(hidden(x))); }
};

}  // namespace

int main() {
  // of a function of one tensor
  const Tensor x{1.0, 2.0, 3.0}, t{0.1, 0.0, -0.1};
  auto f = [](const Tensor& v) { return sum(pow(v, 3)); };
  const Tensor g = gradient(f, x);  // 3 x², of the shape of x
  const auto [value, slope] = value_and_gradient(f, x);
  std::cout << "f(x) " << value.item() << "\ngradient " << g << "\nand again " << slope << '\n';

  auto softened = [](const Tensor& v) { return softmax(v); };
  const Tensor along = jvp(softened, x, t);  // the change of softmax(x) when x moves by t
  const Tensor back = vjp(softened, x, t);   // t times the Jacobian
  const Tensor j = jacobian(softened, x);    // (3, 3): all first derivatives
  std::cout << "jvp " << along << "\nvjp " << back << "\njacobian\n" << j << '\n';

  const Tensor h = hessian(f, x);         // (3, 3): all second derivatives
  const Tensor curvature = hvp(f, x, t);  // hessian(f, x) times t, without the Hessian
  std::cout << "hessian\n" << h << "\nhvp " << curvature << '\n';

  // of a function of several
  auto area = [](const Tensor& a, const Tensor& b) { return sum(a * b * b); };
  const auto [da, db] = gradient(area, x, t);
  const Tensor change = jvp(area, {x, t}, {t, x});
  const auto [ha, hb] = hvp(area, {x, t}, {t, x});
  const auto blocks = hessian(area, x, t);  // blocks[0][1]: (3, 3), first by x, then by t
  std::cout << "mixed derivatives\n" << blocks[0][1] << '\n';
  std::cout << "gradients " << da << " and " << db << "\nchange " << change.item() << "\nhvp " << ha
            << " and " << hb << '\n';

  // to any order
  auto quartic = [](const Tensor& v) { return pow(v, 4); };
  auto second = grad(grad(quartic));
  std::cout << "12 x² at 2: " << second(2.0).item() << '\n';
  auto mixed = grad<1>(grad<0>([](const Tensor& a, const Tensor& b) { return a * a * b; }));
  std::cout << "2 a at 3: " << mixed(3.0, 1.0).item() << '\n';

  // of a model, with respect to its parameters
  Net net;
  net.to(DType::float64);
  nn::initialise(net, nn::initialisers::scaled_normal, 1);
  const Tensor inputs{{0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}}, targets{{1.0}, {1.0}, {0.0}};
  auto cost = [&] { return nn::quadratic_cost(net(inputs), targets); };
  const auto [before, gradients] = value_and_gradient(cost, net.parameters());
  for (const auto& [name, tensor] : gradients)
    std::cout << name << ' ' << tensor.shape() << ": " << squared_norm(tensor).item() << '\n';

  // along the steepest descent the cost is c - a s + ½ b s² for a step s, least at s = a / b
  const NamedTensors bend = hvp(cost, net.parameters(), gradients);
  double a = 0, b = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    a += squared_norm(gradients[i]).item();
    b += sum(gradients[i] * bend[i]).item();
  }
  const NamedBlocks curvatures = hessian(cost, net.parameters());
  std::cout << curvatures["output.weight"]["output.bias"].shape() << '\n';  // (1, 4, 1)

  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i].add_scaled(-a / b, gradients[i]);
  std::cout << "cost " << before.item() << ", after a step of " << a / b << ": " << cost().item()
            << '\n';
}
