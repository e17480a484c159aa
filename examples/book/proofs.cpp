// The proofs of the four equations: every step from the chain rule to BP1 to BP4, as the rewriter
// took it on the tape of a network, each step computed and compared with the tape's gradient.
// Arguments: the equations to prove, e.g. BP2; all four without any.
#include <algorithm>
#include <autograd/autograd.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <nn/nn.hpp>

using namespace xg;

namespace {

struct Proven {
  const char* mark;
  const char* claim;
};
constexpr Proven all[] = {{"BP1", "the error of the output layer"},
                          {"BP2", "the error of a layer from that of the next"},
                          {"BP3", "the derivative by a bias is the error"},
                          {"BP4", "the derivative by a weight is the error times what came in"}};

/// A network of three layers, and its cost on a batch.
struct Network {
  std::vector<nn::Dense> layers;
  ParameterRefs parameters;

  Network() {
    const std::int64_t sizes[] = {4, 5, 5, 3};
    for (std::size_t l = 1; l < 4; ++l) {
      layers.emplace_back(sizes[l - 1], sizes[l],
                          nn::DenseOptions{.seed = l, .dtype = DType::float64});
      for (const ParameterRef& p : layers.back().parameters()) parameters.push_back(p);
    }
  }
  Tensor cost(const Tensor& x, const Tensor& y, std::vector<Tensor>& z) const {
    Tensor a = x;
    z.clear();
    for (const nn::Dense& layer : layers) {
      z.push_back(layer(a));
      a = sigmoid(z.back());  // swap it
    }
    return nn::quadratic_cost(a, y);
  }
};

/// What the tape says of the derivatives in a reading: δ^l, ∂C/∂w^l and ∂C/∂b^l.
std::map<Symbol, Tensor> by_tape(const Network& net, const Tensor& x, const Tensor& y,
                                 bool columns) {
  std::map<Symbol, Tensor> result;
  std::vector<Tensor> wrt;
  const Tape tape;
  const Tensor C = net.cost(x, y, wrt);
  for (const ParameterRef& p : net.parameters) wrt.push_back(p.value());
  const NoRecording scope;
  const std::vector<Tensor> g = gradient(C, wrt);
  for (int l = 1; l <= 3; ++l) {
    const auto i = static_cast<std::size_t>(l - 1);
    const auto derivative = Symbol::Role::derivative;
    result[{.letter = columns ? "δ" : "Δ", .layer = l}] = columns ? transpose(g[i]) : g[i];
    result[{.letter = "w", .role = derivative, .layer = l}] = g[3 + 2 * i];
    const Tensor& b = g[4 + 2 * i];
    result[{.letter = "b", .role = derivative, .layer = l}] = columns ? expand_dims(b, 1) : b;
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::none_of(std::begin(all), std::end(all),
                     [&](const Proven& p) { return std::strcmp(argv[i], p.mark) == 0; })) {
      std::cerr << "proofs: there are BP1, BP2, BP3 and BP4, but no " << argv[i] << '\n';
      return 2;
    }
  const Network net;
  const Tensor x = random_normal({4, 4}, Key{1}, DType::float64);
  const Tensor y = random_uniform({4, 3}, Key{2}, DType::float64);
  const Equations found = [&] {
    const Tape tape;
    std::vector<Tensor> z;
    return equations(net.cost(x, y, z), net.parameters);
  }();
  if (!found.example) {
    std::cerr << "proofs: " << found.refusal << '\n';
    return 1;
  }

  // Values of everything that steps speak of: capital letters for the batch, small ones for its
  // first example. Both have the same names for the parameters.
  const Tensor x1 = slice(x, 0, 0, 1), y1 = slice(y, 0, 0, 1);
  std::map<Symbol, Tensor> values{{{.letter = "X"}, x}, {{.letter = "Y"}, y}};
  for (int l = 1; l <= 3; ++l) {
    const nn::Dense& layer = net.layers[static_cast<std::size_t>(l - 1)];
    values[{.letter = "w", .layer = l}] = layer.weight;
    values[{.letter = "b", .layer = l}] = layer.bias;
  }
  auto of_example = values;
  of_example[{.letter = "x"}] = transpose(x1);
  of_example[{.letter = "y"}] = transpose(y1);
  for (int l = 1; l <= 3; ++l) {
    Tensor& b = of_example[{.letter = "b", .layer = l}];
    b = expand_dims(b, 1);
  }
  for (const auto& [reading, where] :
       {std::pair{&found.batch, &values}, {&*found.example, &of_example}})
    for (const auto* list : {&reading->forward, &reading->backward})
      for (const Statement& s : *list) (*where)[s.left] = evaluate(s.right, *where);
  const auto tape_batch = by_tape(net, x, y, false), tape_example = by_tape(net, x1, y1, true);

  const Reading lines = folded(*found.example, found.depth);
  std::cout
      << "Capital letters: the batch, each example a row. Small ones: one example as columns.\n\n";
  int of_batch = 0, of_first = 0, wrong = 0;
  for (const auto& [mark, claim] : all) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted = wanted || std::strcmp(argv[i], mark) == 0;
    if (!wanted) continue;
    std::cout << mark << ", " << claim << '\n';
    bool proven = false;
    for (const Statement& line : lines.backward) {
      if (line.mark != mark) continue;
      proven = true;
      if (line.layers)
        std::cout << "  l = " << line.layers->first << " to " << line.layers->second << '\n';
      bool in_batch = false;
      for (const DerivationStep& step : line.steps) {
        if (step.of_batch && !in_batch)
          std::cout << "  of the batch, " << to_string(*step.of_batch) << '\n';
        if (!step.of_batch && in_batch)
          std::cout << "  of one example, " << to_string(line.left) << '\n';
        in_batch = step.of_batch.has_value();
        std::cout << "    = " << to_string(step.result) << "    [" << step.identity << "]\n";
      }
      // Each layer's steps, on numbers: those of the batch, then those of an example.
      for (const Statement& s : unfolded(line))
        for (const DerivationStep& step : s.steps) {
          const Tensor value = evaluate(step.result, step.of_batch ? values : of_example);
          const Tensor expected =
              step.of_batch ? tape_batch.at(*step.of_batch) : tape_example.at(s.left);
          ++(step.of_batch ? of_batch : of_first);
          if (!(max(abs(value - expected)).item() < 1e-14)) ++wrong;
        }
    }
    if (!proven) std::cout << "  holds in no layer of this network\n";
    std::cout << '\n';
  }
  std::cout << of_batch << " steps of the batch and " << of_first
            << " of its first example computed, "
            << (wrong == 0 ? "all equal" : std::to_string(wrong) + " differ from")
            << " the tape's gradients of these\n";
  return of_batch + of_first == 0 || wrong > 0;
}
