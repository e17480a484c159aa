// The tape: what it records and prints, how tapes nest, and what it refuses. Also operations of a
// user's own, and what happens when they break their promises.
#include "autograd/tape.hpp"

#include <thread>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// 2x, with facets that can be broken one at a time.
struct Twice {
  enum class Fault { none, shape, keeps, undefined, copy } fault = Fault::none;
  static inline int calls = 0;  // of the rules
  static inline int alive = 0;  // structs, so that the tape's copies can be counted

  Twice(Fault f = Fault::none) : fault(f) { ++alive; }
  Twice(const Twice& other) : fault(other.fault) {
    if (fault == Fault::copy) throw ValueError("[twice] cannot be copied");
    ++alive;
  }
  Twice& operator=(const Twice&) = default;
  ~Twice() { --alive; }

  static constexpr auto name = "twice";
  static constexpr Keep keeps = Keep::nothing;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    if (fault == Fault::undefined) return {};
    return fault == Fault::shape ? reshape(x[0], {x[0].size(), 1}) : 2 * x[0];
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    ++calls;
    if (fault == Fault::keeps) return g * r.input(0);
    return 2 * g;
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "2 {0}"; }
  static std::vector<Sample<Twice>> samples() { return {{{}, {Tensor{1., 2.}}}}; }
};
static_assert(Op<Twice>);
using Fault = Twice::Fault;

Tensor twice(const Tensor& x, Fault fault = Fault::none) { return apply(Twice{fault}, x); }

}  // namespace

TEST_CASE("a tape prints what it recorded", "[tape]") {
  const Tensor w{{1., 2.}, {3., 4.}}, x{{5.}, {6.}};
  const Tape tape;
  const Tensor a = sigmoid(matmul(transpose(w), x));
  const Tensor b = pow(a - 1, 3);
  sum(b * twice(x), {0});
  concatenate({x, x, x});
  CHECK(detail::text(tape) ==
        "%0 = input  float64 (2, 2)\n"
        "%1 = %0ᵀ  float64 (2, 2)\n"
        "%2 = input  float64 (2, 1)\n"
        "%3 = %1 %2  float64 (2, 1)\n"
        "%4 = σ(%3)  float64 (2, 1)\n"
        "%5 = 1  float64 ()\n"
        "%6 = %4 − %5  float64 (2, 1)\n"
        "%7 = (%6)^3  float64 (2, 1)\n"
        "%8 = 2 %2  float64 (2, 1)\n"
        "%9 = %7 ⊙ %8  float64 (2, 1)\n"
        "%10 = Σ_(0,)(%9)  float64 (1,)\n"
        "%11 = concatenate_0(%2, %2, %2)  float64 (6, 1)\n");
}

TEST_CASE("a tensor from outside is one node, however often it is used", "[tape]") {
  Tape tape;
  const Tensor x(1.0), copy = x;
  const Tensor y = x + copy + x;
  CHECK(tape.size() == 3);
  x* detach(x);
  CHECK(tape.size() == 5);
  std::vector<Tensor> many;
  for (int i = 0; i < 1000; ++i) many.push_back(Tensor(1.0));
  for (int round = 0; round < 2; ++round)
    for (const Tensor& one : many) one + x;
  CHECK(tape.size() == 5 + 3000);
  tape.clear();
  CHECK(tape.size() == 0);
}

TEST_CASE("a tape keeps what the rules need and nothing else", "[tape]") {
  const Tensor x = numbers({1000});
  const Tape tape;
  const Tensor a = x + 1, b = -a, c = reshape(b, {10, 100}), d = sum(c);
  CHECK(tape.bytes_kept() == 0);
  const Tensor e = exp(x);  // its output
  CHECK(tape.bytes_kept() == 8000);
  const Tensor f = e * e, g = square(e);  // the same buffer
  CHECK(tape.bytes_kept() == 8000);
  const Tensor h = log(f);
  CHECK(tape.bytes_kept() == 16000);
}

TEST_CASE("a tape knows the most that was alive at one time", "[tape]") {
  const Tensor x = numbers({1000});  // 8000 bytes
  {
    const Tape tape;
    CHECK(tape.peak_bytes() == 0);
    Tensor a = x + 1;
    CHECK(tape.peak_bytes() == 8008);  // and the number 1
    a = Tensor();
    const Tensor b = x + 1;
    CHECK(tape.peak_bytes() == 8008);
    {
      const Tape inner;
      CHECK(inner.peak_bytes() == 0);
      const Tensor c = -x, d = -x;
      CHECK(inner.peak_bytes() == 16000);
      CHECK(reshape(c, {10, 100}).size() == 1000);  // no copy
      CHECK(transpose(reshape(c, {10, 100})).size() == 1000);
      CHECK(inner.peak_bytes() == 16000);
    }
    CHECK(tape.peak_bytes() == 24000);
    const Tensor t = transpose(reshape(b, {10, 100}));
    CHECK(t.at({0, 1}) == b.at({100}));  // now there is a copy
    CHECK(tape.peak_bytes() == 24000);
  }
}

TEST_CASE("a training step needs little more memory than one written by hand", "[tape]") {
  // Activations of every layer, two adjoints at a time, and the gradients.
  const std::int64_t m = 128, sizes[] = {784, 512, 512, 10};
  const Tensor x = numbers({m, sizes[0]}), y = numbers({m, sizes[3]}, -1, 1, 2);
  std::vector<Tensor> parameters;
  std::uint64_t by_hand = 8 * 2 * 128 * 512;
  for (std::size_t l = 1; l < 4; ++l) {
    parameters.push_back(numbers({sizes[l], sizes[l - 1]}, -0.1, 0.1, l));
    parameters.push_back(zeros({sizes[l]}));
    by_hand += static_cast<std::uint64_t>(8 * (m * sizes[l] + sizes[l] * sizes[l - 1] + sizes[l]));
  }
  const Tape tape;
  Tensor a = x;
  for (std::size_t l = 0; l < 6; l += 2) a = sigmoid(linear(a, parameters[l], parameters[l + 1]));
  const Tensor cost = squared_norm(a - y);
  a = Tensor();
  const NoRecording scope;
  const std::vector<Tensor> gradients = gradient(cost, parameters);
  CHECK(static_cast<double>(tape.peak_bytes()) < 1.05 * static_cast<double>(by_hand));
}

TEST_CASE("a tape counts floating-point operations from shapes", "[tape]") {
  const Tensor a = numbers({3, 4}), b = numbers({4, 5}), batch = numbers({2, 4, 6});
  const auto counted = [](auto function) {
    const Tape tape;
    function();
    return tape.flops();
  };
  CHECK(counted([] {}) == 0);
  CHECK(counted([&] { a + 1; }) == 12);
  CHECK(counted([&] { numbers({3, 1}) * numbers({5}); }) == 15);
  CHECK(counted([&] { twice(a); }) == 12);
  CHECK(counted([&] { matmul(a, b); }) == 2 * 3 * 4 * 5);
  CHECK(counted([&] { matmul(a, batch); }) == 2 * (2 * 3 * 4 * 6));
  CHECK(counted([&] { sum(a, 0), mean(a), max(a, 1); }) == 3 * 12);
  CHECK(counted([&] { var(a), logsumexp(a, 0); }) == 2 * 4 * 12);
  CHECK(counted([&] { softmax(a), log_softmax(a, 0); }) == 2 * 5 * 12);
  CHECK(counted([&] { scatter_add(a, Tensor{0, 2, 0}, 9); }) == 12);
  CHECK(counted([&] {
          transpose(a), permute(batch, {2, 0, 1}), reshape(a, {12}), broadcast_to(a, {7, 3, 4});
          concatenate({a, a}), slice(a, 0, 0, 2), embed(a, 0, 0, 9), take(a, Tensor{1});
          one_hot(Tensor{1}, 3);
        }) == 0);
  Tape tape;
  const Tensor cost = sum(matmul(a, b));
  CHECK(tape.flops() == 120 + 15);
  gradient(cost, {a, b});  // two products
  CHECK(tape.flops() == 3 * 120 + 15);
  const NoRecording scope;
  gradient(cost, {a, b});
  CHECK(tape.flops() == 3 * 120 + 15);
}

TEST_CASE("nothing is recorded without a tape, or while NoRecording lives", "[tape]") {
  CHECK(Tape::recording() == nullptr);
  Tape tape;
  CHECK(Tape::recording() == &tape);
  const Tensor x(3.0);
  Tensor constant;
  {
    const NoRecording outer;
    CHECK(Tape::recording() == nullptr);
    const NoRecording inner;
    constant = square(x);
  }
  CHECK(Tape::recording() == &tape);
  CHECK(tape.size() == 0);
  CHECK(gradient(constant * x, x).item() == 9);
  {
    const NoRecording scope;
    Tape own;  // records nevertheless
    CHECK(Tape::recording() == &own);
    CHECK(gradient(square(x), x).item() == 6);
  }
  CHECK(Tape::recording() == &tape);
}

TEST_CASE("an inner tape interrupts the outer one", "[tape]") {
  const Tensor x(3.0);
  Tape outer;
  const Tensor y = square(x);
  const std::size_t size = outer.size();
  {
    Tape inner;
    CHECK(gradient(square(x), x).item() == 6);
    CHECK(gradient(detach(y) * x, x).item() == 9);
    REQUIRE_ERROR(
        y * x, TapeError,
        "[multiply] a tensor of shape () was recorded on a tape that was cleared, has ended, "
        "or is not the one in use; write detach(x) to take its value as a constant");
    REQUIRE_ERROR(gradient(square(x), y), TapeError, "[gradient] a tensor of shape ()");
    const NoRecording scope;
    CHECK(gradient(y, x).item() == 6);  // the outer tape still stands
  }
  CHECK(outer.size() == size);
  CHECK(gradient(y * x, x).item() == 27);
}

TEST_CASE("tensors of tapes that are gone are refused", "[tape]") {
  const Tensor x(2.0);
  Tensor y;
  {
    Tape tape;
    y = square(x);
    tape.clear();
    REQUIRE_ERROR(y + x, TapeError,
                  "[add] a tensor of shape () was recorded on a tape that was cleared");
    REQUIRE_ERROR(
        gradient(y, x), TapeError,
        "[gradient] the tape on which the tensor of shape () was recorded was cleared, has "
        "ended, or belongs to another thread");
    y = square(x);
  }
  CHECK(y.item() == 4);        // the value stays
  CHECK((y + x).item() == 6);  // and can be used where nothing is recorded
  REQUIRE_ERROR(gradient(y, x), TapeError, "was cleared, has ended, or belongs to another thread");
  REQUIRE_ERROR(
      gradient(square(x), x), TapeError,
      "[gradient] the tensor of shape () was not recorded; compute it while a Tape is alive");
  const Tape tape;
  REQUIRE_ERROR(x * y, TapeError, "write detach(x)");
}

TEST_CASE("a tape belongs to its thread", "[tape]") {
  const Tensor x(2.0);
  const Tape tape;
  const Tensor y = square(x);
  std::string asked, used;
  double plain = 0, own = 0;
  std::thread([&] {
    plain = (detach(y) + 1).item();
    try {
      gradient(y, x);
    } catch (const TapeError& error) {
      asked = error.what();
    }
    const Tape mine;
    own = gradient(square(x), x).item();
    try {
      y* x;
    } catch (const TapeError& error) {
      used = error.what();
    }
  }).join();
  CHECK(plain == 5);
  CHECK(own == 4);
  CHECK(asked.find("belongs to another thread") != std::string::npos);
  CHECK(used.find("[multiply] a tensor of shape ()") != std::string::npos);
  CHECK(tape.size() == 2);
}

TEST_CASE("an exception in the middle leaves the thread as it was", "[tape]") {
  const Tensor x(2.0);
  try {
    const Tape tape;
    const NoRecording scope;
    throw 1;
  } catch (int) {
  }
  CHECK(Tape::recording() == nullptr);
  CHECK_THROWS(gradient([](const Tensor& v) -> Tensor { return v + Tensor(1.f); }, x));
  CHECK(Tape::recording() == nullptr);
  const Tape tape;
  const Tensor y = twice(x, Fault::keeps) * x;
  CHECK_THROWS(gradient(y, x));
  CHECK_THROWS(gradcheck([](const Tensor& v) -> Tensor { return v + Tensor{1., 2.}; }, x));
  CHECK(Tape::recording() == &tape);
  CHECK(gradient(square(x), x).item() == 4);
}

TEST_CASE("operations of one's own are like the library's", "[tape]") {
  CHECK(gradcheck([](const Tensor& v) { return sum(square(twice(v))); }, Tensor{1., 2.}));
  CHECK(
      identical(jvp([](const Tensor& v) { return twice(v); }, Tensor{1.}, Tensor{3.}), Tensor{6.}));
  const int before = Twice::alive;
  {
    Tape tape;
    for (int i = 0; i < 5000; ++i) twice(Tensor(1.0));  // more than a block of structs
    CHECK(Twice::alive == before + 5000);
    tape.clear();
    CHECK(Twice::alive == before);
    twice(Tensor(1.0));
  }
  CHECK(Twice::alive == before);
}

TEST_CASE("operations that break their promises are caught", "[tape]") {
  const Tensor x{1., 2.};
  REQUIRE_ERROR(twice(x, Fault::shape), ShapeError,
                "[twice] forward gave the shape (2, 1), but the shape rule says (2,)");
  REQUIRE_ERROR(twice(x, Fault::undefined), ShapeError, "[twice] forward gave the shape ()");
  {
    const Tape tape;
    const Tensor y = sum(twice(x, Fault::keeps));
    REQUIRE_ERROR(gradient(y, x), TapeError,
                  "[twice] a rule asks the record for a tensor that `keeps` does not list");
  }
  const int before = Twice::alive;
  {
    const Tape tape;
    REQUIRE_ERROR(twice(x, Fault::copy), ValueError, "cannot be copied");
    CHECK(gradient(sum(twice(x)), x).at({0}) == 2);
    CHECK(detail::text(tape).find("2 %0") != std::string::npos);
  }
  CHECK(Twice::alive == before);
}

TEST_CASE("the backward pass visits nodes, not paths", "[tape]") {
  const Tensor x(1.0);
  const Tape tape;
  Tensor y = x;
  for (int i = 0; i < 64; ++i) y = twice(y) + y - y * 1;  // 2y by four paths
  Twice::calls = 0;
  CHECK(gradient(y, x).item() == 0x1p64);
  CHECK(Twice::calls == 64);
  Twice::calls = 0;
  CHECK(push_forward(y, Pointers({x}), Pointers({Tensor(1.0)})).item() == 0x1p64);
  CHECK(Twice::calls == 64);
}

TEST_CASE("only what lies between is visited", "[tape]") {
  const Tensor x(1.0);
  const Tape tape;
  const Tensor before = twice(x), middle = twice(before), side = twice(twice(x));
  const Tensor loss = twice(middle) + side;
  twice(loss);
  Twice::calls = 0;
  CHECK(gradient(loss, middle).item() == 2);
  CHECK(Twice::calls == 1);
}

TEST_CASE("a chain of a million nodes", "[tape]") {
  const Tensor x(1.0);
  const Tape tape;
  Tensor y = x;
  for (int i = 0; i < 1'000'000; ++i) y = -y;
  CHECK(tape.size() == 1'000'001);
  const NoRecording scope;
  CHECK(gradient(y, x).item() == 1);
  CHECK(push_forward(y, Pointers({x}), Pointers({Tensor(3.0)})).item() == 3);
}
