// Equations of graphs that are not the book's network, and of operations that say too little or
// something false.
#include "tests/support/two_layers.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// x³, whose rule computes numbers instead of applying operations.
struct ByHand {
  static constexpr auto name = "by_hand";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    return map(*&x[0], x[0], [](double a, double) { return a * a * a; });
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return map(r.input(0), g, [](double a, double b) { return 3 * a * a * b; });
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "cube({0})"; }
  static std::vector<Sample<ByHand>> samples() { return {{{}, {Tensor{1.0, 2.0}}}}; }

 private:
  template <class F>
  static Tensor map(const Tensor& a, const Tensor& b, const F& f) {
    std::vector<double> out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i)
      out.push_back(f(a.values<double>()[i], b.values<double>()[i]));
    return Tensor(out, a.shape());
  }
};

/// x² of a scalar, whose rule reads a number from its input and does not say so.
struct Reads {
  static constexpr auto name = "reads";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return x[0] * x[0].item();
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g * (2 * r.input(0).item());
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "reads({0})"; }
  static std::vector<Sample<Reads>> samples() { return {{{}, {Tensor(2.0)}}}; }
};

/// x², with a facet of the user's own choice.
struct Claims {
  std::string facet;
  static constexpr auto name = "claims";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return square(x[0]);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const { return g * r.input(0) * 2; }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return facet; }
  static std::vector<Sample<Claims>> samples() { return {{{"({0})²"}, {Tensor{1.0, 2.0}}}}; }
};

}  // namespace

TEST_CASE("equations: shared weights are numbered, and both uses add up") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(sigmoid(m.d(sigmoid(m.d(m.x)))), m.y);
  const ParameterRefs names{{"weight", m.d.weight}, {"bias", m.d.bias}};
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.y}, names);
  const auto text = by_name(*e.example);
  CHECK(e.depth == 0);
  CHECK(text.at("v₃") == "weight v₂ + bias");
  CHECK(text.at("v̄₁") == "v̄₂ ⊙ σ'(v₁)");
  CHECK(text.at("∂C/∂weight") == "v̄₃ v₂ᵀ + v̄₁ x₁ᵀ");
  CHECK_THAT(e.text(), !ContainsSubstring("BP"));
}

TEST_CASE("equations: skip connections are numbered") {
  const Data m;
  const Tape tape;
  const Tensor a = sigmoid(m.d(m.x));
  const Tensor loss = nn::quadratic_cost(sigmoid(m.e(a)) + a, m.y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
  CHECK(by_name(*e.example).at("v̄₂") == "v₄ + v₂ − x₂ + p₃ᵀ v̄₃");
  CHECK_THAT(e.text(), !ContainsSubstring("BP"));
}

TEST_CASE("equations: an activation of one's own stands in the place of f'(z)") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(nn::swish(m.e(nn::swish(m.d(m.x)))), m.y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
  const auto text = by_name(*e.example);
  CHECK(text.at("δ^2") == "(a^2 − y) ⊙ (σ(z^2) + z^2 ⊙ σ'(z^2))");
  CHECK(text.at("δ^1") == "((w^2)ᵀ δ^2) ⊙ (σ(z^1) + z^1 ⊙ σ'(z^1))");
  CHECK(text.at("∂C/∂w^2") == "δ^2 (a^1)ᵀ BP4");
}

TEST_CASE("equations: a layer's neurons may differ by a constant") {
  const Data m;
  const Tensor c1{0.0, 1.0, 0.0}, c2{1.0, 0.0, 1.0};
  const Tape tape;
  const Tensor z = m.d(m.x), some = c1 * tanh(z), others = c2 * sigmoid(z);
  const Tensor loss = nn::quadratic_cost(sigmoid(m.e(some + others)), m.y);
  const Equations e =
      require_true(loss, {m.x, m.d.weight, m.d.bias, c1, c2, m.e.weight, m.e.bias, m.y});
  const auto text = by_name(*e.example);
  CHECK(e.depth == 2);
  CHECK(text.at("a^1") == "c₁ ⊙ tanh(z^1) + c₂ ⊙ σ(z^1)");
  CHECK(text.at("δ^2") == "(a^2 − y) ⊙ σ'(z^2) BP1");
  CHECK(text.at("δ^1") == "((w^2)ᵀ δ^2) ⊙ (c₂ ⊙ σ'(z^1) + c₁ ⊙ tanh'(z^1))");
  CHECK(text.at("∂C/∂w^1") == "δ^1 (a^0)ᵀ BP4");
}

TEST_CASE("equations: a target that all examples share is no constant of a layer") {
  const Data m;
  const Tensor y{0.1, 0.2, 0.3};
  const Tape tape;
  const Tensor loss = 0.25 * squared_norm(m.e(m.d(m.x)) - y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, y});
  CHECK(by_name(*e.example).at("a^2") == "z^2");
  CHECK_THAT(e.text(), ContainsSubstring("‖a^L − y‖²"));
}

TEST_CASE("equations: cross-entropy cancels the slope of the sigmoid") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::cross_entropy_cost(sigmoid(m.d(m.x)), m.y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.y});
  const auto text = by_name(*e.example);
  CHECK(text.at("C") == "−Σ (y ⊙ ln(a^1) + (1 − y) ⊙ ln(1 − a^1))");
  CHECK(text.at("δ^1") == "a^1 − y BP1");
  // Each step by itself, from the written out slope to what is left.
  const std::vector<DerivationStep>& steps = e.example->backward[0].steps;
  const auto slope = std::find_if(steps.begin(), steps.end(), [](const DerivationStep& step) {
    return step.identity == "σ'(u) = σ(u) ⊙ (1 − σ(u))";
  });
  REQUIRE(steps.end() - slope > 5);
  CHECK(slope[1].identity == "u ⊙ (v + w) = u ⊙ v + u ⊙ w; u ⊙ (v / w) = (u ⊙ v) / w");
  CHECK(to_string(slope[1].result) ==
        "(¼ (1 − Y) ⊙ A^1 ⊙ (1 − A^1)) / (1 − A^1) + (−¼ Y ⊙ A^1 ⊙ (1 − A^1)) / A^1");
  CHECK(slope[2].identity == "u / u = 1 is cancelled");
  CHECK(to_string(slope[2].result) == "¼ A^1 ⊙ (1 − Y) − ¼ (1 − A^1) ⊙ Y");
  CHECK(slope[3].identity == "u ⊙ (v + w) = u ⊙ v + u ⊙ w");
  CHECK(to_string(slope[3].result) == "¼ A^1 − ¼ A^1 ⊙ Y − ¼ Y + ¼ Y ⊙ A^1");
  CHECK(slope[4].identity == "like terms are collected; u + 0 = u");
  CHECK(to_string(slope[4].result) == "¼ A^1 − ¼ Y");
}

TEST_CASE("equations: a fraction that has no end as a decimal is written as one") {
  const Tensor x = numbers({7, 3}, 0.1, 0.9), y = numbers({7, 3}, 0.1, 0.9, 2);
  const Tape tape;
  const Equations e = require_true(sqrt(mean(square(x - y))) * 0.1, {x, y});
  CHECK(by_name(e.batch).at("v₁") == "√(1/21‖p₁ − p₂‖²)");
  CHECK(by_name(e.batch).at("C") == "0.1 v₁");
}

TEST_CASE("equations: what the output is does not depend on the hidden layers") {
  const Data m;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y};
  const auto output_error = [&](const auto& cost, nn::Activation f) {
    const Tape tape;
    return by_name(*require_true(cost(m.e(f(m.d(m.x)))), leaves).example);
  };
  const auto alone = [&](const auto& cost) {
    const Tape tape;
    return by_name(*require_true(cost(m.d(m.x)), {m.x, m.d.weight, m.d.bias, m.y}).example);
  };
  const auto log_likelihood = [&](const Tensor& z) { return nn::log_likelihood_cost(z, m.y); };
  const auto cross_entropy = [&](const Tensor& z) {
    return nn::cross_entropy_cost(z, m.y);  // of neurons that are not in (0, 1) it is NaN
  };
  const auto quadratic = [&](const Tensor& z) { return nn::quadratic_cost(z, m.y); };
  for (const char* name : {"linear", "sigmoid"}) {
    const nn::Activation f = nn::activation_from_name(name);
    auto text = output_error(log_likelihood, f);
    CHECK_FALSE(text.contains("a^2"));
    CHECK(text.at("δ^2") == "softmax(z^2) ⊙ (Σ y) − y");
    text = output_error(cross_entropy, f);
    CHECK(text.at("a^2") == "z^2");
    CHECK_THAT(text.at("C"), ContainsSubstring("ln(a^2)"));
    CHECK_THAT(text.at("δ^2"), ContainsSubstring("BP1"));
    text = output_error(quadratic, f);
    CHECK(text.at("a^2") == "z^2");
    CHECK(text.at("δ^2") == "a^2 − y BP1");
  }
  CHECK_FALSE(alone(log_likelihood).contains("a^1"));
  CHECK(alone(cross_entropy).at("a^1") == "z^1");
  CHECK(alone(quadratic).at("δ^1") == "a^1 − y BP1");
}

TEST_CASE("equations: the targets of cross-entropy may be 0 and 1") {
  const Data m;
  const Tensor y = detach(equal(m.y > 0.5, 1));
  const Tape tape;
  const Tensor loss = nn::cross_entropy_cost(sigmoid(m.d(m.x)), y);
  const Equations e = equations(loss);
  CHECK(by_name(*e.example).at("δ^1") == "a^1 − y BP1");
}

TEST_CASE("equations: softmax is not marked as an elementwise layer") {
  const Data m;
  const Tape tape;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.y};
  Equations e = require_true(nn::log_likelihood_cost(m.d(m.x), m.y), leaves);
  CHECK(by_name(*e.example).at("δ^1") == "softmax(z^1) ⊙ (Σ y) − y");
  CHECK_THAT(e.text(true), ContainsSubstring("[exp(log_softmax(u)) = softmax(u)]"));
  e = require_true(-mean(sum(m.y * log(softmax(m.d(m.x))), 1)), {m.x, m.d.weight, m.d.bias, m.y});
  CHECK(by_name(*e.example).at("δ^1") == "softmax(z^1) ⊙ (Σ y) − y");
}

TEST_CASE("equations: a function that is only called log_softmax is not one") {
  const Data m;
  for (const char* name : {"log_softmax_(-1,)({0})", "log_softmax_(5,)({0})"}) {
    const Tape tape;
    const Tensor z = m.e(exp(apply(Claims{name}, m.d(m.x))));
    const Equations e = require_true(nn::quadratic_cost(z, m.y),
                                     {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
    CHECK(by_name(*e.example).at("a^1") == "exp(log_softmax(z^1))");
  }
}

TEST_CASE("equations: a linear output layer is one of the book's") {
  const Data m;
  const Tape tape;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y};
  const Tensor a = sigmoid(m.d(m.x)), z = m.e(a);
  auto text = by_name(*require_true(nn::quadratic_cost(z, m.y), leaves).example);
  CHECK(text.at("a^2") == "z^2");
  CHECK(text.at("C") == "½‖a^2 − y‖²");
  CHECK(text.at("δ^2") == "a^2 − y BP1");
  CHECK(text.at("δ^1") == "((w^2)ᵀ δ^2) ⊙ σ'(z^1) BP2");
  // A cost with a function of its own around z leaves open what the outputs are.
  for (const Tensor& loss :
       {nn::sigmoid_cross_entropy_cost(z, m.y), nn::log_likelihood_cost(z, m.y)}) {
    text = by_name(*require_true(loss, leaves).example);
    CHECK_FALSE(text.contains("a^2"));
    CHECK_THAT(text.at("δ^2"), !ContainsSubstring("BP"));
  }
  text = by_name(
      *require_true(nn::quadratic_cost(m.d(m.x), m.y), {m.x, m.d.weight, m.d.bias, m.y}).example);
  CHECK(text.at("δ^1") == "a^1 − y BP1");
}

TEST_CASE("equations: a sum over examples is not read as an average") {
  const Data m;
  const std::vector<Tensor> leaves{m.x, m.d.weight, m.d.bias, m.y};
  const auto found = [&](double factor) {
    const Tape tape;
    return require_true(squared_norm(sigmoid(m.d(m.x)) - m.y) * factor, leaves);
  };
  for (const double factor : {0.5, 1.0, 3.0}) {
    const Equations e = found(factor);
    CHECK(e.refusal ==
          "the loss is a sum over the m = 4 examples and not an average; divide it by m");
    CHECK_THAT(e.text(), !ContainsSubstring("/m"));
  }
  CHECK(by_name(found(0.5).batch).at("C") == "½‖A^1 − Y‖²");
  for (const double factor : {1.0 / 8, 1.0 / 4, 3.0 / 4, 0.07}) CHECK(found(factor).example);
  const Tape tape;
  const Tensor a = sigmoid(m.d(m.x));
  const Tensor loss = nn::quadratic_cost(a, m.y) + sum(square(a));
  CHECK_FALSE(require_true(loss, leaves).example);
}

TEST_CASE("equations: a term of the weights alone is the same for every example") {
  const Data m;
  const Tape tape;
  const Tensor cost = nn::quadratic_cost(sigmoid(m.d(m.x)), m.y);
  const Tensor loss = cost + 0.5 * (0.01 * sum(square(m.d.weight)));
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.y});
  const auto text = by_name(*e.example);
  CHECK(text.at("C") == "½‖a^1 − y‖² + 0.005‖w^1‖²");
  CHECK(text.at("∂C/∂w^1") == "0.01 w^1 + δ^1 (a^0)ᵀ");
  CHECK(text.at("∂C/∂b^1") == "δ^1 BP3");
}

TEST_CASE("equations: what mixes examples has no reading for one") {
  const Data m;
  const Tape tape;
  const Tensor z = m.d(m.x);
  const Tensor centred = z - mean(z, 0);
  const Tensor loss = nn::quadratic_cost(sigmoid(centred), m.y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.y});
  CHECK_FALSE(e.example);
  CHECK_THAT(e.text(),
             ContainsSubstring("no reading for one example: examples are mixed in Z^1 −"));
}

TEST_CASE("equations: matrices of different numbers of rows have no examples") {
  const Data m;
  const Tensor other = numbers({3, 5}, -1, 1);
  const Tape tape;
  const Tensor loss = sum(square(matmul(m.d(m.x), other)));
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, other});
  CHECK(e.refusal ==
        "the matrices from outside have 4 and 3 rows, so that neither counts the examples");
}

TEST_CASE("equations: a rule that computes numbers by hand appears as a Jacobian") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(apply(ByHand{}, m.d(m.x)), m.y);
  const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.y});
  CHECK(by_name(*e.example).at("a^1") == "cube(z^1)");
  CHECK(by_name(*e.example).at("δ^1") == "J_cube(z^1)ᵀ (a^1 − y)");
}

TEST_CASE("equations: a rule that holds at some numbers only appears as a Jacobian") {
  const Tensor x(0.7);
  const Tape tape;
  const Equations e = require_true(exp(apply(Reads{}, x)), {x});
  CHECK(by_name(e.batch).at("∂C/∂p₁") == "J_reads(p₁)ᵀ v̄₁");
}

TEST_CASE("equations: what an operation says of itself is checked") {
  const Tensor x = numbers({3, 2}, 0.2, 1);
  const auto cost = [&](const std::string& facet) {
    const Tape tape;
    const Tensor loss = sum(apply(Claims{facet}, x));
    return by_name(require_true(loss, {x}).batch);
  };
  CHECK(cost("({0})²").at("C") == "‖p₁‖²");
  CHECK(cost("3 {0}").at("v₁") == "claims(p₁)");
  CHECK(cost("3 {0}").at("∂C/∂p₁") == "v̄₁ ⊙ claims'(p₁)");
  CHECK(cost("|{0}|²").at("v₁") == "|p₁|²");
  CHECK(cost("square of {0}").at("v₁") == "square of p₁");
}

TEST_CASE("equations: a layer without a bias") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(tanh(matmul(m.x, transpose(m.d.weight))), m.y);
  const auto text = by_name(*require_true(loss, {m.d.weight, m.x, m.y}).example);
  CHECK(text.at("z^1") == "w^1 a^0");
  CHECK(text.at("∂C/∂w^1") == "δ^1 (a^0)ᵀ BP4");
}

TEST_CASE("equations: weights of (inputs, outputs) are not the book's, and not marked so") {
  const Data m;
  const Tape tape;
  const Tensor a = tanh(matmul(m.x, m.d.weight) + m.d.bias);
  const Tensor loss = nn::quadratic_cost(tanh(matmul(a, m.e.weight)), m.y);
  const auto text =
      by_name(*require_true(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.y}).example);
  CHECK(text.at("z^1") == "(w^1)ᵀ a^0 + b^1");
  CHECK(text.at("δ^1") == "(w^2 δ^2) ⊙ tanh'(z^1)");
  CHECK(text.at("∂C/∂w^1") == "a^0 (δ^1)ᵀ");
  CHECK(text.at("∂C/∂b^1") == "δ^1 BP3");
}

TEST_CASE("equations: the inputs may be the targets") {
  const Data m;
  const Tape tape;
  const Tensor loss = nn::quadratic_cost(m.d(m.x), m.x);
  const auto text = by_name(*require_true(loss, {m.x, m.d.weight, m.d.bias}).example);
  CHECK(text.at("C") == "½‖a^1 − a^0‖²");
}

TEST_CASE("equations: inputs that are looked up") {
  const Data m;
  const Tape tape;
  const Tensor labels{2, 0, 1, 2};
  const Tensor looked_up = take(m.d.weight, labels);
  const Tensor joined = concatenate({looked_up, m.x}, 1);
  const Tensor loss = sum(square(slice(joined, 1, 1, 5) * 2));
  require_true(loss, {m.d.weight, labels, m.x});
}

TEST_CASE("equations: calculus without a network") {
  const Tensor x = numbers({2, 3}, -1, 1), y = numbers({2, 3}, 0.5, 1, 2);
  const Tape tape;
  const Tensor v = sin(x) * y;
  const Equations e = require_true(sum(v / (1 + square(v))), {x, y});
  CHECK(by_name(e.batch).at("∂C/∂p₁") == "v̄₁ ⊙ cos(p₁)");
}

TEST_CASE("equations: deep graphs with shared parts take no exponential time") {
  const Tensor x = numbers({2, 3}, -0.1, 0.1);
  const Tape tape;
  Tensor v = x;
  for (int i = 0; i < 60; ++i) v = v + 0.5 * v * v;
  require_true(sum(v), {x});
}
