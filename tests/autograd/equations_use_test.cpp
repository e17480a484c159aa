// What a user has in hand: trees to walk, a tape left as it was, errors of wrong use, and pages.
#include <regex>

#include "tests/support/two_layers.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("equations: trees can be walked from outside") {
  const Tensor x = numbers({2, 3}, 0.5, 1);
  const Tape tape;
  const Equations e = equations(sum(pow(exp(x), 1.5)));
  const Expression c = e.batch.forward.back().right;
  REQUIRE(c.kind() == Expression::Kind::total);
  CHECK(c.axes() == Axes{0, 1});
  const Expression power = c.parts()[0];
  REQUIRE(power.kind() == Expression::Kind::power);
  CHECK(power.value() == 1.5);
  CHECK(power.shape() == Shape{2, 3});
  CHECK(power.parts()[0].symbol() == Symbol{.letter = "v", .number = 1});
  const Expression v = e.batch.forward.front().right;
  CHECK(v.function() == "exp({0})");
}

TEST_CASE("equations: asking leaves the tape as it was") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(sigmoid(m.d(m.x)), m.y);
  const std::size_t size = tape.size();
  const std::uint64_t bytes = tape.bytes_kept();
  equations(loss);
  CHECK(tape.size() == size);
  CHECK(tape.bytes_kept() == bytes);
}

TEST_CASE("equations: wrong use is refused") {
  const Data m;
  const Tensor unrecorded(1.0);
  REQUIRE_ERROR(equations(unrecorded), TapeError, "[equations] the tensor of shape () was not");
  REQUIRE_ERROR(equations(Tensor()), DTypeError, "[equations] the loss is undefined");
  Tape tape;
  const Tensor z = m.d(m.x);
  REQUIRE_ERROR(equations(z), ShapeError,
                "[equations] the loss must be a scalar, but has the shape (4, 3); reduce it");
  REQUIRE_ERROR(equations(argmax(sum(z, 0))), DTypeError, "is int64 and has no derivative");
  const Tensor loss = sum(z);
  const ParameterRefs other{{"other.weight", m.e.weight}};
  REQUIRE_ERROR(equations(loss, other), TapeError,
                "[equations] the loss does not depend on the parameter other.weight");
  const Tensor constant = sum(scalar_like(m.x, 2.0) * scalar_like(m.x, 3.0));
  REQUIRE_ERROR(equations(constant), TapeError, "depends on no tensor with a derivative");
  tape.clear();
  REQUIRE_ERROR(equations(loss), TapeError, "was cleared, has ended");
  REQUIRE_ERROR(evaluate(algebra::symbol({.letter = "z"}, {}), {}), ValueError,
                "[evaluate] no value is given for z");
}

TEST_CASE("equations: the pages are well formed") {
  const Data m;
  const Tape tape;
  const Tensor a = relu(m.d(m.x));
  const Tensor loss = nn::cross_entropy_cost(sigmoid(m.e(a)), m.y);
  const ParameterRefs named{{"a_b.weight", m.d.weight}, {"<c>", m.e.weight}};
  for (const Equations& e : {equations(loss), equations(sum(a), std::span(named).first(1))}) {
    const std::string page = e.html();
    // Tags nest, and the page loads nothing.
    std::vector<std::string> open;
    const std::regex tag("<(/?)([a-z0-9]+)[^>]*?(/?)>");
    for (std::sregex_iterator it(page.begin(), page.end(), tag), end; it != end; ++it) {
      const std::string name = (*it)[2];
      if (name == "meta" || (*it)[3] == "/") continue;
      if ((*it)[1] != "/") {
        open.push_back(name);
        continue;
      }
      REQUIRE_FALSE(open.empty());
      REQUIRE(open.back() == name);
      open.pop_back();
    }
    CHECK(open.empty());
    CHECK_THAT(page, !ContainsSubstring("http") && ContainsSubstring("<math"));
    // A browser drops bare text within a formula.
    CHECK_FALSE(std::regex_search(page, std::regex("(<mrow>|</m(?!ath)[a-z]+>)[^<\n]")));
    for (const bool proofs : {false, true}) {
      const std::string latex = e.latex(proofs);
      CHECK(std::count(latex.begin(), latex.end(), '{') ==
            std::count(latex.begin(), latex.end(), '}'));
      CHECK_THAT(latex, ContainsSubstring("\\begin{align*}"));
      // What pdflatex reads without further packages.
      CHECK(std::all_of(latex.begin(), latex.end(), [](char c) { return (c & 0x80) == 0; }));
      CHECK_FALSE(std::regex_search(latex, std::regex("penalty[0-9]+[^0-9 ]")));  // reads on
      CHECK((latex.find("\\begin{list}") != std::string::npos) == proofs);
    }
  }
  CHECK_THAT(equations(loss).latex(),
             ContainsSubstring("\\delta^{L} &= a^{L} - y && \\text{(BP1)}"));
}
