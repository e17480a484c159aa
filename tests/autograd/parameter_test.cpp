// Parameters: what copies and references share, and how values change.
#include "autograd/parameter.hpp"

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

TEST_CASE("a copied parameter is one of its own", "[parameter]") {
  const Parameter a(Tensor{1., 2.});
  const Parameter b = a;
  ParameterRef("a", a).assign(Tensor{3., 4.});
  CHECK(identical(a.value(), Tensor{3., 4.}));
  CHECK(identical(b.value(), Tensor{1., 2.}));
  CHECK_FALSE(ParameterRef("x", a) == ParameterRef("x", b));
  const Tape tape;
  const std::vector<Tensor> g = gradient(sum(square(a) + 3 * Tensor(b)), {a, b});
  CHECK(identical(g[0], Tensor{6., 8.}));
  CHECK(identical(g[1], Tensor{3., 3.}));
}

TEST_CASE("references follow a parameter that moves", "[parameter]") {
  Parameter a(Tensor{1., 2.});
  const ParameterRef ref("w", a);
  const Parameter b = std::move(a);
  ref.assign(Tensor{5., 6.});
  CHECK(identical(b.value(), Tensor{5., 6.}));
  CHECK(ref == ParameterRef("other name", b));
  CHECK_FALSE(a.value().defined());
  REQUIRE_ERROR(ParameterRef("w", a), DTypeError, "[parameter] 'w' was moved from");
  REQUIRE_ERROR(a.value() + 1, DTypeError, "[add] input 0 is undefined");
  CHECK(ref.within("layer").name() == "layer.w");
}

TEST_CASE("a reference outlives its parameter", "[parameter]") {
  std::optional<Parameter> p(Tensor{1.});
  const ParameterRef ref("w", *p);
  p.reset();
  ref.add_scaled(2, Tensor{3.});
  CHECK(identical(ref.value(), Tensor{7.}));
}

TEST_CASE("new values must fit", "[parameter]") {
  const Parameter p(Tensor{1., 2.}), empty;
  const ParameterRef w("layer.w", p), none("none", empty);
  REQUIRE_ERROR(w.assign(Tensor{1., 2., 3.}), ShapeError,
                "[assign] parameter 'layer.w' has the shape (2,), what came has (3,)");
  REQUIRE_ERROR(w.assign(Tensor{1.f, 2.f}), DTypeError,
                "[assign] parameter 'layer.w' is float64, what came is float32");
  REQUIRE_ERROR(w.add_scaled(1, Tensor(1.)), ShapeError, "[add_scaled] parameter 'layer.w'");
  REQUIRE_ERROR(w.assign(Tensor()), DTypeError,
                "[assign] what came for parameter 'layer.w' is undefined");
  REQUIRE_ERROR(none.add_scaled(1, Tensor(1.)), DTypeError,
                "[add_scaled] parameter 'none' is undefined");
  REQUIRE_ERROR(none.convert(DType::float32), DTypeError, "[cast] input 0 is undefined");
  CHECK(identical(w.value(), Tensor{1., 2.}));
}

TEST_CASE("an update is in place when nobody else can see it", "[parameter]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t n : {1, 7, 64, 100003}) {
      const Parameter p(numbers({n}, -1, 1, 1, dtype));
      const ParameterRef w("w", p);
      const Tensor step = numbers({n}, -1, 1, 2, dtype);
      const std::vector<double> before = elements(w.value()), by = elements(step);
      const auto place = [&] { return detail::TensorAccess::buffer(p.value()).get(); };
      const auto* const first = place();
      w.add_scaled(-0.5, step);
      CHECK(place() == first);
      for (std::size_t i = 0; i < before.size(); ++i)
        REQUIRE(p.value().at({static_cast<std::int64_t>(i)}) ==
                Approx(before[i] - 0.5 * by[i]).margin(1e-6));
      const Tensor taken = p;
      const std::vector<double> old = elements(taken);
      w.add_scaled(1, step);
      CHECK(place() != first);
      CHECK(elements(taken) == old);
    }
}

TEST_CASE("an update never reaches what shares the buffer", "[parameter]") {
  const Tensor start{1., 2.};
  const Parameter p(start), q(transpose(Tensor{{1., 2.}}));
  ParameterRef("p", p).add_scaled(1, start);
  ParameterRef("q", q).add_scaled(1, q);
  CHECK(identical(start, Tensor{1., 2.}));
  CHECK(identical(p.value(), Tensor{2., 4.}));
  CHECK(identical(q.value(), Tensor{{2.}, {4.}}));
  const Tensor flat = reshape(q, {2});
  ParameterRef("q", q).add_scaled(-1, q);
  CHECK(identical(flat, Tensor{2., 4.}));
  CHECK(identical(q.value(), zeros({2, 1})));
}

TEST_CASE("a parameter can change its type", "[parameter]") {
  const Parameter p(Tensor{1., 2.});
  ParameterRef("p", p).convert(DType::float32);
  CHECK(identical(p.value(), Tensor{1.f, 2.f}));
}
