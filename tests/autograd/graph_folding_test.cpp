// Pictures of graphs: blocks that repeat are drawn once, and no connection is lost.
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "nn/nn.hpp"
#include "tests/support/graph.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Who is connected with whom, as "v1 -> v3", with "back" for the way back; for nodes that are
/// folded in another text about the same graph, as their block there.
std::set<std::string> connections(const std::string& dot, const std::string& folded) {
  std::vector<int> all;  // the nodes of the tape, in order
  for (const Drawn& d : read(dot))
    if (d.head.find("->") == std::string::npos) all.push_back(std::stoi(d.head.substr(1)));
  std::map<int, int> shown;
  for (const int n : all) shown[n] = n;
  std::istringstream lines(folded);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find("subgraph") == std::string::npos) continue;
    std::getline(lines, line);
    const std::size_t repeats = std::stoul(line.substr(line.find("× ") + std::strlen("× ")));
    std::vector<int> block;
    while (std::getline(lines, line) && line != "  }")
      block.push_back(std::stoi(line.substr(line.find('v') + 1)));
    const auto first = std::find(all.begin(), all.end(), block.at(0));
    REQUIRE(static_cast<std::size_t>(all.end() - first) >= repeats * block.size());
    for (std::size_t i = 0; i < repeats * block.size(); ++i)
      shown[first[static_cast<std::ptrdiff_t>(i)]] = block[i % block.size()];
  }
  std::set<std::string> result;
  for (const Drawn& d : read(dot)) {
    const std::size_t arrow = d.head.find(" -> v");
    if (arrow == std::string::npos) continue;
    result.insert(detail::text('v', shown.at(std::stoi(d.head.substr(1))), " -> v",
                               shown.at(std::stoi(d.head.substr(arrow + 5))),
                               d.backward ? " back" : ""));
  }
  return result;
}

}  // namespace

TEST_CASE("graph: equal layers are one block") {
  std::vector<nn::Dense> layers;
  ParameterRefs parameters;
  layers.emplace_back(3, 4, nn::DenseOptions{.dtype = DType::float64});
  for (int l = 0; l < 20; ++l) layers.emplace_back(4, 4, nn::DenseOptions{.dtype = DType::float64});
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (const ParameterRef& p : layers[l].parameters())
      parameters.push_back(p.within("layer" + std::to_string(l + 1)));
  const Tensor x = numbers({5, 3}), y = numbers({5, 4});
  const Tape tape;
  Tensor a = x;
  for (const nn::Dense& d : layers) a = sigmoid(d(a));
  const Tensor cost = nn::quadratic_cost(a, y);

  const std::string dot = graph(cost, parameters, {.norms = true}).dot();
  REQUIRE(blocks(dot) == 1);
  CHECK_THAT(dot, ContainsSubstring("× 20: equal blocks"));
  CHECK(count(dot, false) == 5 + 4 + 4);  // the first layer, the block, the cost
  CHECK_THAT(text_of(dot, "v5"), ContainsSubstring("layer2.weight … layer21.weight|w^2 … w^21|"));
  CHECK_THAT(text_of(dot, "v8"), ContainsSubstring("A^2 = σ(Z^2)"));
  CHECK(text_of(dot, "v4 -> v7") == "to the first");
  CHECK(text_of(dot, "v8 -> v7") == "to the next");
  CHECK(text_of(dot, "v8 -> v7", true) == "to the next|Δ^3 w^3");
  CHECK(text_of(dot, "v8 -> v86") == "of the last");
  // The norms of the first and of the last.
  std::vector<Tensor> first = gradient(cost, {layers[1].weight.value(), layers[20].weight.value()});
  const auto norm = [](const Tensor& t) { return std::sqrt(squared_norm(detach(t)).item()); };
  char range[64];
  std::snprintf(range, sizeof range, "= %.3g … %.3g", norm(first[0]), norm(first[1]));
  CHECK_THAT(text_of(dot, "v5"), ContainsSubstring(range));

  CHECK(blocks(graph(cost, parameters, {.fold_above = 89}).dot()) == 0);
  CHECK(blocks(graph(cost, parameters, {.fold_above = 88}).dot()) == 1);
}

TEST_CASE("graph: shared weights stand before the block, inputs of each step within") {
  const nn::Dense d(4, 4, {.dtype = DType::float64});
  Tensor h = numbers({3, 4});
  std::vector<Tensor> all;
  const Tape tape;
  for (std::size_t i = 0; i < 20; ++i) {
    h = tanh(d(h) + numbers({3, 4}, -1, 1, i));
    all.push_back(h);
  }
  const std::string dot = graph(sum(square(h)), d.parameters()).dot();
  REQUIRE(blocks(dot) == 1);
  CHECK_THAT(dot, ContainsSubstring("× 19: equal blocks"));
  // %1 is the weight; the block is input, sum, tanh, and the product of the next step.
  CHECK(text_of(dot, "v1 -> v3").empty());  // the first product
  CHECK(text_of(dot, "v1 -> v7") == "to each");
  CHECK(text_of(dot, "v1 -> v7", true) == "to each|v̄₄ᵀ v₃");
  CHECK(text_of(dot, "v7 -> v5") == "to the next");
  // All steps used at the end.
  const std::string steps = graph(sum(concatenate(all, 0)), d.parameters()).dot();
  REQUIRE(blocks(steps) == 1);
  CHECK(text_of(steps, "v6 -> v85") == "of each");
}

TEST_CASE("graph: connections over two blocks lead where they should") {
  const Tensor x = numbers({3, 4});
  const Tape tape;
  Tensor a = x, b = square(x);
  for (int i = 0; i < 30; ++i) a = std::exchange(b, sin(b) + a);
  const std::string dot = graph(sum(b)).dot();
  REQUIRE(blocks(dot) == 1);
  // v0 = x, v1 = b, then sin and add: x goes to the first sum, b to the first sine and the second
  // sum, each sum to the next sine and to the sum two blocks on.
  const auto edges_of = [&](const std::string& head) { return text_of(dot, head); };
  CHECK(edges_of("v0 -> v3") == "");
  CHECK_THAT(dot, ContainsSubstring("× 29: equal blocks") || ContainsSubstring("× 30: equal"));
  CHECK_THAT(dot, ContainsSubstring("to the next") && ContainsSubstring("2 blocks on"));
}

TEST_CASE("graph: a sum over the weights of all layers goes along the layers") {
  std::vector<nn::Dense> layers;
  for (int l = 0; l < 20; ++l)
    layers.emplace_back(4, 4, nn::DenseOptions{.bias = false, .dtype = DType::float64});
  Tensor a = numbers({5, 4}), decay = Tensor(0.0);
  const Tape tape;
  for (const nn::Dense& d : layers) a = sigmoid(d(a));
  for (const nn::Dense& d : layers) decay = decay + squared_norm(d.weight);
  const std::string dot = graph(sum(square(a)) + decay).dot();
  REQUIRE(blocks(dot) == 2);
  CHECK(text_of(dot, "v0 -> v81") == "");  // the first layer, whose input is from outside
  CHECK(text_of(dot, "v5 -> v84") == "one by one");
  CHECK(text_of(dot, "v5 -> v84", true) == "one by one|2 v̄₂₃ ⊙ w^2");
  const std::string all = graph(sum(square(a)) + decay, {}, {.fold_above = 1000}).dot();
  CHECK(blocks(all) == 0);
}

TEST_CASE("graph: what all blocks use stands before the first") {
  const Tensor x = numbers({2});
  const Tape tape;
  Tensor v = sin(x);
  const Tensor first = v;
  v = v * first;
  for (int i = 0; i < 20; ++i) v = sin(v) * first;
  const std::string dot = graph(sum(v)).dot();
  CHECK_THAT(dot, ContainsSubstring("× 20: equal blocks"));
  // The block is a product, and the sine of it; the first product is a square.
  CHECK(text_of(dot, "v1 -> v2") == "to the first & to each");
  CHECK(text_of(dot, "v3 -> v2") == "to the next");
  CHECK(text_of(dot, "v3 -> v42") == "of the last");
  CHECK(count(dot, false) == 6);
}

TEST_CASE("graph: blocks may go along others from the middle on") {
  const Tensor x = numbers({2});
  const Tape tape;
  std::vector<Tensor> sines{sin(x)};
  for (int i = 1; i < 20; ++i) sines.push_back(sin(sines.back()));
  Tensor total = x;
  for (std::size_t i = 4; i < 20; ++i) total = total + sines[i];
  const std::string dot = graph(sum(total), {}, {.fold_above = 20}).dot();
  REQUIRE(blocks(dot) == 2);
  CHECK(text_of(dot, "v1 -> v21") == "of number 5");
  CHECK(text_of(dot, "v1 -> v22") == "one by one, from number 6 on");
}

TEST_CASE("graph: folding loses no connection and adds none") {
  int folded_blocks = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    std::mt19937 draw(seed);
    // One step: functions of what some steps before gave, and of a few shared tensors.
    struct Step {
      std::size_t function, shared, back, also_back;
    };
    std::vector<Step> steps(1 + draw() % 4);
    for (Step& s : steps) s = {draw() % 5, draw() % 2, 1 + draw() % 3, 1 + draw() % 9};
    std::vector<Tensor> values, shared;
    for (std::uint64_t i = 0; i < 9; ++i) values.push_back(numbers({2}, -1, 1, i));
    for (std::uint64_t i = 0; i < 2; ++i) shared.push_back(numbers({2}, -1, 1, 20 + i));
    const Tape tape;
    std::vector<Tensor> every;
    for (int repeat = 0; repeat < 12; ++repeat) {
      for (const Step& s : steps) {
        const Tensor a = values[values.size() - s.back], b = values[values.size() - s.also_back];
        values.push_back(s.function == 0   ? sin(a)
                         : s.function == 1 ? a + b
                         : s.function == 2 ? a * shared[s.shared]
                         : s.function == 3 ? a * numbers({2}, -1, 1, draw())
                                           : b - a);
      }
      every.push_back(values[values.size() - 1 - draw() % steps.size() * (seed % 2)]);
    }
    Tensor total = sum(values.back());
    if (seed % 3 == 1) total = total + sum(concatenate(every, 0));
    if (seed % 3 == 2)
      for (const Tensor& t : every) total = total + sum(square(t));
    if (seed % 5 == 0) total = total + sum(every[5] * every[7]);

    const std::string folded = graph(total, {}, {.fold_above = 0}).dot();
    const std::string whole = graph(total, {}, {.fold_above = 100000}).dot();
    folded_blocks += static_cast<int>(blocks(folded));
    REQUIRE(blocks(whole) == 0);
    // The text that is folded has its connections between shown nodes already.
    CHECK(connections(whole, folded) == connections(folded, ""));
  }
  CHECK(folded_blocks > 40);
}

TEST_CASE("graph: what repeats without being used alike is not folded") {
  const Tensor x = numbers({3, 4});
  const Tape tape;
  Tensor v = x, total = Tensor(0.0);
  std::vector<Tensor> kept;
  for (int i = 0; i < 30; ++i) kept.push_back(v = sin(v));
  for (int i = 29; i >= 0; i -= 2) total = total + sum(kept[static_cast<std::size_t>(i)]);
  const std::string dot = graph(total).dot();
  // Fifteen arrows would have to say from which of the sines they come.
  CHECK(blocks(dot) == 0);
  CHECK(count(dot, false) == 1 + 30 + 1 + 2 * 15);
}
