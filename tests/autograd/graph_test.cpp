// Pictures of graphs: what stands in the DOT text, and the road to SVG.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "nn/nn.hpp"
#include "tests/support/graph.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

namespace {

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
  CHECK_THAT(text_of(dot, "v5"), ContainsSubstring("|−6|"));  // the loss is at hand
}

TEST_CASE("graph: numbers that are none, integers, and no elements") {
  const auto shown = [](const Tensor& x) {
    const Tape tape;
    const Tensor cost = sum(square(cast(x, DType::float64)));
    return text_of(graph(cost, {}, {.backward = false, .values = true}).dot(), "v1");
  };
  const double big = 1.5e300;
  CHECK_THAT(shown(tensor({not_a_number, infinity, -infinity, 1}, {4}, DType::float32)),
             ContainsSubstring("[NaN, inf, −inf, 1]"));
  CHECK_THAT(shown(tensor({not_a_number, infinity, -1, 2, 5}, {5}, DType::float32)),
             ContainsSubstring("−1 … 5, mean 2, 1 NaN, 1 inf"));
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
