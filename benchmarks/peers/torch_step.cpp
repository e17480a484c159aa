// The training steps of ../step.cpp with libtorch, from the same data and starting weights: as
// people write them (`plain`), and as fast as libtorch's autograd was made to do them (no suffix).
//
// What makes the second faster, with libtorch 1.13:
// - The functions of ATen, not modules and an optimiser; the product adds the bias (addmm).
// - Activations in place: one buffer less for each layer.
// - Weights that stand (inputs, outputs) spare small networks the node of a transpose. The large
//   network is 1 to 2 % faster with (outputs, inputs).
// - The cost's factor is the adjoint that the backward pass starts from, so it is no operation.
// - `autograd::grad` returns the gradients; nothing is accumulated and nothing set to zero.
// - One `_foreach_add_` changes all weights, below autograd's dispatch.
// - Labels as indices, not one-hot, where the cost takes them.
// - Both thread counts are set, libtorch's own (OpenMP) and OpenBLAS's.
// And from outside, as `../ratios` does it:
// - GLIBC_TUNABLES keeps glibc from returning the large network's buffers to the system.
// - On two threads OMP_WAIT_POLICY=passive, or else libtorch's OpenMP threads spin where those of
//   OpenBLAS should run, and a step takes several times as long as on one thread. An OpenBLAS that
//   uses OpenMP itself (Debian's libopenblas0-openmp, unpacked and given by LD_LIBRARY_PATH) is
//   some 5 % faster, with GOMP_SPINCOUNT=20000: an endless spin is as fast on an idle machine, and
//   ten times as slow on another.
// Tried, and not faster: TorchScript (by a third slower on the small networks), products through
// oneDNN, product and bias as two operations, ATEN_CPU_CAPABILITY=avx512.
#include <torch/torch.h>

#include "benchmarks/cases.hpp"

using cases::book, cases::large, cases::tiny, cases::rate, cases::Run;
using torch::Tensor;

namespace {

Tensor copied(const xg::Tensor& x) {
  const std::vector<std::int64_t> shape(x.shape().begin(), x.shape().end());
  return torch::from_blob(const_cast<float*>(x.data<float>()), shape).clone();
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  openblas_set_num_threads(threads);
}

struct Data {
  Tensor x, y, labels;
  explicit Data(const cases::Problem& problem) {
    const cases::Data data(problem);
    x = copied(data.batch.inputs);
    y = copied(data.batch.targets);
    labels = y.argmax(1);
  }
};

struct Cost {
  Tensor value;
  double factor = 1;
  double item() const { return factor * value.item<double>(); }
};

struct Net : torch::nn::Module {
  std::vector<torch::nn::Linear> layers;
  Tensor (*activation)(const Tensor&);
  Net(const cases::Problem& problem, Tensor (*f)(const Tensor&)) : activation(f) {
    const torch::NoGradGuard guard;
    for (const xg::nn::Dense& from : cases::Model(problem).layers) {
      const Tensor w = copied(from.weight.value()), b = copied(from.bias.value());
      layers.push_back(
          register_module(std::to_string(layers.size()), torch::nn::Linear(w.size(1), w.size(0))));
      layers.back()->weight.copy_(w);
      layers.back()->bias.copy_(b);
    }
  }
  Tensor forward(Tensor x) {
    for (std::size_t l = 0; l + 1 < layers.size(); ++l) x = activation(layers[l](x));
    return layers.back()(x);
  }
};

// `cost_of(net)` is the cost.
template <class CostOf>
void plain(const Run& run, Net net, CostOf cost_of) {
  torch::optim::SGD sgd(net.parameters(), torch::optim::SGDOptions(rate));
  run([&] {
    sgd.zero_grad();
    const Tensor cost = cost_of(net);
    cost.backward();
    sgd.step();
    return Cost{cost};
  });
}

void book_plain(const Run& run, int threads) {
  set_threads(threads);
  const Data data(book);
  plain(run, Net(book, torch::sigmoid), [&](Net& net) {
    return torch::mse_loss(torch::sigmoid(net.forward(data.x)), data.y, at::Reduction::Sum) /
           (2 * book.examples);
  });
}

void large_plain(const Run& run, int threads) {
  set_threads(threads);
  const Data data(large);
  plain(run, Net(large, torch::relu), [&](Net& net) {
    return torch::nn::functional::cross_entropy(net.forward(data.x), data.labels);
  });
}

void tiny_plain(const Run& run, int threads) {
  set_threads(threads);
  const Data data(tiny);
  plain(run, Net(tiny, torch::tanh), [&](Net& net) {
    return torch::mse_loss(torch::tanh(net.forward(data.x)), data.y, at::Reduction::Sum) / 2;
  });
}

enum class Weights { outputs_inputs, inputs_outputs };

// `activate` is applied to all layers, but not to the last if the cost is `softmax`'s
// log-likelihood.
template <Weights weights, bool softmax, class Activate>
void best(const Run& run, const cases::Problem& problem, int threads, Activate activate) {
  set_threads(threads);
  const Data data(problem);
  std::vector<Tensor> parameters, values;  // `values` are the same memory, unknown to autograd
  for (const xg::nn::Dense& from : cases::Model(problem).layers) {
    const Tensor w = copied(from.weight.value());
    parameters.push_back(weights == Weights::outputs_inputs ? w : w.t().contiguous());
    parameters.push_back(copied(from.bias.value()));
  }
  for (Tensor& p : parameters) values.push_back(p.requires_grad_().variable_data());
  const double factor = softmax ? 1 : 0.5 / static_cast<double>(problem.examples);
  const std::vector<Tensor> adjoint{torch::full({}, factor)};
  run([&] {
    Tensor a = data.x;
    for (std::size_t l = 0; l < parameters.size(); l += 2) {
      const Tensor& w = parameters[l];
      a = at::addmm(parameters[l + 1], a, weights == Weights::outputs_inputs ? w.t() : w);
      if (!softmax || l + 2 < parameters.size()) activate(a);
    }
    Cost cost{softmax ? at::cross_entropy_loss(a, data.labels)
                      : at::mse_loss(a, data.y, at::Reduction::Sum),
              factor};
    const std::vector<Tensor> gradients = torch::autograd::grad({cost.value}, parameters, adjoint);
    const at::AutoDispatchBelowADInplaceOrView below;
    at::_foreach_add_(values, gradients, -rate);
    return cost;
  });
}

void book_best(const Run& run, int threads) {
  best<Weights::inputs_outputs, false>(run, book, threads, [](Tensor& z) { z.sigmoid_(); });
}
void large_best(const Run& run, int threads) {
  best<Weights::outputs_inputs, true>(run, large, threads, [](Tensor& z) { z.relu_(); });
}
void tiny_best(const Run& run, int threads) {
  best<Weights::inputs_outputs, false>(run, tiny, threads, [](Tensor& z) { z.tanh_(); });
}

// The gradient at the book's network, and the Hessian times directions by a second backward pass.
struct Derivatives {
  std::vector<Tensor> values;
  double item() const {
    double sum = 0;
    for (const Tensor& t : values) sum += t.square().sum().item<double>();
    return sum;
  }
};

template <bool second>
void derivatives(const Run& run, int threads) {
  set_threads(threads);
  const Data data(book);
  std::vector<Tensor> parameters, directions;
  for (const xg::nn::Dense& from : cases::Model(book).layers)
    for (const xg::Tensor& p : {from.weight.value(), from.bias.value()}) {
      const Tensor direction = copied(cases::direction(p.shape(), directions.size()));
      const bool is_weight = p.rank() == 2;
      parameters.push_back(is_weight ? copied(p).t().contiguous() : copied(p));
      directions.push_back(is_weight ? direction.t().contiguous() : direction);
    }
  for (Tensor& p : parameters) p.requires_grad_();
  const std::vector<Tensor> adjoint{torch::full({}, 0.5 / static_cast<double>(book.examples))};
  run([&] {
    Tensor a = data.x;
    for (std::size_t l = 0; l < parameters.size(); l += 2)
      a = at::addmm(parameters[l + 1], a, parameters[l]).sigmoid_();
    const Tensor cost = at::mse_loss(a, data.y, at::Reduction::Sum);
    std::vector<Tensor> g = torch::autograd::grad({cost}, parameters, adjoint, second, second);
    if (second) g = torch::autograd::grad(g, parameters, directions);
    return Derivatives{std::move(g)};
  });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::AddCustomContext("libtorch", TORCH_VERSION);
  return cases::run_cases(argc, argv,
                          {{"book_torch", book_best},
                           {"book_torch_plain", book_plain},
                           {"large_torch/1", large_best, 1},
                           {"large_torch/2", large_best, 2},
                           {"large_torch_plain/1", large_plain, 1},
                           {"large_torch_plain/2", large_plain, 2},
                           {"tiny_torch", tiny_best},
                           {"tiny_torch_plain", tiny_plain},
                           {"gradient_torch", derivatives<false>},
                           {"hvp_torch", derivatives<true>}});
}
