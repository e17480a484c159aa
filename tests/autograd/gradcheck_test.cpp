// The gradient check itself: it passes what is right, and finds and describes what is wrong.
#include "autograd/gradcheck.hpp"

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// x³ whose rule forgets the factor 3 for elements above a limit.
struct WrongCube {
  double limit = 0;

  static constexpr auto name = "wrong_cube";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return pow(x[0], 3);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor x = r.input(0);
    return g * square(x) * where(x > limit, 1.0, full({}, 3));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "{0}³"; }
  static std::vector<Sample<WrongCube>> samples() { return {}; }
};
static_assert(Op<WrongCube>);

Tensor wrong_cube(const Tensor& x, double limit) { return apply(WrongCube{limit}, x); }

}  // namespace

TEST_CASE("right gradients pass", "[gradcheck]") {
  const Tensor x = numbers({2, 3}), y = numbers({3}, 1, 2, 2);
  CHECK(gradcheck([](const Tensor& v) { return sum(sin(v) * v); }, x));
  const GradCheck report =
      gradcheck([](const Tensor& a, const Tensor& b) { return sum(a / b); }, x, y);
  CHECK(report);
  REQUIRE(report.inputs.size() == 2);
  CHECK(report.inputs[1].number == 1);
  CHECK(report.inputs[1].shape == Shape{3});
  CHECK(report.inputs[0].relative_error < 1e-9);
  CHECK(gradcheck([](const Tensor& v) { return v; }, Tensor(2.0)));
  CHECK(gradcheck([](const Tensor&) { return Tensor(1.0); }, x));
  CHECK(gradcheck(
      [](const Tensor& v) { return sum(hessian([](const Tensor& u) { return sum(exp(u)); }, v)); },
      Tensor{0.5, 1.}));
}

TEST_CASE("a wrong rule fails at its worst element", "[gradcheck]") {
  const Tensor x{{0.5, 1.0}, {2.0, -3.0}};
  const GradCheck report = gradcheck([](const Tensor& v) { return sum(wrong_cube(v, 1.5)); }, x);
  CHECK_FALSE(report);
  const GradCheck::Input& worst = report.inputs.at(0);
  CHECK(worst.index == Extents{1, 0});
  CHECK(worst.analytic == Approx(4));
  CHECK(worst.numeric == Approx(12));
  CHECK(worst.error == Approx(8));
  CHECK(worst.relative_error == Approx(2. / 3));
  CHECK_FALSE(worst.passed);
  CHECK(gradcheck([](const Tensor& v) { return sum(wrong_cube(v, 5)); }, x));
}

TEST_CASE("reports read well", "[gradcheck]") {
  const GradCheck report =
      gradcheck([](const Tensor& v, const Tensor& w) { return sum(wrong_cube(v, 1)) + sum(w); },
                Tensor{{0., 2.}}, zeros({0, 2}));
  const std::string words = to_string(report);
  INFO(words);
  CHECK(words.find("gradcheck: FAILED, wrong by a constant factor\n"
                   "  input 0 (1, 2): worst at (0, 1): tape 4, differences 12, error 8 (relative "
                   "0.666667) FAILED\n"
                   "    the tape's gradient is 1/3 times the differences: a factor 3 is missing\n"
                   "    step        differences     off by      limited by\n"
                   "    0.128       12  ") == 0);
  CHECK(words.find("\n  input 1 (0, 2): no elements\n"
                   " first wrong operation: wrong_cube (node %5), (1, 2) -> (1, 2), tried alone\n"
                   "  input 0 (1, 2): worst at (0, 1): vjp ") != std::string::npos);
  GradCheck fine;
  fine.inputs.push_back({0, Shape{}, Extents{}, 0.5, 0.5, 0, 0, true});
  CHECK(to_string(fine) ==
        "gradcheck: passed\n"
        "  input 0 (): worst at (): tape 0.5, differences 0.5, error 0 (relative 0) passed");
}

TEST_CASE("NaN in either derivative fails", "[gradcheck]") {
  CHECK_FALSE(gradcheck([](const Tensor& v) { return sum(log(v)); }, Tensor{-1., 1.}));
  CHECK_FALSE(gradcheck([](const Tensor& v) { return sum(sqrt(v)); }, Tensor{0.}));
}

TEST_CASE("tolerances can be set", "[gradcheck]") {
  const auto f = [](const std::vector<Tensor>& v) { return sum(wrong_cube(v[0], 0)); };
  CHECK_FALSE(gradcheck(f, {Tensor{1.}}, {.relative = 0.6}));
  CHECK(gradcheck(f, {Tensor{1.}}, {.relative = 0.7}));
  CHECK(gradcheck(f, {Tensor{1.}}, {.absolute = 3}));
}

TEST_CASE("what cannot be checked is refused", "[gradcheck]") {
  const auto f = [](const Tensor& v) { return sum(v); };
  REQUIRE_ERROR(gradcheck(f, Tensor{1}), DTypeError,
                "[gradcheck] the inputs must be float64 (or float32), not int64; convert them with "
                "cast(x, DType::float64)");
  REQUIRE_ERROR(gradcheck(f, Tensor()), DTypeError, "[gradcheck] an input is undefined");
  REQUIRE_ERROR(gradcheck([](const Tensor& v) { return v; }, Tensor{1., 2.}), ShapeError,
                "the loss must be a scalar, but has the shape (2,)");
}

TEST_CASE("there must be something to check", "[gradcheck]") {
  const std::string text =
      "[gradcheck] there is nothing to check: give at least one tensor or parameter to"
      " differentiate by";
  const auto f = [](const std::vector<Tensor>&) { return Tensor(1.0); };
  REQUIRE_ERROR(gradcheck(f, std::vector<Tensor>{}), ValueError, text);
  REQUIRE_ERROR(gradgradcheck(f, std::vector<Tensor>{}), ValueError, text);
  const auto g = [] { return Tensor(1.0); };
  REQUIRE_ERROR(gradcheck(g, ParameterRefs{}), ValueError, text);
  REQUIRE_ERROR(gradgradcheck(g, ParameterRefs{}), ValueError, text);
}

TEST_CASE("parameters have their values again, whatever the function did to them", "[gradcheck]") {
  Parameter w(Tensor{1., 2.}), shaped(Tensor{3.});
  const ParameterRefs refs{{"w", w}, {"shaped", shaped}};
  const auto converted = [&] {
    refs[0].convert(DType::float32);
    return cast(sum(square(w.value())), DType::float64);
  };
  REQUIRE_ERROR(gradcheck(converted, refs), TapeError,
                "a parameter of shape (2,) was changed after this tape recorded it");
  CHECK(identical(w, Tensor{1., 2.}));
  const auto reshaped = [&] {
    shaped = Parameter(Tensor{3., 4.});
    return Tensor(1.0);
  };
  REQUIRE_ERROR(gradcheck(reshaped, std::span(refs).subspan(1)), ShapeError,
                "[assign] parameter 'shaped' has the shape (2,)");
}

TEST_CASE("the inputs stay as they were", "[gradcheck]") {
  const Tensor x{1., 2.};
  gradcheck([](const Tensor& v) { return sum(square(v)); }, x);
  CHECK(identical(x, Tensor{1., 2.}));
}
