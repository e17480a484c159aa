// Steps of SGD, and the promise that no result depends on the number of threads.
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "datasets/datasets.hpp"
#include "optim/optim.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/network.hpp"

using namespace xg;

namespace {

datasets::Dataset noise(std::int64_t examples, DType dtype) {
  return {random_normal({examples, 12}, Key{1}, dtype),
          random_uniform({examples, 5}, Key{2}, dtype),
          {}};
}

/// All parameters after several epochs with an uneven last batch.
std::vector<Tensor> trained(DType dtype, std::int64_t batch_size,
                            const optim::SGDOptions& options) {
  const test::DenseNetwork net({12, 9, 5}, "sigmoid", 3, dtype);
  optim::SGD sgd{net.parameters(), options};
  datasets::Loader loader{noise(333, dtype), {.batch_size = batch_size, .seed = 4}};
  for (int epoch = 0; epoch < 3; ++epoch)
    for (const auto& batch : loader)
      sgd.step(batch, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });
  std::vector<Tensor> result;
  for (const ParameterRef& p : net.parameters()) result.push_back(p.value());
  return result;
}

void check_identical(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(identical(a[i], b[i]));
}

}  // namespace

TEST_CASE("parallel steps: the same bits for 1, 2, 3 and 8 threads") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [batch, chunk] : {std::pair{50, 7}, {200, 0}, {128, 16}, {333, 1}}) {
      CAPTURE(dtype, batch, chunk);
      const auto with = [&, b = batch, c = chunk](int threads) {
        return trained(dtype, b, {.learning_rate = 0.5, .threads = threads, .chunk_size = c});
      };
      const auto one = with(1);
      for (const int threads : {2, 3, 8, 0}) check_identical(one, with(threads));
    }
}

TEST_CASE("parallel steps respect a surrounding arena and global control, with the same bits") {
  const optim::SGDOptions options{.learning_rate = 0.5, .chunk_size = 10};
  const auto expected = trained(DType::float32, 100, options);
  {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
    check_identical(expected, trained(DType::float32, 100, options));
  }
  tbb::task_arena arena(1);
  int widest = 0;
  arena.execute([&] {
    check_identical(expected, trained(DType::float32, 100, options));
    widest = tbb::this_task_arena::max_concurrency();
  });
  CHECK(widest == 1);
}

TEST_CASE("a step in chunks agrees with one big batch within rounding") {
  const auto whole = trained(DType::float64, 100, {.learning_rate = 0.5, .chunk_size = 1000});
  for (const std::int64_t chunk : {1, 7, 33, 50}) {
    const auto cut = trained(DType::float64, 100, {.learning_rate = 0.5, .chunk_size = chunk});
    for (std::size_t i = 0; i < whole.size(); ++i)
      CHECK(test::relative_distance(test::doubles(cut[i]), test::doubles(whole[i])) < 1e-12);
  }
}

TEST_CASE("a step gives the average cost and moves along the negative gradient") {
  const auto data = noise(10, DType::float64);
  const test::DenseNetwork net({12, 5}, "tanh", 1);
  const auto cost = [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); };
  const auto before = value_and_gradient([&] { return cost(data); }, net.parameters());
  const std::vector<Tensor> start{net.layers[0].weight, net.layers[0].bias};
  for (const std::int64_t chunk : {10, 3}) {
    const test::DenseNetwork copy = net;
    optim::SGD sgd{copy.parameters(), {.learning_rate = 0.25, .chunk_size = chunk}};
    const double value = sgd.step(
        data, [&](const auto& b) { return nn::quadratic_cost(copy(b.inputs), b.targets); });
    CHECK(std::abs(value - before.value.item()) < 1e-14);
    const auto parameters = copy.parameters();
    for (std::size_t i = 0; i < start.size(); ++i)
      CHECK(test::relative_distance(test::doubles(parameters[i].value()),
                                    test::doubles(start[i] - 0.25 * before.gradients[i])) < 1e-14);
  }
}

TEST_CASE("a step along given gradients") {
  Parameter w(Tensor{1., 2.}), b(Tensor(3.));
  optim::SGD sgd{{{"w", w}, {"b", b}}, {.learning_rate = 0.5}};
  const Tensor kept = w;
  sgd.step(std::vector<Tensor>{Tensor{2., 4.}, Tensor(-2.)});
  CHECK(identical(w.value(), Tensor{0., 0.}));
  CHECK(identical(b.value(), Tensor(4.)));
  CHECK(identical(kept, Tensor{1., 2.}));  // whoever holds the old value keeps it
  REQUIRE_ERROR(sgd.step(std::vector<Tensor>{Tensor{2., 4.}}), ValueError,
                "[SGD] 1 gradients for 2 parameters");
  REQUIRE_ERROR(sgd.step(std::vector<Tensor>{}), ValueError, "sgd_test.cpp:");
  REQUIRE_ERROR(sgd.set_learning_rate(-1), ValueError, "sgd_test.cpp:");
  REQUIRE_ERROR(optim::SGD(ParameterRefs{}, {}), ValueError, "sgd_test.cpp:");
  REQUIRE_ERROR(sgd.step(std::vector<Tensor>{Tensor{2., 4.}, Tensor{1., 1.}}), ShapeError,
                "[SGD] parameter 'b' has the shape (), what came has (2,)");
  REQUIRE_ERROR(sgd.step(std::vector<Tensor>{Tensor{2.f, 4.f}, Tensor(1.)}), DTypeError,
                "[SGD] parameter 'w' is float64, what came is float32");
  CHECK(identical(w.value(), Tensor{0., 0.}));
}

TEST_CASE("parallel steps: what the cost throws reaches the caller, and nothing has changed") {
  const auto data = noise(40, DType::float32);
  const test::DenseNetwork net({12, 5}, "tanh", 1, DType::float32);
  const Tensor before = net.layers[0].weight;
  for (const std::int64_t chunk : {40, 4}) {
    optim::SGD sgd{net.parameters(), {.learning_rate = 0.5, .threads = 2, .chunk_size = chunk}};
    const auto step = [&](bool fails) {
      return sgd.step(data, [&](const auto& b) -> Tensor {
        if (fails) throw std::domain_error("the user's own");
        return nn::quadratic_cost(net(b.inputs), b.targets);
      });
    };
    CHECK_THROWS_WITH(step(true), "the user's own");
    CHECK(identical(net.layers[0].weight.value(), before));
    CHECK(Tape::recording() == nullptr);
    REQUIRE_ERROR(sgd.step(data, [&](const auto& b) { return net(b.inputs); }), ShapeError,
                  "the loss must be a scalar");
  }
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.5}};
  sgd.step(data, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });
  CHECK_FALSE(identical(net.layers[0].weight.value(), before));  // and it still works
}

TEST_CASE("a step inside a recording tape leaves that tape alone") {
  const auto data = noise(4, DType::float64);
  const test::DenseNetwork net({12, 5}, "tanh", 1);
  optim::SGD sgd{net.parameters(), {}};
  const Tape tape;
  const Tensor v{2.};
  const Tensor y = sum(v * v);
  const std::size_t nodes = tape.size();
  sgd.step(data, [&](const auto& b) { return nn::quadratic_cost(net(b.inputs), b.targets); });
  CHECK(tape.size() == nodes);
  CHECK(gradient(y, v).item() == 4);
}

TEST_CASE("SGD refuses nonsense") {
  const Parameter w(Tensor{1.});
  const ParameterRefs parameters{{"w", w}};
  for (const double rate : {0., -1., double(NAN), double(INFINITY)})
    REQUIRE_ERROR(optim::SGD(parameters, {.learning_rate = rate}), ValueError,
                  "the learning rate must be a positive number");
  REQUIRE_ERROR(optim::SGD({}, {}), ValueError, "there are no parameters to train");
  REQUIRE_ERROR(optim::SGD(parameters, {.threads = -1}), ValueError,
                "cannot be negative: -1 and 0");
  REQUIRE_ERROR(optim::SGD(parameters, {.chunk_size = -2}), ValueError,
                "cannot be negative: 0 and -2");
  REQUIRE_ERROR(optim::SGD({{"a", w}, {"b", w}}, {}), ValueError, "'a' and 'b' are one parameter");
  optim::SGD sgd{parameters, {}};
  REQUIRE_ERROR(sgd.step(noise(4, DType::float64), [&](const auto& b) { return sum(b.inputs); }),
                ValueError, "the cost depends on none of the parameters");
  const auto data = noise(4, DType::float64);
  REQUIRE_ERROR(sgd.step(data,
                         [&](const auto&) {
                           sgd.step(data, [&](const auto&) { return sum(w); });
                           return sum(w);
                         }),
                ValueError, "step was called by its own cost");
  CHECK(sgd.step(data, [&](const auto&) { return sum(w); }) == 1);
  REQUIRE_ERROR(sgd.step(noise(0, DType::float64), [&](const auto&) { return sum(w); }), ValueError,
                "[SGD] the batch is empty");
  REQUIRE_ERROR(sgd.set_learning_rate(-1), ValueError, "positive number, not -1");
}

TEST_CASE("anomalies are found on every thread, only while asked for, and nothing has changed") {
  const Parameter w(Tensor{1.f});
  optim::SGD sgd{{ParameterRef("w", w)}, {.learning_rate = 1, .threads = 2, .chunk_size = 1}};
  const datasets::Dataset zeros_only{
      zeros({4, 1}, DType::float32), zeros({4, 1}, DType::float32), {}};
  const datasets::Batch batch = *datasets::Loader{zeros_only, {.batch_size = 4}}.begin();
  const auto cost = [&](const auto& b) { return sum(log(b.inputs)) * sum(w); };
  {
    const DetectAnomalies scope;
    REQUIRE_ERROR(sgd.step(batch, cost), AnomalyError, "[log] gave -inf at (0, 0)");
    CHECK(w.value().at({0}) == 1);
  }
  CHECK_NOTHROW(sgd.step(batch, cost));
}
