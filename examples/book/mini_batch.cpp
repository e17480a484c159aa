// One step of mini-batch gradient descent in three forms: the book's loop over the examples, by
// hand and on the tape; the matrix form over the batch; and chunks of the batch in parallel. They
// give the same gradient; their times stand side by side.
#include <algorithm>
#include <autograd/autograd.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <datasets/datasets.hpp>
#include <functional>
#include <nn/nn.hpp>
#include <optim/optim.hpp>

using namespace xg;
using datasets::Batch;

using Vector = std::vector<double>;

Vector doubles(const Tensor& t) { return {t.values<double>().begin(), t.values<double>().end()}; }

/// The book's algorithm in plain loops: ∂C/∂w^1, ∂C/∂b^1, ∂C/∂w^2, ... averaged over the examples.
std::vector<Tensor> by_hand(const ParameterRefs& parameters, const Batch& batch) {
  const std::size_t L = parameters.size() / 2;
  std::vector<Vector> w(L + 1), b(L + 1), dw(L + 1), db(L + 1), z(L + 1), a(L + 1), delta(L + 1);
  for (std::size_t l = 1; l <= L; ++l) {
    w[l] = doubles(parameters[2 * l - 2]);
    b[l] = doubles(parameters[2 * l - 1]);
    dw[l].resize(w[l].size());
    db[l].resize(b[l].size());
  }
  const auto sigma = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto sigma_prime = [&](double v) { return sigma(v) * (1 - sigma(v)); };
  const std::size_t inputs = w[1].size() / b[1].size(), outputs = b[L].size();
  const auto m = static_cast<std::size_t>(batch.size());

  for (std::size_t x = 0; x < m; ++x) {
    const double* const first = batch.inputs.data<double>() + x * inputs;
    const double* const y = batch.targets.data<double>() + x * outputs;
    a[0].assign(first, first + inputs);
    for (std::size_t l = 1; l <= L; ++l) {  // feedforward
      z[l] = b[l];
      a[l].resize(b[l].size());
      for (std::size_t j = 0; j < z[l].size(); ++j) {
        for (std::size_t k = 0; k < a[l - 1].size(); ++k)
          z[l][j] += w[l][j * a[l - 1].size() + k] * a[l - 1][k];
        a[l][j] = sigma(z[l][j]);
      }
    }
    delta[L].resize(outputs);
    for (std::size_t j = 0; j < outputs; ++j)
      delta[L][j] = (a[L][j] - y[j]) * sigma_prime(z[L][j]);  // BP1
    for (std::size_t l = L - 1; l >= 1; --l) {                // BP2
      delta[l].assign(z[l].size(), 0);
      for (std::size_t k = 0; k < delta[l + 1].size(); ++k)
        for (std::size_t j = 0; j < delta[l].size(); ++j)
          delta[l][j] += w[l + 1][k * delta[l].size() + j] * delta[l + 1][k];
      for (std::size_t j = 0; j < delta[l].size(); ++j) delta[l][j] *= sigma_prime(z[l][j]);
    }
    const double share = 1 / static_cast<double>(m);
    for (std::size_t l = 1; l <= L; ++l)
      for (std::size_t j = 0; j < delta[l].size(); ++j) {
        db[l][j] += share * delta[l][j];  // BP3
        for (std::size_t k = 0; k < a[l - 1].size(); ++k)
          dw[l][j * a[l - 1].size() + k] += share * delta[l][j] * a[l - 1][k];  // BP4
      }
  }
  std::vector<Tensor> result;
  for (std::size_t l = 1; l <= L; ++l) {
    result.push_back(Tensor(dw[l], parameters[2 * l - 2].value().shape()));
    result.push_back(Tensor(db[l], parameters[2 * l - 1].value().shape()));
  }
  return result;
}

int main() {
  const Batch data = datasets::digits(DType::float64).train;
  nn::Sequential start{nn::Dense{64, 30}, sigmoid, nn::Dense{30, 10}, sigmoid};
  start.to(DType::float64);
  const double eta = 1;
  bool agree = true;

  for (const std::int64_t m : {std::int64_t{10}, std::int64_t{1000}}) {
    const Batch batch = data.slice(0, m);
    nn::Sequential net = start;  // what the forms below train
    const ParameterRefs parameters = net.parameters();
    const auto cost = [&](const Batch& part) {
      return nn::quadratic_cost(net(part.inputs), part.targets);
    };
    const auto sgd = [&](std::int64_t chunks, int threads) {
      return optim::SGD{
          parameters,
          {.learning_rate = eta, .threads = threads, .chunk_size = (m + chunks - 1) / chunks}};
    };
    optim::SGD descent = sgd(1, 1), four_on_one = sgd(4, 1), four_on_two = sgd(4, 2);

    const auto hand_loop = [&] { descent.step(by_hand(parameters, batch)); };
    // the same loop, each example on a tape
    const auto tape_loop = [&] {
      std::vector<Tensor> total;
      for (std::int64_t x = 0; x < m; ++x) {
        Tape tape;
        const Tensor C = cost(batch.slice(x, x + 1));
        const NoRecording scope;
        const auto one = gradient(C, parameters);
        for (std::size_t i = 0; i < one.size(); ++i) {
          if (x == 0)
            total.push_back(one[i] / m);
          else
            total[i] += one[i] / m;
        }
      }
      descent.step(total);
    };
    // all examples in one matrix, on one tape
    const auto matrix_form = [&] {
      Tape tape;
      const Tensor C = cost(batch);
      const NoRecording scope;
      descent.step(gradient(C, parameters));
    };
    // four chunks of the matrix, each on a tape of its own
    const auto one_thread = [&] { four_on_one.step(batch, cost); };
    const auto two_threads = [&] { four_on_two.step(batch, cost); };

    const std::pair<const char*, std::function<void()>> forms[] = {
        {"loop over examples, by hand  ", hand_loop},
        {"loop over examples, on tapes ", tape_loop},
        {"matrices over the batch      ", matrix_form},
        {"four chunks, one thread      ", one_thread},
        {"four chunks, two threads     ", two_threads}};
    std::vector<std::vector<Tensor>> gradients;
    std::vector<Vector> times(std::size(forms));
    for (const auto& [name, step] : forms) {
      nn::copy_parameters(start, net);
      step();
      gradients.emplace_back();  // (w before - w after) / eta
      for (std::size_t i = 0; i < parameters.size(); ++i)
        gradients.back().push_back((start.parameters()[i].value() - parameters[i].value()) / eta);
    }
    for (int repetition = 0; repetition < 15; ++repetition)
      for (std::size_t i = 0; i < std::size(forms); ++i) {
        const auto begin = std::chrono::steady_clock::now();
        forms[i].second();
        const std::chrono::duration<double, std::micro> time =
            std::chrono::steady_clock::now() - begin;
        times[i].push_back(time.count());
      }

    std::printf("one step of [64, 30, 10] on m = %d examples\n", static_cast<int>(m));
    for (std::size_t i = 0; i < std::size(forms); ++i) {
      double distance = 0;
      for (std::size_t k = 0; k < parameters.size(); ++k) {
        const Tensor &g = gradients[i][k], &hand = gradients[0][k];
        distance = std::max(distance, (max(abs(g - hand)) / max(abs(hand))).item());
      }
      std::nth_element(times[i].begin(), times[i].begin() + 7, times[i].end());
      std::printf("  %s %9.1f µs   largest difference %.0e\n", forms[i].first, times[i][7],
                  distance);
      agree = agree && distance < 1e-12;
    }
    agree = agree &&
            std::equal(gradients[3].begin(), gradients[3].end(), gradients[4].begin(), identical);
  }
  std::printf("%s\n", agree ? "one gradient within 1e-12, and the same bits on one thread and two"
                            : "THE GRADIENTS DIFFER");
  return agree ? 0 : 1;
}
