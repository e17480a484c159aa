// What a gradient check must not say: reasons that explain nothing, and reports that nobody can
// read. Verdicts with their words are in gradcheck_verdicts_test.cpp.
#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/words.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Function = Tensor (*)(const Tensor&);

/// f with the given derivative, element by element.
auto with_slope(Function f, Function slope) {
  return custom_gradient(
      f, [slope](const Tensor& g, const Tensor&, const Tensor& x) { return g * slope(x); });
}

bool has(const GradCheck& report, const std::string& part) {
  return unwrapped(to_string(report)).find(part) != std::string::npos;
}

const auto straight_through = with_slope([](const Tensor& v) { return sign(v); },
                                         [](const Tensor& v) { return ones_like(v); });

}  // namespace

TEST_CASE("a wrong value at a kink is a matter of the kink alone", "[gradcheck]") {
  const auto f = with_slope(
      [](const Tensor& v) { return relu(v); },
      [](const Tensor& v) { return where(equal(v, 0), 5.0, cast(v > 0, DType::float64)); });
  const GradCheck report =
      gradcheck([&](const Tensor& v) { return sum(f(v)); }, Tensor{-1.0, 0.0, 2.0});
  INFO(report);
  CHECK(report.verdict == Verdict::kink);
  CHECK(has(report,
            "the function has a kink where element (1,) is: its slope is 0 on the left and 1 on the"
            " right, and the tape's gradient says 5, which is neither of them nor between."
            " Everywhere else it is right"));
  CHECK_FALSE(has(report, "a factor 1 is missing"));
  REQUIRE(report.first_wrong);  // nothing excuses it
  CHECK(report.first_wrong->name == "custom_gradient");
  CHECK_FALSE(report.at_kink);
  // Between the slopes on both sides a value is as good as any other.
  const GradCheck several =
      gradcheck([](const Tensor& v) { return sum(relu(v)); }, Tensor{0.0, 0.0, 0.0});
  INFO(several);
  CHECK(has(several, "says 0; it has one at (1,), (2,)"));
  CHECK_FALSE(has(several, "Everywhere else"));
  CHECK(several.at_kink);
  CHECK_FALSE(several.first_wrong);
  CHECK_FALSE(has(several, "tried alone"));
}

TEST_CASE("what does not change at all has no missing factor", "[gradcheck]") {
  const Tensor x = random_normal({4, 3}, Key{9}, DType::float64);
  const GradCheck product =
      gradcheck([&](const Tensor& v) { return sum(v * straight_through(v)); }, x);
  INFO(product);
  CHECK(product.verdict == Verdict::no_change);
  REQUIRE(product.first_wrong);
  CHECK(product.first_wrong->input.verdict == Verdict::no_change);
  CHECK(has(product,
            "its forward does not change at all with this input, and yet its vjp is not zero. If"
            " that is meant, as in a straight-through estimator, differences cannot check it"));
  const auto constant = with_slope([](const Tensor& v) { return ones_like(v); },
                                   [](const Tensor& v) { return ones_like(v); });
  const GradCheck report =
      gradcheck([&](const Tensor& v) { return sum(constant(v)) + sum(square(v)); }, x);
  INFO(report);
  CHECK(report.verdict == Verdict::no_change);
  CHECK_FALSE(has(report, "ln("));
  const GradCheck alone = gradcheck([&](const Tensor& v) { return sum(constant(v)); }, x);
  INFO(alone);
  CHECK(has(alone,
            "the function does not change at all with this input, and yet the tape's gradient is"
            " not zero"));
}

TEST_CASE("a factor of nearly 1 is not said to be missing", "[gradcheck]") {
  const auto f = with_slope([](const Tensor& v) { return sin(v); },
                            [](const Tensor& v) { return cos(v) * (1 + 4e-6); });
  const GradCheck report =
      gradcheck([&](const Tensor& v) { return sum(f(v)); }, numbers({4, 3}, 0.5, 1.5));
  INFO(report);
  CHECK(report.verdict == Verdict::wrong);
  CHECK_FALSE(has(report, "a factor 1 is missing"));
}

TEST_CASE("a function that does something else while a tape records", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  const auto dropout = [](const Tensor& v) {
    return sum(square(v)) * (Tape::recording() ? 2.0 : 1.0);
  };
  const GradCheck report = gradcheck(dropout, x);
  INFO(report);
  CHECK(report.verdict == Verdict::hidden_state);
  CHECK(has(report, "at the same inputs the function gives "));
  CHECK(has(report, " while a tape records and "));
  CHECK_FALSE(report.inputs[0].compared);
  CHECK(gradgradcheck(dropout, x).verdict == Verdict::hidden_state);
  // What only rounds otherwise is no other function.
  CHECK(gradcheck(
      [](const Tensor& v) {
        return sum(v) * 1e-3 - sum(v * (Tape::recording() ? 1e-3 : 1e-3 * (1 + 1e-15)));
      },
      x));
}

TEST_CASE("a function whose first call differs", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  int calls = 0;
  const auto f = [&](const Tensor& v) { return sum(square(v)) * (++calls > 1 ? 2.0 : 1.0); };
  const GradCheck report = gradcheck(f, x);
  INFO(report);
  CHECK(report.verdict == Verdict::hidden_state);
  CHECK(has(report, "at the same inputs the first call gives "));
  calls = 0;
  CHECK(gradcheck(f, cast(x, DType::float32), {.relative = 1e-2}).verdict == Verdict::hidden_state);
}

TEST_CASE("a forgotten exponent is no forgotten mean", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  const auto cube = with_slope([](const Tensor& v) { return pow(v, 3); },
                               [](const Tensor& v) { return square(v); });
  const GradCheck alone = gradcheck([&](const Tensor& v) { return sum(cube(v)); }, x);
  INFO(alone);
  CHECK(has(alone, "a factor 3 is missing. Likely it is the 3 of d(u³) = 3u² du"));
  CHECK_FALSE(has(alone, "a mean taken"));
  // Where no operation can be blamed both are named.
  const GradCheck whole = gradcheck([](const Tensor& v) { return sum(v * square(detach(v))); }, x);
  INFO(whole);
  CHECK(has(whole, "m = 3 is the extent of axis 1 of input 0 (4, 3), or it is the 3 of d(u³)"));
}

TEST_CASE("small gradients are checked like large ones", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  const auto tiny = with_slope([](const Tensor& v) { return v * 1e-10; },
                               [](const Tensor& v) { return full({}, 5e-9) * ones_like(v); });
  const GradCheck report = gradcheck([&](const Tensor& v) { return sum(tiny(v)); }, x);
  INFO(report);
  CHECK(report.verdict == Verdict::constant_factor);
  CHECK(has(report, "its vjp is 50 times"));
  // Right ones pass, whatever else there is for rounding to fall from.
  for (const double scale : {1e-30, 1e-12, 1e-6, 1.0, 1e6, 1e12}) {
    INFO(scale);
    CHECK(gradgradcheck([&](const Tensor& v) { return scale * sum(exp(v) * v); }, x));
    CHECK(gradcheck([&](const Tensor& v) { return scale * (sum(v) * 1e12 + sum(square(v))); }, x));
    CHECK(gradcheck([&](const Tensor& v) { return scale * sum(pow(v, 5)); }, zeros({2})));
    if (scale <= 1)
      CHECK(gradcheck([&](const Tensor& v) { return scale * sum(exp(v) - v); }, zeros({2})));
  }
  CHECK(gradcheck([](const Tensor& v) { return sum(softmax(1e3 * v, 1)); }, x));
  CHECK(gradcheck([](const Tensor& v) { return 1e4 * sum(v - mean(v)); }, x));
  // A small element beside large ones, and one that is not there.
  CHECK(gradcheck(
      [](const Tensor& v) {
        return sum(exp(v * Tensor{1.0, 20.0}));
      },
      Tensor{-30.0, 1.0}));
  CHECK(gradcheck([](const Tensor& v) { return sum(cos(v)) + 100; }, zeros({3})));
}

TEST_CASE("steps to where the function refuses its input are left out", "[gradcheck]") {
  const auto root = [](const Tensor& v) { return cholesky(Tensor{{1.0, 0.0}, {0.0, 1.0}} * v); };
  CHECK(gradcheck([&](const Tensor& v) { return sum(root(v)); }, Tensor(0.0015)));
  const auto wrong =
      custom_gradient(root, [](const Tensor& g, const Tensor&, const Tensor&) { return sum(g); });
  const GradCheck report = gradcheck([&](const Tensor& v) { return sum(wrong(v)); }, Tensor(0.05));
  INFO(report);
  CHECK_FALSE(report);
  CHECK(report.inputs[0].numeric == Approx(1 / std::sqrt(0.05)));
  CHECK(has(report, "0.064 nan nan not finite"));
}

TEST_CASE("reports on numbers that are none", "[gradcheck]") {
  const auto f = [](const Tensor& v) { return sum(sqrt(v)); };
  const GradCheck report = gradcheck(f, Tensor{-1.0, 4.0});
  INFO(report);
  CHECK(report.verdict == Verdict::not_finite);
  CHECK_FALSE(has(report, "-nan"));
  CHECK_FALSE(has(report, "error nan"));
  CHECK_FALSE(has(report, "they settle"));
  CHECK_FALSE(has(report, "rounding"));
  CHECK(has(report,
            "worst at (0,): tape nan, differences nan FAILED at (0,) the tape's gradient is"
            " nan and the differences give nan the differences are nan with every step"));
  CHECK(has(report, "first operation that is not finite: sqrt (node %2)"));
  const GradCheck at_zero = gradcheck(f, Tensor{0.0, 4.0});
  INFO(at_zero);
  CHECK(has(at_zero, "tape inf, differences nan FAILED"));

  const GradCheck input =
      gradcheck([](const Tensor& v) { return sum(square(v)); }, Tensor{1.0, infinity});
  INFO(input);
  CHECK_FALSE(input);
  CHECK(to_string(input) ==
        "gradcheck: FAILED, not finite\n"
        "  input 0 itself is inf at (1,): there are no differences there\n"
        "  input 0 (2,): not compared");
}

TEST_CASE("sentences of a report are lines of 80 columns", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  const auto sentences = [](const GradCheck& report) {
    std::string result;
    std::istringstream stream(to_string(report));
    for (std::string line; std::getline(stream, line);)
      if (line.find("worst at") == std::string::npos) result += line + '\n';
    return result;
  };
  const GradCheck wrong = gradcheck([](const Tensor& v) { return sum(v * square(detach(v))); }, x);
  INFO(wrong);
  CHECK(width_of(sentences(wrong)) <= 80);
  CHECK(width_of(sentences(wrong)) > 60);
  CHECK(has(wrong, "of input 0 (4, 3)"));
  CHECK(to_string(wrong).find("of input 0 (4,\n") == std::string::npos);
  const GradCheck kink = gradcheck([](const Tensor& v) { return sum(relu(v)); }, zeros({9}));
  CHECK(width_of(sentences(kink)) <= 80);
}
