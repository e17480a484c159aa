// gradient() and the transforms: nesting, what may be asked for, and what is refused.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

Tensor total_sine(const Tensor& x) { return sum(sin(x)); }

}  // namespace

TEST_CASE("functional gradients nest to any order", "[gradient]") {
  const auto f = [](const Tensor& x) { return pow(x, 5); };
  const auto d1 = [&](const Tensor& x) { return gradient(f, x); };
  const auto d2 = [&](const Tensor& x) { return gradient(d1, x); };
  const auto d3 = [&](const Tensor& x) { return gradient(d2, x); };
  const auto d4 = [&](const Tensor& x) { return gradient(d3, x); };
  const Tensor x(2.0);
  CHECK(d1(x).item() == 80);
  CHECK(d2(x).item() == 160);
  CHECK(d3(x).item() == 240);
  CHECK(d4(x).item() == 240);
  CHECK(gradient(d4, x).item() == 120);
  // Under somebody's tape as well.
  const Tape tape;
  const Tensor y = square(x);
  CHECK(gradient(d2(y), x).item() == Approx(60 * std::pow(4.0, 2) * 4));
}

TEST_CASE("derivatives of one variable leave another alone", "[gradient]") {
  // d/dx (x · d/dy (x y)) = d/dx x² = 2x
  const auto f = [](const Tensor& x) {
    return x * gradient([&](const Tensor& y) { return x * y; }, Tensor(5.0));
  };
  CHECK(gradient(f, Tensor(3.0)).item() == 6);
  // d/dx (x · d/dy (x + y)) = 1, at the same value for both, and with y = x itself
  const auto g = [](const Tensor& x) {
    return x * gradient([&](const Tensor& y) { return x + y; }, x);
  };
  CHECK(gradient(g, Tensor(1.0)).item() == 1);
  // d/dx d/dy (x² y³) = 6 x y²
  const auto h = [](const Tensor& x) {
    return gradient([&](const Tensor& y) { return square(x) * pow(y, 3); }, Tensor(2.0));
  };
  CHECK(gradient(h, Tensor(3.0)).item() == 72);
  // forward inside backward: d/dx <sin'(x), v> = -sin(x) v
  const Tensor x{0.3, 0.7}, v{2., -1.};
  const auto along = [&](const Tensor& u) {
    return sum(jvp([](const Tensor& t) { return sin(t); }, u, v));
  };
  REQUIRE_CLOSE(gradient(along, x), -sin(x) * v, 1e-14);
}

TEST_CASE("gradients of gradients under one tape", "[gradient]") {
  const Tensor x{0.5, -1.0, 2.0};
  const Tape tape;
  const Tensor g = gradient(sum(pow(x, 4)), x), gg = gradient(sum(g), x),
               ggg = gradient(sum(gg * gg), x);
  REQUIRE_CLOSE(detach(g), Tensor{0.5, -4., 32.}, 1e-14);
  REQUIRE_CLOSE(detach(gg), Tensor{3., 12., 48.}, 1e-14);
  REQUIRE_CLOSE(detach(ggg), Tensor{72., -576., 4608.}, 1e-14);
}

TEST_CASE("a gradient under NoRecording leaves no trace", "[gradient]") {
  const Tensor x{1., 2.};
  Tape tape;
  const Tensor loss = sum(exp(x) * x);
  const std::size_t size = tape.size();
  {
    const NoRecording scope;
    const Tensor g = gradient(loss, x);
    REQUIRE_ERROR(gradient(sum(g), x), TapeError, "was not recorded");
  }
  CHECK(tape.size() == size);
  gradient(loss, x);
  CHECK(tape.size() > size);
}

TEST_CASE("functions that give back what they got", "[gradient]") {
  const auto same = [](const Tensor& x) { return x; };
  const Tensor x(3.0), v{1., 2.};
  CHECK(gradient(same, x).item() == 1);
  CHECK(hessian(same, x).item() == 0);
  CHECK(value_and_gradient(same, x).value.item() == 3);
  CHECK(value_and_gradient(same, x).gradient.item() == 1);
  CHECK(identical(jvp(same, v, Tensor{5., 6.}), Tensor{5., 6.}));
  CHECK(identical(vjp(same, v, Tensor{5., 6.}), Tensor{5., 6.}));
  const auto [da, db] = gradient([](const Tensor& a, const Tensor&) { return a; }, x, x);
  CHECK(da.item() == 1);
  CHECK(db.item() == 0);
  const Tape tape;
  CHECK(gradient(same, x).item() == 1);
}

TEST_CASE("functions that do not depend on their argument", "[gradient]") {
  const Tensor x{1., 2.}, c(4.0);
  const auto constant = [&](const Tensor&) { return c; };
  CHECK(identical(gradient(constant, x), zeros({2})));
  CHECK(identical(hessian(constant, x), zeros({2, 2})));
  CHECK(identical(jvp(constant, x, x), Tensor(0.0)));
  CHECK(identical(vjp(constant, x, Tensor(1.0)), zeros({2})));
  CHECK(identical(hessian([](const Tensor& v) { return sum(v); }, x), zeros({2, 2})));
  CHECK(hessian([](const Tensor& v) { return sum(v); }, zeros({0})).shape() == Shape{0, 0});
}

TEST_CASE("the Hessian of a function with several elements and axes", "[gradient]") {
  const Tensor a = numbers({4, 4}), m = a + transpose(a);
  const auto quadratic = [&](const Tensor& x) {
    const Tensor flat = reshape(x, {4});
    return 0.5 * sum(flat * matmul(m, flat));
  };
  const Tensor h = hessian(quadratic, numbers({2, 2}));
  CHECK(h.shape() == Shape{2, 2, 2, 2});
  REQUIRE_CLOSE(reshape(h, {4, 4}), m, 1e-13, 1e-14);
  const auto third = [&](const Tensor& x) {
    return sum(hessian([](const Tensor& v) { return sum(pow(v, 3)); }, x));
  };
  REQUIRE_CLOSE(gradient(third, Tensor{1., 2.}), Tensor{6., 6.}, 1e-14);
}

TEST_CASE("gradient takes intermediates, repetitions and the loss itself", "[gradient]") {
  const Tensor x(2.0);
  const Tape tape;
  const Tensor y = square(x), z = y * x, loss = 3 * z;
  const std::vector<Tensor> g = gradient(loss, {x, y, y, z, loss, x});
  const double want[] = {36, 6, 6, 3, 1, 36};
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(g[i].item() == want[i]);
}

TEST_CASE("the two passes are adjoint for intermediates and repetitions, too", "[gradient]") {
  const Tensor x(2.0);
  const Tape tape;
  const Tensor y = square(x), z = y * x;
  std::vector<Tensor> back(3);
  pull_back(z, Tensor(1.0), Pointers({x, y, x}), back);
  const double forward =
      push_forward(z, Pointers({x, y, x}), Pointers({Tensor(1.0), Tensor(10.0), Tensor(100.0)}))
          .item();
  CHECK(forward == back[0].item() + 10 * back[1].item() + 100 * back[2].item());
}

TEST_CASE("a tensor may be asked for twice", "[gradient]") {
  const Tensor x = numbers({3}), y = numbers({3}, -1, 1, 2);
  const Tape tape;
  const Tensor loss = sum(x * y);
  const std::vector<Tensor> g = gradient(loss, {x, y, x, loss, x});
  REQUIRE_CLOSE(g[0], y, 0);
  REQUIRE_CLOSE(g[1], x, 0);
  REQUIRE_CLOSE(g[2], y, 0);
  REQUIRE_CLOSE(g[3], Tensor(1.), 0);
  REQUIRE_CLOSE(g[4], y, 0);
}

TEST_CASE("what the loss does not depend on", "[gradient]") {
  const Tensor x(2.0), other{1., 2.};
  const Tape tape;
  const Tensor loss = square(x), later = exp(x);
  CHECK(identical(gradient(loss, {x, other})[1], zeros({2})));
  CHECK(gradient(loss, later).item() == 0);
  CHECK(gradient(sum(sign(x)), x).item() == 0);
  REQUIRE_ERROR(gradient(loss, {x, other}, {.unused = Unused::error}), TapeError,
                "[gradient] the loss does not depend on tensor 1 of shape (2,)");
  CHECK(gradient(sum(square(zeros({0}))), x).item() == 0);
  CHECK(gradient(sum(cast(cast(x, DType::int64), DType::float64)), x).item() == 0);
}

TEST_CASE("detach cuts, and shares the elements", "[gradient]") {
  const Tensor x{2., 3.};
  const auto f = [](const Tensor& v) { return sum(v * detach(v)); };
  CHECK(identical(gradient(f, x), x));
  CHECK(detach(x).data<double>() == x.data<double>());
  CHECK_FALSE(detach(Tensor()).defined());
}

TEST_CASE("what gradient refuses", "[gradient]") {
  const Tensor x{1., 2.}, labels{0, 1};
  const Tape tape;
  const Tensor y = square(x), loss = sum(y);
  REQUIRE_ERROR(gradient(y, x), ShapeError,
                "[gradient] the loss must be a scalar, but has the shape (2,); reduce it with sum");
  REQUIRE_ERROR(gradient(loss, labels), DTypeError,
                "[gradient] tensor 0 is int64 and cannot be differentiated");
  REQUIRE_ERROR(gradient(loss, {x, Tensor()}), DTypeError, "[gradient] tensor 1 is undefined");
  REQUIRE_ERROR(gradient(Tensor(), x), DTypeError, "[gradient] the loss is undefined");
  REQUIRE_ERROR(gradient(Tensor(1.0), x), TapeError, "was not recorded");
  REQUIRE_ERROR(gradient(argmax(x), x), DTypeError,
                "[gradient] the loss is int64 and has no derivative");
  CHECK(gradient(reshape(loss, {1, 1}), x).shape() == x.shape());  // one element is enough
  REQUIRE_ERROR(jvp(total_sine, x, Tensor(1.0)), ShapeError,
                "[jvp] tangent 0 has the shape (), its tensor has (2,)");
  REQUIRE_ERROR(jvp(total_sine, x, Tensor{1.f, 2.f}), DTypeError,
                "[jvp] types differ: float32 (2,)");
  REQUIRE_ERROR(vjp(total_sine, x, x), ShapeError,
                "[vjp] the adjoint has the shape (2,), f(x) has ()");
  REQUIRE_ERROR(vjp(total_sine, x, Tensor(1.f)), DTypeError, "[vjp] types differ: float32 ()");
  REQUIRE_ERROR(push_forward(y, Pointers({x}), Pointers({Tensor(1.0)})), ShapeError,
                "[jvp] the tangent has the shape (), its tensor has (2,)");
  Tensor result;
  REQUIRE_ERROR(pull_back(y, Tensor(1.0), Pointers({x}), {&result, 1}), ShapeError,
                "[vjp] the adjoint is float64 (), the output float64 (2,)");
}

TEST_CASE("parameters are differentiated by reference and refused when they changed",
          "[gradient]") {
  const Parameter w(Tensor{1., 2.}), unused(Tensor{3.});
  const ParameterRefs refs{{"w", w}, {"unused", unused}};
  const auto [value, gradients] = value_and_gradient([&] { return sum(square(w)); }, refs);
  CHECK(value.item() == 5);
  CHECK(identical(gradients[0], Tensor{2., 4.}));
  CHECK(identical(gradients[1], Tensor{0.}));

  const Tape tape;
  const Tensor x{1., 1.}, loss = sum(square(w) * x);
  refs[0].add_scaled(1, Tensor{1., 1.});
  REQUIRE_ERROR(
      gradient(loss, refs), TapeError,
      "[gradient] a parameter of shape (2,) was changed after this tape recorded it; take "
      "gradients before the update, and start a new Tape for every step");
  REQUIRE_ERROR(w * x, TapeError, "[multiply] a parameter of shape (2,) was changed");
  CHECK(identical(gradient(loss, x), Tensor{1., 4.}));  // by the values then
  const Tape fresh;
  CHECK(identical(gradient(sum(square(w)), refs)[0], Tensor{4., 6.}));
}

TEST_CASE("values and gradients of functions come without their tape", "[gradient]") {
  const Tensor x{0.5, 1.};
  const auto [value, slope] = value_and_gradient(total_sine, x);
  CHECK(value.item() == Approx(std::sin(0.5) + std::sin(1.0)));
  const Tape tape;
  CHECK(gradient(sum(value * slope * x), x).size() == 2);  // constants to any tape
}
