// The two assumptions that backpropagation makes about a cost, each with costs that keep and that
// break it: what stays true of gradients, of a step in chunks, and of the four equations.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;

namespace {

struct Network : nn::Module {
  nn::Dense hidden{3, 4, {.seed = 1, .dtype = DType::float64}};
  nn::Dense output{4, 3, {.seed = 2, .dtype = DType::float64}};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return after(sigmoid(hidden(x))); }
  Tensor after(const Tensor& a) const { return sigmoid(output(a)); }
};

/// Examples as the optimiser wants them: it cuts them into chunks.
struct Batch {
  Tensor x, y;
  std::int64_t size() const { return x.extent(0); }
  Batch slice(std::int64_t begin, std::int64_t end) const {
    return {xg::slice(x, 0, begin, end), xg::slice(y, 0, begin, end)};
  }
};

using Cost = std::function<Tensor(const Network&, const Batch&)>;

std::vector<Tensor> gradients(const Cost& cost, const Network& net, const Batch& batch) {
  const Tape tape;
  const Tensor C = cost(net, batch);
  const NoRecording scope;
  return gradient(C, net.parameters());
}

/// The largest difference as a share of the largest element.
double distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, max(abs(a[i] - b[i])).item());
    largest = std::max(largest, max(abs(b[i])).item());
  }
  return difference / largest;
}

void report(const char* what, double distance) {
  if (distance < 1e-12)
    std::printf("  %s: the same within 1e-12\n", what);
  else
    std::printf("  %s: differs by %.0f %%\n", what, 100 * distance);
}

/// The gradient of every example alone, averaged.
std::vector<Tensor> averaged(const Cost& cost, const Network& net, const Batch& batch) {
  std::vector<Tensor> sum;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto one = gradients(cost, net, batch.slice(i, i + 1));
    for (std::size_t k = 0; k < one.size(); ++k)
      i == 0 ? sum.push_back(one[k]) : void(sum[k] = sum[k] + one[k]);
  }
  for (Tensor& t : sum) t = t / static_cast<double>(batch.size());
  return sum;
}

/// What one step of gradient descent changes, the batch being computed in chunks.
std::vector<Tensor> step(const Cost& cost, const Network& start, const Batch& batch,
                         std::int64_t chunk_size) {
  Network net = start;
  optim::SGD sgd{net.parameters(), {.learning_rate = 1, .chunk_size = chunk_size}};
  sgd.step(batch, [&](const Batch& part) { return cost(net, part); });
  std::vector<Tensor> change;
  for (std::size_t k = 0; k < net.parameters().size(); ++k)
    change.push_back(net.parameters()[k].value() - start.parameters()[k].value());
  return change;
}

void study(const char* title, const Cost& cost, const Network& net, const Batch& batch) {
  std::printf("\n%s\n", title);
  report("the gradients of single examples, averaged",
         distance(averaged(cost, net, batch), gradients(cost, net, batch)));
  report("a step in chunks of 2 examples",
         distance(step(cost, net, batch, 2), step(cost, net, batch, batch.size())));
  const Tape tape;
  const Equations found = equations(cost(net, batch), net.parameters());
  if (!found.example) {
    std::printf("  no equations for one example: %s\n", found.refusal.c_str());
    return;
  }
  const auto print = [](const Statement& s) {
    std::cout << "  " << to_string(s.left) << " = " << to_string(s.right)
              << (s.mark.empty() ? "" : "  (" + s.mark + ")") << '\n';
  };
  // The book's names speak for themselves; numbered ones are what the forward statements say.
  if (found.depth == 0)
    for (const Statement& s : found.example->forward) print(s);
  else
    print(found.example->forward.back());
  for (const Statement& s : found.example->backward) print(s);
}

}  // namespace

int main() {
  const Network net;
  const Batch batch{random_normal({6, 3}, Key{3}, DType::float64),
                    random_uniform({6, 3}, Key{4}, DType::float64)};

  std::cout << "Assumption 1: the cost is an average over examples\n";
  study(
      "kept: the quadratic cost",
      [](const Network& n, const Batch& b) { return nn::quadratic_cost(n(b.x), b.y); }, net, batch);
  study(
      "broken: a sum that is not divided by m",
      [](const Network& n, const Batch& b) { return 0.5 * squared_norm(n(b.x) - b.y); }, net,
      batch);
  study(
      "broken: the root of the mean square",
      [](const Network& n, const Batch& b) { return sqrt(mean(square(n(b.x) - b.y))); }, net,
      batch);

  std::cout << "\nAssumption 2: the cost is a function of the outputs\n";
  study(
      "kept: the targets are the inputs themselves",
      [](const Network& n, const Batch& b) { return nn::quadratic_cost(n(b.x), b.x); }, net, batch);
  study(
      "broken: it reads the weights, too (weight decay)",
      [](const Network& n, const Batch& b) {
        return nn::quadratic_cost(n(b.x), b.y) + 0.05 * squared_norm(n.output.weight);
      },
      net, batch);
  study(
      "broken: it reads the hidden neurons, too (they shall be quiet)",
      [](const Network& n, const Batch& b) {
        const Tensor a = sigmoid(n.hidden(b.x));
        return nn::quadratic_cost(n.after(a), b.y) + 0.1 * mean(sum(square(a), {1}));
      },
      net, batch);
}
