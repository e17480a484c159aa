// The big picture: the derivative of the cost by one weight as a sum over all paths from that
// weight to the cost, path by path, and how many paths there are beside the tape's nodes.
#include <autograd/autograd.hpp>
#include <cmath>
#include <cstdio>
#include <nn/nn.hpp>
#include <string>

using namespace xg;

namespace {

/// A network of one example, with what stands on each edge of the picture: how a neuron's
/// activation changes with that of a neuron one layer before.
struct Picture {
  std::vector<nn::Dense> layers;
  std::vector<Tensor> a;      // a[l]: activations of layer l, (1, neurons)
  std::vector<Tensor> edges;  // edges[l](q, j) = ∂a^l_q / ∂a^(l-1)_j
  Tensor first;               // ∂a^1_j / ∂w^1_jk, (neurons of layer 1, inputs)
  Tensor last;                // ∂C / ∂a^L_m
  double gradient = 0;        // ∂C / ∂w^1_11 by the tape
  std::size_t nodes = 0;      // of that tape

  explicit Picture(const std::vector<std::int64_t>& sizes) {
    for (std::size_t l = 1; l < sizes.size(); ++l)
      layers.emplace_back(sizes[l - 1], sizes[l],
                          nn::DenseOptions{.initialiser = nn::initialisers::standard_normal,
                                           .seed = l,
                                           .dtype = DType::float64});
    const Tensor y = random_uniform({1, sizes.back()}, Key{2}, DType::float64);
    const auto cost = [&](const Tensor& out) { return nn::quadratic_cost(out, y); };

    a.push_back(random_normal({1, sizes[0]}, Key{1}, DType::float64));
    edges.emplace_back();
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      const auto layer = [&](const Tensor& x) { return sigmoid(layers[l - 1](x)); };
      edges.push_back(local(layer, a[l - 1]));
      a.push_back(layer(a[l - 1]));
    }
    // A weight of the first layer reaches one neuron: row j of the Jacobian is not 0 in row j.
    first =
        xg::gradient([&](const Tensor& w) { return sum(sigmoid(linear(a[0], w, layers[0].bias))); },
                     layers[0].weight);
    last = xg::gradient(cost, a.back());

    const Tape tape;
    Tensor out = a[0];
    for (const nn::Dense& layer : layers) out = sigmoid(layer(out));
    const Tensor C = cost(out);
    nodes = tape.size();
    const NoRecording scope;
    gradient = xg::gradient(C, layers[0].weight).at({0, 0});
  }

  /// The Jacobian of one layer, row by row.
  template <class F>
  static Tensor local(const F& f, const Tensor& x) {
    std::vector<Tensor> rows;
    const std::int64_t outputs = f(x).size();
    for (std::int64_t q = 0; q < outputs; ++q)
      rows.push_back(
          xg::gradient([&](const Tensor& v) { return sum(slice(f(v), 1, q, q + 1)); }, x));
    return concatenate(rows, 0);
  }
};

/// What the walk over all paths found.
struct Sum {
  double total = 0;
  long paths = 0;
};

/// All ways on from neuron `j` of layer `l`. `route` and `factors` are what was passed so far, and
/// `product` is the product of the factors.
void walk(const Picture& p, std::size_t l, std::int64_t j, double product, const std::string& route,
          const std::string& factors, bool print, Sum& sum) {
  const auto with = [&](double factor) {
    char text[32];
    std::snprintf(text, sizeof text, " · %+.3f", factor);
    return print ? factors + text : factors;
  };
  if (l + 1 == p.a.size()) {
    const double last = p.last.at({0, j});
    sum.total += product * last;
    ++sum.paths;
    if (print)
      std::printf("  %s → C   %s = %+.6f\n", route.c_str(), with(last).c_str(), product * last);
    return;
  }
  for (std::int64_t q = 0; q < p.a[l + 1].extent(1); ++q) {
    const double edge = p.edges[l + 1].at({q, j});
    const std::string neuron = " → a^" + std::to_string(l + 1) + "_" + std::to_string(q + 1);
    walk(p, l + 1, q, product * edge, print ? route + neuron : route, with(edge), print, sum);
  }
}

Sum over_paths(const Picture& p, bool print) {
  Sum sum;
  const double first = p.first.at({0, 0});
  char text[32];
  std::snprintf(text, sizeof text, "%+.3f", first);
  walk(p, 1, 0, first, "w^1_11 → a^1_1", text, print, sum);
  return sum;
}

const char* verdict(const Picture& p, const Sum& sum) {
  return std::abs(sum.total - p.gradient) < 1e-12 * std::abs(p.gradient) + 1e-18 ? "yes" : "NO";
}

}  // namespace

int main() {
  const Picture small({2, 3, 3, 2});
  std::printf("network [2, 3, 3, 2]: every path from w^1_11 to the cost\n");
  const Sum sum = over_paths(small, true);
  std::printf("  the sum of the %ld paths   %+.6f\n", sum.paths, sum.total);
  std::printf("  ∂C/∂w^1_11 by the tape    %+.6f   equal: %s\n\n", small.gradient,
              verdict(small, sum));

  std::printf("%7s  %9s  %10s  %s\n", "layers", "paths", "tape nodes", "sum over paths = tape");
  for (const std::size_t depth : {2u, 3u, 4u, 6u, 8u, 10u, 12u}) {
    std::vector<std::int64_t> sizes(depth + 1, 3);
    const Picture deep(sizes);
    const Sum all = over_paths(deep, false);
    std::printf("%7zu  %9ld  %10zu  %s\n", depth, all.paths, deep.nodes, verdict(deep, all));
  }
}
