// The picture of a recorded graph: writes that of a network of dense layers as Graphviz DOT and,
// where the program dot is installed, as SVG: operations, shapes, parameters, forward and backward.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "examples/book_network.hpp"

using namespace xg;

namespace {

struct Options {
  BookNetwork network;
  std::string out = "graph";
  bool forward_only = false;
  GraphOptions picture;
};

std::optional<int> parse(int argc, char** argv, Options& o) {
  CLI::App app{"Draws what the tape of a network has recorded."};
  app.option_defaults()->always_capture_default();
  o.network.add_options(app);
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

Graph draw(Options& o) {
  const Tape tape;
  const Tensor cost = o.network.record();
  return graph(cost, o.network.parameters, o.picture);
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
