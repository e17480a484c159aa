// Gradients of single examples: against slices of the batch, for costs of any kind, and on any
// number of threads.
#include "autograd/per_example.hpp"

#include <tbb/global_control.h>

#include "autograd/catalogue.hpp"
#include "datasets/dataset.hpp"
#include "nn/nn.hpp"
#include "tests/support/network.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

datasets::Batch examples(std::int64_t count, std::int64_t inputs, std::int64_t outputs,
                         DType dtype) {
  return {numbers({count, inputs}, -1, 1, 1, dtype), numbers({count, outputs}, 0, 1, 2, dtype), {}};
}

std::vector<Tensor> rows_of(const Tensor& t) {
  std::vector<Tensor> result;
  for (std::int64_t i = 0; i < t.extent(0); ++i)
    result.push_back(squeeze(slice(t, 0, i, i + 1), {0}));
  return result;
}

}  // namespace

TEST_CASE("the rows are the gradients of single examples and add up to the batch's",
          "[per_example]") {
  for (const std::string cost_name : {"quadratic", "cross-entropy", "log-likelihood"})
    for (const std::int64_t m : {1, 2, 17, 40}) {
      const DenseNetwork net({6, 5, 3}, "tanh", 1);
      const ParameterRefs parameters = net.parameters();
      datasets::Batch batch = examples(m, 6, 3, DType::float64);
      if (cost_name != "quadratic") batch.targets = softmax(batch.targets);
      const auto cost = [&](const auto& b) {
        return cost_name == "quadratic"
                   ? nn::quadratic_cost(net(b.inputs), b.targets)
                   : net.cost(cost_name == "cross-entropy" ? "cross-entropy" : "log-likelihood",
                              b.inputs, b.targets);
      };
      const NamedTensors g = per_example_gradient(cost, batch, parameters);
      CHECK(g.names()[2] == parameters[2].name());
      const NamedTensors whole =
          value_and_gradient([&] { return cost(batch); }, parameters).gradients;
      REQUIRE(g.size() == 4);
      for (std::size_t k = 0; k < 4; ++k) {
        INFO(cost_name << ", " << m << " examples, " << parameters[k].name());
        CHECK(g[k].extent(0) == m);
        REQUIRE_CLOSE(sum(g[k], 0), whole[k], 1e-12, 1e-14);
        const std::vector<Tensor> rows = rows_of(g[k]);
        for (std::int64_t i = 0; i < m; ++i) {
          const Tape tape;
          const Tensor loss = cost(batch.slice(i, i + 1));
          const NoRecording scope;
          REQUIRE_CLOSE(rows[static_cast<std::size_t>(i)],
                        gradient(loss, parameters[k]) / static_cast<double>(m), 1e-13, 1e-16);
        }
      }
    }
}

TEST_CASE("gradients of single examples of a function of tensors", "[per_example]") {
  const Tensor x = numbers({5, 3}), y = numbers({5}, -1, 1, 2), w = numbers({3}, -1, 1, 3);
  const Tensor unused = numbers({2, 2}), s(0.5);
  const std::vector<Tensor> wrt{w, unused, s};
  const std::vector<Tensor> g = per_example_gradient(
      [&](const Tensor& a, const Tensor& b) { return s * mean(square(matmul(a, w) - b)); },
      std::tie(x, y), wrt);
  REQUIRE_CLOSE(g[0], 0.5 * 2 / 5.0 * x * expand_dims(matmul(x, w) - y, 1), 1e-14, 1e-16);
  CHECK(identical(g[1], zeros({5, 2, 2}, DType::float64)));
  REQUIRE_CLOSE(g[2], square(matmul(x, w) - y) / 5, 1e-14, 1e-16);
  const std::vector<Tensor> one =
      per_example_gradient([&](const Tensor& a) { return sum(a * w); }, x, std::span(wrt).first(1));
  REQUIRE_CLOSE(one[0], x, 1e-15);  // of a sum, not of an average
}

TEST_CASE("the same gradients of examples on any number of threads", "[per_example]") {
  for (const std::int64_t m : {3, 64, 100}) {
    const DenseNetwork net({784, 30, 10}, "sigmoid", 1, DType::float32);
    const datasets::Batch batch = examples(m, 784, 10, DType::float32);
    const auto pass = [&](std::size_t threads) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      return per_example_gradient(
          [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); }, batch,
          net.parameters());
    };
    const NamedTensors one = pass(1);
    for (const std::size_t threads : {2u, 8u}) {
      const NamedTensors several = pass(threads);
      for (std::size_t k = 0; k < one.size(); ++k) CHECK(identical(one[k], several[k]));
    }
  }
}

TEST_CASE("gradients of examples are differentiated again", "[per_example]") {
  const Tensor x = numbers({4, 3}), w = numbers({3, 2}, -1, 1, 2);
  const auto norms = [](const Tensor& a, const Tensor& v) {
    const std::vector<Tensor> g = per_example_gradient(
        [&](const Tensor& one) {
          const Tensor h = checkpoint([&](const Tensor& u) { return tanh(matmul(u, v)); }, one);
          return sum(square(on_gradient(h, [](const Tensor& d) { return d; })));
        },
        a, std::span(&v, 1));
    return sum(square(g[0]) * sin(g[0]));
  };
  const GradCheck check = gradcheck(norms, x, w);
  INFO(check);
  CHECK(check.passed);
  // Recorded or not, they are the same but for the products of one row and of several.
  const auto cost = [&](const Tensor& one) { return sum(tanh(matmul(one, w))); };
  const std::vector<Tensor> plain = per_example_gradient(cost, x, std::span(&w, 1));
  const Tape tape;
  REQUIRE_CLOSE(per_example_gradient(cost, x, std::span(&w, 1))[0], plain[0], 1e-13, 1e-15);
}

TEST_CASE("every operation in a checkpoint and for single examples", "[per_example][checkpoint]") {
  for (const CatalogueEntry& entry : catalogue())
    for (const CatalogueEntry::Sample& sample : entry.samples) {
      if (!sample.error.empty()) continue;
      std::vector<Tensor> inputs;
      for (const Tensor& x : sample.inputs)
        if (is_floating(x.dtype())) inputs.push_back(x);
      const auto value = [&](const std::vector<Tensor>& v) {
        std::vector<Tensor> all = sample.inputs;
        for (std::size_t i = 0, k = 0; i < all.size(); ++i)
          if (is_floating(all[i].dtype())) all[i] = v[k++];
        return sample.apply(all);
      };
      const Tensor y = value(inputs);
      if (inputs.empty() || !is_floating(y.dtype())) continue;
      INFO(entry.name << ": " << sample.equation << " of " << inputs[0].shape());
      const Tensor weights = numbers(y.shape(), 0.5, 2, 9, y.dtype());
      const auto derivatives = [&](bool in_checkpoint) {
        const Tape tape;
        const auto call = [&](const Tensor& x) {
          std::vector<Tensor> v = inputs;
          v[0] = x;
          return value(v);
        };
        const Tensor loss =
            sum(weights * square(in_checkpoint ? checkpoint(call, inputs[0]) : call(inputs[0])));
        std::vector<Tensor> result = gradient(loss, inputs);
        Tensor next(0.0);
        for (const Tensor& g : result) next = next + sum(g * numbers(g.shape(), -1, 1, 5));
        for (const Tensor& g : gradient(next, inputs)) result.push_back(g);
        return result;
      };
      const std::vector<Tensor> plain = derivatives(false), again = derivatives(true);
      for (std::size_t i = 0; i < plain.size(); ++i) CHECK(identical(plain[i], again[i]));

      const Tensor scale{0.5, 1.0, 0.75};
      const auto cost = [&](const Tensor& s) { return sum(weights * value(inputs)) * sum(s); };
      const std::vector<Tensor> g = per_example_gradient(cost, scale, inputs);
      for (std::int64_t e = 0; e < 3; ++e) {
        const Tape tape;
        const std::vector<Tensor> alone = gradient(cost(slice(scale, 0, e, e + 1)), inputs);
        for (std::size_t i = 0; i < alone.size(); ++i)
          REQUIRE_CLOSE(rows_of(g[i])[static_cast<std::size_t>(e)], detach(alone[i]), 1e-13,
                        1e-300);
      }
    }
}

TEST_CASE("what gradients of single examples refuse", "[per_example]") {
  const Tensor x = numbers({4, 3}), y = numbers({5}), w = numbers({3});
  const std::span<const Tensor> wrt(&w, 1);
  const auto cost = [&](const Tensor& a) { return sum(a * w); };
  REQUIRE_ERROR(per_example_gradient(cost, zeros({0, 3}), wrt), ValueError,
                "[per_example_gradient] the batch is empty");
  REQUIRE_ERROR(per_example_gradient(cost, Tensor(1.0), wrt), ShapeError,
                "[per_example_gradient] tensor 0 of the batch has no axis of examples");
  REQUIRE_ERROR(per_example_gradient([&](const Tensor& a, const Tensor&) { return cost(a); },
                                     std::tie(x, y), wrt),
                ShapeError,
                "[per_example_gradient] the tensors of the batch have different numbers of "
                "examples: (4, 3) and (5,)");
  REQUIRE_ERROR(per_example_gradient([&](const Tensor& a) { return a * w; }, x, wrt), ShapeError,
                "[per_example_gradient] the cost of an example must be a scalar, but has the shape "
                "(1, 3); reduce it with sum or mean");
  REQUIRE_ERROR(per_example_gradient([&](const Tensor&) { return Tensor(); }, x, wrt), DTypeError,
                "[per_example_gradient] the cost is undefined and has no derivative");
  REQUIRE_ERROR(per_example_gradient([&](const Tensor&) { return Tensor(1); }, x, wrt), DTypeError,
                "[per_example_gradient] the cost is int64 and has no derivative");
  REQUIRE_ERROR(per_example_gradient([&](const Tensor&) { return Tensor(1.0); }, x, wrt), TapeError,
                "[per_example_gradient] the tensor of shape () was not recorded");
  const Tensor labels{1, 2}, undefined;
  REQUIRE_ERROR(per_example_gradient(cost, x, std::span(&labels, 1)), DTypeError,
                "[per_example_gradient] tensor 0 is int64 and cannot be differentiated");
  REQUIRE_ERROR(per_example_gradient(cost, x, std::span(&undefined, 1)), DTypeError,
                "[per_example_gradient] tensor 0 is undefined and cannot be differentiated");
  Tensor h;
  const Tape tape;
  h = square(w);
  const NoRecording scope;
  REQUIRE_ERROR(per_example_gradient([&](const Tensor& a) { return sum(a * h); }, x, wrt),
                TapeError, "write detach(x) to take its value as a constant");
}
