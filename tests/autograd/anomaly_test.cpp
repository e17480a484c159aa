// Where errors and numbers that are not finite are said to come from.
#include "autograd/anomaly.hpp"

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

// "file:line" of the line on which this stands, as errors write it.
std::string here(SourceLocation place = SourceLocation::current()) {
  return detail::text("at ", place.file_name(), ':', place.line());
}

Tensor my_square(Operand x) { return x * x; }

}  // namespace

TEST_CASE("errors name the place of the call", "[anomaly]") {
  const Tensor a = numbers({2, 3}), b = numbers({4, 5});
  const Parameter p(b);
  std::string place, error;
  const auto says_place = [&] { return error.find(place) != std::string::npos; };
  // clang-format off
  error = error_of([&] { place = here(); a + b; }); CHECK(says_place());
  error = error_of([&] { place = here(); a * p; }); CHECK(says_place());
  error = error_of([&] { place = here(); matmul(a, b); }); CHECK(says_place());
  error = error_of([&] { place = here(); matmul(numbers({3}), b); }); CHECK(says_place());
  error = error_of([&] { place = here(); linear(numbers({2, 2, 3}), b, p); }); CHECK(says_place());
  error = error_of([&] { place = here(); sum(a, 5); }); CHECK(says_place());
  error = error_of([&] { place = here(); squeeze(a, 0); }); CHECK(says_place());
  error = error_of([&] { place = here(); expand_dims(a, 7); }); CHECK(says_place());
  error = error_of([&] { place = here(); sum_to(a, {9}); }); CHECK(says_place());
  error = error_of([&] { place = here(); stack({a, b}); }); CHECK(says_place());
  error = error_of([&] { place = here(); concatenate({a, b}); }); CHECK(says_place());
  error = error_of([&] { place = here(); maximum(cast(a, DType::int64), 0.5); }); CHECK(error.find("beside an int64") != std::string::npos);
  error = error_of([&] { Tensor c = a; place = here(); c += b; }); CHECK(says_place());
  // A function of the user's that takes operands is named by its own caller.
  error = error_of([&] { place = here(); my_square(cast(Tensor(), DType::float32)); }); CHECK(says_place());
  // clang-format on
}

TEST_CASE("errors name the scopes around the call", "[anomaly]") {
  const std::string error = error_of([&] {
    const Scope outer("encoder");
    { const Scope gone("attention"); }
    const Scope inner("hidden");
    exp(Tensor());
  });
  CHECK(error.find("\n  in encoder.hidden") != std::string::npos);
  CHECK(Scope::path().empty());
}

TEST_CASE("operands convert from what tensors convert from", "[anomaly]") {
  CHECK(identical(matmul(Tensor{{1., 2.}}, {{1.}, {2.}}), Tensor{{5.}}));
  CHECK(identical(sigmoid({0., 0.}), Tensor{0.5, 0.5}));
  CHECK(identical(xg::square(xt::ones<double>({2})), Tensor{1., 1.}));
  CHECK(identical(xg::square(3.0), Tensor(9.0)));
  Tensor x{1., 2.};
  x += 1;
  x *= x;
  x -= Tensor(1.0);
  x /= 2;
  CHECK(identical(x, Tensor{1.5, 4.}));
}

TEST_CASE("anomalies: the first operation forward is named", "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor x{1., 0., 2., 0.};
  const Tensor y = sqrt(x);
  std::string place;
  const std::string error = error_of([&] {
    const Scope inner("entropy");
    place = here(), log(y);
  });
  INFO(error);
  CHECK(error ==
        "[log] gave -inf at (1,), the first of 2 of its kind; input 0 (4,) from 0 to 1.41421\n  " +
            place + "\n  in entropy");
  CHECK_THROWS_AS(y / 0.0, AnomalyError);
  CHECK_NOTHROW(sum(y));
}

TEST_CASE("anomalies: numbers that came from outside are named as such", "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor x{{1., 2.}, {3., not_a_number}};
  REQUIRE_ERROR(exp(x), AnomalyError, "input 0 (2, 2) from 1 to 3 came with nan at (1, 1)");
  const Tensor none{infinity};
  REQUIRE_ERROR(exp(none), AnomalyError, "(1,) without a finite number came with inf at (0,)");
}

TEST_CASE("anomalies: the first operation backward is named, with where it was recorded",
          "[anomaly]") {
  const Tensor x{4., 0.};
  const auto f = [&] {
    const Tape tape;
    const Scope inner("distance");
    const Tensor y = sqrt(x);
    const Tensor loss = sum(3 * y);
    const NoRecording pass;
    return gradient(loss, x);
  };
  CHECK(std::isinf(f().at({1})));
  const DetectAnomalies scope;
  const std::string error = error_of(f);
  INFO(error);
  CHECK(error.starts_with(
      "[sqrt] the gradient of input 0 is inf at (1,); the adjoint of the output is "
      "(2,) from 3 to 3, recorded at "));
  CHECK(error.find("anomaly_test.cpp:") != std::string::npos);
  CHECK(error.find("\n  in distance") != std::string::npos);
}

TEST_CASE("anomalies: in a backward pass that is recorded, the rule is named that computed them",
          "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor x{4., 0.};
  std::string place;
  const Tensor y = [&] {
    const Scope inner("distance");
    return place = here(), sqrt(x);
  }();
  std::string call;
  const std::string error = error_of([&] { call = here(), gradient(sum(y), x); });
  CHECK(error ==
        "[divide] gave inf at (1,); input 0 (2,) from 1 to 1; input 1 (2,) from 0 to 4\n  in the "
        "derivative of [sqrt], recorded " +
            place + "\n  in distance\n  " + call);
}
