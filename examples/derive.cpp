// "Derive it": records the cost of a network of dense layers once, and prints the equations that
// the tape has applied: for the book's network its four equations of backpropagation.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "examples/book_network.hpp"

using namespace xg;

namespace {

struct Options {
  BookNetwork network;
  std::string format = "text", out;
  bool proofs = false;
};

std::optional<int> parse(int argc, char** argv, Options& o) {
  CLI::App app{"Derives the equations of backpropagation from the tape of a network."};
  app.option_defaults()->always_capture_default();
  o.network.add_options(app);
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

std::string derive(Options& o) {
  const Tape tape;
  const Tensor cost = o.network.record();
  const ParameterRefs& parameters = o.network.parameters;
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
