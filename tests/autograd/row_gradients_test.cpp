// Gradients of examples from one pass over their batch: for which costs it is made, and that it
// gives what single examples give.
#include "autograd/row_gradients.hpp"

#include <functional>

#include "autograd/catalogue.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"
#include "tests/support/network.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Cost = std::function<Tensor(const Tensor& x, const Tensor& y)>;

/// The gradient of each example alone; 1/m of it where the batch's cost is an average.
std::vector<Tensor> by_loop(const Cost& cost, const Tensor& x, const Tensor& y,
                            std::span<const Tensor> wrt) {
  const std::int64_t m = x.extent(0);
  double total = 0;
  for (std::int64_t i = 0; i < m; ++i)
    total += cost(slice(x, 0, i, i + 1), slice(y, 0, i, i + 1)).item();
  const double share = cost(x, y).item() == Approx(total).epsilon(1e-4) ? 1.0 : 1.0 / double(m);
  std::vector<std::vector<Tensor>> rows(wrt.size());
  for (std::int64_t i = 0; i < m; ++i) {
    const Tape tape;
    const Tensor loss = share * cost(slice(x, 0, i, i + 1), slice(y, 0, i, i + 1));
    const NoRecording scope;
    const std::vector<Tensor> g = gradient(loss, wrt);
    for (std::size_t k = 0; k < g.size(); ++k) rows[k].push_back(g[k]);
  }
  std::vector<Tensor> result;
  for (const std::vector<Tensor>& some : rows) result.push_back(stack(some));
  return result;
}

bool in_one_pass(const Cost& cost, const Tensor& x, const Tensor& y, std::span<const Tensor> wrt) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : wrt) pointers.push_back(&t);
  const auto one = [&](std::int64_t i) {
    const NoRecording scope;
    return std::pair(slice(x, 0, i, i + 1), slice(y, 0, i, i + 1));
  };
  const auto taken = [&](std::int64_t i) {
    const auto [a, b] = one(i);
    return cost(a, b);
  };
  return detail::row_gradients({x.extent(0), [&] { return cost(x, y); }, taken, taken},
                               Inputs(pointers.data(), pointers.size()))
      .has_value();
}

double largest(const Tensor& t) {
  double result = 0;
  for (const double v : elements(t)) result = std::max(result, std::abs(v));
  return result;
}

void check(const Cost& cost, const Tensor& x, const Tensor& y, std::span<const Tensor> wrt,
           bool one_pass) {
  CHECK(in_one_pass(cost, x, y, wrt) == one_pass);
  const std::vector<Tensor> g = per_example_gradient(cost, std::tie(x, y), wrt);
  const std::vector<Tensor> want = by_loop(cost, x, y, wrt);
  const double relative = x.dtype() == DType::float32 ? 2e-5 : 1e-12;
  for (std::size_t k = 0; k < g.size(); ++k) {
    CHECK(g[k].dtype() == wrt[k].dtype());
    REQUIRE_CLOSE(g[k], want[k], relative, relative * std::max(0.01, largest(want[k])));
  }
}

}  // namespace

TEST_CASE("one pass gives what single examples of networks give", "[per_example]") {
  for (const std::string activation : {"sigmoid", "tanh", "relu", "softplus"})
    for (const std::string cost_name : {"quadratic", "cross-entropy", "log-likelihood"})
      for (const DType dtype : {DType::float64, DType::float32})
        for (const std::int64_t m : {1, 2, 3, 4, 17, 64, 65}) {
          INFO(activation << ", " << cost_name << ", " << m << " examples as " << dtype);
          const DenseNetwork net({6, 5, 3, 4}, activation, 1, dtype);
          const ParameterRefs parameters = net.parameters();
          const std::vector<Tensor> wrt(parameters.begin(), parameters.end());
          const Tensor x = numbers({m, 6}, -1, 1, 1, dtype),
                       y = softmax(numbers({m, 4}, 0, 1, 2, dtype));
          // The tensors stand for the parameters, of which they are copies with other identities.
          const auto layer = [&](const Tensor& a, std::size_t l) {
            return linear(a, wrt[2 * l], wrt[2 * l + 1]);
          };
          const auto cost = [&](const Tensor& a, const Tensor& b) {
            const Tensor z = layer(net.activation(layer(net.activation(layer(a, 0)), 1)), 2);
            if (cost_name == "quadratic") return nn::quadratic_cost(net.activation(z), b);
            return cost_name == "cross-entropy" ? nn::sigmoid_cross_entropy_cost(z, b)
                                                : nn::log_likelihood_cost(z, b);
          };
          check(cost, x, y, wrt, m > 1);
        }
}

TEST_CASE("costs whose rows stay apart take one pass", "[per_example]") {
  constexpr std::int64_t m = 7;
  const Tensor x = numbers({m, 3}), y = numbers({m, 2}, -1, 1, 2);
  const Tensor w = numbers({3, 2}, -1, 1, 3), v = numbers({2, 3}, -1, 1, 4), b = numbers({2}),
               r = numbers({1, 2}), s(0.7), unused = numbers({2});
  const std::vector<Tensor> wrt{w, v, b, r, s, unused};
  const std::pair<const char*, Cost> costs[] = {
      {"mean", [&](auto& a, auto& t) { return mean(square(matmul(a, w) + b - t)); }},
      {"sum", [&](auto& a, auto& t) { return sum(square(matmul(a, w) - t)); }},
      {"sum / m", [&](auto& a, auto& t) { return sum(abs(matmul(a, w) - t)) / a.extent(0); }},
      {"transposed", [&](auto& a, auto&) { return -mean(tanh(matmul(a, transpose(v)))); }},
      {"several parts",
       [&](auto& a, auto& t) {
         return 0.5 * mean(exp(matmul(a, w))) + 3 - squared_norm(t * b) / double(a.extent(0));
       }},
      {"constants and choices",
       [&](auto& a, auto& t) {
         const Tensor z = maximum(1 - matmul(a, w), 0.1);
         return mean(where(t > 0, log(z), clip(z, 0.2, 1.0)));
       }},
      {"sums of rows", [&](auto& a, auto&) { return mean(logsumexp(matmul(a, w), {1})); }},
      {"rows of one, numbers",
       [&](auto& a, auto& t) { return mean(softmax(a / s) * sum(t * r, {1}, true)); }},
      {"another shape",
       [&](auto& a, auto&) {
         return mean(square(reshape(matmul(a, w), {a.extent(0), 2, 1}) * r + s));
       }},
  };
  for (const auto& [name, cost] : costs) {
    INFO(name);
    check(cost, x, y, wrt, true);
  }
}

TEST_CASE("a cost with an average and a sum over examples", "[per_example]") {
  const Tensor x = numbers({4, 3}), y = numbers({4, 2}, -1, 1, 2);
  const Tensor w = numbers({3, 2}, -1, 1, 3), b = numbers({2});
  const std::vector<Tensor> wrt{w, b};
  const std::vector<Tensor> g = per_example_gradient(
      [&](const Tensor& a, const Tensor& t) { return mean(matmul(a, w)) + sum(square(t * b)); },
      std::tie(x, y), wrt);
  REQUIRE_CLOSE(g[0], broadcast_to(expand_dims(x, 2) / 8, {4, 3, 2}), 1e-14);
  REQUIRE_CLOSE(g[1], 2 * square(y) * b, 1e-14);
}

TEST_CASE("a cost of 0 is an average or a sum by its gradient", "[per_example]") {
  const Tensor x = numbers({4, 3}), w = zeros({3});
  const std::span<const Tensor> wrt(&w, 1);
  const auto linear_in = [&](const Tensor& a) { return matmul(a, w) + 0.0 * squared_norm(w); };
  const auto rows = [&](const auto& cost) { return per_example_gradient(cost, x, wrt)[0]; };
  const auto averaged = [&](const Tensor& a) { return mean(linear_in(a)); };
  const auto summed = [&](const Tensor& a) { return sum(linear_in(a)); };
  REQUIRE_CLOSE(rows(averaged), x / 4, 1e-15);
  REQUIRE_CLOSE(rows(summed), x, 1e-15);
  const Tape tape;
  REQUIRE_CLOSE(rows(averaged), x / 4, 1e-15);
  REQUIRE_CLOSE(rows(summed), x, 1e-15);
}

TEST_CASE("costs that use tensors in other ways are taken example by example", "[per_example]") {
  const Tensor x = numbers({3, 3}), y = numbers({3, 2}, -1, 1, 2);
  const Tensor w = numbers({3, 2}, -1, 1, 3), b = numbers({2}), s(0.7);
  const std::vector<Tensor> wrt{w, b, s};
  const auto z = [&](const Tensor& a) { return matmul(a, w) + b; };
  const std::pair<const char*, Cost> costs[] = {
      {"weight twice",
       [&](auto& a, auto&) { return mean(square(z(tanh(matmul(z(a), transpose(w)))))); }},
      {"weight decay", [&](auto& a, auto&) { return mean(square(z(a))) + 0.1 * squared_norm(w); }},
      {"decay alone", [&](auto&, auto&) { return squared_norm(w); }},
      {"times a tensor", [&](auto& a, auto&) { return s * mean(square(z(a))); }},
      {"sum times a tensor", [&](auto& a, auto&) { return s * sum(square(z(a))); }},
      {"over a tensor", [&](auto& a, auto&) { return mean(square(z(a))) / s; }},
      {"checkpoint",
       [&](auto& a, auto&) {
         return checkpoint([&](const Tensor& v) { return mean(square(matmul(v, w))); }, a);
       }},
      {"hook",
       [&](auto& a, auto&) {
         return mean(square(on_gradient(z(a), [](const Tensor& g) { return clip(g, -0.1, 0.1); })));
       }},
  };
  for (const auto& [name, cost] : costs) {
    INFO(name);
    check(cost, x, y, wrt, false);
  }
  // With respect to the examples themselves.
  const std::vector<Tensor> of_x{x, w};
  check([&](auto& a, auto&) { return mean(square(z(a))); }, x, y, std::span(of_x).last(1), true);
  CHECK_FALSE(in_one_pass([&](auto& a, auto&) { return mean(square(z(a))); }, x, y, of_x));
  const std::vector<Tensor> g = per_example_gradient(
      [&](const Tensor& a, const Tensor&) { return sum(square(a)); }, std::tie(x, y), of_x);
  CHECK(largest(slice(g[0], 0, 0, 1) - expand_dims(2.0 * embed(slice(x, 0, 0, 1), 0, 0, 3), 0)) <
        1e-15);
}

TEST_CASE("costs that mix examples are refused", "[per_example]") {
  const Tensor x = numbers({3, 3}), y = numbers({3, 2}, -1, 1, 2);
  const Tensor w = numbers({3, 2}, -1, 1, 3), b = numbers({2}), s(0.7);
  const std::vector<Tensor> wrt{w, b, s};
  const auto z = [&](const Tensor& a) { return matmul(a, w) + b; };
  const std::pair<const char*, Cost> costs[] = {
      {"mean over rows", [&](auto& a, auto&) { return mean(square(z(a) - mean(z(a), {0}))); }},
      {"mean off the tape",
       [&](auto& a, auto& t) { return mean(square(z(a) - detach(mean(t, {0})))); }},
      {"number off the tape",
       [&](auto& a, auto& t) { return mean(square(z(a) * detach(max(t)).item())); }},
      {"softmax over rows", [&](auto& a, auto&) { return mean(square(softmax(z(a), {0}))); }},
      {"variance of rows", [&](auto& a, auto&) { return sum(var(z(a), {0}, false, 0)); }},
      {"root of the mean", [&](auto& a, auto&) { return sqrt(mean(square(z(a)))); }},
      {"product of means", [&](auto& a, auto& t) { return mean(z(a)) * mean(z(a) * t); }},
      {"number over a mean", [&](auto& a, auto&) { return 1 / (2 + mean(square(z(a)))); }},
      {"rows over m", [&](auto& a, auto&) { return sum(square(z(a) / a.extent(0))); }},
      {"scaled by m",
       [&](auto& a, auto&) { return sum(square(z(a) * (1.0 / double(a.extent(0))))); }},
      {"rows as columns",
       [&](auto& a, auto&) {
         return mean(square(matmul(a, numbers({3, 3}))) * sum(a * s, {1}));
       }},
      {"rows turned", [&](auto& a, auto& t) { return sum(square(matmul(transpose(a), t * b))); }},
      {"all targets", [&](auto& a, auto&) { return mean(square(z(a) - y)); }},
      {"reversed rows",
       [&](auto& a, auto& t) {
         return mean(z(a) * concatenate({slice(t, 0, 1, t.extent(0)), slice(t, 0, 0, 1)}));
       }},
      {"a mask for each call",
       [&](auto& a, auto&) {
         return mean(z(a) * detach(random_uniform({a.extent(0), 2}, Key{1}, DType::float64)));
       }},
      {"by size",
       [&](auto& a, auto&) { return a.extent(0) == 1 ? mean(exp(z(a))) : mean(sin(z(a))); }},
      {"over other axes",
       [&](auto& a, auto&) {
         return a.extent(0) == 1 ? mean(square(softmax(z(a) * s, {1})))
                                 : mean(square(softmax(z(a) * s, {0, 1})));
       }},
  };
  for (const auto& [name, cost] : costs) {
    INFO(name);
    CHECK_FALSE(in_one_pass(cost, x, y, wrt));
    REQUIRE_ERROR(per_example_gradient(cost, std::tie(x, y), wrt), ValueError,
                  "is neither the average of its 3 examples' costs, ");
    const Tape tape;
    REQUIRE_ERROR(per_example_gradient(cost, std::tie(x, y), wrt), ValueError, "nor their sum, ");
  }
}

TEST_CASE("what operations say of rows is right", "[per_example][catalogue]") {
  std::size_t compared = 0, passes = 0;
  // Inputs whose first axis counts m examples, as the batch; the others are the same for all.
  const auto compare = [&](const CatalogueEntry::Sample& sample, const std::vector<bool>& in_batch,
                           std::int64_t m) {
    const Tensor places = arange(m), other = zeros({m});
    std::vector<Tensor> wrt;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      const Tensor& x = sample.inputs[i];
      if (!is_floating(x.dtype()))
        wrt.push_back(Tensor(1.0));  // not used
      else
        wrt.push_back(in_batch[i] ? ones_like(slice(x, 0, 0, 1)) : x);
    }
    const Cost cost = [&](const Tensor& rows, const Tensor&) {
      std::vector<Tensor> inputs = sample.inputs;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!in_batch[i]) continue;
        {
          const NoRecording scope;
          inputs[i] = take(inputs[i], rows);
        }
        if (is_floating(inputs[i].dtype())) inputs[i] = inputs[i] * wrt[i];
      }
      const Tensor y = sample.apply(inputs);
      if (!is_floating(y.dtype())) throw DTypeError("no derivative");
      return sum(square(y) + y);
    };
    const bool one_pass = in_one_pass(cost, places, other, wrt);
    try {  // also where no input is floating, and none used
      per_example_gradient(cost, std::tie(places, other), wrt);
    } catch (const Error&) {
      CHECK_FALSE(one_pass);
      return;  // no operation on single rows, or one that mixes them
    }
    check(cost, places, other, wrt, one_pass);
    ++compared;
    passes += one_pass;
  };
  for (const CatalogueEntry& entry : catalogue())
    for (const CatalogueEntry::Sample& sample : entry.samples) {
      if (!sample.error.empty()) continue;
      std::vector<std::int64_t> extents;
      for (const Tensor& x : sample.inputs)
        extents.push_back(x.rank() > 0 && x.size() > 0 ? x.shape()[0] : 0);
      for (std::size_t i = 0; i < extents.size(); ++i) {
        const std::int64_t m = extents[i];
        if (m < 2 || m > 6) continue;
        std::vector<bool> all, one(extents.size());
        for (const std::int64_t extent : extents) all.push_back(extent == m);
        one[i] = true;
        INFO(entry.name << ": " << sample.equation << " of " << sample.inputs[0].shape());
        compare(sample, one, m);
        if (all != one) compare(sample, all, m);
      }
    }
  CHECK(compared > 200);
  CHECK(passes > 100);
}

TEST_CASE("gradients of weights by examples wait until they are read", "[per_example]") {
  const nn::Sequential net{nn::Dense(20, 9), sigmoid, nn::Dense(9, 2)};
  const ParameterRefs parameters = net.parameters();
  datasets::Batch batch{
      numbers({11, 20}, -1, 1, 1, DType::float32), numbers({11, 2}, 0, 1, 2, DType::float32), {}};
  const auto cost = [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); };
  const NamedTensors g = per_example_gradient(cost, batch, parameters);
  const NamedTensors third = per_example_gradient(cost, batch, parameters);
  const NamedTensors read = per_example_gradient(cost, batch, parameters);
  const auto waits = [](const Tensor& t) {
    const BufferRef& buffer = detail::TensorAccess::buffer(t);
    return buffer.is_lazy() && !buffer->data.load();
  };
  CHECK(waits(g["0.weight"]));
  CHECK_FALSE(waits(g["0.bias"]));
  const std::vector<double> before = elements(read["0.weight"]);
  CHECK_FALSE(waits(read["0.weight"]));
  for (const ParameterRef& p : parameters) p.add_scaled(1, p.value());
  batch.inputs = Tensor();
  CHECK(elements(g["0.weight"]) == before);

  // As the direction of a change, too.
  const Parameter weights(zeros({11, 9, 20}, DType::float32));
  ParameterRef("weights", weights).add_scaled(2, third["0.weight"]);
  CHECK(identical(weights.value(), 2 * third["0.weight"]));
}
