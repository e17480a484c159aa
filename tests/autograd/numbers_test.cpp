// Numbers beside tensors, on either side, and what has no place in a type.
#include "autograd/autograd.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

TEST_CASE("a number takes the tensor's type, on either side") {
  const Tensor x{1.f, -2.f};
  CHECK(identical(maximum(0, x), Tensor{1.f, 0.f}));
  CHECK(identical(minimum(x, 0), Tensor{0.f, -2.f}));
  CHECK(identical(0 < x, Tensor{1.f, 0.f}));
  CHECK(identical(0.5 >= x, Tensor{0.f, 1.f}));
  CHECK(identical(1 - x, Tensor{0.f, 3.f}));
  CHECK(identical(equal(1, x), Tensor{1.f, 0.f}));
  CHECK(identical(not_equal(x, 1.0), Tensor{0.f, 1.f}));
  CHECK(identical(pow(2, x), Tensor{2.f, 0.25f}));
  CHECK(identical(where(x > 0, 1.0, 0), Tensor{1.f, 0.f}));
  CHECK(identical(where(x > 0, 7, x), Tensor{7.f, -2.f}));
}

TEST_CASE("whole numbers beside int64 are exact") {
  const std::int64_t large = 9007199254740993;  // not a double
  CHECK(identical(equal(Tensor(large), large), Tensor(1)));
  CHECK(identical(equal(Tensor(large), large - 1), Tensor(0)));
}

TEST_CASE("assignment with an operation gives the handle a new value and leaves others alone") {
  Tensor x{1., 2.};
  const Tensor before = x;
  x += 1;
  x *= Tensor{2., 3.};
  x -= 4.0;
  x /= 2;
  CHECK(identical(x, Tensor{0., 2.5}));
  CHECK(identical(before, Tensor{1., 2.}));
}

TEST_CASE("numbers that have no place in int64 are refused") {
  REQUIRE_ERROR(full({1}, NAN, DType::int64), ValueError, "nan is no int64");
  REQUIRE_ERROR(cast(Tensor{1e300}, DType::int64), ValueError, "1e+300 is no int64");
  CHECK(identical(cast(Tensor{-1.9, 1.9}, DType::int64), Tensor{-1, 1}));
}

TEST_CASE("a tensor of a vector") {
  CHECK(identical(Tensor(std::vector<float>{1, 2, 3, 4}, {2, 2}), Tensor{{1.f, 2.f}, {3.f, 4.f}}));
}

TEST_CASE("gradcheck of one tensor takes options") {
  const auto f = [](const Tensor& x) { return sum(x * x); };
  CHECK(gradcheck(f, Tensor{1., 2.}, GradCheckOptions{.relative = 1e-9}));
}

TEST_CASE("arrays of another length are refused") {
  const Tape tape;
  const Tensor x{1., 2.}, y = sum(x * x), t = ones({2});
  const Tensor* const px = &x;
  std::vector<Tensor> none;
  REQUIRE_ERROR(gradient(y, Inputs(&px, 1), none), ValueError,
                "[gradient] 0 results for 1 tensors");
  REQUIRE_ERROR(push_forward(y, Inputs(&px, 1), Inputs(nullptr, 0)), ValueError,
                "[jvp] 0 tangents for 1 tensors");
}
