// Powers beside the C library's, in every digit.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

TEMPLATE_TEST_CASE("pow follows the C library for special numbers", "[elementwise]", float,
                   double) {
  constexpr auto least = std::numeric_limits<TestType>::denorm_min(),
                 most = std::numeric_limits<TestType>::max();
  const std::vector<double> special{-infinity, -most, -2, -1, -0.5, -least,   -0.0,        0,
                                    least,     0.5,   1,  3,  most, infinity, not_a_number};
  for (const double a : special)
    for (const double b : special) {
      INFO(a << " ^ " << b);
      const auto x = static_cast<TestType>(a), y = static_cast<TestType>(b);
      CHECK(difference(pow(Tensor(x), Tensor(y)), Tensor(std::pow(x, y)), 0) == "");
    }
}

TEST_CASE("pow of floats has all their digits", "[elementwise]") {
  constexpr std::int64_t n = 100'000;
  for (const double spread : {1.0, 80.0})
    for (const double highest : {0.75, 3.25, 100.0}) {
      const Tensor x = exp(numbers({n}, -spread, spread, 1, DType::float32));
      const Tensor y = numbers({n}, -highest, highest, 2, DType::float32);
      const Tensor powers = pow(x, y), alike = pow(x, highest);
      double worst = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const long double base = x.data<float>()[i];
        worst = std::max(worst, ulps(powers.data<float>()[i],
                                     std::pow(base, static_cast<long double>(y.data<float>()[i]))));
        worst = std::max(
            worst, ulps(alike.data<float>()[i], std::pow(base, static_cast<long double>(highest))));
      }
      INFO("e^±" << spread << " to the power ±" << highest);
      CHECK(worst < 0.501);
    }
}
