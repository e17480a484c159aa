// Who reads a tape that has operations without a `vjp` of their own on it, checkpoints and rules of
// the user's choice: gradient checks, comparisons with gradients by hand, equations and pictures.
#include "tests/support/tensors.hpp"
#include "tests/support/words.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Function = std::function<Tensor(const Tensor&)>;

/// The sigmoid with a rule of its own, which is off by a factor.
Tensor custom_sigmoid(const Tensor& z, double factor = 1) {
  return custom_gradient([](const Tensor& v) { return sigmoid(v); },
                         [factor](const Tensor& g, const Tensor& a, const Tensor&) {
                           return factor * g * a * (1 - a);
                         })(z);
}

/// Two layers without biases, ½‖a − y‖², and its gradients by hand.
struct Layers {
  Parameter w1{numbers({3, 4}, -1, 1, 1)}, w2{numbers({2, 3}, -1, 1, 2)};
  ParameterRefs refs{{"hidden.weight", w1}, {"output.weight", w2}};
  Tensor x = numbers({5, 4}, -1, 1, 3), y = numbers({5, 2}, 0, 1, 4);

  Tensor hidden(const Tensor& v) const { return sigmoid(matmul(v, transpose(w1))); }
  Tensor output(const Tensor& v) const { return matmul(v, transpose(w2)); }
  Tensor cost(const Tensor& a) const { return sum(square(a - y)) / 2; }

  NamedTensors by_hand(bool slope_hidden, bool slope_output) const {
    const Tensor a1 = hidden(x), a2 = sigmoid(output(a1));
    Tensor delta2 = a2 - y;
    if (slope_output) delta2 = delta2 * a2 * (1 - a2);
    Tensor delta1 = matmul(delta2, w2);
    if (slope_hidden) delta1 = delta1 * a1 * (1 - a1);
    return {{"output.weight", matmul(transpose(delta2), a1)},
            {"hidden.weight", matmul(transpose(delta1), x)}};
  }
};

bool has(const auto& report, const std::string& part) {
  return unwrapped(to_string(report)).find(unwrapped(part)) != std::string::npos;
}

}  // namespace

TEST_CASE("backpropagation by hand beside tapes with checkpoints and custom rules",
          "[compare_backprop]") {
  const Layers net;
  // Of the last activation, and how it is called.
  const std::vector<std::pair<Function, std::string>> activations{
      {[](const Tensor& z) { return sigmoid(z); },
       "σ'(z) is forgotten where z goes into the sigmoid behind layer `output`, (5, 2)"},
      {[](const Tensor& z) { return custom_sigmoid(z); },
       "custom_gradient'(z) is forgotten where z goes into the custom_gradient behind layer "
       "`output`, (5, 2)"},
      {[](const Tensor& z) { return checkpoint([](const Tensor& v) { return sigmoid(v); }, z); },
       "checkpoint'(z) is forgotten where z goes into the checkpoint behind layer `output`"},
      {[](const Tensor& z) { return on_gradient(sigmoid(z), [](const Tensor& g) { return g; }); },
       "σ'(z) is forgotten where z goes into the sigmoid behind layer `output`"},
      {[](const Tensor& z) {
         return on_gradient(sigmoid(z), [seen = Tensor()](const Tensor& g) mutable {
           if (seen.defined() && !identical(seen, g))
             throw ValueError("an adjoint of another pass");
           return seen = detach(g);
         });
       },
       "σ'(z) is forgotten where z goes into the sigmoid behind layer `output`"}};
  const std::vector<Function> hiddens{
      [&](const Tensor& v) { return net.hidden(v); },
      // What it uses beside its arguments has a gradient as well.
      [&](const Tensor& v) {
        return checkpoint([&](const Tensor& u) { return net.hidden(u); }, v);
      },
      // One argument depends on the other.
      [&](const Tensor& v) {
        const Tensor z = matmul(v, transpose(net.w1));
        return checkpoint([](const Tensor& a, const Tensor& b) { return b + (a - a); }, z,
                          sigmoid(z));
      }};
  for (std::size_t h = 0; h < hiddens.size(); ++h)
    for (std::size_t k = 0; k < activations.size(); ++k) {
      INFO("hidden " << h << ", activation " << k);
      const auto loss = [&] {
        return net.cost(activations[k].first(net.output(hiddens[h](net.x))));
      };
      const BackpropComparison right = compare_backprop(net.by_hand(true, true), loss, net.refs);
      INFO(right);
      CHECK(right);
      const BackpropComparison wrong = compare_backprop(net.by_hand(true, false), loss, net.refs);
      INFO(wrong);
      CHECK(wrong.layer == "output");
      CHECK(wrong.verdict == Verdict::missing_factor);
      CHECK(has(wrong, activations[k].second));
      const BackpropComparison below = compare_backprop(net.by_hand(false, true), loss, net.refs);
      CHECK_FALSE(below);
      CHECK(below.layer == "hidden");
    }
}

TEST_CASE("gradient checks through checkpoints, custom rules and hooks", "[gradcheck]") {
  const Tensor x = numbers({2, 3});
  const auto in_checkpoint = [](auto f) {
    return [f](const Tensor& v) { return sum(checkpoint(f, square(v))); };
  };
  const auto right = [](const Tensor& v) { return custom_sigmoid(v); };
  const auto twice = [](const Tensor& v) { return custom_sigmoid(v, 2); };
  const auto hook = [](double factor) {
    return [factor](const Tensor& v) {
      return on_gradient(sin(v), [factor](const Tensor& g) { return factor * g; });
    };
  };
  for (const Function& f : {Function(in_checkpoint(right)), Function(in_checkpoint(hook(1)))}) {
    const GradCheck report = gradgradcheck(f, x);
    INFO(report);
    CHECK(report);
  }
  const auto named = [&](const Function& f, const std::string& name) {
    const GradCheck report = gradcheck(f, x);
    INFO(report);
    CHECK_FALSE(report);
    CHECK(report.verdict == Verdict::constant_factor);
    REQUIRE(report.first_wrong);
    CHECK(report.first_wrong->name == name);
    CHECK(has(gradgradcheck(f, x), name));
  };
  named([&](const Tensor& v) { return sum(twice(square(v))); }, "custom_gradient");
  named([&](const Tensor& v) { return sum(hook(2)(square(v))); }, "on_gradient");
  named(in_checkpoint(twice), "checkpoint");
  named(in_checkpoint(hook(2)), "checkpoint");

  // Alone it would need a tensor of the tape that it is on.
  const auto uses_more = [&](const Tensor& v) {
    const Tensor h = exp(v);
    return sum(checkpoint([h, twice](const Tensor& u) { return twice(u) * h; }, v));
  };
  const GradCheck report = gradcheck(uses_more, x);
  INFO(report);
  CHECK_FALSE(report);
  CHECK_FALSE(report.first_wrong);
  CHECK(has(report,
            "agrees with the operation, as far as it can be tried alone. What cannot is"
            " checkpoint (node %3): call what it does directly, without it, and check"
            " again"));
  // Nor is it seen alone how it depends on a parameter.
  const Layers net;
  const auto of_parameter = [&] {
    return net.cost(net.output(checkpoint(
        [&](const Tensor& u) { return custom_sigmoid(matmul(u, transpose(net.w1)), 2); }, net.x)));
  };
  CHECK(has(gradcheck(of_parameter, net.refs), "What cannot is checkpoint (node %"));
}

TEST_CASE("equations and pictures of tapes with checkpoints and custom rules", "[equations]") {
  const Layers net;
  const std::vector<std::pair<std::string, Function>> hiddens{
      {"checkpoint",
       [&](const Tensor& v) {
         return checkpoint([&](const Tensor& u) { return net.hidden(u); }, v);
       }},
      {"checkpoint",
       [&](const Tensor& v) {
         const Tensor w = 2 * net.w1;
         return checkpoint([w](const Tensor& u) { return matmul(u, transpose(w)); }, v);
       }},
      {"custom_gradient",
       [&](const Tensor& v) { return custom_sigmoid(matmul(v, transpose(net.w1))); }},
      {"on_gradient", [&](const Tensor& v) {
         return on_gradient(net.hidden(v), [](const Tensor& g) { return 2 * g; });
       }}};
  for (const auto& [name, hidden] : hiddens) {
    INFO(name);
    const Tape tape;
    const Tensor loss = net.cost(net.output(hidden(net.x)));
    const std::vector<Tensor> before = gradient(loss, net.refs);
    CHECK(equations(loss, net.refs).text().find("∂C/∂") != std::string::npos);
    const std::string dot = graph(loss, net.refs, {.norms = true}).dot();
    CHECK(dot.find("hidden.weight") != std::string::npos);
    if (name != "on_gradient") {
      CHECK(equations(loss, net.refs).text().find(name) != std::string::npos);
      CHECK(dot.find(name) != std::string::npos);
    }
    const std::vector<Tensor> after = gradient(loss, net.refs);
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(identical(before[i], after[i]));
  }
}
