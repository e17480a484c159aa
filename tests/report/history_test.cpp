// What a report measures, beside the same measured by hand.
#include "report/history.hpp"

#include <cmath>

#include "nn/nn.hpp"
#include "report/html.hpp"
#include "report/picture.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

namespace {

struct Net : nn::Module {
  nn::Dense hidden{64, 5, {.seed = 1}}, output{5, 10, {.seed = 2}};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return sigmoid(output(sigmoid(hidden(x)))); }
};

Watched watched(const Net& net, const datasets::Split& data) {
  return {net.parameters(),
          [&](const datasets::Batch& b) { return nn::quadratic_cost(net(b.inputs), b.targets); },
          [&](const Tensor& x) { return net(x); }, data.train, data.test};
}

}  // namespace

TEST_CASE("the history measures at its times") {
  const Net net;
  const datasets::Split all = datasets::digits();
  const datasets::Split data{all.train.slice(0, 95), all.test.slice(0, 20)};
  History history(watched(net, data));
  for (std::int64_t epoch = 0; epoch < 5; ++epoch)
    for (std::int64_t seen = 10; seen < 105; seen += 10)
      history.after(epoch * 95 + std::min<std::int64_t>(seen, 95));
  history.end(5 * 95);
  std::vector<double> epochs;
  for (const auto& score : history.training()) epochs.push_back(score.epoch);
  REQUIRE(epochs.size() == 1 + 3 * 10 + 2);
  CHECK(epochs.front() == 0);
  for (std::size_t i : {1u, 2u, 3u}) CHECK(epochs[10 * i] == static_cast<double>(i));
  CHECK(epochs[31] == 4);
  CHECK(epochs[32] == 5);
  history.end(5 * 95 + 10);
  CHECK(history.training().size() == 34);
  CHECK(history.test().size() == 34);
  CHECK(history.norms().size() == 34);
}

TEST_CASE("the history's numbers are those of the network") {
  const Net net;
  const datasets::Split data = datasets::digits();
  const History history(watched(net, data));
  CHECK(history.probe_size() == 1000);

  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 1000; ++i) rows.push_back(i * 1438 / 1000);
  const datasets::Batch probe = data.train.take(rows);
  const auto cost = [&](const datasets::Batch& b) {
    return nn::quadratic_cost(net(b.inputs), b.targets);
  };
  const auto by_hand = value_and_gradient([&] { return cost(probe); }, net.parameters());
  CHECK(history.training()[0].cost == by_hand.value.item());
  CHECK(history.training()[0].accuracy ==
        static_cast<double>(nn::count_correct(net(probe.inputs), probe.labels)) / 1000);
  CHECK(history.test()[0].cost == Approx(cost(data.test).item()).epsilon(1e-6));
  REQUIRE(history.norms()[0].weight.size() == 2);
  for (std::size_t l = 0; l < 2; ++l) {
    double w = 0, b = 0;
    for (const float g : by_hand.gradients[2 * l].values<float>())
      w += static_cast<double>(g) * static_cast<double>(g);
    for (const float g : by_hand.gradients[2 * l + 1].values<float>())
      b += static_cast<double>(g) * static_cast<double>(g);
    CHECK(history.norms()[0].weight[l] == Approx(std::sqrt(w)));
    CHECK(history.norms()[0].bias[l] == Approx(std::sqrt(b)));
  }

  const History::Answers answers = history.answers();
  std::int64_t right = 0, all = 0;
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 10; ++j) {
      all += answers.confusion[i][j];
      if (i == j) right += answers.confusion[i][j];
    }
  CHECK(all == 359);
  CHECK(right == nn::count_correct(net(data.test.inputs), data.test.labels));
  REQUIRE(static_cast<std::int64_t>(answers.mistakes.size()) == all - right);
  double before = INFINITY;
  for (const History::Mistake& m : answers.mistakes) {
    const datasets::Batch one = data.test.slice(m.example, m.example + 1);
    CHECK(m.cost <= before);
    before = m.cost;
    CHECK(m.cost == Approx(cost(one).item()));
    CHECK(static_cast<double>(m.label) == one.labels.at({0}));
    CHECK(static_cast<double>(m.answer) == argmax(net(one.inputs), -1).at({0}));
  }
}

TEST_CASE("a network that is no longer finite gives no answers") {
  const Net net;
  net.parameters()[0].assign(full({5, 64}, NAN, DType::float32));
  const datasets::Split data = datasets::digits();
  const History::Answers answers = History(watched(net, data)).answers();
  CHECK_FALSE(answers.finite);
  CHECK(answers.mistakes.empty());
}

TEST_CASE("pictures are PNG") {
  const std::vector<double> values{0, 0.5, 1, 2, -1, 0};
  for (const std::string& uri : {ink_picture(values, 3), signed_picture(values, 2)}) {
    CHECK(uri.starts_with("data:image/png;base64,iVBORw0KGgo"));
    CHECK((uri.size() - std::string("data:image/png;base64,").size()) % 4 == 0);
  }
  CHECK(ink_picture(values, 3) != ink_picture(values, 2));
  CHECK(signed_picture(values, 2) != ink_picture(values, 2));
}

TEST_CASE("text from outside is escaped") {
  CHECK(escaped("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
}
