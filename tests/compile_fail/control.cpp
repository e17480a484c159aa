// What the other files do wrongly, done rightly: this must compile.
#include <autograd/autograd.hpp>
#include <datasets/datasets.hpp>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;

struct Twice {
  static constexpr auto name = "twice";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const { return x[0] + x[0]; }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return 2 * g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return 2 * t; }
  std::string equation() const { return "2 {0}"; }
  static std::vector<Sample<Twice>> samples() { return {{Twice{}, {Tensor(1.0)}}}; }
};

struct Model : nn::Module {
  nn::Dense layer{2, 1};
  nn::Members members() const override { return {{"layer", layer}}; }
  Tensor forward(const Tensor& x) const override { return layer(x); }
};

double everything(optim::SGD& sgd, const datasets::Batch& batch) {
  const Tensor x = 1.0;
  const double* elements = x.data<double>();
  const auto view = x.view<double>();
  const Tape tape;
  const Tensor y = sum(apply(Twice{}, x), 0);
  const Tensor g = gradient([](const Tensor& v) { return sum(v); }, x);
  const Model model;
  const double cost =
      sgd.step(batch, [&](const datasets::Batch& b) { return sum(model(b.inputs)); });
  return *elements + x.values<double>()[0] + view() + y.item() + g.item() + cost;
}
