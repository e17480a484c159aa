// Pictures of graphs: what stands in the DOT text, what is folded, and the road to SVG.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <set>

#include "nn/nn.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A drawn node or edge, with all its text.
struct Drawn {
  std::string head, text;  // "v3" or "v1 -> v3"; the lines of the label, one after the other
  bool backward = false;
};

/// The nodes and edges of DOT text; the lines of a label without mark-up, with "|" between them.
std::vector<Drawn> read(const std::string& dot) {
  std::vector<Drawn> result;
  const std::regex statement("^ *(v[0-9]+( -> v[0-9]+)?)( \\[(.*)\\])?$"),
      cell("<TD[^>]*>(.*?)</TD>"), tag("<[^>]*>");
  std::istringstream lines(dot);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, statement)) continue;
    Drawn d{found[1], "", line.find("class=\"backward\"") != std::string::npos};
    for (std::sregex_iterator it(line.begin(), line.end(), cell), end; it != end; ++it)
      d.text.append(d.text.empty() ? "" : "|").append(std::regex_replace((*it)[1].str(), tag, ""));
    result.push_back(d);
  }
  return result;
}

std::string text_of(const std::string& dot, const std::string& head, bool backward = false) {
  std::string result;
  for (const Drawn& d : read(dot))
    if (d.head == head && d.backward == backward)
      result.append(result.empty() ? "" : " & ").append(d.text);
  return result;
}

std::ptrdiff_t count(const std::string& dot, bool edges, bool backward = false) {
  const auto all = read(dot);
  return std::count_if(all.begin(), all.end(), [&](const Drawn& d) {
    return (d.head.find("->") != std::string::npos) == edges && d.backward == backward;
  });
}

std::ptrdiff_t blocks(const std::string& dot) {
  const std::regex cluster("subgraph cluster_");
  return std::distance(std::sregex_iterator(dot.begin(), dot.end(), cluster),
                       std::sregex_iterator());
}

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

/// The environment variable PATH for as long as this lives.
class Path {
 public:
  explicit Path(const std::string& path) : before_(std::getenv("PATH")) {
    setenv("PATH", path.c_str(), 1);
  }
  ~Path() { setenv("PATH", before_.c_str(), 1); }

 private:
  std::string before_;
};

bool has_dot() {
  return std::system("dot -V >/dev/null 2>&1") == 0;  // NOLINT: no other way to look
}

struct Net {
  nn::Dense hidden{3, 4, {.dtype = DType::float64}}, output{4, 2, {.dtype = DType::float64}};
  Tensor x = numbers({5, 3}), y = numbers({5, 2});
  ParameterRefs parameters;

  Net() {
    for (const ParameterRef& p : hidden.parameters()) parameters.push_back(p.within("hidden"));
    for (const ParameterRef& p : output.parameters()) parameters.push_back(p.within("output"));
  }
  Tensor cost() const { return nn::quadratic_cost(sigmoid(output(sigmoid(hidden(x)))), y); }
};

}  // namespace

TEST_CASE("graph: a network, forward and backward") {
  const Net net;
  const Tape tape;
  const std::string dot = graph(net.cost(), net.parameters).dot();
  // x w b z a | w b z a | y, difference, norm, cost
  REQUIRE(count(dot, false) == 13);
  REQUIRE(count(dot, true) == 12);
  CHECK(count(dot, true, true) == 10);  // none to x and y
  CHECK(text_of(dot, "v0") == "input|A^0|float64 (5, 3)");
  CHECK(text_of(dot, "v1") == "hidden.weight|w^1|float64 (4, 3)|∂C/∂w^1");
  CHECK(text_of(dot, "v3") == "linear|Z^1 = A^0 (w^1)ᵀ + b^1|float64 (5, 4)|Δ^1");
  CHECK(text_of(dot, "v4") == "sigmoid|A^1 = σ(Z^1)|float64 (5, 4)|A\u0304^1");
  CHECK(text_of(dot, "v12") == "scale|C = 0.1 v₂|float64 ()|C̄ = 1");
  // Each dashed edge says what it adds to the adjoint above.
  CHECK(text_of(dot, "v1 -> v3", true) == "(Δ^1)ᵀ A^0");
  CHECK(text_of(dot, "v2 -> v3", true) == "Σ_x Δ^1");
  CHECK(text_of(dot, "v3 -> v4", true) == "A\u0304^1 ⊙ σ'(Z^1)");
  CHECK(text_of(dot, "v4 -> v7", true) == "Δ^2 w^2");
  CHECK(text_of(dot, "v11 -> v12", true) == "0.1 C̄");
}

TEST_CASE("graph: forward alone, of any recorded tensor") {
  const Net net;
  const Tape tape;
  const Tensor z = net.hidden(net.x);
  const std::string dot = graph(z, std::span(net.parameters).first(2), {.backward = false}).dot();
  CHECK(count(dot, false) == 4);
  CHECK(count(dot, true, true) == 0);
  CHECK_THAT(dot, !ContainsSubstring("dashed"));
  CHECK(text_of(dot, "v1") == "hidden.weight|w^1|float64 (4, 3)");
  const std::string places = graph(argmax(z, 1), {}, {.backward = false, .values = true}).dot();
  CHECK_THAT(text_of(places, "v4"), ContainsSubstring("argmax|f = argmax"));
  CHECK_THAT(text_of(places, "v4"), ContainsSubstring("int64 (5,)|"));
}

TEST_CASE("graph: only what the loss depends on") {
  const Net net;
  const Tape tape;
  const Tensor other = exp(net.x);
  const std::string dot = graph(sum(square(net.y))).dot();
  CHECK(count(dot, false) == 3);
  CHECK_THAT(dot, !ContainsSubstring("exp"));
}

TEST_CASE("graph: an operand used twice has two edges and two terms") {
  const Tensor x = numbers({3});
  const Tape tape;
  const std::string dot = graph(sum(x * x + x)).dot();
  const auto all = read(dot);
  CHECK(std::count_if(all.begin(), all.end(),
                      [](const Drawn& d) { return d.head == "v0 -> v1" && !d.backward; }) == 2);
  CHECK(text_of(dot, "v0 -> v1", true) == "v̄₁ ⊙ p₁ & v̄₁ ⊙ p₁");
  CHECK(text_of(dot, "v0 -> v2", true) == "v̄₂");
}

TEST_CASE("graph: values and norms are those of the tape") {
  const Tensor x{1.0, 2.0, 2.0};
  const Tape tape;
  const Tensor cost = sum(square(x)) * 0.5;  // its gradient is x, of norm 3
  const std::string dot = graph(cost, {}, {.values = true, .norms = true}).dot();
  CHECK(text_of(dot, "v0") == "input|p₁|float64 (3,)|[1, 2, 2]|‖∂C/∂p₁‖ = 3");
  CHECK(text_of(dot, "v1") == "square|v₁ = p₁²|float64 (3,)|[1, 4, 4]|‖v̄₁‖ = 0.866");
  CHECK(text_of(dot, "v3") == "scale|C = ½ v₂|float64 ()|4.5|‖C̄‖ = 1");
  // Norms without the way back.
  const std::string forward = graph(cost, {}, {.backward = false, .norms = true}).dot();
  CHECK(text_of(forward, "v0") == "input|p₁|float64 (3,)|‖∂C/∂p₁‖ = 3");
  CHECK(count(forward, true, true) == 0);
}

TEST_CASE("graph: values that the tape did not keep are computed or said to be missing") {
  const Tensor x{1.0, 2.0}, y{3.0, 5.0};
  const Tape tape;
  const Tensor s = square(x) - x;
  const std::string dot = graph(sum(s - y), {}, {.values = true}).dot();
  CHECK_THAT(text_of(dot, "v0"), ContainsSubstring("|[1, 2]|"));
  CHECK_THAT(text_of(dot, "v2"), ContainsSubstring("|[0, 2]|"));  // kept by no rule
  CHECK_THAT(text_of(dot, "v3"),
             ContainsSubstring("input") && ContainsSubstring("values not kept"));
  CHECK_THAT(text_of(dot, "v4"), ContainsSubstring("values not kept"));
  CHECK_THAT(text_of(dot, "v5"), ContainsSubstring("|-6|"));  // the loss is at hand
}

TEST_CASE("graph: numbers that are none, integers, and no elements") {
  const auto shown = [](const Tensor& x) {
    const Tape tape;
    const Tensor cost = sum(square(cast(x, DType::float64)));
    return text_of(graph(cost, {}, {.backward = false, .values = true}).dot(), "v1");
  };
  const double big = 1.5e300;
  CHECK_THAT(shown(tensor({not_a_number, infinity, -infinity, 1}, {4}, DType::float32)),
             ContainsSubstring("[NaN, inf, -inf, 1]"));
  CHECK_THAT(shown(tensor({not_a_number, infinity, -1, 2, 5}, {5}, DType::float32)),
             ContainsSubstring("-1 … 5, mean 2, 1 NaN, 1 inf"));
  CHECK_THAT(shown(tensor({not_a_number, not_a_number, not_a_number, not_a_number, not_a_number},
                          {5}, DType::float32)),
             ContainsSubstring("|5 NaN"));
  CHECK_THAT(shown(Tensor{1, 2, 3, 4, 5, 123456789}), ContainsSubstring("1 … 1.23e+08, mean"));
  CHECK_THAT(shown(zeros({0, 3}, DType::float32)), ContainsSubstring("no elements"));

  const Tensor huge = tensor({big, big, big, big, big}, {5});
  const Tape tape;
  const Tensor cost = sum(huge * huge);  // inf; its gradient is finite
  const std::string dot = graph(cost, {}, {.values = true, .norms = true}).dot();
  CHECK_THAT(text_of(dot, "v0"), ContainsSubstring("1.5e+300 … 1.5e+300, mean 1.5e+300") &&
                                     ContainsSubstring("‖ = 6.71e+300"));
  CHECK_THAT(text_of(dot, "v2"), ContainsSubstring("|inf|"));
}

TEST_CASE("graph: integers are written in full") {
  const Tensor x = numbers({6, 2}), places = Tensor{0, 5, 3, 1, 2, 4};
  const Tape tape;
  const std::string dot = graph(sum(take(x, places)), {}, {.values = true}).dot();
  CHECK_THAT(text_of(dot, "v1"), ContainsSubstring("int64 (6,)|0 … 5"));
}

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

TEST_CASE("graph: names are text and nothing else") {
  const Net net;
  const std::string bad = "a\"b<c>&d\\n\\e{f}|é∂\x01\xff\n]";
  const ParameterRefs named{{bad, net.hidden.weight}, {"", net.hidden.bias}};
  const Tape tape;
  const Graph picture = graph(sum(net.hidden(net.x)), named);
  CHECK_THAT(picture.dot(), ContainsSubstring("a&quot;b&lt;c&gt;&amp;d\\n\\e{f}|é∂\ufffd\ufffd ]"));
  CHECK_THAT(text_of(picture.dot(), "v2"), ContainsSubstring("parameter|b^1|"));
  if (!has_dot()) return;
  CHECK_THAT(picture.svg(), ContainsSubstring("a&quot;b&lt;c&gt;&amp;d\\n\\e{f}|é∂\ufffd\ufffd ]"));
}

TEST_CASE("graph: SVG stands alone") {
  if (!has_dot()) {
    WARN("skipped: the program dot is not installed");
    return;
  }
  const Net net;
  const Tape tape;
  const Graph picture = graph(net.cost(), net.parameters, {.values = true, .norms = true});
  const std::string svg = picture.svg();
  CHECK(svg.starts_with("<svg class=\"xgrad-graph\" "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK_THAT(svg, ContainsSubstring("prefers-color-scheme: dark") &&
                      ContainsSubstring("hidden.weight") && ContainsSubstring("font-family"));
  // Nothing is loaded, and nothing says where it was made.
  CHECK_THAT(svg, !ContainsSubstring("<image") && !ContainsSubstring("href=") &&
                      !ContainsSubstring("url(") && !ContainsSubstring("<!DOCTYPE") &&
                      !ContainsSubstring("/usr") && !ContainsSubstring("/tmp"));
  // Every colour has its other for dark.
  const std::regex colour("(fill|stroke)=\"(#[0-9a-f]+|[a-z]+)\"");
  for (std::sregex_iterator it(svg.begin(), svg.end(), colour), end; it != end; ++it) {
    const std::string value = (*it)[2];
    if (value == "none" || value == "transparent") continue;
    INFO(it->str());
    CHECK_THAT(svg, ContainsSubstring(detail::text('[', it->str(), "] {")));
  }
}

TEST_CASE("graph: large pictures go through dot, also where SIGCHLD is ignored") {
  if (!has_dot()) {
    WARN("skipped: the program dot is not installed");
    return;
  }
  std::string dot = "digraph {\n";
  for (int i = 0; i < 3000; ++i)
    dot += detail::text("a", i, " [label=\"", std::string(60, 'x'), "\"]\n");
  CHECK(Graph(dot + "}").svg().size() > 400000);
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  const std::string svg = Graph("digraph { a -> b }").svg();
  std::signal(SIGCHLD, before);
  CHECK_THAT(svg, ContainsSubstring("</svg>"));
}

TEST_CASE("graph: without dot, and when it fails, the error says so") {
  const Graph picture("digraph { a -> b }");
  {
    const Path nowhere("/nowhere");
    REQUIRE_ERROR(picture.svg(), ProgramError,
                  "[graph] SVG is drawn by the program dot, which is not on the PATH; install "
                  "Graphviz (on Debian: apt-get install graphviz)");
  }
  // Programs of that name that behave badly.
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      detail::text("xgrad-graph-test-", detail::unique_id(), '-', getpid());
  std::filesystem::create_directory(folder);
  const auto replaced_by = [&](const std::string& script) {
    const std::filesystem::path program = folder / "dot";
    std::ofstream(program) << "#!/bin/sh\n" << script << '\n';
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  };
  {
    const Path only(folder.string());
    replaced_by("echo 'syntax error in line 1' >&2; exit 3");
    REQUIRE_ERROR(picture.svg(), ProgramError,
                  "[graph] dot failed with status 3: syntax error in line 1");
    replaced_by("kill -9 $$");
    REQUIRE_ERROR(picture.svg(), ProgramError, "[graph] dot was ended by signal 9");
    replaced_by("echo hello");  // reads nothing, which must not end us
    REQUIRE_ERROR(picture.svg(), ProgramError, "[graph] dot gave no SVG: hello");
    std::filesystem::permissions(folder / "dot", std::filesystem::perms::owner_read);
    REQUIRE_ERROR(picture.svg(), ProgramError, "[graph] the program dot cannot be started: ");
  }
  std::filesystem::remove_all(folder);
  if (has_dot()) REQUIRE_ERROR(Graph("digraph {").svg(), ProgramError, "syntax error in line 1");
}

TEST_CASE("graph: asking leaves the tape as it was") {
  const Net net;
  const Tape tape;
  const Tensor cost = net.cost();
  const std::size_t size = tape.size();
  const std::uint64_t bytes = tape.bytes_kept();
  const std::string once = graph(cost, net.parameters, {.values = true, .norms = true}).dot();
  CHECK(tape.size() == size);
  CHECK(tape.bytes_kept() == bytes);
  CHECK(graph(cost, net.parameters, {.values = true, .norms = true}).dot() == once);
}

TEST_CASE("graph: wrong use is refused") {
  const Net net;
  REQUIRE_ERROR(graph(Tensor()), DTypeError, "[graph] the loss is undefined");
  REQUIRE_ERROR(graph(Tensor(1.0)), TapeError,
                "[graph] the tensor of shape () was not recorded; compute it while a Tape");
  Tape tape;
  const Tensor z = net.hidden(net.x);
  REQUIRE_ERROR(graph(z), ShapeError,
                "[graph] the loss must be a scalar, but has the shape (5, 4); reduce it");
  REQUIRE_ERROR(graph(argmax(sum(z, 0))), DTypeError, "[graph] the loss is int64");
  REQUIRE_ERROR(graph(sum(z), net.parameters), TapeError,
                "[graph] the loss does not depend on the parameter output.weight");
  const Tensor cost = sum(z);
  {
    const Tape other;
    const Tensor elsewhere = sum(square(net.x));
    REQUIRE_ERROR(graph(elsewhere, std::span(net.parameters).first(1)), TapeError,
                  "[graph] the loss does not depend on the parameter hidden.weight");
  }
  const Tensor ended = [&] {
    const Tape other;
    return sum(square(net.x));
  }();
  REQUIRE_ERROR(graph(ended), TapeError, "was cleared, has ended, or belongs to another thread");
  tape.clear();
  REQUIRE_ERROR(graph(cost), TapeError, "[graph] the tape on which the tensor of shape () was");
}
