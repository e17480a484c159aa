// Trains a network of dense layers on handwritten digits or clothes: the main job of xgrad.
#include <tbb/global_control.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "autograd/autograd.hpp"
#include "datasets/datasets.hpp"
#include "nn/nn.hpp"
#include "optim/optim.hpp"
#include "report/report.hpp"
#include "tests/support/hand_derived.hpp"
#include "train/options.hpp"
#include "train/progress.hpp"

using namespace xg;

namespace {

volatile std::sig_atomic_t interrupted = 0;

/// Dense layers with one activation; gives the weighted inputs of the last layer.
struct Network : nn::Module {
  std::vector<nn::Dense> layers;
  nn::Activation activation;

  explicit Network(const Options& o) : activation(nn::activation_from_name(o.activation)) {
    for (std::size_t l = 1; l < o.layers.size(); ++l)
      layers.emplace_back(o.layers[l - 1], o.layers[l],
                          nn::DenseOptions{.dtype = dtype_from_name(o.dtype)});
    nn::initialise(*this, nn::initialiser_from_name(o.init), o.seed);
  }
  nn::Members members() const override {
    nn::Members result;
    for (std::size_t l = 0; l < layers.size(); ++l)
      result.push_back({"layer" + std::to_string(l + 1), layers[l]});
    return result;
  }
  Tensor forward(const Tensor& x) const override {
    Tensor z = layers[0](x);
    for (std::size_t l = 1; l < layers.size(); ++l) z = layers[l](activation(z));
    return z;
  }
};

datasets::Split load(const Options& o) {
  const DType dtype = dtype_from_name(o.dtype);
  if (o.dataset == "digits") return datasets::digits(dtype);
  if (o.dataset == "mnist") return datasets::mnist(o.data_dir, dtype);
  return datasets::fashion_mnist(
      o.data_dir.empty() ? "/usr/share/datasets/fashion-mnist" : o.data_dir, dtype);
}

void fit_layers(Options& o, const datasets::Dataset& data) {
  const std::int64_t inputs = data.inputs.extent(1), classes = data.targets.extent(1);
  if (o.layers.empty()) o.layers = {inputs, 30, classes};
  if (o.layers.front() != inputs || o.layers.back() != classes)
    throw ValueError(detail::text("[train] --layers must begin with ", inputs, " and end with ",
                                  classes, " for ", o.dataset, ", not with ", o.layers.front(),
                                  " and ", o.layers.back()));
}

Tensor cost(const Options& o, const Network& net, const datasets::Batch& batch) {
  const Tensor z = net(batch.inputs);
  if (o.cost == "cross-entropy") return nn::sigmoid_cross_entropy_cost(z, batch.targets);
  if (o.cost == "log-likelihood") return nn::log_likelihood_cost(z, batch.targets);
  return nn::quadratic_cost(net.activation(z), batch.targets);
}

/// One row for each example; its largest element is the network's answer.
Tensor outputs(const Options& o, const Network& net, const Tensor& inputs) {
  const Tensor z = net(inputs);
  return o.cost == "quadratic" ? net.activation(z) : z;
}

/// Correct answers, counted over batches that fit the cache.
std::int64_t count_correct(const Options& o, const Network& net, const datasets::Dataset& data) {
  std::int64_t correct = 0;
  for (const auto& batch : datasets::Loader{data, {.batch_size = 500, .shuffle = false}})
    correct += nn::count_correct(outputs(o, net, batch.inputs), batch.labels);
  return correct;
}

std::vector<double> numbers(const Tensor& t) {
  const Tensor wide = cast(t, DType::float64);
  const auto values = wide.values<double>();
  return {values.begin(), values.end()};
}

/// The largest difference between the tape's gradient and the one derived by hand, as a share of
/// the largest entry; nothing if the activation's derivative is not written down there.
std::optional<double> distance_from_hand(const Options& o, const Network& net,
                                         const datasets::Batch& batch) {
  hand::Network by_hand{{}, hand::neuron(o.activation), o.cost};
  if (!by_hand.activation.f) return std::nullopt;
  for (const nn::Dense& layer : net.layers)
    by_hand.layers.push_back({static_cast<std::size_t>(layer.weight.shape()[1]),
                              static_cast<std::size_t>(layer.weight.shape()[0]),
                              numbers(layer.weight), numbers(layer.bias)});
  const auto expected =
      hand::gradient(by_hand, numbers(batch.inputs).data(), numbers(batch.targets).data(),
                     static_cast<std::size_t>(batch.size()));
  const auto tape = value_and_gradient([&] { return cost(o, net, batch); }, net.parameters());
  double difference = 0, largest = 0;
  for (std::size_t l = 0; l < expected.size(); ++l)
    for (const auto& [mine, theirs] : {std::pair{&tape.gradients[2 * l], &expected[l].w},
                                       std::pair{&tape.gradients[2 * l + 1], &expected[l].b}}) {
      const std::vector<double> values = numbers(*mine);
      for (std::size_t i = 0; i < values.size(); ++i) {
        difference = std::max(difference, std::abs(values[i] - (*theirs)[i]));
        largest = std::max(largest, std::abs((*theirs)[i]));
      }
    }
  return largest > 0 ? difference / largest : difference;
}

int train(Options o) {
  const auto [training, test] = load(o);
  fit_layers(o, training);
  const Network net(o);
  std::ofstream log;
  if (!o.log.empty()) {
    log.open(o.log);
    if (!log) throw FileError("[train] " + o.log + ": cannot be written");
  }
  std::optional<Report> report;
  if (!o.report.empty())
    report.emplace(o, Watched{net.parameters(), [&](const auto& b) { return cost(o, net, b); },
                              [&](const Tensor& x) { return outputs(o, net, x); }, training, test});
  std::string shape;
  for (const std::int64_t neurons : o.layers)
    shape += (shape.empty() ? "" : ", ") + std::to_string(neurons);
  std::printf("%s: %lld examples to train on, %lld to test\n", o.dataset.c_str(),
              static_cast<long long>(training.size()), static_cast<long long>(test.size()));
  std::printf("[%s] %s, %s cost, %lld parameters in %s, %s, batches of %lld, eta %g, seed %llu\n",
              shape.c_str(), o.activation.c_str(), o.cost.c_str(),
              static_cast<long long>(nn::parameter_count(net)), o.dtype.c_str(), o.init.c_str(),
              static_cast<long long>(o.batch_size), o.learning_rate,
              static_cast<unsigned long long>(o.seed));

  optim::SGD sgd{net.parameters(), {.learning_rate = o.learning_rate}};
  datasets::Loader loader{training, {.batch_size = o.batch_size, .seed = o.seed}};
  datasets::Batch last;
  std::int64_t seen = 0, best = -1, best_epoch = 0, epoch = 1;
  double training_seconds = 0;
  bool diverged = false;
  Progress progress(o.epochs * training.size());
  for (; epoch <= o.epochs && !interrupted && !diverged; ++epoch) {
    const std::string label = "epoch " + std::to_string(epoch) + "/" + std::to_string(o.epochs);
    const double before = progress.seconds();
    double total_cost = 0;
    std::int64_t examples = 0;
    for (const auto& batch : loader) {
      const double c = sgd.step(batch, [&](const auto& b) { return cost(o, net, b); });
      last = batch;
      total_cost += c * static_cast<double>(batch.size());
      examples += batch.size();
      seen += batch.size();
      progress.show(seen, label);
      diverged = !std::isfinite(c);
      if (interrupted || diverged) break;
      if (report) report->after(seen);
    }
    const double seconds = progress.seconds() - before;
    training_seconds += seconds;
    progress.clear();
    if (interrupted || diverged) break;
    const std::int64_t correct = count_correct(o, net, test);
    if (correct > best) {
      best = correct;
      best_epoch = epoch;
    }
    const double mean_cost = total_cost / static_cast<double>(examples);
    const double accuracy = static_cast<double>(correct) / static_cast<double>(test.size());
    const double rate = static_cast<double>(examples) / seconds;
    std::printf("%s  cost %.5f  test %lld / %lld = %.2f %%  %.0f examples/s\n", label.c_str(),
                mean_cost, static_cast<long long>(correct), static_cast<long long>(test.size()),
                100 * accuracy, rate);
    std::fflush(stdout);
    if (log.is_open())
      log << nlohmann::json{{"epoch", epoch},
                            {"cost", mean_cost},
                            {"correct", correct},
                            {"test_examples", test.size()},
                            {"accuracy", accuracy},
                            {"seconds", seconds},
                            {"examples_per_second", rate}}
          << std::endl;
  }

  std::string ending;
  if (diverged) {
    ending = detail::text("the cost is no longer finite in epoch ", epoch, ", after ", seen,
                          " examples; try a smaller --learning-rate");
    std::fprintf(stderr, "train: %s\n", ending.c_str());
  } else if (interrupted) {
    ending = detail::text("interrupted in epoch ", epoch);
    std::printf("%s\n", ending.c_str());
  }
  if (best >= 0)
    std::printf("best: %.2f %% after epoch %lld\n",
                100 * static_cast<double>(best) / static_cast<double>(test.size()),
                static_cast<long long>(best_epoch));
  std::printf("%lld examples in %.2f s of training\n", static_cast<long long>(seen),
              training_seconds);
  if (!diverged && last.size() > 0)
    if (const auto distance = distance_from_hand(o, net, last))
      std::printf(
          "on the last batch the tape's gradient (%s) and backpropagation derived by hand "
          "(float64) differ by %.1e of the largest entry\n",
          o.dtype.c_str(), *distance);
  if (report) {
    report->write(seen, ending);
    std::printf("report: %s\n", report->file().c_str());
  }
  return diverged ? 1 : interrupted ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse(argc, argv, options)) return *code;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::optional<tbb::global_control> limit;
  if (options.threads > 0)
    limit.emplace(tbb::global_control::max_allowed_parallelism,
                  static_cast<std::size_t>(options.threads));
  try {
    return train(options);
  } catch (const Error& e) {
    std::fprintf(stderr, "train: %s\n", e.what());
    return 2;
  }
}
