// "Derive it": records the cost of a network of dense layers once, and prints the equations that
// the tape has applied: for the book's network its four equations of backpropagation.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"

using namespace xg;

namespace {

struct Options {
  std::vector<std::int64_t> layers{784, 30, 10};
  std::string activation = "sigmoid", cost = "quadratic", format = "text", out;
  std::int64_t batch_size = 10;
  bool proofs = false;
};

std::optional<int> parse(int argc, char** argv, Options& o) {
  const auto& names = nn::activation_names();
  const CLI::Validator neurons(
      [](std::string& text) {
        std::int64_t n = 0;
        return CLI::detail::lexical_cast(text, n) && n > 0
                   ? std::string()
                   : "a layer has 1 neuron or more, not " + text;
      },
      "1 or more");
  CLI::App app{"Derives the equations of backpropagation from the tape of a network."};
  app.option_defaults()->always_capture_default();
  app.add_option("--layers", o.layers, "neurons of each layer, the inputs first")
      ->delimiter(',')
      ->check(neurons)
      ->expected(2, 1000);
  app.add_option("--activation", o.activation, "of the neurons")
      ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())));
  app.add_option("--cost", o.cost,
                 "quadratic or cross-entropy from the activations; log-likelihood with softmax "
                 "outputs")
      ->check(CLI::IsMember({"quadratic", "cross-entropy", "log-likelihood"}));
  app.add_option("--batch-size", o.batch_size, "examples in the batch")->check(CLI::PositiveNumber);
  app.add_option("--format", o.format,
                 "text; latex: a fragment for a document with amsmath; html: a page with MathML")
      ->check(CLI::IsMember({"text", "latex", "html"}));
  app.add_option("--out", o.out, "file to write to, instead of the terminal");
  app.add_flag("--proofs", o.proofs, "with every step from the chain rule on");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  return std::nullopt;
}

std::string derive(const Options& o) {
  std::vector<nn::Dense> layers;
  ParameterRefs parameters;
  for (std::size_t l = 1; l < o.layers.size(); ++l) {
    layers.emplace_back(o.layers[l - 1], o.layers[l]);
    for (const ParameterRef& p : layers.back().parameters())
      parameters.push_back(p.within("layer" + std::to_string(l)));
  }
  const nn::Activation activation = nn::activation_from_name(o.activation);
  const Key key{1};
  const Tensor x = random_uniform({o.batch_size, o.layers.front()}, key.fold("x"), DType::float32);
  const Tensor y = random_uniform({o.batch_size, o.layers.back()}, key.fold("y"), DType::float32);

  const Tape tape;
  Tensor z = layers[0](x);
  for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](activation(z));
  const Tensor cost = o.cost == "quadratic"       ? nn::quadratic_cost(activation(z), y)
                      : o.cost == "cross-entropy" ? nn::cross_entropy_cost(activation(z), y)
                                                  : nn::log_likelihood_cost(z, y);
  const Equations found = equations(cost, parameters);
  if (o.format == "latex") return found.latex(o.proofs);
  if (o.format == "html") return found.html(o.proofs);
  return found.text(o.proofs);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;
  try {
    const std::string page = derive(options);
    if (options.out.empty()) {
      std::cout << page;
      return 0;
    }
    std::ofstream file(options.out);
    if (file << page) return 0;
    std::cerr << "derive: " << options.out << ": cannot be written\n";
    return 2;
  } catch (const Error& e) {
    std::cerr << "derive: " << e.what() << '\n';
    return 2;
  }
}
