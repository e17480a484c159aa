// Why backpropagation is fast: the gradient of networks of 10 to 10^6 weights by finite
// differences, one forward pass for each weight, and by one pass forward and one backward. Prints
// processor times and draws them with gnuplot. Argument: how the plots' files begin.
#include <algorithm>
#include <autograd/autograd.hpp>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nn/nn.hpp>

#include "report/plot.hpp"

using namespace xg;

namespace {

struct Network : nn::Module {
  nn::Dense hidden, output;
  explicit Network(std::int64_t n)
      : hidden(n, n, {.seed = 1, .dtype = DType::float64}),
        output(n, n, {.seed = 2, .dtype = DType::float64}) {}
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return sigmoid(output(sigmoid(hidden(x)))); }
};

/// Processor time, which does not count what else the machine does.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// The median times of one call of f and one of g, of 15 blocks of calls in turns, each of a
/// millisecond or more.
template <class F, class G>
std::pair<double, double> times_of(const F& f, const G& g) {
  const auto block = [](const auto& call, int calls) {
    const double start = seconds();
    for (int i = 0; i < calls; ++i) call();
    return seconds() - start;
  };
  int calls = 1;
  while (std::min(block(f, calls), block(g, calls)) < 0.001) calls *= 2;
  std::vector<double> of_f, of_g;
  for (int i = 0; i < 15; ++i) {
    of_f.push_back(block(f, calls) / calls);
    of_g.push_back(block(g, calls) / calls);
  }
  const auto median = [](std::vector<double>& times) {
    std::nth_element(times.begin(), times.begin() + 7, times.end());
    return times[7];
  };
  return {median(of_f), median(of_g)};
}

/// A row of the table; times in seconds.
struct Row {
  std::int64_t weights;
  double forward, gradient, differences;
  std::int64_t measured;  // weights by which the cost was differentiated by differences
};

/// The parameter at `index` moved by h at one of its elements.
Tensor moved(const Tensor& w, std::int64_t element, double h) {
  std::vector<double> values(w.values<double>().begin(), w.values<double>().end());
  values[static_cast<std::size_t>(element)] += h;
  return Tensor(values, w.shape());
}

Row measure(std::int64_t neurons, bool& agree) {
  const Network net(neurons);
  const Tensor x = random_normal({100, neurons}, Key{3}, DType::float64);
  const Tensor y = random_uniform({100, neurons}, Key{4}, DType::float64);
  const auto cost = [&] { return nn::quadratic_cost(net(x), y); };
  const ParameterRefs parameters = net.parameters();

  std::vector<Tensor> g;
  const auto [forward, both] = times_of([&] { cost(); },
                                        [&] {
                                          const Tape tape;
                                          const Tensor C = cost();
                                          const NoRecording scope;
                                          g = gradient(C, parameters);
                                          for (const Tensor& t : g)  // now, not when needed
                                            static_cast<void>(t.values<double>());
                                        });
  Row row{nn::parameter_count(net), forward, both, 0, 0};

  // One weight after the other, as long as it takes a second.
  const double h = 1e-6, C = cost().item(), start = seconds();
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const Tensor before = parameters[k].value();
    const double largest = max(abs(g[k])).item();
    for (std::int64_t i = 0; i < before.size() && seconds() - start < 1; ++i, ++row.measured) {
      parameters[k].assign(moved(before, i, h));
      const double by_differences = (cost().item() - C) / h;
      const double by_tape = g[k].values<double>()[static_cast<std::size_t>(i)];
      agree = agree && std::abs(by_differences - by_tape) < 1e-3 * largest;
    }
    parameters[k].assign(before);
  }
  row.differences =
      (seconds() - start) / static_cast<double>(row.measured) * static_cast<double>(row.weights);
  return row;
}

/// The times of a gradient, in seconds or in forward passes.
plot::Plot plot_of(const std::vector<Row>& rows, bool in_passes) {
  plot::Series tape{"gradient by the tape", {}, {}}, measured{"differences", {}, {}},
      extrapolated{"extrapolated", {}, {}};
  for (const Row& r : rows) {
    const auto add = [&](plot::Series& to, double time) {
      to.x.push_back(static_cast<double>(r.weights));
      to.y.push_back(in_passes ? time / r.forward : time);
    };
    add(tape, r.gradient);
    if (r.measured == r.weights) {
      add(measured, r.differences);
      extrapolated = {extrapolated.name, {}, {}};  // it begins where the measured line ends
    }
    add(extrapolated, r.differences);
  }
  const std::string unit = in_passes ? "forward passes" : "seconds";
  return {.title = "Time of a gradient in " + unit + " over the number of weights",
          .x_label = "weights",
          .y_label = unit,
          .series = {tape, measured, extrapolated},
          .log_x = true,
          .log_y = true};
}

void draw(const std::vector<Row>& rows, const std::string& name) {
  for (const bool in_passes : {false, true}) {
    const std::string path = name + (in_passes ? "_in_passes.svg" : ".svg");
    std::ofstream file(path);
    if (!(file << plot::svg(plot_of(rows, in_passes))))
      throw FileError("[why_fast] " + path + " cannot be written");
    std::cout << "plotted in " << path << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Row> rows;
  bool agree = true;
  std::printf("%9s  %10s  %10s  %10s  %12s  %12s\n", "weights", "forward", "gradient", "gradient",
              "finite", "differences");
  std::printf("%9s  %10s  %10s  %10s  %12s  %12s\n", "", "µs", "µs", "/ forward", "differ., s",
              "/ gradient");
  for (const std::int64_t neurons : {2, 7, 22, 70, 223, 707}) {
    const Row r = measure(neurons, agree);
    rows.push_back(r);
    std::printf("%9lld  %10.1f  %10.1f  %10.1f  %11.3g%s  %12.0f\n",
                static_cast<long long>(r.weights), r.forward * 1e6, r.gradient * 1e6,
                r.gradient / r.forward, r.differences, r.measured < r.weights ? "*" : " ",
                r.differences / r.gradient);
  }
  std::printf(
      "* extrapolated: time of the first weights, for as long as a second,\n"
      "  times all weights\n");
  std::printf("%s\n", agree ? "where both were computed, they agree"
                            : "finite differences and tape DISAGREE");
  try {
    draw(rows, argc > 1 ? argv[1] : "why_fast");
  } catch (const Error& e) {
    std::cout << "No plot: " << e.what() << '\n';
  }
  return agree ? 0 : 1;
}
