// How equations are written: what is called a^L, which numbers are shares of an average, brackets,
// signs, and what stands on the pages.
#include <regex>

#include "tests/support/two_layers.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

TEST_CASE("equations: the output layer's activation is all of it") {
  const Data m;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y};
  const std::vector<Tensor> one_layer{m.x, m.d.weight, m.d.bias, m.y};
  using F = nn::Activation;
  struct Activation {
    F f;
    std::string z1, z2;  // a^1 and a^2
  };
  const Activation activations[] = {
      {[](Operand z) { return 1 / (1 + exp(-z)); }, "1 / (1 + exp(−z^1))", "1 / (1 + exp(−z^2))"},
      {[](Operand z) { return 1.7159 * tanh(z * (2.0 / 3)); }, "1.7159 tanh(2/3 z^1)",
       "1.7159 tanh(2/3 z^2)"},
      {[](Operand z) { return sigmoid(2.0 * z); }, "σ(2 z^1)", "σ(2 z^2)"},
      {[](Operand z) { return exp(-square(z)); }, "exp(−(z^1)²)", "exp(−(z^2)²)"},
      {[](Operand z) { return 0.5 * tanh(z); }, "½ tanh(z^1)", "½ tanh(z^2)"},
      {[](Operand z) { return maximum(z, 0.1 * z); }, "max(z^1, 0.1 z^1)", "max(z^2, 0.1 z^2)"},
      {nn::swish, "z^1 ⊙ σ(z^1)", "z^2 ⊙ σ(z^2)"}};
  for (const auto& [f, first, second] : activations) {
    INFO(first);
    {
      const Tape tape;
      const auto e = require_true(nn::quadratic_cost(f(m.e(f(m.d(m.x)))), m.y), leaves);
      const auto text = by_name(*e.example);
      CHECK(text.at("a^1") == first);
      CHECK(text.at("a^2") == second);
      CHECK(text.at("C") == "½‖a^2 − y‖²");
      CHECK_THAT(text.at("δ^2"), !ContainsSubstring("BP"));  // f is no single function
    }
    {
      const Tape tape;
      const Tensor a = f(m.e(f(m.d(m.x))));
      const auto text = by_name(equations(-mean(m.y * log(a) + (1 - m.y) * log(1 - a))).batch);
      CHECK(text.at("A^1").size() == text.at("A^2").size());
    }
    const Tape tape;
    const auto text =
        by_name(*require_true(nn::quadratic_cost(f(m.d(m.x)), m.y), one_layer).example);
    CHECK(text.at("a^1") == first);
    CHECK(text.at("C") == "½‖a^1 − y‖²");
  }
  // What is used otherwise may be a part of the cost: the other layers tell, or it is left open.
  const auto without_sum = [&](const F& f, const F& g) {
    const Tape tape;
    const Tensor a = g(m.e(f(m.d(m.x))));
    return by_name(*require_true(-mean(m.y * log(a)), leaves).example);
  };
  const F logistic = [](Operand z) { return 1 / (1 + exp(-z)); };
  CHECK(without_sum(sigmoid, sigmoid).at("a^2") == "σ(z^2)");
  CHECK(without_sum(logistic, logistic).at("a^2") == "1 / (1 + exp(−z^2))");
  CHECK_FALSE(without_sum(tanh, logistic).contains("a^2"));
}

TEST_CASE("equations: numbers of the network are no shares of an average") {
  const Data m;
  const Tape tape;
  const Tensor a = 0.5 * tanh(m.d(m.x)), b = 0.01 * m.e(a);
  const Equations e = require_true(nn::quadratic_cost(sin(b), m.y),
                                   {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
  const auto text = by_name(e.batch);
  CHECK(text.at("A^1") == "½ tanh(Z^1)");
  CHECK(text.at("A^2") == "sin(0.01 Z^2)");
  CHECK(text.at("C") == "1/(2m)‖A^2 − Y‖²");
  const Tensor v = 0.25 * sin(m.x);
  const Equations f = require_true(mean(square(v * v - exp(v))), {m.x});
  CHECK(by_name(f.batch).at("v₂") == "¼ v₁");
}

TEST_CASE("equations: a connection around the last layer is numbered") {
  const Data m;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.y};
  const Tape tape;
  const Tensor z = m.d(m.x);
  for (const Tensor& a : {sigmoid(z + m.x), sigmoid(z) + m.x, z + m.x}) {
    const Equations e = require_true(nn::quadratic_cost(a, m.y), leaves);
    CHECK(e.depth == 0);
    CHECK_THAT(e.text(), !ContainsSubstring("BP"));
  }
}

TEST_CASE("equations: a comparison that is a number stands in brackets") {
  const Data m;
  const Tape tape;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.y};
  const Equations e = require_true(nn::quadratic_cost(relu(m.d(m.x)), m.y), leaves);
  CHECK_THAT(e.text(), ContainsSubstring("relu'(u) = [0 < relu(u)]"));
  CHECK_THAT(e.latex(), ContainsSubstring("= [0\\text{ \\ensuremath{<} }"));
  CHECK_THAT(e.html(), ContainsSubstring("<mo>[</mo><mn>0</mn><mtext> &lt; </mtext>"));
  const Tensor z = m.d(m.x), a = cast(0.5 < z, DType::float64) * z, d = a - m.y;
  const Tensor huber = mean(where(abs(d) < 1.0, 0.5 * d * d, abs(d) - 0.5));
  const auto text = by_name(*require_true(huber, leaves).example);
  CHECK(text.at("a^1") == "[½ < z^1] ⊙ z^1");
  CHECK_THAT(text.at("C"),
             ContainsSubstring("where(|a^1 − y| < 1, ") && ContainsSubstring(", |a^1 − y| − ½)"));
}

TEST_CASE("equations: one example is not averaged") {
  const Data m;
  const Tensor x = detach(slice(m.x, 0, 0, 1)), y = detach(slice(m.y, 0, 0, 1));
  const Tape tape;
  const Equations e =
      require_true(nn::quadratic_cost(sigmoid(m.d(x)), y), {x, m.d.weight, m.d.bias, y});
  CHECK(by_name(e.batch).at("C") == "½‖A^1 − Y‖²");
  CHECK(by_name(e.batch).at("Δ^1") == "(A^1 − Y) ⊙ σ'(Z^1) BP1");
  CHECK(by_name(*e.example).at("C") == "½‖a^1 − y‖²");
  CHECK_THAT(e.text(), ContainsSubstring("For the one example x, in column vectors; L = 1:") &&
                           ContainsSubstring("As computed; the one example is a row; L = 1:") &&
                           !ContainsSubstring("average"));
}

TEST_CASE("equations: roots are written as roots") {
  const Tensor x = numbers({2, 3}, 0.5, 1);
  const Tape tape;
  const Equations e = require_true(sum(sqrt(1 + x)), {x});
  CHECK_THAT(e.latex(), ContainsSubstring("\\sqrt{1 + p_{1}}"));
  CHECK_THAT(e.html(), ContainsSubstring("<msqrt><mrow><mn>1</mn><mo>+</mo>"));
}

TEST_CASE("equations: a long line leaves marks and layers in sight") {
  const Data m;
  const Tape tape;
  const Tensor z = m.d(m.x), n = (z - mean(z, 1, true)) / sqrt(var(z, 1, true) + 1e-5);
  const Equations e = require_true(nn::quadratic_cost(m.e(relu(n)), m.y),
                                   {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
  // A formula is scrolled within its cell.
  const std::string page = e.html(false);
  const std::regex row(
      "<tr><td>.*?</td><td><div style=\"overflow-x: auto;[^>]*"
      "max-width: var\\(--formula, [^>]*>.*?</div></td><td class=\"mark\">");
  const auto rows = [&](const std::regex& r) {
    return std::distance(std::sregex_iterator(page.begin(), page.end(), r), {});
  };
  CHECK(rows(row) == rows(std::regex("<tr>")));
  // And broken in LaTeX.
  CHECK_THAT(e.latex(), !ContainsSubstring("align") &&
                            ContainsSubstring("\\quad $\\text{(BP3)} \\quad l = 1, 2$"));
}

TEST_CASE("equations: small numbers, first powers and quotients") {
  const Tensor x = numbers({2, 3}, 0.5, 1), y = numbers({2, 3}, 0.5, 1, 2);
  const Tape tape;
  const Tensor u = exp(x), v = sin(x);
  const Equations e = require_true(sum(1e-5 * u + 2.5e-7 * v - x / y), {x, y});
  CHECK(by_name(e.batch).at("C") == "Σ (10^-5 v₁ + 2.5 · 10^-7 v₂ − p₁ / p₂)");
  CHECK_THAT(e.latex(), ContainsSubstring("{10}^{-5} \\, v_{1} + 2.5 \\cdot {10}^{-7} \\, v_{2}"));
  CHECK_THAT(e.html(), ContainsSubstring("<msup><mrow><mn>10</mn></mrow><mn>−5</mn></msup>"));
  CHECK(by_name(require_true(sum(pow(x, 1)), {x}).batch).at("C") == "Σ p₁");
}

TEST_CASE("equations: one example without a batch reads as the book's") {
  const Data m;
  const Tensor x = numbers({3}, -1, 1, 5), y = numbers({3}, 0.1, 0.9, 6);
  const std::vector<Tensor> leaves{x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, y};
  const Tape tape;
  const Tensor a = sigmoid(m.e(tanh(m.d(x))));
  const Equations e = require_true(0.5 * squared_norm(a - y), leaves);
  REQUIRE(e.example);
  CHECK(e.depth == 2);
  CHECK(e.examples == 1);
  CHECK(e.leaves[0].shape == Shape{1, 3});
  CHECK_THAT(
      lines(e.example->forward),
      Equals(std::vector<std::string>{"a^0 = x", "z^1 = w^1 a^0 + b^1", "a^1 = tanh(z^1)",
                                      "z^2 = w^2 a^1 + b^2", "a^2 = σ(z^2)", "C = ½‖a^2 − y‖²"}));
  CHECK_THAT(lines(e.example->backward),
             Equals(std::vector<std::string>{
                 "δ^2 = (a^2 − y) ⊙ σ'(z^2) BP1", "δ^1 = ((w^2)ᵀ δ^2) ⊙ tanh'(z^1) BP2",
                 "∂C/∂b^1 = δ^1 BP3", "∂C/∂b^2 = δ^2 BP3", "∂C/∂w^1 = δ^1 (a^0)ᵀ BP4",
                 "∂C/∂w^2 = δ^2 (a^1)ᵀ BP4"}));
  // The same with a softmax, with weights that decay, and for some of the parameters.
  const Tensor likelihood = -sum(y * log_softmax(m.e(tanh(m.d(x))))) + sum(square(m.d.weight));
  CHECK(by_name(*require_true(likelihood, leaves).example).at("∂C/∂w^1") == "δ^1 (a^0)ᵀ + 2 w^1");
  const ParameterRefs last{{"weight", m.e.weight}};
  const auto some = by_name(*equations(0.5 * squared_norm(a - y), last).example);
  CHECK(some.at("∂C/∂w^2") == "δ^2 (a^1)ᵀ BP4");
  CHECK_FALSE(some.contains("∂C/∂w^1"));
  // No chain of layers: as it was computed.
  const Tensor skip = 0.5 * squared_norm(sigmoid(m.d(x)) + x - y);
  CHECK_FALSE(require_true(skip, {x, m.d.weight, m.d.bias, y}).example);
  CHECK_FALSE(require_true(sum(square(m.d.bias * x)), {x, m.d.bias}).example);
}
