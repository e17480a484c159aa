// The costs: their values, their gradients, and where they must stay finite.
#include "nn/nn.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

namespace {

using Cost = Tensor (*)(Operand, Operand);
const Tensor y{{1., 0., 0.}, {0., 0., 1.}};

}  // namespace

TEST_CASE("values of the costs") {
  const Tensor a{{0.8, 0.1, 0.3}, {0.2, 0.5, 0.9}}, z{{2., -1., 0.5}, {0., 1., -2.}};
  double quadratic = 0, entropy = 0, from_z = 0, likelihood = 0;
  for (std::int64_t e = 0; e < 2; ++e) {
    double total = 0;
    for (std::int64_t j = 0; j < 3; ++j) total += std::exp(z.at({e, j}));
    for (std::int64_t j = 0; j < 3; ++j) {
      const double t = y.at({e, j}), o = a.at({e, j}), s = 1 / (1 + std::exp(-z.at({e, j})));
      quadratic += (o - t) * (o - t) / 2 / 2;
      entropy -= (t * std::log(o) + (1 - t) * std::log(1 - o)) / 2;
      from_z -= (t * std::log(s) + (1 - t) * std::log(1 - s)) / 2;
      likelihood -= t * std::log(std::exp(z.at({e, j})) / total) / 2;
    }
  }
  CHECK(nn::quadratic_cost(a, y).item() == Catch::Detail::Approx(quadratic).epsilon(1e-14));
  CHECK(nn::cross_entropy_cost(a, y).item() == Catch::Detail::Approx(entropy).epsilon(1e-14));
  CHECK(nn::sigmoid_cross_entropy_cost(z, y).item() ==
        Catch::Detail::Approx(from_z).epsilon(1e-14));
  CHECK(nn::log_likelihood_cost(z, y).item() == Catch::Detail::Approx(likelihood).epsilon(1e-14));
}

TEST_CASE("gradients of the costs") {
  const Tensor a = random_uniform({2, 3}, Key{1}, DType::float64, 0.1, 0.9);
  for (const Cost cost : {nn::quadratic_cost, nn::cross_entropy_cost,
                          nn::sigmoid_cross_entropy_cost, nn::log_likelihood_cost}) {
    const auto report = gradcheck([&](const Tensor& v) { return cost(v, y); }, a);
    INFO(report);
    CHECK(report);
  }
}

TEST_CASE("the costs from weighted inputs are finite, with finite gradients, for any of them") {
  const Tensor z{{1000., -1000., 0.}, {-1000., 1000., -1000.}};
  for (const Cost cost : {nn::sigmoid_cross_entropy_cost, nn::log_likelihood_cost}) {
    const auto [value, g] = value_and_gradient([&](const Tensor& v) { return cost(v, y); }, z);
    CHECK(std::isfinite(value.item()));
    for (const double d : g.values<double>()) CHECK(std::isfinite(d));
  }
  CHECK(nn::sigmoid_cross_entropy_cost(z, y).item() ==
        Catch::Detail::Approx((std::log(2.) + 2000) / 2));
}

TEST_CASE("cross-entropy of outputs that are exactly right is 0, with a finite gradient") {
  const auto [value, g] =
      value_and_gradient([](const Tensor& a) { return nn::cross_entropy_cost(a, y); }, y);
  CHECK(value.item() == 0);
  for (const double d : g.values<double>()) CHECK(std::isfinite(d));
}

TEST_CASE("the costs refuse what does not fit") {
  REQUIRE_ERROR(nn::quadratic_cost(zeros({2, 3}), zeros({2, 4})), ShapeError,
                "[quadratic_cost] outputs of shape (2, 3) and targets of shape (2, 4)");
  REQUIRE_ERROR(nn::log_likelihood_cost(zeros({2, 1, 3}), zeros({2, 1, 3})), ShapeError,
                "both must have the same shape (examples, outputs)");
  REQUIRE_ERROR(nn::quadratic_cost(zeros({3}), zeros({3})), ShapeError, "targets of shape (3,)");
  REQUIRE_ERROR(nn::quadratic_cost(zeros({1, 3}), Tensor()), DTypeError, "targets are undefined");
  REQUIRE_ERROR(nn::quadratic_cost(Tensor(1.0), Tensor(1.0)), ShapeError, "targets of shape ()");
  REQUIRE_ERROR(nn::cross_entropy_cost(zeros({0, 3}), zeros({0, 3})), ValueError,
                "[cross_entropy_cost] the batch is empty");
  REQUIRE_ERROR(nn::sigmoid_cross_entropy_cost(zeros({1, 2}, DType::float32), zeros({1, 2})),
                DTypeError, "types differ");
}

TEST_CASE("counting right answers") {
  const Tensor outputs{{0.1, 0.9}, {0.8, 0.2}, {0.5, 0.5}};
  CHECK(nn::count_correct(outputs, Tensor{1, 1, 0}) == 2);
  CHECK(nn::count_correct(zeros({0, 2}), zeros({0}, DType::int64)) == 0);
  REQUIRE_ERROR(nn::count_correct(outputs, Tensor{1, 1}), ShapeError,
                "outputs of shape (3, 2) and labels of shape (2,)");
  REQUIRE_ERROR(nn::count_correct(outputs, Tensor{1., 1., 0.}), DTypeError,
                "[count_correct] labels must be int64, not float64");
  REQUIRE_ERROR(nn::count_correct(outputs, Tensor{1, 1}), ShapeError, "costs_test.cpp:");
}
