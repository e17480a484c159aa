// Replaced derivatives and hooks on gradients. That the rules are differentiated again, and give
// tangents, is also checked by the catalogue's tests.
#include "autograd/custom_gradient.hpp"

#include <tbb/global_control.h>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

// 0 or 1, and the derivative of the identity: a straight-through estimator.
const auto step = custom_gradient([](const Tensor& x) { return x > 0; },
                                  [](const Tensor& g, const Tensor&, const Tensor&) { return g; });

}  // namespace

TEST_CASE("a custom gradient takes the place of the function's own", "[custom_gradient]") {
  const Tensor x{-1., 0.5, 2.}, w{1., 2., 3.};
  CHECK(identical(step(x), Tensor{0., 1., 1.}));
  const Tape tape;
  CHECK(identical(detach(gradient(sum(step(x * x) * w), x)), Tensor{-2., 2., 12.}));
  CHECK(detail::text(tape).find("custom_gradient(%") != std::string::npos);
  CHECK(identical(detach(jvp(step, x, w)), w));
}

TEST_CASE("tangents follow a custom rule with no tape around", "[custom_gradient]") {
  const Tensor x{-1., 0.5, 2.}, w{1., 2., 3.};
  CHECK(identical(jvp([](const Tensor& v) { return step(v) * v; }, x, w), w * (x > 0) + x * w));
  const auto none =
      custom_gradient([](const Tensor& v) { return exp(v); },
                      [](const Tensor&, const Tensor&, const Tensor&) { return Tensor(); });
  CHECK(identical(jvp([&](const Tensor& v) { return none(v) + v; }, x, w), w));
  CHECK(identical(gradient([&](const Tensor& v) { return sum(none(v) + v); }, x), ones_like(x)));
}

TEST_CASE("a rule of several inputs is asked once in a backward pass", "[custom_gradient]") {
  int calls = 0;
  const auto product =
      custom_gradient([](const Tensor& a, const Tensor& b) { return a * b; },
                      [&](const Tensor& g, const Tensor& y, const Tensor& a, const Tensor& b) {
                        ++calls;
                        CHECK(identical(detach(y), detach(a) * detach(b)));
                        return std::array{g * b, 10 * sum_to(g * a, b.shape())};
                      });
  const Tensor a = numbers({4, 3}), b = numbers({3}, -1, 1, 2);
  const Tape tape;
  const Tensor loss = sum(square(product(a, b)));
  const std::vector<Tensor> g = gradient(loss, {a, b});
  CHECK(calls == 1);
  REQUIRE_CLOSE(detach(g[0]), 2 * detach(a) * square(detach(b)), 1e-14);
  REQUIRE_CLOSE(detach(g[1]), 20 * sum(square(detach(a)) * detach(b), 0), 1e-14);
  // g[1] is Σ 20 a² b, by the second rule; its first factor 2y comes by the first.
  const Tensor second = sum(g[1]);
  const NoRecording scope;
  REQUIRE_CLOSE(gradient(second, a), 40 * detach(a) * detach(b), 1e-13, 1e-14);
  CHECK(calls == 2);
}

TEST_CASE("what a custom gradient refuses", "[custom_gradient]") {
  const Tensor x{1., 2.};
  const Parameter p(Tensor{1., 2.});
  const auto straight = [](const Tensor& g, const Tensor&, const Tensor&) { return g; };
  const auto backward = [&](const auto& f) {
    const Tape tape;
    gradient(sum(f(x)), x);
  };
  const auto with_rule = [&](auto rule) {
    return custom_gradient([](const Tensor& v) { return exp(v); }, rule);
  };
  REQUIRE_ERROR(backward(custom_gradient([&](const Tensor& v) { return v * p; }, straight)),
                TapeError,
                "[custom_gradient] the function uses a parameter of shape (2,) that is not an "
                "argument, so that no gradient would reach it; make it one, or write detach(x) for "
                "a constant");
  {
    Tape tape;
    const Tensor h = square(x);
    REQUIRE_ERROR(custom_gradient([&](const Tensor& v) { return v * h; }, straight)(x), TapeError,
                  "[custom_gradient] the function uses a recorded tensor of shape (2,)");
    const std::size_t size = tape.size();
    custom_gradient([&](const Tensor& v) { return v * detach(h) + x; }, straight)(x);
    CHECK(tape.size() == size + 1);
    custom_gradient(
        [&](const Tensor& v) {
          const NoRecording scope;
          return v * h;
        },
        straight)(x);
    CHECK(tape.size() == size + 2);
  }
  REQUIRE_ERROR(backward(custom_gradient([](const Tensor&) { return Tensor(); }, straight)),
                DTypeError, "[custom_gradient] the function gave an undefined tensor");
  REQUIRE_ERROR(backward(with_rule([](const Tensor& g, const Tensor&, const Tensor&) {
                  return std::vector{g, g};
                })),
                ValueError, "[custom_gradient] the rule gave 2 adjoints for 1 inputs");
  REQUIRE_ERROR(backward(with_rule([](const Tensor&, const Tensor&, const Tensor&) {
                  return Tensor{1., 2., 3.};
                })),
                ShapeError,
                "[custom_gradient] the rule gave an adjoint of shape (3,) for input 0, which has "
                "the shape (2,)");
  REQUIRE_ERROR(backward(with_rule([](const Tensor& g, const Tensor&, const Tensor&) {
                  return cast(g, DType::float32);
                })),
                DTypeError,
                "[custom_gradient] the rule gave float32 for input 0, which is float64");
}

TEST_CASE("a hook sees the whole adjoint and gives what goes on", "[custom_gradient]") {
  const Tensor x{1., -2.};
  std::vector<Tensor> seen;
  const auto f = [&](const Tensor& v) {
    const Tensor h = on_gradient(v * 3, [&](const Tensor& g) {
      seen.push_back(detach(g));
      return clip(g, -1, 1);
    });
    return sum(h * h) + sum(0.5 * h);
  };
  CHECK(identical(gradient(f, x), Tensor{3., -3.}));
  REQUIRE(seen.size() == 1);
  CHECK(identical(seen[0], Tensor{6.5, -11.5}));
  CHECK(f(x).item() == 9 + 36 - 1.5);
  // Other uses of the tensor are not its.
  CHECK(identical(gradient(
                      [](const Tensor& v) {
                        return sum(v + on_gradient(v, [](const Tensor& g) { return 10 * g; }));
                      },
                      x),
                  Tensor{11., 11.}));
  const auto blocked = [](const Tensor& v) {
    return sum(v + on_gradient(v, [](const Tensor&) { return Tensor(); }));
  };
  CHECK(identical(gradient(blocked, x), Tensor{1., 1.}));
  CHECK(jvp(f, x, ones_like(x)).item() == 3 * (6.5 - 11.5));
}

TEST_CASE("a hook is differentiated for second derivatives", "[custom_gradient]") {
  const Tensor x{0.5, -2.};
  // The gradient is (3x²)³, for which its own adjoint u passes the hook too: 3 (3x²)² u.
  const auto f = [](const Tensor& v) {
    return sum(on_gradient(v * v * v, [](const Tensor& g) { return g; }));
  };
  const auto g = [&](const Tensor& v) { return sum(gradient(f, v)); };
  REQUIRE_CLOSE(gradient(g, x), 6 * x, 1e-14);
  const auto squared = [](const Tensor& v) {
    return sum(square(on_gradient(v, [](const Tensor& a) { return a * a; })));
  };
  REQUIRE_CLOSE(gradient(squared, x), square(2 * x), 1e-14);
  const Tensor second = gradient([&](const Tensor& v) { return sum(gradient(squared, v)); }, x);
  // ∂/∂h of (2h)² is 8h, and comes back through the hook: (8h)².
  REQUIRE_CLOSE(second, square(8 * x), 1e-14);
}

TEST_CASE("what a hook refuses", "[custom_gradient]") {
  const Tensor x{1., 2.};
  const auto with = [&](std::function<Tensor(const Tensor&)> f) {
    return gradient([&](const Tensor& v) { return sum(on_gradient(v, f)); }, x);
  };
  REQUIRE_ERROR(with({}), ValueError, "[on_gradient] the function is empty");
  REQUIRE_ERROR(with([](const Tensor& g) { return sum(g); }), ShapeError,
                "[on_gradient] the function gave the shape () for an adjoint of shape (2,)");
  REQUIRE_ERROR(with([](const Tensor& g) { return cast(g, DType::float32); }), DTypeError,
                "[on_gradient] the function gave float32 for an adjoint that is float64");
  REQUIRE_ERROR(on_gradient(Tensor{1, 2}, [](const Tensor& g) { return g; }), DTypeError,
                "[on_gradient] input 0 is int64");
}

TEST_CASE("custom gradients in checkpoints, for any number of threads", "[custom_gradient]") {
  const Tensor x = numbers({400, 700});
  const auto pass = [&](std::size_t threads, bool in_checkpoint) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const Tape tape;
    const auto block = [](const Tensor& u) {
      const Tensor h = on_gradient(step(u) * u, [](const Tensor& g) { return clip(g, -1, 1); });
      return h * sin(u);
    };
    const Tensor y = in_checkpoint ? checkpoint(block, tanh(x)) : block(tanh(x));
    const Tensor g = gradient(sum(square(y)), x);
    return detach(gradient(sum(g * x), x));
  };
  const Tensor one = pass(1, false);
  for (const std::size_t threads : {1u, 2u, 8u}) CHECK(identical(pass(threads, true), one));
}

TEST_CASE("a rule that iterates until nothing changes has a jvp", "[custom_gradient]") {
  // y = x / (1 − ½), and its adjoint as the fixed point of u = g + ½ u.
  const auto twice =
      custom_gradient([](const Tensor& v) { return 2 * v; },
                      [](const Tensor& g, const Tensor&, const Tensor&) {
                        Tensor u = g, before;
                        do {
                          before = u;
                          u = g + 0.5 * u;
                        } while (max(abs(detach(u) - detach(before))).item() > 1e-15);
                        return u;
                      });
  const Tensor x = numbers({3}), t = numbers({3}, -1, 1, 2);
  CHECK(difference(jvp(twice, x, t), 2 * t, 1e-12) == "");
  CHECK(gradcheck([&](const Tensor& v) { return sum(square(twice(v))); }, x));
}
