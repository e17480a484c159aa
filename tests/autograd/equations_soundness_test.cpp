// Equations where a text could easily say what is not so: functions that are printed alike, numbers
// that no draw comes near, parameters that nobody asked for, names that are taken.
#include <set>

#include "autograd/graph.hpp"
#include "nn/nn.hpp"
#include "tests/support/equations.hpp"

using namespace xg;
using namespace xg::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// |x|^k, whose facet leaves k out.
struct Powk {
  double k;
  static constexpr auto name = "powk";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return pow(abs(x[0]), k);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g * k * pow(abs(r.input(0)), k - 1) * sign(r.input(0));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "powk({0})"; }
  static std::vector<Sample<Powk>> samples() { return {{{2.0}, {Tensor{1.0, 2.0}}}}; }
};

/// The same, with a facet that is no call.
struct Hidden : Powk {
  static constexpr auto name = "hidden";
  std::string equation() const { return "{0} to some power"; }
  static std::vector<Sample<Hidden>> samples() { return {{{{2.0}}, {Tensor{1.0, 2.0}}}}; }
};

/// min(max(x, −limit), limit), which says that it is x.
struct Limited {
  double limit;
  static constexpr auto name = "limited";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const { return x[0].shape(); }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return clip(x[0], -limit, limit);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return where(abs(r.input(0)) < limit, g, 0.0);
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const { return vjp(i, t, r); }
  std::string equation() const { return "{0}"; }
  static std::vector<Sample<Limited>> samples() { return {{{5.0}, {Tensor{1.0, 2.0}}}}; }
};

/// x w + b for rows x, whose rule computes numbers; b is a vector and nothing else.
struct Mapped {
  static constexpr auto name = "mapped";
  static constexpr Keep keeps = Keep::inputs;
  Shape shape(Inputs x) const {
    if (x.size() == 3 && x[2].rank() != 1) throw ShapeError("[mapped] b is no vector");
    return {x[0].extent(0), x[1].extent(1)};
  }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    const Tensor y = matmul(x[0], x[1]);
    return x.size() == 3 ? y + x[2] : y;
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const {
    const NoRecording scope;
    if (i == 2) return sum(detach(g), 0);
    return i == 0 ? matmul(detach(g), transpose(detach(r.input(1))))
                  : matmul(transpose(detach(r.input(0))), detach(g));
  }
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    if (i == 2) return t;
    return i == 0 ? matmul(t, r.input(1)) : matmul(r.input(0), t);
  }
  std::string equation() const { return "mapped({...})"; }
  static std::vector<Sample<Mapped>> samples() {
    return {{{}, {numbers({2, 3}, -1, 1, 1), numbers({3, 2}, -1, 1, 2)}}};
  }
};

struct Layers {
  Tensor x = numbers({4, 3}, -1, 1, 31), y = numbers({4, 3}, 0.1, 0.9, 32);
  nn::Dense d{3, 3, {.seed = 1, .dtype = DType::float64}};
  nn::Dense e{3, 3, {.seed = 2, .dtype = DType::float64}};
  nn::Dense f{3, 3, {.seed = 3, .dtype = DType::float64}};
  std::vector<Tensor> leaves() const {
    return {x, d.weight, d.bias, e.weight, e.bias, f.weight, f.bias, y};
  }
  /// Two layers with these functions, and a linear one.
  template <class F, class G>
  Tensor cost(const F& first, const G& second) const {
    return nn::quadratic_cost(f(second(e(first(d(x))))), y);
  }
};

std::map<std::string, std::string> right_sides(const Reading& reading) {
  std::map<std::string, std::string> result;
  for (const auto* list : {&reading.forward, &reading.backward})
    for (const Statement& s : *list) result[to_string(s.left)] = to_string(s.right);
  return result;
}

/// The lines of the reading for one example, by their left sides.
std::map<std::string, std::string> of_example(const Equations& e) {
  INFO(e.refusal);
  REQUIRE(e.example);
  return right_sides(*e.example);
}

Tensor sine(const Tensor& z) {
  return custom_gradient(
      [](const Tensor& x) { return sin(x); },
      [](const Tensor& g, const Tensor&, const Tensor& x) { return g * cos(x); })(z);
}
Tensor cube(const Tensor& z) {
  return custom_gradient(
      [](const Tensor& x) { return x * x * x; },
      [](const Tensor& g, const Tensor&, const Tensor& x) { return g * 3.0 * x * x; })(z);
}

}  // namespace

TEST_CASE("equations: functions that are printed alike and differ are numbered") {
  const Layers m;
  {
    const Tape tape;
    const Tensor z = m.d(m.x), first = sine(z), second = cube(z);
    const Equations e =
        require_true(nn::quadratic_cost(first - second, m.y), {m.x, m.d.weight, m.d.bias, m.y});
    const auto text = of_example(e);
    CHECK(text.at("a^1") == "custom_gradient₁(z^1) − custom_gradient₂(z^1)");
    CHECK_THAT(text.at("δ^1"), ContainsSubstring("custom_gradient₁'(z^1)") &&
                                   ContainsSubstring("custom_gradient₂'(z^1)"));
  }
  {
    const Tape tape;
    const Tensor first = apply(Hidden{{2.0}}, m.x), second = apply(Hidden{{3.0}}, m.x);
    const auto text = right_sides(require_true(sum(first - second), {m.x}).batch);
    CHECK(text.at("C") == "Σ (v₁ − v₂)");
    CHECK(text.at("v₂") == "hidden₂(p₁)");
  }
  // On different layers they do not fold, and each has its derivative in the list.
  const auto checkpointed = [](const auto& f) {
    return [f](const Tensor& z) { return checkpoint(f, z); };
  };
  const auto sin_of = [](const Tensor& x) { return sin(x); };
  const auto square_of = [](const Tensor& x) { return x * x; };
  const auto pow_of = [](double k) { return [k](const Tensor& x) { return apply(Powk{k}, x); }; };
  const auto leaky = [](double k) { return [k](const Tensor& x) { return leaky_relu(x, k); }; };
  const auto elu_of = [](double k) { return [k](const Tensor& x) { return elu(x, k); }; };
  const auto check = [&](const std::string& name, const auto& first, const auto& second) {
    const Tape tape;
    const Equations e = require_true(m.cost(first, second), m.leaves());
    const std::string text = e.text(), page = e.html(), latex = e.latex();
    for (const std::string n : {"₁", "₂"}) {
      CHECK_THAT(text, ContainsSubstring(name + n + "(z^l"));
      if (name != "checkpoint") CHECK_THAT(text, ContainsSubstring(" " + name + n + "'(u) = "));
    }
    CHECK_THAT(text, !ContainsSubstring(name + "(") && !ContainsSubstring(name + "'"));
    CHECK_THAT(page, ContainsSubstring("<mi>" + name + "</mi></mrow><mrow><mn>2</mn>"));
    const std::string escaped =
        name == "powk" || name == "elu" || name == "checkpoint"
            ? name
            : name.substr(0, name.find('_')) + "\\" + name.substr(name.find('_'));
    CHECK_THAT(latex, ContainsSubstring("\\operatorname{" + escaped + "}_{2}"));
  };
  check("custom_gradient", sine, cube);
  check("checkpoint", checkpointed(sin_of), checkpointed(square_of));
  check("powk", pow_of(2), pow_of(3));
  check("leaky_relu", leaky(0.2), leaky(0.01));
  check("elu", elu_of(0.2), elu_of(0.01));
}

TEST_CASE("equations: functions that do the same are one, whoever made them") {
  const Layers m;
  const auto text_of = [&](const auto& first, const auto& second) {
    const Tape tape;
    return require_true(m.cost(first, second), m.leaves()).text();
  };
  const auto leaky = [](const Tensor& x) { return leaky_relu(x, 0.2); };
  const auto power = [](const Tensor& x) { return apply(Powk{2}, x); };
  CHECK_THAT(text_of(sine, sine), ContainsSubstring("a^l = custom_gradient(z^l) "));
  CHECK_THAT(text_of(leaky, leaky), ContainsSubstring("a^l = leaky_relu(z^l, 0.2) "));
  CHECK_THAT(text_of(power, power), ContainsSubstring("a^l = powk(z^l) "));
  // Layers of different widths.
  const nn::Dense wide{3, 5, {.seed = 4, .dtype = DType::float64}},
      narrow{5, 2, {.seed = 5, .dtype = DType::float64}};
  const Tape tape;
  const Tensor loss = mean(square(sine(narrow(sine(wide(m.x))))));
  CHECK_THAT(equations(loss).text(), !ContainsSubstring("custom_gradient₁"));
}

TEST_CASE("equations: what happens beyond the numbers of a draw is seen in those recorded") {
  const Layers m;
  for (const double limit : {5.0, 500.0}) {
    const Tape tape;
    const Tensor loss =
        nn::quadratic_cost(m.e(apply(Limited{limit}, m.d(m.x) * (10 * limit))), m.y);
    const Equations e = require_true(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y});
    CHECK_THAT(e.text(), ContainsSubstring("limited("));
  }
}

TEST_CASE("equations: of a layer that nobody asks for there is no error") {
  const Layers m;
  const Tape tape;
  const Tensor loss = m.cost([](const Tensor& z) { return sigmoid(z); },
                             [](const Tensor& z) { return sigmoid(z); });
  const auto lefts = [&](const ParameterRefs& parameters) {
    std::set<std::string> result;
    const Equations e = require_true(loss, m.leaves(), parameters);
    for (const Statement& s : e.example->backward) result.insert(to_string(s.left));
    return result;
  };
  CHECK(lefts(m.f.parameters()) == std::set<std::string>{"δ^3", "∂C/∂w^3", "∂C/∂b^3"});
  CHECK(lefts(m.e.parameters()) == std::set<std::string>{"δ^3", "δ^2", "∂C/∂w^2", "∂C/∂b^2"});
}

TEST_CASE("equations: cross-entropy of neurons that can be exactly 0") {
  const Layers m;
  const Tensor x{{-1.0, 2.0, 0.5}, {0.5, 0.25, 1.0}}, y{{0.0, 0.0, 1.0}, {0.0, 1.0, 0.0}};
  const Parameter w(Tensor{{1.0, 0.0, 0.0}, {0.0, 0.25, 0.0}, {0.0, 0.0, 0.5}}),
      b(Tensor{0.0, 0.0, 0.0});
  const auto of = [&](const auto& f) {
    const Tape tape;
    const Tensor loss = nn::cross_entropy_cost(f(linear(x, w.value(), b.value())), y);
    return of_example(require_true(loss, {x, w.value(), b.value(), y}));
  };
  const auto of_relu = of([](const Tensor& z) { return relu(z); });
  CHECK(of_relu.at("C") == "−Σ (xlogy(y, a^1) + (1 − y) ⊙ ln(1 − a^1))");
  CHECK_THAT(of_relu.at("δ^1"), ContainsSubstring("where(y = 0, 0, y / a^1)"));
  CHECK_THAT(of([](const Tensor& z) { return square(tanh(z)); }).at("δ^1"),
             ContainsSubstring("where(y = 0, 0, y / a^1)"));
  // What is never 0 cancels as it does in the book, however it is computed.
  CHECK(of([](const Tensor& z) { return sigmoid(z); }).at("δ^1") == "a^1 − y");
  for (const auto& f : std::vector<std::function<Tensor(const Tensor&)>>{
           [](const Tensor& z) { return 1 / (1 + exp(-z)); },
           [](const Tensor& z) { return 0.5 * (1 + tanh(z / 2)); },
           [](const Tensor& z) { return 0.25 + 0.5 * sigmoid(sin(z)); }})
    CHECK_THAT(of(f).at("δ^1"), !ContainsSubstring("where"));
}

TEST_CASE("equations: beside a matrix an example is a row") {
  const Layers m;
  const Parameter p(numbers({3, 3}, -1, 1, 3)), q(numbers({3}, -1, 1, 4)), r(p.value() * 2);
  {
    const Tape tape;
    const Tensor loss = nn::quadratic_cost(sigmoid(apply(Mapped{}, m.x, p.value())), m.y);
    const auto text = of_example(require_true(loss, {m.x, p.value(), m.y}));
    CHECK(text.at("v₁") == "mapped(x₁ᵀ, p₁)ᵀ");
    CHECK(text.at("∂C/∂p₁") == "J_mapped,2(x₁ᵀ, p₁)ᵀ v̄₁ᵀ");
  }
  {
    const Tape tape;
    const Tensor h =
        apply(Mapped{}, sigmoid(apply(Mapped{}, m.x, p.value(), q.value())), r.value());
    const Tensor loss = nn::quadratic_cost(h, m.y);
    const auto text = of_example(require_true(loss, {m.x, p.value(), q.value(), r.value(), m.y}));
    CHECK(text.at("v₁") == "mapped(x₁ᵀ, p₁, reshape(p₂, (3,)))ᵀ");
  }
  {
    const Tape tape;
    const Tensor h =
        checkpoint([](const Tensor& x, const Tensor& v) { return tanh(matmul(x, transpose(v))); },
                   m.x, p.value());
    const auto text = of_example(require_true(nn::quadratic_cost(h, m.y), {m.x, p.value(), m.y}));
    CHECK(text.at("v₁") == "checkpoint(x₁ᵀ, p₁)ᵀ");
  }
  {  // What works element by element takes a vector as a column.
    const Tape tape;
    const Tensor loss = nn::quadratic_cost(maximum(m.d(m.x), q.value()), m.y);
    const auto text = of_example(require_true(loss, {m.x, m.d.weight, m.d.bias, q.value(), m.y}));
    CHECK(text.at("C") == "½‖max(a^1, p₁) − y‖²");
  }
}

TEST_CASE("equations: no two quantities have one name") {
  const Layers m;
  const Parameter p(numbers({3, 3}, -1, 1, 3)), q(numbers({4, 3}, -1, 1, 4)), r(p.value() * 2),
      s(numbers({3}, -1, 1, 5));
  const auto lines_of = [&](const Tensor& loss, const std::vector<Tensor>& leaves,
                            const ParameterRefs& names) {
    const Equations e = require_true(loss, leaves, names);
    std::set<std::string> lefts;
    for (const Reading* reading : {&e.batch, e.example ? &*e.example : &e.batch}) {
      lefts.clear();
      std::size_t count = 0;
      for (const auto* list : {&reading->forward, &reading->backward})
        for (const Statement& one : *list) lefts.insert(to_string(one.left)), ++count;
      for (const Equations::Leaf& leaf : e.leaves) {
        lefts.insert(to_string(reading == &e.batch ? leaf.in_batch : leaf.in_example));
        ++count;
      }
      CHECK(lefts.size() == count);
    }
    return lefts;
  };
  {  // Layers whose parameters were put together as they are.
    const Tape tape;
    const Tensor loss = nn::quadratic_cost(m.e(sigmoid(m.d(m.x)) + m.x), m.y);
    ParameterRefs names = m.d.parameters();
    for (const ParameterRef& one : m.e.parameters()) names.push_back(one);
    const auto lefts =
        lines_of(loss, {m.x, m.d.weight, m.d.bias, m.e.weight, m.e.bias, m.y}, names);
    for (const char* name : {"∂C/∂weight₁", "∂C/∂weight₂", "∂C/∂bias₁", "∂C/∂bias₂"})
      CHECK(lefts.contains(name));
    CHECK_FALSE(lefts.contains("∂C/∂weight"));
  }
  {  // As the data are called.
    const Tape tape;
    const Tensor loss = mean(sin(q.value() * m.x));
    for (const char* name : {"x", "X"}) {
      const auto lefts = lines_of(loss, {q.value(), m.x}, {{name, q}});
      CHECK(lefts.contains(std::string("∂C/∂") + name));
    }
  }
  {  // As the cost, the number of examples, or a quantity without a name are.
    const Tape tape;
    const Tensor h = tanh(matmul(tanh(matmul(m.x, p.value())), p.value()));
    const Tensor loss = nn::quadratic_cost(matmul(h, r.value()), m.y);
    const std::vector<Tensor> leaves{m.x, p.value(), r.value(), m.y};
    CHECK(lines_of(loss, leaves, {{"C", p}, {"m", r}}).contains("∂C/∂C₁"));
    CHECK(lines_of(loss, leaves, {{"v₁", p}, {"x₁", r}}).contains("∂C/∂v₁"));
    CHECK(lines_of(loss, leaves, {{"C", p}, {"C₁", r}}).contains("∂C/∂C₂"));
    CHECK(lines_of(loss, leaves, {{"p₁", p}}).contains("∂C/∂p₁"));
  }
  {  // As a quantity of the book's network is.
    const Tape tape;
    const Tensor cost = nn::quadratic_cost(sigmoid(m.d(m.x)), m.y);
    const Tensor loss = cost + 0.1 * sum(square(s.value()));
    CHECK(
        lines_of(loss, {m.x, m.d.weight, m.d.bias, m.y, s.value()}, {{"y", s}}).contains("∂C/∂y₁"));
  }
}

TEST_CASE("equations: a vector stands beside a matrix as the row that it is") {
  const Layers m;
  const Parameter w(numbers({3, 3}, -1, 1, 3)), s(numbers({3}, 0.5, 1, 4)),
      row(numbers({1, 3}, 0.5, 1, 5));
  const auto check = [&](const std::function<Tensor(const Tensor&)>& f,
                         const std::vector<Tensor>& before, const std::vector<Tensor>& after) {
    for (const bool all : {false, true}) {
      const Tape tape;
      const Tensor loss = nn::quadratic_cost(f(m.x), m.y);
      std::vector<Tensor> leaves = before;
      leaves.push_back(m.x);
      leaves.insert(leaves.end(), after.begin(), after.end());
      leaves.push_back(m.y);
      const ParameterRefs frozen{{"w", w}};
      of_example(require_true(loss, leaves, all ? std::span<const ParameterRef>() : frozen));
    }
  };
  const Tensor W = w.value(), S = s.value(), R = row.value();
  check([&](const Tensor& x) { return matmul(x, W * S); }, {W, S}, {});
  check([&](const Tensor& x) { return matmul(x, W / (1 + exp(S))); }, {S, W}, {});
  check([&](const Tensor& x) { return tanh(matmul(x, W)) * R; }, {}, {W, R});
  check([&](const Tensor& x) { return tanh(matmul(x * R, W)); }, {}, {R, W});
  check([&](const Tensor& x) { return linear(x, W, softmax(S)); }, {S}, {W});
  check([&](const Tensor& x) { return matmul(x, W / sqrt(sum(W * W, 1, true))); }, {W}, {});
}

TEST_CASE("equations: a sum over the rows of a parameter is not said to be one over examples") {
  const Layers m;
  const Parameter w(numbers({3, 3}, -1, 1, 3)), s(numbers({3}, 0.5, 1, 4));
  for (const std::int64_t examples : {3, 4}) {  // 3 rows are as many as those of w
    const Tape tape;
    const Tensor v = w.value() * s.value(), x = detach(slice(m.x, 0, 0, examples)),
                 y = detach(slice(m.y, 0, 0, examples));
    const Tensor z = matmul(x, v) + s.value();
    const Tensor loss = nn::quadratic_cost(matmul(tanh(z), softmax(w.value(), 0)), y);
    const Equations e = equations(loss);
    CHECK_THAT(e.text(), ContainsSubstring("Σ_(0,) ("));
    CHECK_THAT(right_sides(e.batch).at("∂C/∂p₂"),
               ContainsSubstring("Σ_(0,) (") && ContainsSubstring("Σ_x v̄"));
    CHECK_THAT(e.text(), ContainsSubstring("softmax_(0,)(p₁)") && !ContainsSubstring("softmax_x"));
  }
}

TEST_CASE("equations: labels, weights of examples and rows looked up mix no examples") {
  const Layers m;
  const Parameter table(numbers({5, 3}, -1, 1, 3));
  const Tensor labels{std::int64_t{0}, std::int64_t{1}, std::int64_t{0}, std::int64_t{2}},
      places{std::int64_t{4}, std::int64_t{1}, std::int64_t{1}, std::int64_t{2}},
      weights{0.5, 1.0, 0.25, 2.0};
  {
    const Tape tape;
    const Tensor z = m.d(m.x);
    const Tensor loss = nn::log_likelihood_cost(z, one_hot(labels, 3, DType::float64));
    const auto text = of_example(require_true(loss, {m.x, m.d.weight, m.d.bias, labels}));
    CHECK(text.at("C") == "−Σ one_hot(reshape(y, (1,)), 3)ᵀ ⊙ log_softmax(z^1)");
  }
  {
    const Tape tape;
    const Tensor each = sum(square(sigmoid(m.d(m.x)) - m.y), 1);
    of_example(require_true(mean(each * weights), {m.x, m.d.weight, m.d.bias, m.y, weights}));
  }
  for (const bool labelled : {false, true}) {
    const Tape tape;
    const Tensor z = m.d(take(table.value(), places));
    const Tensor loss = labelled ? nn::log_likelihood_cost(z, one_hot(labels, 3, DType::float64))
                                 : nn::quadratic_cost(z, m.y);
    const auto text = of_example(
        require_true(loss, {table.value(), places, m.d.weight, m.d.bias, labelled ? labels : m.y}));
    CHECK(text.at("∂C/∂p₁") == "scatter_add(v̄₁ᵀ, reshape(x₁, (1,)), 5)");
  }
  {  // What does mix them is still refused: places in a table of examples.
    const Tape tape;
    const Tensor loss = nn::quadratic_cost(m.d(take(m.x, labels)), m.y);
    CHECK_FALSE(require_true(loss, {m.x, labels, m.d.weight, m.d.bias, m.y}).example);
  }
}

TEST_CASE("graph: blocks of functions that differ are not equal") {
  const Layers m;
  const auto blocks = [&](double first, double second) {
    const Tape tape;
    Tensor h = m.x;
    std::vector<Parameter> weights;
    for (int i = 0; i < 14; ++i)
      weights.emplace_back(numbers({3, 3}, -1, 1, static_cast<std::uint64_t>(i)));
    ParameterRefs names;
    for (int i = 0; i < 14; ++i) {
      Parameter& w = weights[static_cast<std::size_t>(i)];
      names.emplace_back(detail::text("w", i), w);
      h = apply(Powk{i < 7 ? first : second}, matmul(h, transpose(w.value())));
    }
    return graph(nn::quadratic_cost(h, m.y), names).dot();
  };
  CHECK_THAT(blocks(2, 2), ContainsSubstring("× 13: equal blocks"));
  CHECK_THAT(blocks(2, 3), !ContainsSubstring("× 13: equal blocks"));
}
