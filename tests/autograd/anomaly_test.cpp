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

TEST_CASE("anomalies: second derivatives and passes forward along a tape are looked at",
          "[anomaly]") {
  const DetectAnomalies scope;
  const Tensor x{0., 1.};
  const auto power = [](const Tensor& v) { return sum(pow(v, 1.5)); };
  const auto root = [](const Tensor& v) { return sqrt(v); };
  REQUIRE_ERROR(hessian(power, x), AnomalyError, "is inf at (0,)");
  REQUIRE_ERROR(hvp(power, x, x + 1), AnomalyError, "is inf at (0,)");
  REQUIRE_ERROR(
      jacobian(root, x), AnomalyError,
      "[sqrt] the change of the output by input 0 is inf at (0,); the tangent of the input is "
      "(2,) from 0 to 1, recorded at ");
  CHECK(identical(hessian(power, Tensor{4., 1.}), Tensor{{0.375, 0.}, {0., 0.75}}));
  // Where the tangent or adjoint is 0, so is what comes of it.
  CHECK(identical(hvp(power, x, Tensor{0., 1.}), Tensor{0., 0.75}));
  const auto chosen = [&](const Tensor& v) { return sum(where(v > 0, pow(v, 1.5), 0)); };
  CHECK(identical(hvp(chosen, x, Tensor{1., 1.}), Tensor{0., 0.75}));
  CHECK(identical(hessian(chosen, x), Tensor{{0., 0.}, {0., 0.75}}));
}

TEST_CASE("anomalies: under a tape of the user's, forward derivatives name the rule and the place",
          "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor x{0., 1.};
  std::string place;
  const auto power = [&](const Tensor& v) {
    const Scope inner("distance");
    return place = here(), sum(pow(v, 1.5));
  };
  const auto root = [&](const Tensor& v) {
    const Scope inner("distance");
    return place = here(), sqrt(v);
  };
  for (const std::string& error :
       {error_of([&] { jvp(root, x, x + 1); }), error_of([&] { hvp(power, x, x + 1); }),
        error_of([&] { hessian(power, x); }), error_of([&] { jacobian(root, x); })}) {
    INFO(error);
    CHECK(error.find(" inf at (0,)") != std::string::npos);
    CHECK(error.find(", recorded at ") != std::string::npos);
    CHECK(error.find("anomaly_test.cpp:") != std::string::npos);
    CHECK(error.find("\n  in distance") != std::string::npos);
  }
  const std::string error = error_of([&] { jvp(root, x, x + 1); });
  CHECK(error.find("[divide] gave inf at (0,)") == 0);
  CHECK(error.find("in the derivative of [sqrt], recorded " + place) != std::string::npos);
}

TEST_CASE("anomalies: an infinite constant of the user's own is none", "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor z{1., 2.};
  const Tensor masked = where(z > 1.5, z, -infinity);
  CHECK(identical(masked, Tensor{-infinity, 2.}));
  CHECK(identical(softmax(reshape(masked, {1, 2})), Tensor{{0., 1.}}));
  CHECK(identical(gradient(logsumexp(masked), z), Tensor{0., 1.}));
  REQUIRE_ERROR(sum(masked), AnomalyError,
                "[sum] gave -inf at (); input 0 (2,) from 2 to 2 came with -inf at (0,)");
}

TEST_CASE("anomalies: NaN that the user's adjoint or tangent came with is said to be there",
          "[anomaly]") {
  const DetectAnomalies scope;
  const auto f = [](const Tensor& v) { return v * v; };
  const Tensor x{1., 2.}, t{not_a_number, 1.};
  REQUIRE_ERROR(vjp(f, x, t), AnomalyError,
                "the adjoint of the output is (2,) from 1 to 1 came with nan at (0,)");
  REQUIRE_ERROR(jvp(f, x, t), AnomalyError,
                "the tangent of the input is (2,) from 1 to 1 came with nan at (0,)");
}

TEST_CASE("anomalies: functions on the way back are named with where they were recorded",
          "[anomaly]") {
  const DetectAnomalies scope;
  const Tape tape;
  const Tensor x{1., 2.};
  const auto divide = [](const Tensor& g) { return g / 0.0; };
  std::string place;
  const Tensor hooked = [&] { return place = here(), on_gradient(x, divide); }();
  std::string error = error_of([&] { gradient(sum(hooked), x); });
  CHECK(error.find("in the derivative of [on_gradient], recorded " + place) != std::string::npos);
  const auto custom =
      custom_gradient([](const Tensor& v) { return v * 2.0; },
                      [&](const Tensor& g, const Tensor&, const Tensor&) { return divide(g); });
  const Tensor y = [&] { return place = here(), custom(x); }();
  error = error_of([&] { gradient(sum(y), x); });
  CHECK(error.find("in the derivative of [custom_gradient], recorded " + place) !=
        std::string::npos);
  const Tensor z = [&] { return place = here(), checkpoint(custom, x); }();
  error = error_of([&] { gradient(sum(z), x); });
  CHECK(error.find("in the derivative of [custom_gradient]") != std::string::npos);
}

TEST_CASE("anomalies: this thread's tapes look from when it is asked", "[anomaly]") {
  const Tape outer;
  const Tensor x{0., 1.};
  const Tensor y = sqrt(x);
  CHECK_NOTHROW(log(x));
  {
    const Tape inner;
    const DetectAnomalies scope;
    REQUIRE_ERROR(log(x), AnomalyError, "[log] gave -inf at (0,)");
  }
  REQUIRE_ERROR(log(x), AnomalyError, "[log] gave -inf at (0,)");
  REQUIRE_ERROR(gradient(sum(y), x), AnomalyError, "in the derivative of [sqrt]");
}

TEST_CASE("anomalies: a tensor from outside is not said to come from where another did before",
          "[anomaly]") {
  const DetectAnomalies scope;
  Tape tape;
  exp(Tensor{1.});
  tape.clear();
  const Tensor huge{1e308}, x{1e-10};  // where the exponential was
  const Tensor loss = sum(huge * x) + sum(huge * x);
  const NoRecording pass;
  CHECK(error_of([&] {
          gradient(loss, x);
        }).starts_with("[gradient] the sum of what flows back to a tensor is inf at (0,)\n  at"));
}

TEST_CASE("NaN is printed without a sign", "[anomaly]") {
  const double negative = std::copysign(not_a_number, -1.0);
  CHECK(to_string(Tensor{negative, 1.}) == "[nan  1.] float64 (2,)");
  CHECK(detail::text(negative, ' ', float(negative), ' ', detail::digits(negative)) ==
        "nan nan nan");
}
