// Checkpoints: the same bits as without them, to any order, in less memory; and what they refuse.
#include "autograd/checkpoint.hpp"

#include <tbb/global_control.h>

#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// Calls f(x...) as it is, or in a checkpoint.
struct Caller {
  bool in_checkpoint;
  template <class F, class... X>
  Tensor operator()(F f, const X&... x) const {
    return in_checkpoint ? checkpoint(f, x...) : f(x...);
  }
};

using Model = std::function<Tensor(const Caller&, const std::vector<Tensor>&)>;

/// The derivatives of a scalar model, of first to third order, each along directions of its own.
std::vector<Tensor> derivatives(const Model& model, const Caller& caller,
                                const std::vector<Tensor>& inputs, bool last_recorded) {
  std::vector<Tensor> result;
  const Tape tape;
  Tensor loss = model(caller, inputs);
  result.push_back(detach(loss));
  for (std::uint64_t order = 1; order <= 3; ++order) {
    std::optional<NoRecording> scope;
    if (order == 3 && !last_recorded) scope.emplace();
    const std::vector<Tensor> g = gradient(loss, inputs);
    loss = Tensor(0.0);
    for (std::size_t i = 0; i < g.size(); ++i) {
      result.push_back(detach(g[i]));
      loss = loss + sum(numbers(g[i].shape(), -1, 1, 10 * order + i) * g[i]);
    }
  }
  return result;
}

void require_same_bits(const Model& model, const std::vector<Tensor>& inputs) {
  for (const bool last_recorded : {false, true}) {
    const std::vector<Tensor> plain = derivatives(model, {false}, inputs, last_recorded);
    const std::vector<Tensor> again = derivatives(model, {true}, inputs, last_recorded);
    REQUIRE(plain.size() == again.size());
    for (std::size_t i = 0; i < plain.size(); ++i) {
      INFO("result " << i << " of " << plain.size());
      CHECK(identical(plain[i], again[i]));
    }
  }
}

/// x, three weights.
std::vector<Tensor> inputs() {
  return {numbers({3, 4}, -1, 1, 1), numbers({4, 4}, -1, 1, 2), numbers({4, 4}, -1, 1, 3),
          numbers({4}, -1, 1, 4)};
}

}  // namespace

TEST_CASE("a checkpoint gives the same bits to any order", "[checkpoint]") {
  // The weight is used before, twice inside and after; so is what was computed before.
  const Model model = [](const Caller& call, const std::vector<Tensor>& v) {
    const Tensor before = tanh(matmul(v[0], v[1]));
    const Tensor y = call(
        [&v, before](const Tensor& h) {
          const Tensor a = exp(0.5 * matmul(h, v[1]) + v[3]);
          return sigmoid(matmul(a * before, v[1]) / 3) * a + matmul(before, v[2]);
        },
        before);
    const Tensor z =
        call([](const Tensor& a, const Tensor& b) { return a * sigmoid(b) - b * 2; }, y, before);
    return sum(square(z) * y + matmul(z, v[1]) * before + y);
  };
  require_same_bits(model, inputs());
}

TEST_CASE("a checkpoint whose output its own rules use gives the same bits", "[checkpoint]") {
  const Model model = [](const Caller& call, const std::vector<Tensor>& v) {
    const Tensor y = call([&](const Tensor& h) { return exp(0.3 * matmul(h, v[1]) + v[3]); }, v[0]);
    return sum(square(y) * sin(y) + y * matmul(y, v[2]) / (1 + y));
  };
  require_same_bits(model, inputs());
}

TEST_CASE("checkpoints in checkpoints give the same bits", "[checkpoint]") {
  const Model model = [](const Caller& call, const std::vector<Tensor>& v) {
    const auto inner = [&](const Tensor& h) {
      return call([&v, h](const Tensor& u) { return tanh(matmul(u, v[1])) * h + v[3]; }, h * 2);
    };
    const auto outer = [&](const Tensor& h) {
      return call([inner, k = exp(h)](const Tensor& u) { return inner(inner(sigmoid(u))) * k * u; },
                  h);
    };
    const Tensor y = outer(v[0]);
    return sum(outer(y) * y);
  };
  require_same_bits(model, inputs());
}

TEST_CASE("random numbers in a checkpoint are drawn again as they were", "[checkpoint]") {
  const Model model = [](const Caller& call, const std::vector<Tensor>& v) {
    const auto dropout = [](const Tensor& h) {
      return h * (random_uniform(h.shape(), Key{7}, h.dtype()) > 0.5) +
             0.1 * random_normal(h.shape(), Key{8}, h.dtype()) * square(h);
    };
    const Tensor y = call([&](const Tensor& h) { return dropout(matmul(h, v[1])); }, v[0]);
    return sum(y * y * y);
  };
  require_same_bits(model, inputs());
}

TEST_CASE("derivatives inside of a checkpoint, and a checkpoint inside of derivatives",
          "[checkpoint]") {
  const Model inside = [](const Caller& call, const std::vector<Tensor>& v) {
    const Tensor y = call(
        [&](const Tensor& h) {
          return gradient([&](const Tensor& u) { return sum(tanh(matmul(u * h, v[1]))); },
                          h * v[3]);
        },
        v[0]);
    return sum(y * v[0] * y);
  };
  require_same_bits(inside, inputs());
  const auto f = [](bool in_checkpoint) {
    return [call = Caller{in_checkpoint}](const Tensor& x) {
      return sum(call([x](const Tensor& u) { return exp(u) * x; }, square(x)));
    };
  };
  const Tensor x = numbers({3});
  const auto second = [&](const auto& g) {
    return gradient([&](const Tensor& u) { return sum(gradient(g, u) * x); }, x);
  };
  CHECK(identical(second(f(true)), second(f(false))));
  CHECK(identical(hessian(f(true), x), hessian(f(false), x)));
  const auto check =
      gradcheck([&](const Tensor& u) { return sum(square(hessian(f(true), u))); }, x);
  INFO(check);
  CHECK(check.passed);
}

TEST_CASE("tangents pass through a checkpoint", "[checkpoint]") {
  const auto along = [](bool in_checkpoint) {
    const std::vector<Tensor> v = inputs();
    const Caller call{in_checkpoint};
    const Tape tape;
    const Tensor h = tanh(v[0]);
    const Tensor y =
        call(
            [&](const Tensor& u) {
              return call([&](const Tensor& w) { return exp(w) * h; }, matmul(u, v[1])) + u;
            },
            h) *
        h;
    const std::vector<Tensor> wrt{v[0], v[1]},
        tangents{numbers({3, 4}, -1, 1, 8), numbers({4, 4}, -1, 1, 9)};
    const Tensor recorded = push_forward(y, Pointers(wrt), Pointers(tangents));
    const Tensor back = gradient(sum(recorded), v[0]);
    const std::size_t size = tape.size();
    const NoRecording scope;
    const Tensor plain = push_forward(y, Pointers(wrt), Pointers(tangents));
    CHECK(tape.size() == size);
    REQUIRE_CLOSE(plain, detach(recorded), 1e-14, 1e-15);
    return std::array{detach(plain), detach(recorded), detach(back)};
  };
  const auto some = along(true), plain = along(false);
  CHECK(identical(some[0], plain[0]));
  CHECK(identical(some[1], plain[1]));
  REQUIRE_CLOSE(some[2], plain[2], 1e-13);
}

TEST_CASE("a checkpoint keeps its arguments and what it uses, and no more", "[checkpoint]") {
  const Tensor x = numbers({1000}), w = numbers({1000}, -1, 1, 2);
  Tape tape;
  const Tensor h = x + 1;  // the number is a node
  const std::size_t size = tape.size();
  const Tensor y =
      checkpoint([&](const Tensor& u) { return exp(sin(u * w) * Tensor(3.0)) + Tensor(2.0); }, h);
  CHECK(tape.size() == size + 2);  // w and the checkpoint; not the numbers
  CHECK(tape.bytes_kept() == 2 * 8000);
  CHECK(tape.flops() == 1000 + 5 * 1000);
  CHECK(detail::text(tape).find("checkpoint(%2, %3)  float64 (1000,)") != std::string::npos);
  const Tensor loss = sum(y);
  const NoRecording scope;
  for (int i = 0; i < 3; ++i) {
    gradient(loss, {x, w});
    CHECK(tape.size() == size + 3);
    CHECK(tape.bytes_kept() == 2 * 8000);
  }
}

TEST_CASE("many checkpoints with numbers of their own", "[checkpoint]") {
  // Leaves come and go; the map of leaves must neither fill up nor forget.
  const Tensor x(0.5), w(0.75);
  Tape tape;
  Tensor y = x;
  for (int i = 0; i < 500; ++i)
    y = checkpoint(
        [&](const Tensor& u) { return (u + Tensor(0.5)) * w - Tensor(0.25) * u + Tensor(0.125); },
        y);
  const NoRecording scope;
  const std::size_t size = tape.size();
  CHECK(size == 502);
  for (int i = 0; i < 20; ++i) {
    const std::vector<Tensor> g = gradient(y, {x, w});
    CHECK(g[0].item() == std::pow(0.5, 500));
    CHECK(tape.size() == size);
  }
}

TEST_CASE("what is not computed by the function needs no checkpoint", "[checkpoint]") {
  const Tensor x(2.0), c(3.0);
  const Tape tape;
  const Tensor h = square(x);
  const std::size_t size = tape.size();
  CHECK(gradient(checkpoint([](const Tensor& u) { return u; }, h) * h, x).item() == 32);
  const std::size_t after = tape.size();
  const Tensor constant = checkpoint([&](const Tensor& u) { return sin(u), c; }, h);
  CHECK(tape.size() == after);
  CHECK(gradient(constant * h, c).item() == 4);
  CHECK(after > size);
}

TEST_CASE("without a tape a checkpoint only calls the function", "[checkpoint]") {
  int calls = 0;
  const auto f = [&](const Tensor& x, const Tensor& y) { return ++calls, x * y; };
  CHECK(checkpoint(f, Tensor(2.0), Tensor(3.0)).item() == 6);
  const Tape tape;
  {
    const NoRecording scope;
    CHECK(checkpoint(f, Tensor(2.0), Tensor(3.0)).item() == 6);
  }
  CHECK(calls == 2);
  CHECK(tape.size() == 0);
  const Tensor x(2.0);
  const Tensor y = checkpoint(f, x, x);
  CHECK(calls == 3);
  CHECK(gradient(y, x).item() == 4);
  CHECK(calls == 4);
}

TEST_CASE("a module in a checkpoint is the module itself", "[checkpoint]") {
  const nn::Dense layer(4, 4, {.dtype = DType::float64});
  const Tensor x = numbers({3, 4});
  const Tape tape;
  const Tensor y = sum(tanh(layer(x)));
  CHECK(identical(gradient(y, layer.weight),
                  gradient(sum(tanh(checkpoint(layer, x))), layer.weight)));
}

TEST_CASE("equations call a checkpoint by its name", "[checkpoint]") {
  const Tensor x = numbers({3, 4});
  const Parameter w(numbers({4, 2}, -1, 1, 2));
  const ParameterRefs parameters{{"w", w}};
  const Tape tape;
  const Tensor h = tanh(x);
  const Tensor y = checkpoint([&](const Tensor& u) { return sigmoid(matmul(u * h, w)); }, h);
  const std::string text = equations(sum(square(y)), parameters).text();
  INFO(text);
  CHECK(text.find("checkpoint(") != std::string::npos);
}

TEST_CASE("what a checkpoint refuses", "[checkpoint]") {
  const Tensor x{1., 2.};
  const nn::Dense layer(2, 2, {.dtype = DType::float64});
  Tape tape;
  const Tensor h = square(x);
  const std::size_t size = tape.size();

  Tensor leaked;
  const Tensor y = checkpoint([&](const Tensor& u) { return (leaked = exp(u)) * u; }, h);
  REQUIRE_ERROR(leaked + 1, TapeError, "[add] a tensor of shape (2,) was recorded on a tape");
  REQUIRE_ERROR(gradient(sum(leaked), x), TapeError, "was cleared, has ended");
  gradient(sum(y), x);

  REQUIRE_ERROR(checkpoint([](const Tensor&) { return Tensor(); }, h), DTypeError,
                "[checkpoint] the function gave an undefined tensor");
  REQUIRE_ERROR(checkpoint([](const Tensor& u) { return u; }, Tensor()), DTypeError,
                "[checkpoint] input 0 is undefined");
  REQUIRE_ERROR(checkpoint([&](const Tensor& u) { return tape.clear(), exp(u); }, h), TapeError,
                "[Tape] clear was called by a function that a checkpoint records");
  CHECK_THROWS_AS(checkpoint(
                      [](const Tensor& u) -> Tensor {
                        return exp(u) + Tensor{1., 2., 3.};
                      },
                      h),
                  ShapeError);
  CHECK(Tape::recording() == &tape);

  int calls = 0;
  const auto backward = [&](const auto& f) {
    calls = 0;
    const Tensor loss = sum(checkpoint(f, h));
    const NoRecording scope;
    gradient(loss, x);
  };
  REQUIRE_ERROR(backward([&](const Tensor& u) { return ++calls == 1 ? exp(u) : sum(exp(u)); }),
                TapeError,
                "[checkpoint] the function gave float64 (2,) when it was first called, and "
                "something else, float64 (), in the backward pass; it must do the same each time");
  REQUIRE_ERROR(backward([&](const Tensor& u) { return ++calls == 1 ? exp(u) : u; }), TapeError,
                "[checkpoint] the function gave other numbers than when it was first called");
  REQUIRE_ERROR(backward([&](const Tensor& u) { return ++calls == 1 ? exp(u) : Tensor(); }),
                TapeError, "and something else in the backward pass");
  double factor = 1;
  REQUIRE_ERROR(backward([&](const Tensor& u) { return (factor *= 10) * exp(u); }), TapeError,
                "what it uses must be the same in the backward pass, and what it draws come from "
                "the same key");
  REQUIRE_ERROR(backward([copy = layer](const Tensor& u) {
                  const nn::Dense fresh = copy;  // as if the checkpoint had copied it
                  return fresh(u);
                }),
                TapeError,
                "[checkpoint] the function uses a parameter of shape (2, 2) that it did not use "
                "when it was first called; if it holds a copy of a module, let it refer to the "
                "module");

  const Tensor loss = sum(checkpoint([&](const Tensor& u) { return layer(u); }, h));
  ParameterRef("w", layer.weight).assign(zeros({2, 2}, DType::float64));
  const NoRecording scope;
  REQUIRE_ERROR(gradient(loss, x), TapeError, "was changed after this tape recorded it");
  CHECK(tape.size() > size);
  CHECK(Tape::recording() == nullptr);
}

namespace {

struct Memory {
  std::uint64_t kept, peak;
};

/// Of a forward and a backward pass through n layers of activations of 256 · 8 numbers.
template <class Pass>
Memory memory_of(std::int64_t n, const Pass& pass) {
  std::vector<nn::Sequential> layers;
  std::vector<Tensor> weights;
  for (std::int64_t l = 0; l < n; ++l) {
    nn::Dense dense(8, 8, {.seed = static_cast<std::uint64_t>(l), .dtype = DType::float64});
    weights.push_back(dense.weight);
    layers.emplace_back(std::move(dense), nn::Tanh{});
  }
  const Tensor x = numbers({256, 8});
  const Tape tape;
  const Tensor cost = sum(square(pass(layers, x)));
  Memory result{tape.bytes_kept(), 0};
  const NoRecording scope;
  gradient(cost, weights);
  result.peak = tape.peak_bytes();
  return result;
}

}  // namespace

TEST_CASE("a sequence of checkpoints takes memory of the square root of its length",
          "[checkpoint]") {
  const auto plain = [](const auto& layers, Tensor x) {
    for (const auto& layer : layers) x = layer(x);
    return x;
  };
  const auto in_segments = [](const auto& layers, const Tensor& x) {
    return checkpoint_sequential(layers, x);
  };
  constexpr double activation = 256 * 8 * 8, weight = (8 * 8 + 8) * 8;
  for (const std::int64_t n : {4, 16, 64, 256}) {
    INFO(n << " layers");
    const double root = std::sqrt(static_cast<double>(n)), layers = static_cast<double>(n);
    const Memory all = memory_of(n, plain), some = memory_of(n, in_segments);
    CHECK(static_cast<double>(all.kept) >= layers * activation);
    CHECK(static_cast<double>(all.peak) >= layers * activation);
    // Weights, which are there anyway, and their gradients grow as n.
    CHECK(static_cast<double>(some.kept) <= (root + 2) * activation + layers * weight);
    CHECK(static_cast<double>(some.peak) <= (2 * root + 5) * activation + layers * 2 * weight);
  }
}

TEST_CASE("a sequence of checkpoints gives the same bits for any number of segments",
          "[checkpoint]") {
  std::vector<std::function<Tensor(const Tensor&)>> functions;
  const Tensor w = numbers({5});
  for (int i = 0; i < 7; ++i)
    functions.push_back([&w, i](const Tensor& x) { return sin(x * w + 0.1 * i) + x; });
  const Tensor x = numbers({3, 5}, -1, 1, 2);
  const auto pass = [&](std::int64_t segments) {
    const Tape tape;
    Tensor y = x;
    if (segments < 0)
      for (const auto& f : functions) y = f(y);
    else
      y = checkpoint_sequential(functions, x, segments);
    return gradient(sum(square(y)), {x, w});
  };
  const std::vector<Tensor> plain = pass(-1);
  for (const std::int64_t segments : {0, 1, 2, 3, 7, 50}) {
    const std::vector<Tensor> again = pass(segments);
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(identical(plain[i], again[i]));
  }
  CHECK(identical(checkpoint_sequential(functions, x), checkpoint_sequential(functions, x, 3)));
  functions.clear();
  CHECK(identical(checkpoint_sequential(functions, x), x));
  REQUIRE_ERROR(checkpoint_sequential(functions, x, -1), ValueError,
                "[checkpoint_sequential] segments cannot be negative: -1; 0 stands for the square "
                "root of the number of functions");
}

TEST_CASE("checkpoints give the same bits for any number of threads", "[checkpoint]") {
  const Tensor x = numbers({300, 700}), w = numbers({700, 300}, -1, 1, 2);
  const auto pass = [&](std::size_t threads) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const Tape tape;
    const Tensor y =
        checkpoint([&](const Tensor& u) { return sigmoid(matmul(u, w) / 10) * 2; }, tanh(x));
    const Tensor g = gradient(sum(square(y)), x);
    return gradient(sum(g * x), {x, w});
  };
  const std::vector<Tensor> one = pass(1);
  for (const std::size_t threads : {2u, 8u}) {
    const std::vector<Tensor> several = pass(threads);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(identical(one[i], several[i]));
  }
}
