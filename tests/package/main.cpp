// Uses everything that crosses from the library to a user's program, and checks what comes out.
#include <autograd/autograd.hpp>
#include <autograd/catalogue.hpp>
#include <datasets/datasets.hpp>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xtensor.hpp>

using namespace xg;

namespace {

int failures = 0;

void check(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

/// A user's operation: ln cosh x, whose derivative is tanh x.
struct LogCosh {
  static constexpr auto name = "log_cosh";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const {
    require_floating(name, x);
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    const Tensor a = abs(x[0]);
    return a + log1p(exp(-2 * a)) - std::log(2.0);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const { return g * tanh(r.input(0)); }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const { return t * tanh(r.input(0)); }
  std::string equation() const { return "ln cosh {0}"; }
  static std::vector<Sample<LogCosh>> samples() {
    return {{LogCosh{}, {random_normal({3, 4}, Key{1}, DType::float64)}}};
  }
};

Tensor log_cosh(const Tensor& x) { return apply(LogCosh{}, x); }

struct Classifier : nn::Module {
  nn::Dense hidden{64, 30}, output{30, 10};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return output(sigmoid(hidden(x))); }
};

/// Containers of this program's flags go in, adaptors over the library's memory come out.
void check_xtensor() {
  const xt::xarray<float> a{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}};
  const xt::xtensor<double, 1> b = xt::linspace<double>(0., 1., 1001);
  const Tensor ta = a, tb = b, sum_of_a = 2.f * a + xt::ones_like(a);
  check(ta.shape() == Shape{2, 3} && ta.dtype() == DType::float32, "xarray: shape and type");
  check(sum_of_a.at({1, 2}) == 13.0, "expression: value");
  const Tensor square_of_b = square(tb);
  const auto view = square_of_b.view<double>();
  const xt::xarray<double> back = view;  // a container of this program's kind
  check(xt::allclose(view, b * b) && xt::allclose(back, b * b), "view: values");
  check(std::abs(xt::sum(view)() - sum(square_of_b).item()) < 1e-9, "view: an xtensor reducer");
  const Tensor transposed = xt::transpose(a);
  check(identical(transposed, transpose(ta) + 0.f), "a column-major expression");
}

void check_calculus() {
  const Tensor x = random_normal({5, 7}, Key{3}, DType::float64);
  const auto f = [](const Tensor& v) { return sum(v * v * v); };
  const Tensor g = gradient(f, x);
  const auto vx = x.view<double>();
  check(xt::allclose(g.view<double>(), 3 * vx * vx), "gradient of a cube");
  const Tensor h = hessian(f, Tensor{1.0, 2.0});
  check(h.at({1, 1}) == 12.0 && h.at({0, 1}) == 0.0, "hessian");
  {
    const Tape tape;
    const Tensor product_gradient = gradient(sum(matmul(transpose(x), x)), x);
    const Tensor expected = broadcast_to(2 * sum(x, 1, true), {5, 7});
    check(xt::allclose(product_gradient.view<double>(), expected.view<double>()),
          "a product on a tape");
  }
  try {
    matmul(x, x);
    check(false, "an error for shapes that do not fit");
  } catch (const ShapeError& error) {
    check(std::string(error.what()).find("(5, 7)") != std::string::npos, "the error's text");
  }
}

void check_own_operation() {
  const GradCheck report =
      gradcheck([](const Tensor& v) { return sum(log_cosh(v)); }, Tensor{-2.0, 0.0, 0.3, 40.0});
  check(report.passed, to_string(report).c_str());
  const CatalogueEntry listed = entry<LogCosh>();
  check(listed.samples.size() == 1 && listed.samples[0].apply(listed.samples[0].inputs).rank() == 2,
        "a catalogue entry of a user's operation");
}

void check_training() {
  const auto [train, test] = datasets::digits();
  check(train.size() == 1438 && test.size() == 359, "digits: sizes");
  Classifier net;
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.5}};
  datasets::Loader loader{train, {.batch_size = 10, .seed = 1}};
  for (int epoch = 0; epoch < 10; ++epoch)
    for (const auto& batch : loader)
      sgd.step(batch, [&](const datasets::Batch& b) {
        return nn::log_likelihood_cost(net(b.inputs), b.targets);
      });
  const std::int64_t right = nn::count_correct(net(test.inputs), test.labels);
  std::printf("digits: %d of %d right\n", static_cast<int>(right), static_cast<int>(test.size()));
  check(right > 330, "digits: accuracy");
  Classifier copy = net;
  check(identical(copy(test.inputs), net(test.inputs)), "a copied module");
}

}  // namespace

int main() {
  check_xtensor();
  check_calculus();
  check_own_operation();
  check_training();
  std::puts(failures == 0 ? "consumer: all right" : "consumer: FAILED");
  return failures == 0 ? 0 : 1;
}
