// The equations of a tape: every statement is evaluated, in the order in which it is printed, and
// what comes out is the tape's gradient.
#include "autograd/equations.hpp"

#include "autograd/catalogue.hpp"
#include "autograd/equations/expression.hpp"
#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

using Values = std::map<Symbol, Tensor>;

double distance(const Tensor& a, const Tensor& b) {
  const auto x = elements(a), y = elements(b);
  REQUIRE(x.size() == y.size());
  double difference = 0, largest = 1e-300;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (x[i] != y[i]) difference = std::max(difference, std::abs(x[i] - y[i]));
    largest = std::max(largest, std::abs(y[i]));
  }
  return difference / std::max(largest, 1e-3);
}
void require_close(const Tensor& a, const Tensor& b) { REQUIRE(distance(a, b) < 1e-12); }

/// Computes every statement in turn; steps from number `first_step(i)` on have the same value.
void run(const Reading& reading, Values& values, const std::vector<std::size_t>& first_step) {
  for (const Statement& s : reading.forward) values[s.left] = evaluate(s.right, values);
  for (std::size_t i = 0; i < reading.backward.size(); ++i) {
    const Statement& s = reading.backward[i];
    INFO(to_string(s.left) << " = " << to_string(s.right));
    const Tensor value = evaluate(s.right, values);
    for (std::size_t k = first_step[i]; k < s.steps.size(); ++k) {
      INFO("step " << s.steps[k].identity << ": " << to_string(s.steps[k].result));
      require_close(evaluate(s.steps[k].result, values), value);
    }
    values[s.left] = value;
  }
}

/// All statements of a folded reading, each layer's, in an order in which they can be computed.
Reading unfolded(const Reading& whole, int depth) {
  Reading result = whole;
  const Reading short_form = folded(whole, depth);
  std::map<Symbol, Expression> forward, backward;
  for (const Statement& s : short_form.forward)
    for (const Statement& one : xg::unfolded(s)) forward[one.left] = one.right;
  for (const Statement& s : short_form.backward)
    for (const Statement& one : xg::unfolded(s)) backward[one.left] = one.right;
  REQUIRE(forward.size() == whole.forward.size());
  REQUIRE(backward.size() == whole.backward.size());
  for (Statement& s : result.forward) s.right = forward.at(s.left);
  for (Statement& s : result.backward) s.right = backward.at(s.left);
  for (Statement& s : result.backward) s.steps.clear();
  return result;
}

Symbol derivative_of(Symbol s) {
  s.role = Symbol::Role::derivative;
  return s;
}

/// The statements about the batch, and those about each example on average, give the gradient.
/// `leaves` are the tensors from outside in the order in which the tape met them.
Equations require_true(const Tensor& loss, const std::vector<Tensor>& leaves,
                       std::span<const ParameterRef> parameters = {}) {
  const Equations e = equations(loss, parameters);
  REQUIRE(e.leaves.size() == leaves.size());
  std::vector<Tensor> wrt, expected;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < leaves.size(); ++i)
    if (e.leaves[i].differentiated) {
      wrt.push_back(leaves[i]);
      places.push_back(i);
    }
  {
    const NoRecording scope;
    expected = gradient(loss, wrt);
  }
  const NoRecording scope;
  for (const Reading& reading : {e.batch, unfolded(e.batch, e.depth)}) {
    Values values;
    for (std::size_t i = 0; i < leaves.size(); ++i) values[e.leaves[i].in_batch] = leaves[i];
    run(reading, values, std::vector<std::size_t>(reading.backward.size(), 0));
    require_close(values.at({.letter = "C"}), loss);
    for (std::size_t k = 0; k < places.size(); ++k) {
      INFO("the batch's ∂C/∂" << to_string(e.leaves[places[k]].in_batch));
      require_close(values.at(derivative_of(e.leaves[places[k]].in_batch)), expected[k]);
    }
  }
  if (!e.example) {
    REQUIRE_FALSE(e.refusal.empty());
    return e;
  }
  std::vector<std::size_t> first;
  for (const Statement& s : e.batch.backward) first.push_back(s.steps.size());
  Reading folded_example = unfolded(*e.example, e.depth);
  for (const Reading& reading : {*e.example, folded_example}) {
    double cost = 0;
    std::vector<Tensor> average(places.size());
    for (std::int64_t x = 0; x < e.examples; ++x) {
      Values values;
      for (std::size_t i = 0; i < leaves.size(); ++i) {
        Tensor t = leaves[i];
        if (!e.leaves[i].differentiated && t.rank() == 2)
          t = transpose(slice(t, 0, x, x + 1));
        else if (t.rank() == 1)
          t = reshape(t, {-1, 1});
        values[e.leaves[i].in_example] = t;
      }
      run(reading, values, first);
      const double share = 1 / static_cast<double>(e.examples);
      cost += values.at({.letter = "C"}).item() * share;
      for (std::size_t k = 0; k < places.size(); ++k) {
        const Tensor g = values.at(derivative_of(e.leaves[places[k]].in_example)) * share;
        average[k] = average[k].defined() ? average[k] + g : g;
      }
    }
    require_close(Tensor(cost), loss);
    for (std::size_t k = 0; k < places.size(); ++k) {
      INFO("the average ∂C/∂" << to_string(e.leaves[places[k]].in_example));
      require_close(average[k], expected[k]);
    }
  }
  return e;
}

struct Case {
  std::vector<Tensor> leaves;
  ParameterRefs parameters;
  std::vector<nn::Dense> layers;

  explicit Case(const std::vector<std::int64_t>& sizes, std::int64_t examples = 4) {
    leaves.push_back(numbers({examples, sizes.front()}, -1, 1, 11));
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      layers.emplace_back(sizes[l - 1], sizes[l],
                          nn::DenseOptions{.seed = l, .dtype = DType::float64});
      leaves.push_back(layers.back().weight);
      leaves.push_back(layers.back().bias);
      for (const ParameterRef& p : layers.back().parameters())
        parameters.push_back(p.within("layer" + std::to_string(l)));
    }
    leaves.push_back(numbers({examples, sizes.back()}, 0.1, 0.9, 12));
  }
  const Tensor& x() const { return leaves.front(); }
  const Tensor& y() const { return leaves.back(); }
  Tensor z(nn::Activation f) const {
    Tensor result = layers[0](x());
    for (std::size_t l = 1; l < layers.size(); ++l) result = layers[l](f(result));
    return result;
  }
};

/// "z^1 = w^1 a^0 + b^1 ..." of the reading for one example.
std::vector<std::string> lines(const std::vector<Statement>& statements) {
  std::vector<std::string> result;
  for (const Statement& s : statements)
    result.push_back(to_string(s.left) + " = " + to_string(s.right) +
                     (s.mark.empty() ? "" : " " + s.mark));
  return result;
}

}  // namespace

TEST_CASE("equations: networks of every activation and cost") {
  const std::vector<std::vector<std::int64_t>> shapes{{3, 2}, {3, 5, 2}, {4, 3, 3, 3, 2}};
  for (const auto& sizes : shapes)
    for (const std::string_view name : nn::activation_names()) {
      INFO(name << " in " << sizes.size() - 1 << " layers");
      const nn::Activation f = nn::activation_from_name(name);
      const Case net(sizes);
      for (const std::string cost : {"quadratic", "cross-entropy", "stable", "log-likelihood"}) {
        if (cost == "cross-entropy" && name != "sigmoid") continue;
        INFO(cost);
        const Tape tape;
        const Tensor z = net.z(f);
        const Tensor loss = cost == "quadratic"       ? nn::quadratic_cost(f(z), net.y())
                            : cost == "cross-entropy" ? nn::cross_entropy_cost(f(z), net.y())
                            : cost == "stable"        ? nn::sigmoid_cross_entropy_cost(z, net.y())
                                                      : nn::log_likelihood_cost(z, net.y());
        const Equations e = require_true(loss, net.leaves, net.parameters);
        REQUIRE(e.example);
        REQUIRE(e.depth == static_cast<int>(sizes.size()) - 1);
      }
    }
}

TEST_CASE("equations: the book's network gives the book's equations") {
  const Case net({3, 5, 2});
  const Tape tape;
  const Equations e =
      require_true(nn::quadratic_cost(sigmoid(net.z(sigmoid)), net.y()), net.leaves);
  REQUIRE(lines(e.example->forward) == std::vector<std::string>{
                                           "a^0 = x",
                                           "z^1 = w^1 a^0 + b^1",
                                           "a^1 = σ(z^1)",
                                           "z^2 = w^2 a^1 + b^2",
                                           "a^2 = σ(z^2)",
                                           "C = ½‖a^2 − y‖²",
                                       });
  REQUIRE(lines(e.example->backward) == std::vector<std::string>{
                                            "δ^2 = (a^2 − y) ⊙ σ'(z^2) BP1",
                                            "δ^1 = ((w^2)ᵀ δ^2) ⊙ σ'(z^1) BP2",
                                            "∂C/∂b^1 = δ^1 BP3",
                                            "∂C/∂b^2 = δ^2 BP3",
                                            "∂C/∂w^1 = δ^1 (a^0)ᵀ BP4",
                                            "∂C/∂w^2 = δ^2 (a^1)ᵀ BP4",
                                        });
  const Reading batch = folded(e.batch, e.depth);
  REQUIRE(lines(batch.forward) == std::vector<std::string>{
                                      "A^0 = X",
                                      "Z^l = A^(l-1) (w^l)ᵀ + b^l",
                                      "A^l = σ(Z^l)",
                                      "C = 1/(2m) Σ (A^2 − Y)²",
                                  });
  REQUIRE(lines(batch.backward) == std::vector<std::string>{
                                       "Δ^2 = 1/m (A^2 − Y) ⊙ σ'(Z^2) BP1",
                                       "Δ^l = (Δ^(l+1) w^(l+1)) ⊙ σ'(Z^l) BP2",
                                       "∂C/∂b^l = Σ_x Δ^l BP3",
                                       "∂C/∂w^l = (Δ^l)ᵀ A^(l-1) BP4",
                                   });
}

TEST_CASE("equations: an affine map reads the same in one operation and in three") {
  const Case net({3, 5, 2});
  const auto text = [&](const auto& affine) {
    const Tape tape;
    const Tensor a = sigmoid(affine(net.x(), net.layers[0]));
    return equations(nn::quadratic_cost(sigmoid(affine(a, net.layers[1])), net.y())).text();
  };
  const std::string one = text([](const Tensor& x, const nn::Dense& d) { return d(x); });
  const std::string three = text(
      [](const Tensor& x, const nn::Dense& d) { return matmul(x, transpose(d.weight)) + d.bias; });
  REQUIRE_THAT(three, Equals(one));
}

TEST_CASE("equations: every operation of the catalogue") {
  for (const CatalogueEntry& entry : catalogue())
    for (const CatalogueEntry::Sample& sample : entry.samples) {
      if (!sample.error.empty()) continue;
      INFO(entry.name << ": " << sample.equation);
      std::vector<Tensor> inputs;
      bool some = false;
      for (const Tensor& t : sample.inputs) {
        inputs.push_back(detach(t));
        some = some || (is_floating(t.dtype()) && t.size() > 0);
      }
      const Tape tape;
      const Tensor y = sample.apply(inputs);
      if (!some || !is_floating(y.dtype()) || y.size() == 0) continue;
      const Tensor weights = numbers(y.shape(), 0.5, 2, 99, y.dtype());
      const Tensor loss = sum(square(y) * weights);
      std::vector<Tensor> leaves = inputs;
      leaves.push_back(weights);
      require_true(cast(loss, DType::float64), leaves);
    }
}
