// What a gradient check says about rules that are wrong on purpose: each verdict, its words, and
// the operation that it names.
#include "autograd/gradcheck.hpp"

#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/words.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// A function of one tensor with any rule.
struct Broken {
  Tensor (*value)(const Tensor& x);
  Tensor (*rule)(const Tensor& g, const Tensor& x);

  static constexpr auto name = "broken";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const {
    const NoRecording scope;
    return value(detach(x[0])).shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return value(detach(x[0]));
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const { return rule(g, r.input(0)); }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const { return rule(t, r.input(0)); }
  std::string equation() const { return "broken({0})"; }
  static std::vector<Sample<Broken>> samples() { return {}; }
};
static_assert(Op<Broken>);

/// x ⊙ y whose rule for x forgets y.
struct ForgetfulProduct {
  static constexpr auto name = "forgetful_product";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return x[0] * x[1];
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    return i == 0 ? g : g * r.input(0);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "forgetful({0}, {1})"; }
  static std::vector<Sample<ForgetfulProduct>> samples() { return {}; }
};

Tensor forgetful_sigmoid(const Tensor& x) {
  return apply(Broken{[](const Tensor& v) { return sigmoid(v); },
                      [](const Tensor& g, const Tensor&) { return g; }},
               x);
}

/// The sum over f(x) with `rule`.
auto summed(Tensor (*value)(const Tensor&), Tensor (*rule)(const Tensor&, const Tensor&)) {
  return [=](const Tensor& x) { return sum(apply(Broken{value, rule}, x)); };
}

void require_says(const GradCheck& report, Verdict verdict, const std::string& part) {
  INFO(report);
  CHECK_FALSE(report);
  CHECK(report.verdict == verdict);
  CHECK(unwrapped(to_string(report)).find(unwrapped(part)) != std::string::npos);
}

const Tensor x23 = numbers({2, 3}, 0.5, 1.5), x5 = numbers({5}, 0.5, 1.5);

}  // namespace

TEST_CASE("verdict: a forgotten 1/m", "[gradcheck]") {
  const auto f = summed([](const Tensor& x) { return mean(square(x)); },
                        [](const Tensor& g, const Tensor& x) { return 2 * g * x; });
  const GradCheck report = gradcheck(f, x5);
  require_says(
      report, Verdict::constant_factor,
      "its vjp is 5 times the differences of its forward: a factor 1/5 is missing. Likely "
      "it is the 1/m of a mean over m examples: m = 5 is the number of elements of input 0 "
      "(5,)");
  CHECK(report.inputs[0].verdict == Verdict::constant_factor);
  CHECK(report.inputs[0].explanation.find("the tape's gradient is 5 times the differences") == 0);
  const GradCheck other = gradcheck(f, numbers({4, 1}, 0.5, 1.5));
  require_says(other, Verdict::constant_factor, "m = 4 is the extent of axis 0 of input 0 (4, 1)");
  require_says(gradcheck(f, x23), Verdict::constant_factor,
               "m = 6 is the number of elements of input 0 (2, 3)");
}

TEST_CASE("verdict: a 1/m too many, and the 1/(2m) of a cost", "[gradcheck]") {
  require_says(
      gradcheck(summed([](const Tensor& x) { return sum(square(x)); },
                       [](const Tensor& g, const Tensor& x) { return g * x * 0.4; }),
                x5),
      Verdict::constant_factor,
      "1/5 times the differences of its forward: a factor 5 is missing. Likely it undoes a "
      "1/m, of a mean taken where a sum is meant or taken twice: m = 5");
  require_says(gradcheck(summed([](const Tensor& x) { return mean(square(x)) * 0.5; },
                                [](const Tensor& g, const Tensor& x) { return 2 * g * x; }),
                         x5),
               Verdict::constant_factor,
               "a factor 1/10 is missing. Likely it is the 1/(2m) of a cost such as 1/(2m) "
               "Σ‖a − y‖²: m = 5");
}

TEST_CASE("verdict: a forgotten ½, 2 and a number without a reason", "[gradcheck]") {
  const auto half = [](const Tensor& x) { return sum(square(x)) * 0.5; };
  require_says(
      gradcheck(summed(half, [](const Tensor& g, const Tensor& x) { return 2 * g * x; }), x23),
      Verdict::constant_factor,
      "a factor 1/2 is missing. Likely it is the ½ of a cost such as ½‖a − y‖²");
  require_says(gradcheck(summed([](const Tensor& x) { return square(x); },
                                [](const Tensor& g, const Tensor& x) { return g * x; }),
                         x23),
               Verdict::constant_factor,
               "a factor 2 is missing. Likely it is the 2 of d(u²) = 2u du");
  require_says(
      gradcheck(summed(half, [](const Tensor& g, const Tensor& x) { return g * x * -1.7; }), x5),
      Verdict::constant_factor,
      "-17/10 times the differences of its forward: the sign is wrong, and a factor 10/17 is "
      "missing");
}

TEST_CASE("verdict: wrong sign", "[gradcheck]") {
  const GradCheck report =
      gradcheck(summed([](const Tensor& x) { return cos(x); },
                       [](const Tensor& g, const Tensor& x) { return g * sin(x); }),
                x23);
  require_says(report, Verdict::wrong_sign, "the tape's gradient has the wrong sign");
  REQUIRE(report.first_wrong);
  CHECK(report.first_wrong->input.verdict == Verdict::wrong_sign);
}

TEST_CASE("verdict: a constant factor in some elements", "[gradcheck]") {
  require_says(gradcheck(summed([](const Tensor& x) { return square(x); },
                                [](const Tensor& g, const Tensor& x) {
                                  return 2 * g * x * where(x > 1, 3.0, 1.0);
                                }),
                         Tensor{0.5, 1.5, 2.0}),
               Verdict::constant_factor, "in 2 of 3 elements its vjp is 3 times");
}

TEST_CASE("verdict: the forgotten derivative of an activation", "[gradcheck]") {
  const GradCheck report =
      gradcheck([](const Tensor& x) { return sum(square(forgetful_sigmoid(x))); }, x23);
  require_says(report, Verdict::missing_factor, "a factor is missing in its vjp: σ'(input 0)");
  REQUIRE(report.first_wrong);
  CHECK(report.first_wrong->name == "broken");
  CHECK(report.first_wrong->node == 2);  // behind x and the variable made of it
  CHECK(report.first_wrong->input_shapes == std::vector<Shape>{{2, 3}});
  CHECK(report.first_wrong->output_shape == Shape{2, 3});
  require_says(gradcheck(summed([](const Tensor& x) { return sin(x); },
                                [](const Tensor& g, const Tensor&) { return g; }),
                         x23),
               Verdict::missing_factor, "cos(input 0)");
  // of no function that is known
  require_says(gradcheck(summed([](const Tensor& x) { return x * sigmoid(x); },
                                [](const Tensor& g, const Tensor&) { return g; }),
                         x23),
               Verdict::missing_factor, "broken'(input 0), the operation's own derivative");
}

TEST_CASE("verdict: a missing factor that is a tensor of the graph", "[gradcheck]") {
  require_says(gradcheck([](const Tensor& a,
                            const Tensor& b) { return sum(apply(ForgetfulProduct{}, a, b)); },
                         x23, numbers({2, 3}, 1, 2, 7)),
               Verdict::missing_factor, "a factor is missing in its vjp: input 1");
  // The rule is right, but half of the product is hidden from the tape: the factor stands in the
  // graph.
  const Tensor b = numbers({2, 3}, 1, 2, 8);
  const GradCheck report = gradcheck(
      [&](const Tensor& x) {
        return sum(summed([](const Tensor& v) { return square(v); },
                          [](const Tensor& g, const Tensor& v) { return 2 * g * square(v); })(x)) +
               sum(b) * 0;
      },
      x23);
  require_says(report, Verdict::missing_factor, "there is a factor too many in its vjp: input 0");
  CHECK(report.inputs[0].explanation.find("there is a factor too many in the tape's gradient: the "
                                          "result %1 of reshape (2, 3)") == 0);
  CHECK(to_string(report).find("(2, 3) -> (2, 3), tried alone") != std::string::npos);
}

TEST_CASE("verdict: no gradient arrives", "[gradcheck]") {
  const GradCheck report = gradcheck([](const Tensor& x) { return sum(square(detach(x))); }, x23);
  require_says(report, Verdict::no_gradient,
               "the tape's gradient is zero although the function changes");
  CHECK_FALSE(report.first_wrong);
}

TEST_CASE("an error that no rule makes", "[gradcheck]") {
  const GradCheck report = gradcheck([](const Tensor& x) { return sum(exp(x) * detach(x)); }, x23);
  require_says(report, Verdict::wrong,
               "the rule of every recorded operation agrees with the operation: something that "
               "depends on the inputs is computed where the tape does not see it");
  CHECK_FALSE(report.first_wrong);
  CHECK(report.inputs[0].explanation.find("all 6 elements differ") == 0);
}

TEST_CASE("verdict: wrong only at a kink", "[gradcheck]") {
  const Tensor x{{1.0, -2.0}, {0.0, 3.0}};
  const GradCheck report = gradcheck([](const Tensor& v) { return sum(relu(v) * 3); }, x);
  require_says(report, Verdict::kink,
               "the function has a kink where element (1, 0) is: its slope is "
               "0 on the left and 3 on the right, and the tape's gradient says 0");
  CHECK_FALSE(report.first_wrong);  // for it is right
  REQUIRE(report.at_kink);
  CHECK(report.at_kink->name == "relu");
  CHECK(report.at_kink->input.index == Extents{1, 0});
  require_says(report, Verdict::kink,
               "the kink is that of relu (node %2), (2, 2) -> (2, 2), at (1, 0) of input 0\n"
               "nothing is wrong with its rule");
  // The kink is inside: the element of relu's input is named, not only those of x.
  const GradCheck inside = gradcheck(
      [](const Tensor& v) {
        return sum(relu(matmul(v, Tensor{{1., 1.}, {1., -1.}})));
      },
      Tensor{{2.0, 2.0}});
  require_says(inside, Verdict::kink, "the kink is that of relu (node %");
  CHECK(inside.at_kink->input.index == Extents{0, 1});
  // A wrong rule is not excused by a kink, and a kink nearby does not hurt.
  require_says(gradcheck(summed([](const Tensor& v) { return relu(v); },
                                [](const Tensor& g, const Tensor& v) { return g * (v > 0) * 2; }),
                         x),
               Verdict::constant_factor, "a factor 1/2 is missing");
  CHECK(gradcheck([](const Tensor& v) { return sum(relu(v)); }, Tensor{1e-4, -1e-4}));
}

TEST_CASE("verdict: float32 was used", "[gradcheck]") {
  const auto inside = [](const Tensor& x) {
    return sum(cast(exp(cast(x, DType::float32)), DType::float64));
  };
  const GradCheck report = gradcheck(inside, x23);
  require_says(report, Verdict::float32,
               "float32 explains the error: node %2, cast, gives float32 "
               "(2, 3)");
  CHECK_FALSE(report.first_wrong);
  CHECK(gradcheck(inside, x23, {.relative = 1e-2}));
  const auto f = [](const Tensor& x) { return sum(exp(x)); };
  require_says(gradcheck(f, cast(x23, DType::float32)), Verdict::float32,
               "float32 explains the error: input 0 is float32");
  CHECK(gradcheck(f, cast(x23, DType::float32), {.relative = 1e-2}));
  // float32 does not excuse everything.
  require_says(gradcheck(summed([](const Tensor& x) { return square(x); },
                                [](const Tensor& g, const Tensor& x) { return g * x; }),
                         cast(x23, DType::float32)),
               Verdict::constant_factor, "a factor 2 is missing");
}

TEST_CASE("verdict: hidden state or randomness", "[gradcheck]") {
  int calls = 0;
  const GradCheck counted =
      gradcheck([&](const Tensor& x) { return sum(square(x)) * ++calls; }, x23);
  require_says(counted, Verdict::hidden_state,
               "depends on hidden state or randomness\n  two calls at the same inputs give ");
  require_says(counted, Verdict::hidden_state, "input 0 (2, 3): not compared");
  std::uint64_t seed = 0;
  const auto dropout = [&](const Tensor& x) {
    return sum(x * (random_uniform(x.shape(), Key{seed++}, x.dtype()) > 0.5));
  };
  require_says(gradcheck(dropout, x23), Verdict::hidden_state, "Give what is random a fixed Key");
  // State that shows only later, and only in the gradient.
  calls = 0;
  require_says(gradcheck([&](const Tensor& x) { return sum(x) + (++calls > 20 ? 1.0 : 0.0); }, x23),
               Verdict::hidden_state, "hidden state");
  static int rules = 0;
  require_says(gradcheck(summed([](const Tensor& x) { return square(x); },
                                [](const Tensor& g, const Tensor& x) { return g * x * ++rules; }),
                         x23),
               Verdict::hidden_state, "two gradients at the same inputs have ");
}

TEST_CASE("verdict: not finite", "[gradcheck]") {
  require_says(gradcheck([](const Tensor& x) { return sum(sqrt(x)); }, Tensor{1.0, 0.0}),
               Verdict::not_finite,
               "at (1,) the tape's gradient is inf and the differences give nan");
  require_says(gradcheck(summed([](const Tensor& x) { return square(x); },
                                [](const Tensor& g, const Tensor& x) { return g * log(-x); }),
                         Tensor{1.0, 2.0}),
               Verdict::not_finite, "first wrong operation: ");
  // A branch that is not taken has the adjoint 0, which stays 0.
  CHECK(gradcheck([](const Tensor& x) { return sum(where(x > 0, sqrt(x), 0.0 * x)); },
                  Tensor{1.0, -1.0}));
}

TEST_CASE("verdict: the differences do not settle", "[gradcheck]") {
  require_says(gradcheck([](const Tensor& x) { return sum(sign(x)); }, Tensor{0.0}),
               Verdict::unsettled, "the function jumps, oscillates within a step, or is rounded");
  require_says(gradcheck([](const Tensor& x) { return sum(sin(x)) + 1e13; }, x23),
               Verdict::unsettled, "the differences settle only to ");
}

TEST_CASE("truncation and rounding are told apart", "[gradcheck]") {
  // A step of 1e-3 is much too large here; smaller ones settle.
  const GradCheck fast =
      gradcheck([](const Tensor& x) { return sum(sin(x * 1000)) * 1e-3; }, Tensor{0.3});
  CHECK(fast);
  const GradCheck::Input& worst = fast.inputs[0];
  REQUIRE(worst.sweep.size() == 9);
  CHECK(worst.sweep[0].step == Approx(0.064));
  CHECK(worst.sweep[8].step == Approx(1e-3 / 1024));
  CHECK(worst.sweep[3].error > 1e-4);
  CHECK(worst.sweep[8].error < 1e-7);
  CHECK(worst.uncertainty < 1e-6);
  const std::string report =
      to_string(gradcheck(summed([](const Tensor& x) { return exp(x); },
                                 [](const Tensor& g, const Tensor& x) { return g * x; }),
                          Tensor{0.3}));
  INFO(report);
  const auto truncation = report.find("truncation"), rounding = report.find("rounding");
  REQUIRE(truncation != std::string::npos);
  REQUIRE(rounding != std::string::npos);
  CHECK(truncation < rounding);
  CHECK(report.find("step        differences     off by      limited by") != std::string::npos);
}

TEST_CASE("second derivatives in the same report", "[gradcheck]") {
  const auto f = [](const Tensor& a, const Tensor& b) { return sum(sin(a) * b); };
  const GradCheck report = gradgradcheck(f, x23, numbers({3}));
  INFO(report);
  CHECK(report);
  CHECK(report.inputs.size() == 2);
  REQUIRE(report.second.size() == 2);
  CHECK(report.second[1].shape == Shape{3});
  CHECK(gradcheck(f, x23, x23).second.empty());
  CHECK(to_string(report).find("\n second derivatives\n  input 0 (2, 3): worst at") !=
        std::string::npos);
  CHECK(gradgradcheck([](const Tensor& v) { return sum(v); }, x23, GradCheckOptions{}));

  // The first derivative is right, but it is computed from numbers: it cannot be differentiated.
  const GradCheck numeric =
      gradgradcheck(summed([](const Tensor& v) { return exp(v); },
                           [](const Tensor& g, const Tensor& v) { return g * exp(detach(v)); }),
                    x23);
  INFO(numeric);
  CHECK_FALSE(numeric);
  CHECK(numeric.inputs[0].passed);
  CHECK_FALSE(numeric.second[0].passed);
  CHECK(numeric.verdict == Verdict::no_gradient);
  REQUIRE(numeric.first_wrong);
  CHECK(numeric.first_wrong->name == "broken");
  CHECK(numeric.first_wrong->input.explanation.find("the derivative of its vjp is zero") == 0);
}

TEST_CASE("a whole model: the first wrong operation is named", "[gradcheck]") {
  nn::Dense hidden{4, 3, {.dtype = DType::float64}}, output{3, 2, {.dtype = DType::float64}};
  const Tensor x = numbers({5, 4}), y = numbers({5, 2}, 0, 1, 3);
  const auto cost = [&](auto first, auto second) {
    return [&, first, second] { return nn::quadratic_cost(second(output(first(hidden(x)))), y); };
  };
  const auto right = [](const Tensor& z) { return sigmoid(z); };
  const ParameterRefs refs{{"hidden.weight", hidden.weight},
                           {"hidden.bias", hidden.bias},
                           {"output.weight", output.weight},
                           {"output.bias", output.bias}};
  const Tensor before = detach(hidden.weight);
  const GradCheck fine = gradgradcheck(cost(right, right), refs);
  INFO(fine);
  CHECK(fine);
  CHECK(fine.inputs[0].name == "hidden.weight");
  CHECK(identical(before, hidden.weight));

  const GradCheck report = gradcheck(cost(forgetful_sigmoid, right), refs);
  require_says(report, Verdict::missing_factor, "σ'(input 0)");
  REQUIRE(report.first_wrong);
  CHECK(report.first_wrong->name == "broken");
  CHECK(report.first_wrong->input_shapes == std::vector<Shape>{{5, 3}});
  CHECK_FALSE(report.inputs[0].passed);
  CHECK(report.inputs[2].passed);
  CHECK(to_string(report).find("hidden.bias (3,): worst at") != std::string::npos);
  // Of two the first is named.
  CHECK(gradcheck(cost(forgetful_sigmoid, forgetful_sigmoid), refs).first_wrong->input_shapes ==
        std::vector<Shape>{{5, 3}});
  CHECK(gradcheck(cost(right, forgetful_sigmoid), refs).first_wrong->input_shapes ==
        std::vector<Shape>{{5, 2}});
}

TEST_CASE("gradient checks as matchers", "[gradcheck]") {
  const auto f = [](const Tensor& v) { return sum(exp(v)); };
  const auto product = [](const Tensor& a, const Tensor& b) { return sum(a * b); };
  const auto listed = [](const std::vector<Tensor>& v) { return sum(v[0] * v[1]); };
  const Tensor x = x23, y = numbers({2, 3}, 1, 2, 9);
  REQUIRE_THAT(f, HasCorrectGradient(x));
  REQUIRE_THAT(product, HasCorrectGradient(x, y).with({.relative = 1e-7}));
  REQUIRE_THAT(listed, HasCorrectGradient(x23, x23).with({.relative = 1e-7}));
  REQUIRE_THAT(f, HasCorrectSecondDerivatives(x23));
  // Of anything: compiled with tensors alone, or with a vector alone.
  const auto any = [](const auto& v) { return sum(v * v); };
  const auto any_two = [](const auto& a, const auto& b) { return sum(a * b); };
  const auto any_list = [](const auto& v) { return sum(v[0] * v[1]); };
  REQUIRE_THAT(any, HasCorrectGradient(x));
  REQUIRE_THAT(any_two, HasCorrectSecondDerivatives(x, y));
  REQUIRE_THAT(any_list, HasCorrectGradient(x, y));
  CHECK(gradcheck(any, x));
  CHECK(gradgradcheck(any, x, GradCheckOptions{}));
  CHECK(gradgradcheck(any_two, x, y));
  CHECK(gradcheck(any_list, std::vector<Tensor>{x, y}));
  const auto broken = summed([](const Tensor& v) { return exp(v); },
                             [](const Tensor& g, const Tensor& v) { return -(g * exp(v)); });
  const auto matcher = HasCorrectGradient(x23);
  CHECK_FALSE(matcher.match(broken));
  CHECK(matcher.with({.absolute = 100}).match(broken));
  CHECK(matcher.toString().find("has a correct gradient\ngradcheck: FAILED, wrong sign") == 0);
  const auto numeric = summed([](const Tensor& v) { return exp(v); },
                              [](const Tensor& g, const Tensor& v) { return g * exp(detach(v)); });
  CHECK(HasCorrectGradient(x23).match(numeric));
  CHECK_FALSE(HasCorrectSecondDerivatives(x23).match(numeric));
}
