// The equations of networks and of every operation are true, and the book's are the book's.
#include "tests/support/equations.hpp"
#include "autograd/catalogue.hpp"
#include "nn/nn.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::Equals;

namespace {

struct Case {
  std::vector<Tensor> leaves;
  ParameterRefs parameters;
  std::vector<nn::Dense> layers;

  /// With an `output_bias` the last z are close to it.
  explicit Case(const std::vector<std::int64_t>& sizes, std::int64_t examples = 4,
                std::optional<double> output_bias = {}) {
    leaves.push_back(numbers({examples, sizes.front()}, -1, 1, 11));
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      layers.emplace_back(sizes[l - 1], sizes[l],
                          nn::DenseOptions{.seed = l, .dtype = DType::float64});
      if (output_bias && l + 1 == sizes.size())
        for (const ParameterRef& p : layers.back().parameters())
          p.assign(p.value() * 0.01 + (p.value().rank() == 1 ? *output_bias : 0.0));
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

TEST_CASE("equations: random networks of every activation and cost") {
  const auto drawn = [](Key key, const char* what, std::int64_t low, std::int64_t high) {
    return static_cast<std::int64_t>(random_uniform({}, key.fold(what), DType::float64,
                                                    static_cast<double>(low),
                                                    static_cast<double>(high) + 1)
                                         .item());
  };
  std::uint64_t seed = 0;
  for (const std::string_view name : nn::activation_names())
    for (const std::string cost : {"quadratic", "cross-entropy", "stable", "log-likelihood"}) {
      const Key key{++seed};
      std::vector<std::int64_t> sizes;
      const std::int64_t depth = drawn(key, "depth", 1, 4);
      for (std::int64_t l = 0; l <= depth; ++l)
        sizes.push_back(drawn(key.fold(static_cast<std::uint64_t>(l)), "size", 1, 6));
      const std::int64_t examples = drawn(key, "examples", 2, 9);
      INFO(name << ", " << cost << ", layers " << to_string(Shape(sizes)) << ", " << examples
                << " examples");
      const nn::Activation f = nn::activation_from_name(name);
      // Outputs between 0 and 1, where cross-entropy is defined.
      const Case net(sizes, examples, name == "softplus" ? -0.5 : 0.5);
      const Tensor a = f(net.z(f));
      REQUIRE(min(a).item() > 0.05);
      REQUIRE(max(a).item() < 0.95);
      const Tape tape;
      const Tensor z = net.z(f);
      const Tensor loss = cost == "quadratic"       ? nn::quadratic_cost(f(z), net.y())
                          : cost == "cross-entropy" ? nn::cross_entropy_cost(f(z), net.y())
                          : cost == "stable"        ? nn::sigmoid_cross_entropy_cost(z, net.y())
                                                    : nn::log_likelihood_cost(z, net.y());
      const Equations e = require_true(loss, net.leaves, net.parameters);
      REQUIRE(e.depth == static_cast<int>(depth));
      REQUIRE(e.example);
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
  const DerivationStep& raw = e.example->backward[1].steps[0];
  REQUIRE(raw.identity == "the chain rule");
  REQUIRE(to_string(raw.result) == "J_sigmoid(Z^1)ᵀ J_linear,1(A^1, w^2, b^2)ᵀ Δ^2");
  const Reading batch = folded(e.batch, e.depth);
  REQUIRE(lines(batch.forward) == std::vector<std::string>{
                                      "A^0 = X",
                                      "Z^l = A^(l-1) (w^l)ᵀ + b^l",
                                      "A^l = σ(Z^l)",
                                      "C = 1/(2m)‖A^2 − Y‖²",
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
