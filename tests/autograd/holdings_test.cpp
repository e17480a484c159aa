// What a tape says of itself, and the warning of one that only grows.
#include <sstream>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

// The warnings while this lives.
class Warnings {
 public:
  Warnings() {
    before_ = set_warning_handler([this](const std::string& text) { texts.push_back(text); });
  }
  ~Warnings() { set_warning_handler(before_); }
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;

  std::vector<std::string> texts;

 private:
  WarningHandler before_;
};

Tensor loss_of(const Tensor& x) { return sum(square(sin(x))); }

}  // namespace

TEST_CASE("a tape lists what it holds, the largest first, each buffer once", "[holdings]") {
  const Tensor x = numbers({10, 100}), w = numbers({100, 50});
  Tape tape;
  const Tensor z = matmul(x, w), y = sigmoid(z);
  sum(y * reshape(y, {10, 50}));  // the two share a buffer
  const std::vector<Tape::Holding> holdings = tape.holdings();
  std::uint64_t bytes = 0;
  std::size_t nodes = 0;
  std::ostringstream text;
  for (const Tape::Holding& holding : holdings) {
    bytes += holding.bytes;
    nodes += holding.nodes;
    text << holding << '\n';
  }
  CHECK(bytes == tape.bytes_kept());
  CHECK(nodes == tape.size());
  // Neither the product, nor its own value, nor the sum is needed on the way back.
  CHECK(text.str() ==
        "input: 2 nodes, 48000 bytes\n"
        "sigmoid: 1 node, 4000 bytes\n"
        "matmul: 1 node, 0 bytes\n"
        "reshape: 1 node, 0 bytes\n"
        "multiply: 1 node, 0 bytes\n"
        "sum: 1 node, 0 bytes\n");
  tape.clear();
  CHECK(tape.holdings().empty());
}

TEST_CASE("a tape that only grows is warned of once, and only if it seems forgotten",
          "[holdings]") {
  Warnings warnings;
  const Tensor start = numbers({5});
  const auto repeat = [](int times, const auto& f) {
    for (int i = 0; i < times; ++i) f();
  };
  {  // rows of a Jacobian, and gradients of several losses
    const Tape tape;
    const Tensor x = start, y = sin(x) * sum(x);
    for (int i = 0; i < 300; ++i) gradient(sum(slice(y, 0, i % 5, i % 5 + 1)), x);
    for (int i = 0; i < 300; ++i) {
      const Tensor loss = loss_of(x) + sum(y);
      const NoRecording scope;
      gradient(loss, x);
    }
  }
  {  // transforms on one tape
    const Tape tape;
    repeat(150, [&] { gradient(loss_of, start); });
    repeat(150, [&] { hvp(loss_of, start, start); });
    repeat(30, [&] { hessian(loss_of, start); });
    repeat(30, [&] { jacobian([](const Tensor& v) { return sin(v); }, start); });
  }
  {  // steps with a tape each, or one that is cleared
    repeat(150, [&] {
      const Tape tape;
      gradient(loss_of(start), start);
    });
    Tape tape;
    repeat(150, [&] {
      gradient(loss_of(start), start);
      tape.clear();
    });
  }
  {  // not yet
    const Tape tape;
    repeat(99, [&] { gradient(loss_of(start), start); });
  }
  CHECK(warnings.texts.empty());

  {
    const Tape tape;
    Tensor x = start;
    repeat(100, [&] { x -= 0.1 * gradient(loss_of(x), x); });
    REQUIRE(warnings.texts.size() == 1);
    INFO(warnings.texts[0]);
    CHECK(warnings.texts[0].starts_with("[gradient] the tape has grown in each of 100 calls, to "));
    CHECK(warnings.texts[0].ends_with(
        " bytes); make a new Tape for every step, or call clear() after each"));
  }
  const Tape tape;
  repeat(200, [&] { gradient(loss_of(start), start); });
  CHECK(warnings.texts.size() == 1);  // once is enough
}
