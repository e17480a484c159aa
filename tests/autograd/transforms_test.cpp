// The transforms: forward mode and what it keeps, all nestings, several tensors, parameters.
#include <numeric>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Map = std::function<Tensor(const Tensor&)>;

/// f and its derivative along `t` at each place, by a backward or a forward pass.
Map slope(const Map& f, const Tensor& t, bool forward) {
  return [=](const Tensor& x) { return forward ? jvp(f, x, t) : sum(t * gradient(f, x)); };
}

struct Named {
  const char* name;
  Map f;
};
const std::vector<Named>& scalar_functions() {
  static const std::vector<Named> all{
      {"polynomial", [](const Tensor& x) { return sum(pow(x, 4)) + prod(x); }},
      {"layers",
       [](const Tensor& x) {
         const Tensor w = numbers({3, 4}, -1, 1, 3), b = numbers({3}, -1, 1, 4);
         return sum(square(sigmoid(
             linear(tanh(linear(reshape(x, {1, 4}), w, b)), numbers({4, 3}, -1, 1, 5), x))));
       }},
      {"attention",
       [](const Tensor& x) {
         const Tensor m = reshape(x, {2, 2});
         return sum(matmul(softmax(matmul(m, transpose(m))), m) * m);
       }},
      {"choices",
       [](const Tensor& x) {
         return sum(where(x > 0, exp(x), square(x))) * max(x) + logsumexp(x) * var(x);
       }},
      {"a derivative inside",
       [](const Tensor& x) {
         return sum(x * gradient([&](const Tensor& y) { return sum(sin(x * y) * y); }, 2 * x));
       }},
      {"a tangent inside",
       [](const Tensor& x) { return sum(jvp([&](const Tensor& y) { return x * exp(y); }, x, x)); }},
      {"the same argument back", [](const Tensor& x) { return sum(x); }},
      {"a constant", [](const Tensor&) { return Tensor(3.0); }},
  };
  return all;
}

const Tensor place{0.4, -0.7, 0.9, -0.2};

}  // namespace

TEST_CASE("a jvp of a long chain keeps no values", "[transforms]") {
  constexpr std::int64_t n = 1000;
  std::uint64_t kept = 1, peak = 0;
  const Parameter w(numbers({n}));
  const auto chain = [&](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < 500; ++i) y = sin(y * w) + y;
    kept = Tape::recording()->bytes_kept();
    peak = Tape::recording()->peak_bytes();
    return y;
  };
  const Tensor x = numbers({n}, -1, 1, 2), t = numbers({n}, -1, 1, 3);
  const Tensor along = jvp(chain, x, t);
  CHECK(kept == 0);
  CHECK(peak < 50 * n * sizeof(double));
  const Tensor g = gradient([&](const Tensor& v) { return sum(t * chain(v)); }, x);
  CHECK(kept > 1000 * n * sizeof(double));
  CHECK(sum(along * t).item() == Approx(sum(jvp(chain, x, t) * t).item()));
  CHECK(sum(g * t).item() == Approx(sum(t * along).item()).epsilon(1e-12));
}

TEST_CASE("a transform inside a jvp keeps values only while it lasts", "[transforms]") {
  std::uint64_t within = 0, after = 1;
  const auto f = [&](const Tensor& x) {
    const Tensor g = gradient(
        [&](const Tensor& y) {
          const Tensor z = sum(exp(sin(y)) * y);
          within = Tape::recording()->bytes_kept();
          return z;
        },
        x);
    after = Tape::recording()->bytes_kept();
    return g * x;
  };
  jvp(f, place, place);
  CHECK(within > 0);
  CHECK(after == 0);
}

TEST_CASE("tensors and tangents that are no longer used are let go, others stay", "[transforms]") {
  const auto f = [](const Tensor& x) {
    std::vector<Tensor> powers{x};
    for (int i = 1; i < 40; ++i) {
      for (int k = 0; k < 40; ++k) exp(x);
      powers.push_back(powers.back() * x);
    }
    return std::accumulate(powers.begin() + 1, powers.end(), powers[0]);
  };
  const Tensor x(0.5);
  CHECK(jvp(f, x, Tensor(1.0)).item() == Approx(gradient(f, x).item()).epsilon(1e-14));
}

TEST_CASE("a derivative sees its own variable alone, in all nestings", "[transforms]") {
  // d/dx (x · d/dy (x + y)) = 1 and d/dx (x · d/dy (x y)) = 2x, at the same value, and with y = x.
  const Tensor one(1.0), three(3.0);
  for (const bool outer : {false, true})
    for (const bool inner : {false, true})
      for (const bool same : {false, true}) {
        INFO("outer " << outer << ", inner " << inner << ", same " << same);
        const auto with = [&](const auto& two) {
          return [&, two](const Tensor& x) {
            return x *
                   slope([&](const Tensor& y) { return two(x, y); }, one, inner)(same ? x : one);
          };
        };
        const Map added = with([](const Tensor& x, const Tensor& y) { return x + y; });
        const Map times = with([](const Tensor& x, const Tensor& y) { return x * y; });
        CHECK(slope(added, one, outer)(one).item() == 1);
        CHECK(slope(times, one, outer)(three).item() == 6);
      }
}

TEST_CASE("all nestings of forward and backward agree", "[transforms]") {
  const Tensor directions[] = {numbers({4}, -1, 1, 11), numbers({4}, -1, 1, 12),
                               numbers({4}, -1, 1, 13)};
  for (const Named& function : scalar_functions())
    for (const int order : {1, 2, 3}) {
      std::vector<double> found;
      for (int kinds = 0; kinds < 1 << order; ++kinds) {
        Map f = function.f;
        for (int k = 0; k < order; ++k) f = slope(f, directions[k], kinds >> k & 1);
        found.push_back(f(place).item());
        const Tape tape;  // and under a tape of the user's
        found.push_back(f(place).item());
      }
      for (std::size_t i = 1; i < found.size(); ++i) {
        INFO(function.name << ", order " << order << ", nesting " << i);
        CHECK(found[i] == Approx(found[0]).epsilon(1e-9).margin(1e-9));
      }
    }
}

TEST_CASE("hvp is the Hessian times a vector", "[transforms]") {
  for (const Named& function : scalar_functions()) {
    INFO(function.name);
    const Tensor h = hessian(function.f, place), v = numbers({4}, -1, 1, 14);
    CHECK(h.shape() == Shape{4, 4});
    REQUIRE_CLOSE(h, transpose(h), 1e-9, 1e-12);
    REQUIRE_CLOSE(hvp(function.f, place, v), matmul(h, v), 1e-9, 1e-12);
  }
}

TEST_CASE("the jacobian of tall and of wide functions", "[transforms]") {
  const Tensor tall = numbers({5, 3}), wide = numbers({2, 3}, -1, 1, 2), x = numbers({3});
  for (const Tensor& m : {tall, wide}) {
    REQUIRE_CLOSE(jacobian([&](const Tensor& v) { return matmul(m, v); }, x), m, 1e-15);
    // under a tape, the result can be differentiated: d/dx Σ of ∂/∂x (m x)² = 2 mᵀ m 1
    const auto total = [&](const Tensor& u) {
      return sum(jacobian([&](const Tensor& v) { return square(matmul(m, v)); }, u));
    };
    const Tensor want = 2 * matmul(transpose(m), matmul(m, ones({3})));
    REQUIRE_CLOSE(gradient(total, x), want, 1e-12, 1e-14);
    CHECK(jvp(total, x, x).item() == Approx(sum(want * x).item()));
  }
  const Tensor a = numbers({2, 2});
  const Tensor j = jacobian([](const Tensor& v) { return matmul(v, transpose(v)); }, a);
  CHECK(j.shape() == Shape{2, 2, 2, 2});  // ∂(a aᵀ)_ij / ∂a_kl = δ_ik a_jl + δ_jk a_il
  for_each_index(j.shape(), [&](const Extents& i) {
    CHECK(j.at(i) == Approx((i[0] == i[2] ? a.at({i[1], i[3]}) : 0) +
                            (i[1] == i[2] ? a.at({i[0], i[3]}) : 0)));
  });
  CHECK(jacobian([](const Tensor& v) { return sum(v); }, a).shape() == a.shape());
  CHECK(jacobian([](const Tensor& v) { return v; }, zeros({0})).shape() == Shape{0, 0});
  CHECK(identical(jacobian([](const Tensor&) { return Tensor{1., 2.}; }, x), zeros({2, 3})));
}

TEST_CASE("functions of several tensors", "[transforms]") {
  const auto f = [](const Tensor& a, const Tensor& b) { return matmul(a, exp(b)) * sum(a); };
  const auto loss = [&](const Tensor& a, const Tensor& b) { return sum(square(f(a, b))); };
  const Tensor a = numbers({2, 3}), b = numbers({3}, -1, 1, 2), ta = numbers({2, 3}, -1, 1, 3),
               tb = numbers({3}, -1, 1, 4), g = numbers({2}, -1, 1, 5);
  const auto [value, along] = value_and_jvp(f, {a, b}, {ta, tb});
  REQUIRE_CLOSE(value, f(a, b), 1e-15);
  const Tensor only_a = jvp([&](const Tensor& x) { return f(x, b); }, a, ta);
  const Tensor only_b = jvp([&](const Tensor& x) { return f(a, x); }, b, tb);
  REQUIRE_CLOSE(along, only_a + only_b, 1e-14, 1e-15);
  REQUIRE_CLOSE(jvp(f, {a, b}, {ta, tb}), along, 0);
  const auto [va, vb] = vjp(f, {a, b}, g);
  CHECK((sum(va * ta) + sum(vb * tb)).item() == Approx(sum(along * g).item()));
  const auto [ja, jb] = jacobian(f, a, b);
  CHECK(ja.shape() == Shape{2, 2, 3});
  REQUIRE_CLOSE(sum(ja * ta, {1, 2}) + matmul(jb, tb), along, 1e-14, 1e-15);
  const auto [ha, hb] = hvp(loss, {a, b}, {ta, tb});
  const auto slopes = [&](const Tensor& x, const Tensor& y) {
    const auto [da, db] = gradient(loss, x, y);
    return sum(da * ta) + sum(db * tb);
  };
  const auto [wa, wb] = gradient(slopes, a, b);
  REQUIRE_CLOSE(ha, wa, 1e-12, 1e-13);
  REQUIRE_CLOSE(hb, wb, 1e-12, 1e-13);
  // the same tensor in both places counts twice
  const auto product = [](const Tensor& x, const Tensor& y) { return sum(x * y); };
  CHECK(jvp(product, {b, b}, {b, b}).item() == Approx(2 * sum(b * b).item()));
}

TEST_CASE("grad gives functions", "[transforms]") {
  const auto f = [](const Tensor& x) { return pow(x, 4); };
  CHECK(grad(f)(Tensor(2.0)).item() == 32);
  CHECK(grad(grad(f))(2.0).item() == 48);
  CHECK(grad(grad(grad(f)))(2.0).item() == 48);
  const auto h = [](const Tensor& x, const Tensor& y) { return x * x * pow(y, 3); };
  CHECK(grad(h)(3.0, 2.0).item() == 48);
  CHECK(grad<1>(h)(3.0, 2.0).item() == 108);
  CHECK(grad<1>(grad<0>(h))(3.0, 2.0).item() == 72);
  CHECK(grad<0>(grad<1>(h))(3.0, 2.0).item() == 72);
  CHECK(jvp(grad(f), Tensor(2.0), Tensor(0.5)).item() == 24);
}

namespace {

struct Net {
  Parameter w{numbers({3, 2})}, b{numbers({3}, -1, 1, 2)};
  ParameterRefs refs{{"layer.w", w}, {"layer.b", b}};
  Tensor x = numbers({4, 2}, -1, 1, 3);
  std::vector<Tensor> v{numbers({3, 2}, -1, 1, 4), numbers({3}, -1, 1, 5)};

  static Tensor f(const Tensor& x, const Tensor& w, const Tensor& b) {
    return tanh(linear(x, w, b));
  }
};

}  // namespace

TEST_CASE("transforms over parameters are those over tensors", "[transforms]") {
  const Net net;
  const auto f = [&] { return Net::f(net.x, net.w, net.b); };
  const auto cost = [&] { return sum(square(f())); };
  const auto g = [&](const Tensor& w, const Tensor& b) { return Net::f(net.x, w, b); };
  const auto cost_of = [&](const Tensor& w, const Tensor& b) { return sum(square(g(w, b))); };
  const Tensor w = net.w, b = net.b;

  const NamedTensors gradients = gradient(cost, net.refs);
  const auto want = gradient(cost_of, w, b);
  std::string names;
  for (const auto& [name, tensor] : gradients) names += name + to_string(tensor.shape());
  CHECK(names == "layer.w(3, 2)layer.b(3,)");
  REQUIRE_CLOSE(gradients["layer.b"], want[1], 0);
  REQUIRE_CLOSE(value_and_gradient(cost, net.refs).gradients["layer.w"], want[0], 0);
  REQUIRE_CLOSE(jvp(f, net.refs, net.v), jvp(g, {w, b}, {net.v[0], net.v[1]}), 0);
  REQUIRE_CLOSE(value_and_jvp(f, net.refs, net.v).value, f(), 0);
  const Tensor adjoint = numbers({4, 3});
  REQUIRE_CLOSE(vjp(f, net.refs, adjoint)["layer.w"], vjp(g, {w, b}, adjoint)[0], 0);
  REQUIRE_CLOSE(jacobian(f, net.refs)["layer.b"], jacobian(g, w, b)[1], 0);
  const NamedTensors h = hvp(cost, net.refs, net.v);
  const auto hw = hvp(cost_of, {w, b}, {net.v[0], net.v[1]});
  REQUIRE_CLOSE(h[0], hw[0], 1e-14, 1e-15);
  REQUIRE_CLOSE(h[1], hw[1], 1e-14, 1e-15);
  {
    const Tape tape;  // there the nesting is along the tape
    const NamedTensors under = hvp(cost, net.refs, net.v);
    REQUIRE_CLOSE(under[0], hw[0], 1e-13, 1e-14);
    REQUIRE_CLOSE(under[1], hw[1], 1e-13, 1e-14);
  }
  // results are directions in turn: H (H v), and vᵀ H v both ways
  const NamedTensors hh = hvp(cost, net.refs, h);
  double twice = 0, along = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    twice += sum(hh[i] * net.v[i]).item();
    along += sum(h[i] * h[i]).item();
  }
  CHECK(twice == Approx(along));
  // gradients with respect to something else, of a change along parameters
  const auto of_x = [&](const Tensor& x) {
    return sum(jvp([&] { return Net::f(x, net.w, net.b); }, net.refs, net.v));
  };
  const auto along_x = [&] {
    return sum(gradient([&](const Tensor& x) { return sum(Net::f(x, net.w, net.b)); }, net.x) *
               net.x);
  };
  CHECK(sum(gradient(of_x, net.x) * net.x).item() ==
        Approx(jvp(along_x, net.refs, net.v).item()).epsilon(1e-12));
}

TEST_CASE("second derivatives by blocks are those of all as one vector", "[transforms]") {
  const Net net;
  const Tensor w = net.w, b = net.b;
  const auto cost = [&] { return sum(square(Net::f(net.x, net.w, net.b))); };
  const auto cost_of = [&](const Tensor& u, const Tensor& v) {
    return sum(square(Net::f(net.x, u, v)));
  };
  const auto of_flat = [&](const Tensor& v) {
    return cost_of(reshape(slice(v, 0, 0, 6), {3, 2}), slice(v, 0, 6, 9));
  };
  const Tensor whole = hessian(of_flat, concatenate({reshape(w, {6}), b}));
  const auto block = [&](std::int64_t i, std::int64_t j, const Shape& shape) {
    const std::int64_t from[] = {0, 6}, to[] = {6, 9};
    return reshape(slice(slice(whole, 0, from[i], to[i]), 1, from[j], to[j]), shape);
  };
  const auto h = hessian(cost_of, w, b);
  REQUIRE_CLOSE(h[0][0], block(0, 0, {3, 2, 3, 2}), 1e-13, 1e-14);
  REQUIRE_CLOSE(h[0][1], block(0, 1, {3, 2, 3}), 1e-13, 1e-14);
  REQUIRE_CLOSE(h[1][0], block(1, 0, {3, 3, 2}), 1e-13, 1e-14);
  REQUIRE_CLOSE(h[1][1], block(1, 1, {3, 3}), 1e-13, 1e-14);
  const NamedBlocks named = hessian(cost, net.refs);
  CHECK(named.size() == 2);
  CHECK(identical(named["layer.w"]["layer.b"], h[0][1]));
  CHECK(identical(named[1][0], h[1][0]));
  CHECK(identical(hessian(cost, net.refs)["layer.b"][1], h[1][1]));
  const auto [value, gradients] = value_and_gradient(cost_of, w, b);
  CHECK(identical(value, cost_of(w, b)));
  CHECK(identical(gradients[1], gradient(cost_of, w, b)[1]));
  REQUIRE_ERROR(named["w"], ValueError, "no parameter 'w'; there are layer.w, layer.b");
  REQUIRE_ERROR(named[2], ValueError, "[NamedTensors] no number 2; there are 2");
}

TEST_CASE("tensors under the parameters' names are taken by them", "[transforms]") {
  const Parameter u{numbers({2}, -1, 1, 1)}, v{numbers({2}, -1, 1, 2)};
  const ParameterRefs refs{{"u", u}, {"v", v}};
  const auto cost = [&] { return sum(u * u * exp(v)); };
  const Tensor du = numbers({2}, -1, 1, 3), dv = numbers({2}, -1, 1, 4);
  const NamedTensors in_order{{"u", du}, {"v", dv}}, turned{{"v", dv}, {"u", du}};
  CHECK(identical(jvp(cost, refs, turned), jvp(cost, refs, in_order)));
  CHECK(identical(hvp(cost, refs, turned)[0], hvp(cost, refs, in_order)[0]));
  CHECK(identical(value_and_jvp(cost, refs, turned).tangent, jvp(cost, refs, in_order)));
  REQUIRE_ERROR(hvp(cost, refs, NamedTensors{{"u", du}, {"w", dv}}), ValueError,
                "[NamedTensors] the tensors are those of u, w, the parameters are u, v; without "
                "names, .tensors(), they are taken in their order");
  REQUIRE_ERROR(hvp(cost, refs, NamedTensors{{"u", du}}), ValueError, "are those of u, the");
  CHECK(identical(jvp(cost, refs, turned.tensors()),
                  jvp(cost, refs, NamedTensors{{"u", dv}, {"v", du}})));
  REQUIRE_ERROR(in_order[2], ValueError, "[NamedTensors] no number 2; there are 2");
}

TEST_CASE("what the transforms refuse", "[transforms]") {
  const Net net;
  const Tensor x{1., 2.};
  const auto f = [](const Tensor& v) { return sum(exp(v)); };
  const auto two = [](const Tensor& a, const Tensor& b) { return a * b; };
  const auto cost = [&] { return sum(Net::f(net.x, net.w, net.b)); };
  REQUIRE_ERROR(jvp(two, {x, x}, {x, Tensor(1.0)}), ShapeError,
                "[jvp] tangent 1 has the shape (), its tensor has (2,)");
  REQUIRE_ERROR(hvp(f, x, Tensor(1.0)), ShapeError, "[hvp] tangent 0 has the shape ()");
  REQUIRE_ERROR(jvp(cost, net.refs, std::vector<Tensor>{x}), ValueError,
                "[jvp] 1 tangents for 2 tensors");
  REQUIRE_ERROR(hvp([](const Tensor& v) { return exp(v); }, x, x), ShapeError,
                "[hvp] the loss must be a scalar");
  REQUIRE_ERROR(jvp(f, Tensor{1, 2}, Tensor{1, 2}), DTypeError,
                "[jvp] tensor 0 is int64 and cannot be differentiated");
  REQUIRE_ERROR(vjp(two, {x, Tensor()}, x), DTypeError, "[vjp] tensor 1 is undefined");
  REQUIRE_ERROR(jacobian(f, Tensor{1, 2}), DTypeError, "[jacobian] tensor 0 is int64");
  const Parameter empty;
  REQUIRE_ERROR(jvp(cost, ParameterRefs{{"empty", empty}}, std::vector<Tensor>{x}), DTypeError,
                "[jvp] tensor 0 is undefined");
  const NamedTensors g = gradient(cost, net.refs);
  REQUIRE_ERROR(g["b"], ValueError, "[NamedTensors] no parameter 'b'; there are layer.w, layer.b");
  REQUIRE_ERROR(NamedTensors(net.refs, {x}), ValueError,
                "[NamedTensors] 1 tensors for 2 parameters");
  // A tape that computes forward has nothing to go back over.
  const auto loss_inside = [](const Tensor& v) { return gradient(sum(exp(v)), v); };
  REQUIRE_ERROR(jvp(loss_inside, x, x), TapeError,
                "[exp] a backward pass needs a value, but the tape of a jvp keeps none; inside of "
                "jvp differentiate a function, gradient(f, x), and not a loss");
  REQUIRE_CLOSE(jvp([&](const Tensor& v) { return gradient(f, v); }, x, x), x * exp(x), 1e-15);
}

TEST_CASE("an exception inside a jvp leaves the thread as it was", "[transforms]") {
  const Tensor x(2.0);
  const auto fails = [](const Tensor& v) -> Tensor { return v + Tensor(1.f); };
  CHECK_THROWS(jvp(fails, x, x));
  CHECK_THROWS(hvp(fails, x, x));
  CHECK(Tape::recording() == nullptr);
  const auto caught = [&](const Tensor& v) {
    CHECK_THROWS(gradient(fails, v));
    CHECK(Tape::recording()->bytes_kept() == 0);
    return square(v);
  };
  CHECK(jvp(caught, x, Tensor(1.0)).item() == 4);
}
