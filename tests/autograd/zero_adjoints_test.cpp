// Where an adjoint or tangent is exactly 0, an elementwise operation, a reduction or a softmax
// passes 0 on, even where its derivative is infinite or NaN.
#include "autograd/catalogue.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

std::vector<CatalogueEntry> covered() {
  std::vector<CatalogueEntry> result;
  for (const auto& list : {ops::arithmetic(), ops::functions(), ops::activations(),
                           ops::comparison(), ops::reductions(), ops::softmaxes()})
    result.insert(result.end(), list.begin(), list.end());
  return result;
}

bool is_zero(const Tensor& x) {
  if (!x.defined()) return true;
  const std::vector<double> values = elements(x);
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
}

// Calls f(sample, inputs, places) with the floating inputs, which stand at `places`, filled with
// every combination of awkward numbers.
template <class F>
void at_awkward_numbers(F f) {
  const std::vector<double> awkward{0, -1, infinity, -infinity, not_a_number};
  for (const CatalogueEntry& entry : covered())
    for (const auto& sample : entry.samples) {
      if (!sample.error.empty()) continue;
      std::vector<std::size_t> places;
      for (std::size_t i = 0; i < sample.inputs.size(); ++i)
        if (is_floating(sample.inputs[i].dtype())) places.push_back(i);
      std::size_t combinations = places.empty() ? 0 : 1;
      for (std::size_t i = 0; i < places.size(); ++i) combinations *= awkward.size();
      for (std::size_t k = 0; k < combinations; ++k) {
        std::vector<Tensor> inputs = sample.inputs;
        std::string values;
        for (std::size_t rest = k; const std::size_t place : places) {
          const double value = awkward[rest % awkward.size()];
          rest /= awkward.size();
          inputs[place] = Tensor::full(inputs[place].shape(), value, inputs[place].dtype());
          values += detail::text(' ', value);
        }
        INFO(entry.name << " (" << sample.equation << ") at" << values);
        f(sample, inputs, places);
      }
    }
}

// What a function of one tensor and its derivatives are, of the sum over its elements.
struct Derivatives {
  Tensor unrecorded, recorded, second, product, diagonal;
};
template <class F>
Derivatives derivatives(const F& f, const Tensor& x) {
  const auto loss = [&](const Tensor& v) { return sum(f(v)); };
  const auto slopes = [&](const Tensor& v) { return sum(gradient(loss, v)); };
  Derivatives result;
  {
    const Tape tape;
    const Tensor y = loss(x);
    const NoRecording scope;
    result.unrecorded = gradient(y, x);
  }
  {
    const Tape tape;
    const Tensor y = loss(x);
    result.recorded = gradient(y, x);
  }
  result.second = gradient(slopes, x);
  result.product = hvp(loss, x, Tensor::full(x.shape(), 1.0, x.dtype()));
  if (x.size() < 10) result.diagonal = einsum("ii->i", hessian(loss, x));
  return result;
}

}  // namespace

TEST_CASE(
    "elementwise operations, reductions and softmaxes pass adjoints of 0 on as 0, to the second "
    "order",
    "[zero adjoints]") {
  at_awkward_numbers([](const auto& sample, const auto& inputs, const auto& places) {
    std::vector<Tensor> wrt, weights;
    for (const std::size_t place : places) {
      wrt.push_back(inputs[place]);
      weights.push_back(numbers(inputs[place].shape(), 1, 2, place, inputs[place].dtype()));
    }
    const Tape tape;
    const Tensor y = sample.apply(inputs);
    if (!is_floating(y.dtype())) return;
    const Tensor loss = sum(where(Tensor::full(y.shape(), 0.0), y, 0));
    {
      const NoRecording scope;
      for (const Tensor& g : gradient(loss, wrt)) REQUIRE(is_zero(g));
    }
    const std::vector<Tensor> first = gradient(loss, wrt);
    Tensor slopes = scale(loss, 0);
    for (std::size_t i = 0; i < first.size(); ++i) {
      REQUIRE(is_zero(first[i]));
      slopes += sum(weights[i] * first[i]);
    }
    for (const Tensor& g : gradient(slopes, wrt)) REQUIRE(is_zero(g));
  });
}

TEST_CASE("elementwise operations, reductions and softmaxes pass tangents of 0 on as 0",
          "[zero adjoints]") {
  at_awkward_numbers([](const auto& sample, const auto& inputs, const auto& places) {
    for (const std::size_t place : places) {
      const auto f = [&](const Tensor& x) {
        std::vector<Tensor> all = inputs;
        all[place] = x;
        return sample.apply(all);
      };
      if (!is_floating(f(inputs[place]).dtype())) continue;
      const Tensor zero = Tensor::full(inputs[place].shape(), 0.0, inputs[place].dtype());
      REQUIRE(is_zero(jvp(f, inputs[place], zero)));
      const auto unselected = [&](const Tensor& x) {
        const Tensor y = f(x);
        return sum(where(Tensor::full(y.shape(), 0.0), y, 0));
      };
      REQUIRE(is_zero(hvp(unselected, inputs[place], zero + 1)));
    }
  });
}

TEST_CASE("a branch that `where` does not take cannot spoil the gradient", "[zero adjoints]") {
  struct Case {
    const char* name;
    Tensor (*f)(const Tensor&);
    std::vector<double> first, second;  // at -1, 0 and 2
  };
  const double r = std::sqrt(2.0);
  const std::vector<Case> cases{
      {"log", [](const Tensor& x) { return where(x > 0, log(x), 0); }, {0, 0, 0.5}, {0, 0, -0.25}},
      {"sqrt",
       [](const Tensor& x) { return where(x > 0, sqrt(x), 0); },
       {0, 0, 0.5 / r},
       {0, 0, -0.125 / r}},
      {"exp of log",
       [](const Tensor& x) { return where(x > 0, exp(log(x)), x); },
       {1, 1, 1},
       {0, 0, 0}},
      {"1 / x",
       [](const Tensor& x) { return where(x > 0, square(1 / x), 2 * x); },
       {2, 2, -0.25},
       {0, 0, 0.375}},
      {"sqrt of 1 / x",
       [](const Tensor& x) { return where(x > 0, 1 / sqrt(1 / x), 0); },
       {0, 0, 0.5 / r},
       {0, 0, -0.125 / r}},
      {"power 1.5",  // whose second derivative is infinite where the first is 0
       [](const Tensor& x) { return where(x > 0, pow(x, 1.5), 0); },
       {0, 0, 1.5 * r},
       {0, 0, 0.75 / r}},
      {"powers",
       [](const Tensor& x) { return where(x > 0, pow(x, 0.5) + pow(x, -1) * pow(x, x), 0); },
       {0, 0, 0.5 / r - 1 + 2 * (1 + std::log(2.0))},
       {}},
      {"x / 0",
       [](const Tensor& x) { return where(x > 0, x, x / Tensor::full({}, 0.0, x.dtype())); },
       {-infinity, infinity, 1},
       {}}};
  for (const Case& c : cases)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(c.name << " in " << dtype);
      const double near = dtype == DType::float32 ? 1e-5 : 1e-13;
      const Derivatives got = derivatives(c.f, tensor({-1, 0, 2}, {3}, dtype));
      if (c.second.empty()) {
        if (std::isfinite(c.first[0])) {
          REQUIRE_CLOSE(got.unrecorded, tensor(c.first, {3}, dtype), near, near);
          REQUIRE_CLOSE(got.recorded, tensor(c.first, {3}, dtype), near, near);
        } else {  // an adjoint that is not 0 meets what there is
          CHECK_FALSE(std::isfinite(elements(got.unrecorded)[0]));
          CHECK_FALSE(std::isfinite(elements(got.recorded)[0]));
        }
        continue;
      }
      REQUIRE_CLOSE(got.unrecorded, tensor(c.first, {3}, dtype), near, near);
      REQUIRE_CLOSE(got.recorded, tensor(c.first, {3}, dtype), near, near);
      REQUIRE_CLOSE(got.second, tensor(c.second, {3}, dtype), near, near);
      REQUIRE_CLOSE(got.product, tensor(c.second, {3}, dtype), near, near);
      REQUIRE_CLOSE(got.diagonal, tensor(c.second, {3}, dtype), near, near);
    }
}

TEST_CASE("blocks of a Hessian are finite where nobody asks", "[zero adjoints]") {
  const auto f = [](const Tensor& a, const Tensor& b) {
    return sum(where(a > 0, pow(a, 1.5) * b, 0));
  };
  const Tensor a{0., 4.}, b{1., 2.};
  const auto h = hessian(f, a, b);
  CHECK(identical(h[0][0], Tensor{{0., 0.}, {0., 0.75}}));
  CHECK(identical(h[0][1], Tensor{{0., 0.}, {0., 3.}}));
  CHECK(identical(h[1][0], Tensor{{0., 0.}, {0., 3.}}));
  const Parameter p(a);
  const ParameterRefs all{{"p", p}};
  const NamedBlocks blocks = hessian([&] { return f(p, b); }, all);
  CHECK(identical(blocks["p"]["p"], h[0][0]));
}

TEST_CASE("a 0 of one element leaves the others alone, also in long and broadcast tensors",
          "[zero adjoints]") {
  const std::int64_t n = (1 << 16) + 37;  // more than one range, and not whole batches
  std::vector<double> values(static_cast<std::size_t>(n), 4);
  values[0] = values[40000] = values[values.size() - 1] = 0;
  const Tensor x = tensor(values, {n});
  const Derivatives got = derivatives(
      [](const Tensor& v) {
        return where(v > 0, sqrt(v), 0) * Tensor{{1.}, {1.}};
      },
      x);
  for (const Tensor& g : {got.unrecorded, got.recorded})
    REQUIRE_CLOSE(g, where(x > 0, Tensor::full({n}, 0.5), 0), 1e-14);
  REQUIRE_CLOSE(got.second, where(x > 0, Tensor::full({n}, -0.0625), 0), 1e-14);
}

TEST_CASE("anomaly mode does not look where the adjoint is 0", "[zero adjoints]") {
  const DetectAnomalies scope;
  const Tensor x{4., 0.};
  const auto f = [](const Tensor& v) { return sum(where(v > 0, sqrt(v), 0)); };
  const Tape tape;
  CHECK(identical(gradient(f(x), x), Tensor{0.25, 0.}));
  REQUIRE_ERROR(gradient(sum(sqrt(x)), x), AnomalyError, "[divide] gave inf at (1,)");
}
