// In which forms derivatives can be checked, and where errors say that a check was called.
#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

TEST_CASE("checks take tensors, parameters and options behind them", "[gradcheck]") {
  const Tensor x = numbers({3}, 0.5, 1.5), y = numbers({3}, 1, 2, 2);
  const Parameter w(numbers({3}, 1, 2, 3));
  const ParameterRefs refs{{"w", w}};
  const GradCheckOptions loose{.relative = 1e-4};
  const auto f1 = [](const Tensor& a) { return sum(exp(a)); };
  const auto f2 = [](const Tensor& a, const Tensor& b) { return sum(a * b); };
  const auto f3 = [](const Tensor& a, const Tensor& b, const Tensor& c) { return sum(a * b / c); };
  const auto f4 = [](const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d) {
    return sum(a * b / c + d);
  };
  const auto nothing = [&] { return sum(square(w)); };
  const auto passes = [](const GradCheck& report, std::size_t inputs, bool second) {
    CHECK(report);
    CHECK(report.inputs.size() == inputs);
    CHECK(report.second.size() == (second ? inputs : 0));
  };
  passes(gradcheck(f1, x), 1, false);
  passes(gradcheck(f1, w), 1, false);
  passes(gradcheck(f1, refs[0]), 1, false);
  passes(gradcheck(f1, w, {.relative = 1e-4}), 1, false);
  passes(gradcheck(f1, 2.0), 1, false);
  passes(gradcheck(f2, x, w), 2, false);
  passes(gradcheck(f2, x, y, {.relative = 1e-4}), 2, false);
  passes(gradcheck(f3, x, y, w, loose), 3, false);
  passes(gradcheck(f3, x, y, w), 3, false);
  passes(gradcheck(f4, x, y, w, x), 4, false);
  passes(gradcheck(f4, x, y, w, x, loose), 4, false);
  passes(gradcheck(nothing, refs, loose), 1, false);
  passes(gradgradcheck(f1, w), 1, true);
  passes(gradgradcheck(f1, x, {.relative = 1e-4}), 1, true);
  passes(gradgradcheck(f2, w, y), 2, true);
  passes(gradgradcheck(f2, x, y, loose), 2, true);
  passes(gradgradcheck(f3, x, y, w), 3, true);
  passes(gradgradcheck(f3, x, y, w, {.relative = 1e-4}), 3, true);
  passes(gradgradcheck(f4, x, y, w, x), 4, true);
  passes(gradgradcheck(f4, x, y, w, x, loose), 4, true);
  passes(gradgradcheck(nothing, refs), 1, true);
  // The options arrive.
  const auto broken =
      custom_gradient([](const Tensor& a) { return a; },
                      [](const Tensor& g, const Tensor&, const Tensor&) { return 1.001 * g; });
  const auto g2 = [&](const Tensor& a, const Tensor& b) { return sum(broken(a) + b); };
  CHECK_FALSE(gradcheck(g2, x, y));
  CHECK(gradcheck(g2, x, y, {.relative = 1e-2}));
}

TEST_CASE("errors of checks name the place of the call", "[gradcheck]") {
  const Tensor x{1, 2}, good{1., 2.};
  const auto f = [](const Tensor& v) { return sum(v); };
  const auto f2 = [](const Tensor& v, const Tensor&) { return sum(v); };
  const auto list = [](const std::vector<Tensor>& v) { return sum(v[0]); };
  const Parameter w(good);
  const ParameterRefs refs{{"w", w}};
  // The call must stand on the line of the macro.
#define REQUIRE_LOCATED(expression)                                                              \
  CHECK(error_of([&] { expression; }).find("\n  at " __FILE__ ":" + std::to_string(__LINE__)) != \
        std::string::npos)
  REQUIRE_LOCATED(gradcheck(f, x));
  REQUIRE_LOCATED(gradcheck(f2, good, x));
  REQUIRE_LOCATED(gradcheck(list, std::vector<Tensor>{x}));
  REQUIRE_LOCATED(gradcheck([](const Tensor& v) { return v; }, good));
  REQUIRE_LOCATED(gradcheck([&] { return w.value(); }, refs));
  REQUIRE_LOCATED(gradgradcheck(f, x));
  REQUIRE_LOCATED(gradgradcheck([&] { return w.value(); }, refs));
  REQUIRE_LOCATED(compare_backprop(
      {{"b", good}}, [&] { return sum(w); }, refs));
  REQUIRE_LOCATED(compare_backprop({{"w", good}}, Tensor(1.0), refs));
#undef REQUIRE_LOCATED
}
