// The picture of a recorded graph: writes that of a network of dense layers as Graphviz DOT and,
// where the program dot is installed, as SVG: operations, shapes, parameters, forward and backward.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"

using namespace xg;

namespace {

struct Options {
  std::vector<std::int64_t> layers{784, 30, 10};
  std::string activation = "sigmoid", cost = "quadratic", out = "graph";
  std::int64_t batch_size = 10;
  bool forward_only = false;
  GraphOptions picture;
};

std::optional<int> parse(int argc, char** argv, Options& o) {
  const auto& names = nn::activation_names();
  CLI::App app{"Draws what the tape of a network has recorded."};
  app.option_defaults()->always_capture_default();
  app.add_option("--layers", o.layers, "neurons of each layer, the inputs first")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->expected(2, 1000);
  app.add_option("--activation", o.activation, "of the neurons")
      ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())));
  app.add_option("--cost", o.cost,
                 "quadratic or cross-entropy from the activations; log-likelihood with softmax "
                 "outputs")
      ->check(CLI::IsMember({"quadratic", "cross-entropy", "log-likelihood"}));
  app.add_option("--batch-size", o.batch_size, "examples in the batch")->check(CLI::PositiveNumber);
  app.add_flag("--forward-only", o.forward_only, "without the way back");
  app.add_flag("--values", o.picture.values, "with the numbers of each node");
  app.add_flag("--norms", o.picture.norms, "with the norm of each adjoint");
  app.add_option("--fold-above", o.picture.fold_above,
                 "nodes above which equal blocks are drawn once");
  app.add_option("--out", o.out, "files to write to, without .dot and .svg");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  o.picture.backward = !o.forward_only;
  return std::nullopt;
}

Graph draw(const Options& o) {
  std::vector<nn::Dense> layers;
  ParameterRefs parameters;
  for (std::size_t l = 1; l < o.layers.size(); ++l) {
    layers.emplace_back(o.layers[l - 1], o.layers[l], nn::DenseOptions{.seed = l});
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
  return graph(cost, parameters, o.picture);
}

void write(const std::string& name, const std::string& content) {
  std::ofstream file(name);
  if (!(file << content)) throw FileError(name + ": cannot be written");
  std::cout << name << ": written\n";
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;
  try {
    const Graph picture = draw(options);
    write(options.out + ".dot", picture.dot());
    try {
      write(options.out + ".svg", picture.svg());
    } catch (const ProgramError& e) {
      std::cout << "no SVG: " << e.what() << '\n';
    }
    return 0;
  } catch (const Error& e) {
    std::cerr << "graph: " << e.what() << '\n';
    return 2;
  }
}
