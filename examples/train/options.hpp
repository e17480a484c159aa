// The command line of `train`: what can be said, and what is refused.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/nn.hpp"

struct Options {
  std::string dataset = "digits", data_dir, activation = "sigmoid", cost = "quadratic";
  std::string init = "scaled-normal", dtype = "float32", log, report;
  std::vector<std::int64_t> layers;  // empty: the data's inputs, 30, its classes
  std::int64_t epochs = 30, batch_size = 10;
  double learning_rate = 3.0;
  int threads = 0;
  std::uint64_t seed = 1;
};

/// The options, or the exit code of a program that should end now (help, or nonsense refused with
/// what is allowed).
inline std::optional<int> parse(int argc, char** argv, Options& o) {
  const auto names = [](const auto& list) {
    return CLI::IsMember(std::vector<std::string>(list.begin(), list.end()));
  };
  const auto positive = [](const char* what) {
    return CLI::Validator(
        [what](std::string& text) {
          double value = 0;
          const bool number = CLI::detail::lexical_cast(text, value);
          return number && value > 0 && std::isfinite(value)
                     ? std::string()
                     : "'" + text + "' is not allowed; " + what + " above 0 is";
        },
        "POSITIVE");
  };
  const auto whole = positive("a whole number");
  CLI::App app{"Trains a network of dense layers; every gradient comes from the tape."};
  app.option_defaults()->always_capture_default();
  app.add_option("--dataset", o.dataset, "what to learn")
      ->check(CLI::IsMember({"digits", "fashion-mnist", "mnist"}));
  app.add_option("--data-dir", o.data_dir, "folder of the IDX files (mnist needs it)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--layers", o.layers,
                 "neurons of each layer, the inputs first (default: inputs,30,classes)")
      ->delimiter(',')
      ->check(whole);
  app.add_option("--activation", o.activation, "of the neurons")
      ->check(names(xg::nn::activation_names()));
  app.add_option("--cost", o.cost,
                 "quadratic from the activations; cross-entropy with sigmoid outputs; "
                 "log-likelihood with softmax outputs")
      ->check(CLI::IsMember({"quadratic", "cross-entropy", "log-likelihood"}));
  app.add_option("--epochs", o.epochs, "passes over the data")->check(whole);
  app.add_option("--batch-size", o.batch_size, "examples in a step")->check(whole);
  app.add_option("--learning-rate", o.learning_rate, "eta")->check(positive("a number"));
  app.add_option("--init", o.init, "starting weights and biases")
      ->check(names(xg::nn::initialiser_names()));
  app.add_option("--dtype", o.dtype, "type of all numbers")
      ->check(CLI::IsMember({"float32", "float64"}));
  app.add_option("--threads", o.threads, "threads at the most; 0: all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", o.seed, "of the starting weights and the order of the examples");
  app.add_option("--log", o.log, "file for one JSON line an epoch");
  app.add_option("--report", o.report,
                 "folder for a page, index.html, on the training: curves, gradients, weights, "
                 "mistakes, equations; needs the program gnuplot (Debian: gnuplot-nox)");
  try {
    app.parse(argc, argv);
    if (o.dataset == "mnist" && o.data_dir.empty())
      throw CLI::ValidationError("--data-dir", "mnist is read from a folder: name it");
    if (o.layers.size() == 1)
      throw CLI::ValidationError("--layers", "at least two numbers: inputs and outputs");
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  return std::nullopt;
}
