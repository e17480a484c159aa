// A network of dense layers as the command line describes it, and its cost on a batch of random
// numbers: what `derive` and `graph` show.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"

struct BookNetwork {
  std::vector<std::int64_t> sizes{784, 30, 10};
  std::string activation = "sigmoid", cost = "quadratic";
  std::int64_t batch_size = 10;
  std::vector<xg::nn::Dense> layers{};
  xg::ParameterRefs parameters{};  // "layer1.weight", "layer1.bias", ...

  void add_options(CLI::App& app) {
    const auto& names = xg::nn::activation_names();
    const CLI::Validator neurons(
        [](std::string& text) {
          std::int64_t n = 0;
          return CLI::detail::lexical_cast(text, n) && n > 0
                     ? std::string()
                     : "a layer has 1 neuron or more, not " + text;
        },
        "1 or more");
    app.add_option("--layers", sizes, "neurons of each layer, the inputs first")
        ->delimiter(',')
        ->check(neurons)
        ->expected(2, 1000);
    app.add_option("--activation", activation, "of the neurons")
        ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())));
    app.add_option("--cost", cost,
                   "quadratic or cross-entropy from the activations; log-likelihood with softmax "
                   "outputs")
        ->check(CLI::IsMember({"quadratic", "cross-entropy", "log-likelihood"}));
    app.add_option("--batch-size", batch_size, "examples in the batch")->check(CLI::PositiveNumber);
  }

  /// Makes the layers; records their cost if a tape records.
  xg::Tensor record() {
    using namespace xg;
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      layers.emplace_back(sizes[l - 1], sizes[l], nn::DenseOptions{.seed = l});
      for (const ParameterRef& p : layers.back().parameters())
        parameters.push_back(p.within("layer" + std::to_string(l)));
    }
    const nn::Activation f = nn::activation_from_name(activation);
    const Key key{1};
    const Tensor x = random_uniform({batch_size, sizes.front()}, key.fold("x"), DType::float32);
    const Tensor y = random_uniform({batch_size, sizes.back()}, key.fold("y"), DType::float32);
    Tensor z = layers[0](x);
    for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](f(z));
    return cost == "quadratic"       ? nn::quadratic_cost(f(z), y)
           : cost == "cross-entropy" ? nn::cross_entropy_cost(f(z), y)
                                     : nn::log_likelihood_cost(z, y);
  }
};
