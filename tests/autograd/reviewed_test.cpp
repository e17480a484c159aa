// Where transforms, checkpoints and tapes meet in ways that once went wrong.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// A layer that is copied with its parameter.
struct Scaled {
  Parameter w{Tensor{2.0, 3.0}};
  Tensor operator()(const Tensor& x) const { return tanh(w * x); }
};

}  // namespace

TEST_CASE("a checkpoint of a callable that is copied with its parameters is refused",
          "[checkpoint]") {
  const std::vector<std::function<Tensor(const Tensor&)>> layers{Scaled{}, Scaled{}};
  const Tensor x{0.5, 0.25};
  {
    const Tape tape;
    const Tensor loss = sum(checkpoint_sequential(layers, x, 2));
    REQUIRE_ERROR(gradient(loss, x), TapeError, "that it did not use when it was first called");
  }
  const Tape tape;
  const auto one = [layer = Scaled{}](const Tensor& v) { return layer(v); };
  const Tensor loss = sum(checkpoint(one, x));
  REQUIRE_ERROR(gradient(loss, x), TapeError, "that it did not use when it was first called");
}

TEST_CASE("a checkpoint of a temporary keeps its parameters", "[checkpoint]") {
  Scaled layer;
  const ParameterRef w("w", layer.w);
  const Tensor x{0.5, 0.25};
  const Tape tape;
  const Tensor loss =
      sum(checkpoint([moved = std::move(layer)](const Tensor& v) { return moved(v); }, x));
  CHECK(sum(abs(gradient(loss, w))).item() > 0.1);
}

TEST_CASE("a transform of parameters sees its function alone", "[transforms]") {
  const Parameter p(Tensor(2.0));
  const ParameterRefs ps{{"w", p}};
  const auto at = [&] {
    const Tensor h = tanh(p) * p;
    return gradient([&] { return sum(h * p); }, ps)[0].item();
  };
  const double alone = at();
  CHECK(alone == Approx(2 * std::tanh(2.0)));
  {
    const Tape tape;
    CHECK(at() == alone);
  }
  const auto f = [&] { return sum(exp(p) * p); };
  const auto nested = [&] {
    const auto g = [&] { return sum(gradient(f, ps)[0] * p); };
    return gradient(g, ps)[0].item();
  };
  const double e = std::exp(2.0);  // d/dw (w (1 + w) e^w)
  CHECK(nested() == Approx((1 + 3 * 2 + 4) * e));
}

TEST_CASE("tangents of some outputs that were not recorded are undefined", "[tape]") {
  const Tensor x{1.0, 2.0}, constant{3.0, 4.0}, t{1.0, 1.0};
  const Tape tape;
  const Tensor y = square(x);
  const Tensor *const outputs[] = {&y, &constant}, *const px = &x, *const pt = &t;
  Tensor result[2];
  push_forward(Inputs(outputs, 2), Inputs(&px, 1), Inputs(&pt, 1), result);
  CHECK(identical(result[0], Tensor{2.0, 4.0}));
  CHECK(!result[1].defined());
  REQUIRE_ERROR(push_forward(Inputs(outputs, 2), Inputs(&px, 1), Inputs(&pt, 1), {result, 1}),
                ValueError, "[jvp] 1 results for 2 tensors");
}

TEST_CASE("forward mode frees the tangents of tensors that share a buffer", "[transforms]") {
  const Tensor x = numbers({64, 64}), t = numbers({64, 64}, -1, 1, 2);
  const auto peak_of = [&](int steps) {
    const Tape outside;
    const NoRecording scope;
    jvp(
        [&](const Tensor& v) {
          Tensor h = v;
          for (int i = 0; i < steps; ++i) h = reshape(tanh(reshape(h, {64 * 64})), {64, 64});
          return h;
        },
        x, t);
    return outside.peak_bytes();
  };
  CHECK(peak_of(400) < 2 * peak_of(40));
}

TEST_CASE("undefined adjoints and tangents are refused", "[transforms]") {
  const auto f = [](const Tensor& x) { return sum(x * x); };
  const Tensor x{1.0};
  REQUIRE_ERROR(vjp(f, x, Tensor()), DTypeError, "[vjp] the adjoint is undefined");
  REQUIRE_ERROR(jvp(f, Tensor(2.0), Tensor()), DTypeError, "[jvp] tangent 0 is undefined");
}

TEST_CASE("derivatives by name may be taken from a temporary", "[transforms]") {
  const Parameter p(Tensor{1.0, 2.0});
  const ParameterRefs ps{{"w", p}};
  const Tensor& g = gradient([&] { return sum(square(p)); }, ps)["w"];
  CHECK(identical(g, Tensor{2.0, 4.0}));
}

TEST_CASE("anomalies in sums of adjoints, in tangents and in rules for all inputs", "[anomaly]") {
  const DetectAnomalies scope;
  const Tensor z{1e-10};
  const auto summed = [&] {
    const Tape tape;
    const Tensor loss = sum(z * 1e308) + sum(z * 1e308);
    const NoRecording pass;
    return gradient(loss, z);
  };
  REQUIRE_ERROR(summed(), AnomalyError, "[gradient] the sum of what flows back to a tensor is inf");
  REQUIRE_ERROR(jvp([](const Tensor& x) { return sqrt(x); }, Tensor{0.0}, Tensor{1.0}),
                AnomalyError, "[sqrt] the change of the output by input 0 is inf at (0,)");
}

TEST_CASE("derivatives go through gradients of single examples", "[transforms]") {
  const Tensor x = numbers({3, 2}, -1, 1, 1), w{0.5, -0.25}, v{1.0, 2.0};
  const auto rows = [&](const Tensor& at) {
    const auto cost = [&](const Tensor& some) { return mean(exp(matmul(some, at))); };
    const Tensor wrt[] = {at};
    return per_example_gradient(cost, x, wrt)[0];
  };
  const Tensor j = jacobian(rows, w);  // (3, 2, 2)
  CHECK(j.shape() == Shape{3, 2, 2});
  const Tensor example = matmul(x, w);
  for (int i = 0; i < 3; ++i)
    for (int a = 0; a < 2; ++a)
      for (int b = 0; b < 2; ++b)
        CHECK(j.at({i, a, b}) ==
              Approx(std::exp(example.at({i})) * x.at({i, a}) * x.at({i, b}) / 3));
  REQUIRE_CLOSE(jvp(rows, w, v), matmul(j, v), 1e-14);
}

TEST_CASE("the gradient of an example sees its function alone", "[transforms]") {
  const Tensor x = numbers({3, 1}, -1, 1, 1), w{0.5};
  const auto at = [&] {
    const Tensor h = exp(w);
    const Tensor wrt[] = {w};
    const auto cost = [&](const Tensor& some) { return mean(some * h * w); };
    return per_example_gradient(cost, x, wrt)[0];
  };
  const Tensor alone = at();
  const Tape tape;
  REQUIRE(identical(at(), alone));
}
