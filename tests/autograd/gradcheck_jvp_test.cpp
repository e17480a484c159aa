// What a gradient check says of an operation whose vjp is right and whose jvp is not.
#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/words.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// f(x) with the rule `derivative` backward and `wrong` forward.
struct WrongForward {
  Tensor (*f)(const Tensor& x);
  Tensor (*derivative)(const Tensor& x);
  Tensor (*wrong)(const Tensor& x);

  static constexpr auto name = "wrong_forward";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return f(detach(x[0]));
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g * derivative(r.input(0));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const { return t * wrong(r.input(0)); }
  std::string equation() const { return "wrong_forward({0})"; }
  static std::vector<Sample<WrongForward>> samples() { return {}; }
};

Tensor cube(const Tensor& x) {
  return apply(WrongForward{[](const Tensor& v) { return pow(v, 3); },
                            [](const Tensor& v) { return 3 * square(v); },
                            [](const Tensor& v) { return square(v); }},
               x);
}

/// a − b whose tangent adds.
struct WrongDifference {
  static constexpr auto name = "wrong_difference";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return x[0] - x[1];
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record&) const { return i == 0 ? g : -g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return t; }
  std::string equation() const { return "{0} − ({1})"; }
  static std::vector<Sample<WrongDifference>> samples() { return {}; }
};

bool has(const GradCheck& report, const std::string& part) {
  return unwrapped(to_string(report)).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a wrong jvp does not pass", "[gradcheck]") {
  const Tensor x = numbers({4, 3}, 0.5, 1.5);
  const auto f = [](const Tensor& v) { return sum(square(cube(v))); };
  for (const GradCheck& report : {gradcheck(f, x), gradgradcheck(f, x)}) {
    INFO(report);
    CHECK_FALSE(report);
    CHECK(report.verdict == Verdict::jvp);
    CHECK(report.inputs[0].passed);
    CHECK(has(report,
              "gradcheck: FAILED, jvp and vjp disagree along a random direction t of input 0 the"
              " jvp gives "));
    CHECK(has(report, "jvp, hvp and hessian are not"));
    REQUIRE(report.first_wrong);
    CHECK(report.first_wrong->name == "wrong_forward");
    CHECK(report.first_wrong->rule == "jvp");
    CHECK(report.first_wrong->input_shapes == std::vector<Shape>{{4, 3}});
    CHECK(report.first_wrong->input.verdict == Verdict::jvp);
    CHECK(
        has(report,
            "first wrong operation: wrong_forward (node %2), (4, 3) -> (4, 3), tried alone with a"
            " tangent of input 0 (4, 3): its jvp disagrees with its vjp, and with the differences:"
            " its jvp is 1/3 times the differences of its forward: a factor 3 is missing. Likely"
            " it is the 3 of d(u³) = 3u² du"));
  }
}

TEST_CASE("a wrong jvp of a parameter, within a model, and of one input of two", "[gradcheck]") {
  const Tensor x = numbers({4, 3}), y = numbers({4, 2}, 0, 1, 2);
  const nn::Dense hidden{3, 3, {.dtype = DType::float64}}, output{3, 2, {.dtype = DType::float64}};
  const GradCheck model = gradcheck(
      [&] { return nn::quadratic_cost(sigmoid(output(cube(hidden(x)))), y); }, hidden.parameters());
  INFO(model);
  CHECK(model.verdict == Verdict::jvp);
  CHECK(has(model, "along a random direction t of weight the jvp gives"));
  REQUIRE(model.first_wrong);
  CHECK(model.first_wrong->name == "wrong_forward");

  const GradCheck two = gradcheck(
      [](const Tensor& a, const Tensor& b) { return sum(square(apply(WrongDifference{}, a, b))); },
      x, numbers({4, 3}, 1, 2, 3));
  INFO(two);
  CHECK(two.verdict == Verdict::jvp);
  CHECK(has(two, "along a random direction t of input 1"));
  REQUIRE(two.first_wrong);
  CHECK(two.first_wrong->input.number == 1);
  CHECK(has(two, "its jvp has the wrong sign"));
}

TEST_CASE("a jvp that forgets σ', one that throws, and one wrong at second order alone",
          "[gradcheck]") {
  const Tensor x = numbers({2, 3});
  const auto check = [&](Tensor (*wrong)(const Tensor&), bool second) {
    const auto f = [=](const Tensor& v) {
      return sum(square(apply(WrongForward{[](const Tensor& u) { return sigmoid(u); },
                                           [](const Tensor& u) {
                                             const Tensor a = sigmoid(u);
                                             return a * (1 - a);
                                           },
                                           wrong},
                              v)));
    };
    return second ? gradgradcheck(f, x) : gradcheck(f, x);
  };
  const GradCheck forgetful = check([](const Tensor& u) { return ones_like(u); }, false);
  INFO(forgetful);
  CHECK(has(forgetful, "a factor is missing in its jvp: "));
  const GradCheck throws =
      check([](const Tensor&) -> Tensor { throw ValueError("[mine] not written yet"); }, false);
  INFO(throws);
  CHECK(throws.verdict == Verdict::jvp);
  CHECK(has(throws, "the jvp along input 0 throws: [mine] not written yet"));
  CHECK(has(throws, "its jvp throws: [mine] not written yet"));
  // A constant to whoever differentiates it, though its numbers are right.
  const auto numbers_alone = [](const Tensor& u) {
    const Tensor a = sigmoid(detach(u));
    return a * (1 - a);
  };
  CHECK(check(numbers_alone, false));
}

TEST_CASE("gradients that are zero, small or of float32 have a right jvp", "[gradcheck]") {
  const Tensor x = numbers({3, 4}, 0.5, 1.5);
  CHECK(gradgradcheck([](const Tensor& v) { return sum(softmax(v, 1)); }, x));
  CHECK(gradgradcheck(
      [](const Tensor& v) {
        const Tensor z = v - mean(v, 0, true);
        return sum(z / sqrt(mean(square(z), 0, true) + 1e-5));
      },
      x));
  CHECK(gradgradcheck([](const Tensor& v) { return 1e-12 * sum(exp(v)); }, x));
  CHECK(gradcheck([](const Tensor& v) { return sum(softmax(exp(v), 1) * v); },
                  cast(x, DType::float32), {.relative = 1e-2}));
  // Of a function that differentiates another itself.
  CHECK(gradcheck(
      [](const Tensor& v) {
        return sum(square(gradient([](const Tensor& u) { return sum(tanh(u)); }, v)));
      },
      x));
}
