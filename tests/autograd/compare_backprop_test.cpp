// Backpropagation by hand, with and without the usual mistakes, compared with the tape.
#include "autograd/compare_backprop.hpp"

#include "tests/support/network.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/words.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// The network [4, 3, 2] with sigmoid neurons and quadratic cost, and its backpropagation as the
/// book has it, with places for mistakes.
struct Book {
  DenseNetwork net{{4, 3, 2}, "sigmoid", 1};
  std::int64_t m;
  Tensor x, y;

  explicit Book(std::int64_t examples = 5)
      : m(examples), x(numbers({m, 4})), y(numbers({m, 2}, 0, 1, 2)) {}

  struct Mistakes {
    bool no_slope_output = false, no_slope_hidden = false, slope_at_activation = false;
    bool slope_twice = false, no_mean = false, sign = false, wrong_activation = false;
    bool transposed = false, no_batch_sum = false, column = false,
         only_weights_without_mean = false;
    bool nonsense_hidden = false;
    double factor = 1;
  };
  NamedTensors by_hand(const Mistakes& made) const {
    const auto slope = [](const Tensor& z) { return sigmoid(z) * (1 - sigmoid(z)); };
    const Tensor w1 = net.layers[0].weight, b1 = net.layers[0].bias;
    const Tensor w2 = net.layers[1].weight, b2 = net.layers[1].bias;
    const Tensor z1 = linear(x, w1, b1), a1 = sigmoid(z1), z2 = linear(a1, w2, b2),
                 a2 = sigmoid(z2);
    Tensor delta2 = (a2 - y) * made.factor * (made.sign ? -1 : 1);
    if (!made.no_slope_output) delta2 = delta2 * slope(z2);
    if (made.slope_twice) delta2 = delta2 * slope(z2);
    if (!made.no_mean) delta2 = delta2 / m;
    Tensor delta1 = matmul(delta2, w2);
    if (!made.no_slope_hidden) delta1 = delta1 * slope(made.slope_at_activation ? a1 : z1);
    if (made.nonsense_hidden) delta1 = exp(delta1);
    Tensor gw2 = matmul(transpose(delta2), made.wrong_activation ? z1 : a1);
    Tensor gw1 = matmul(transpose(delta1), x);
    if (made.only_weights_without_mean) gw1 = gw1 * m, gw2 = gw2 * m;
    return {{"0.weight", made.transposed ? transpose(gw1) : gw1},
            {"0.bias", made.no_batch_sum ? delta1 : sum(delta1, 0)},
            {"1.weight", gw2},
            {"1.bias", made.column ? reshape(sum(delta2, 0), {2, 1}) : sum(delta2, 0)}};
  }
  BackpropComparison compare(const Mistakes& made) const {
    return compare_backprop(
        by_hand(made), [&] { return nn::quadratic_cost(net(x), y); }, net.parameters());
  }
};

void require_says(const BackpropComparison& report, Verdict verdict, const std::string& layer,
                  const std::string& part) {
  INFO(report);
  CHECK_FALSE(report);
  CHECK(report.verdict == verdict);
  CHECK(report.layer == layer);
  CHECK(unwrapped(to_string(report)).find(unwrapped(part)) != std::string::npos);
}

}  // namespace

TEST_CASE("backpropagation by hand that is right", "[compare_backprop]") {
  for (const std::int64_t m : {1, 5}) {
    const BackpropComparison report = Book(m).compare({});
    INFO(report);
    CHECK(report);
    CHECK(report.layer.empty());
    REQUIRE(report.rows.size() == 4);
    CHECK(report.rows[0].name == "1.bias");  // from the output backwards
    CHECK(report.rows[1].name == "1.weight");
    CHECK(report.rows[3].name == "0.weight");
    CHECK(report.rows[3].relative_error < 1e-14);
    CHECK(to_string(report).find("backpropagation by hand and by tape: they agree\n"
                                 "  1.bias    (2,)    agrees to ") == 0);
  }
}

TEST_CASE("a forgotten σ' is found at its layer", "[compare_backprop]") {
  for (const std::int64_t m : {1, 5}) {
    const Book book(m);
    require_says(
        book.compare({.no_slope_output = true}), Verdict::missing_factor, "1",
        "a factor is missing:\n  σ'(z) is forgotten where z goes into the sigmoid behind layer "
        "`1`, (" +
            std::to_string(m) + ", 2)\n  BP1: δ^L = ∇_a C ⊙ σ'(z^L)");
    const BackpropComparison hidden = book.compare({.no_slope_hidden = true});
    require_says(hidden, Verdict::missing_factor, "0",
                 "σ'(z) is forgotten where z goes into the sigmoid behind layer `0`, (" +
                     std::to_string(m) + ", 3)\n  BP2: δ^l = ((w^(l+1))ᵀ δ^(l+1)) ⊙ σ'(z^l)");
    CHECK(hidden.rows[0].passed);
    CHECK(hidden.rows[1].passed);
    CHECK_FALSE(hidden.rows[2].passed);
    CHECK(hidden.rows[2].verdict == Verdict::missing_factor);
    require_says(book.compare({.no_slope_output = true, .no_slope_hidden = true}),
                 Verdict::missing_factor, "1", "σ'(z) is forgotten at all 2 places of sigmoid");
  }
}

TEST_CASE("a σ' at the wrong place, and one too many", "[compare_backprop]") {
  const Book book;
  require_says(
      book.compare({.slope_at_activation = true}), Verdict::missing_factor, "0",
      "σ' is taken at the output a instead of the input z of the sigmoid behind layer `0`");
  require_says(book.compare({.slope_twice = true}), Verdict::missing_factor, "1",
               "σ'(z) is there twice where z goes into the sigmoid behind layer `1`");
}

TEST_CASE("constant factors by hand", "[compare_backprop]") {
  const Book book;
  require_says(book.compare({.no_mean = true}), Verdict::constant_factor, "1",
               "your gradient is 5 times the tape's: a factor 1/5 is missing. Likely it is the 1/m "
               "of a mean over m examples: m = 5 is the extent of axis 0 of the data (5, 4)");
  require_says(book.compare({.factor = 2}), Verdict::constant_factor, "1",
               "a factor 1/2 is missing. Likely it is the ½ of a cost such as ½‖a − y‖²");
  require_says(book.compare({.sign = true}), Verdict::wrong_sign, "1",
               "wrong sign:\n  your gradient has the wrong sign");
  require_says(book.compare({.no_slope_hidden = true, .no_mean = true}), Verdict::missing_factor,
               "1", "and with that, your gradient is 5 times the tape's");
  const BackpropComparison weights = book.compare({.only_weights_without_mean = true});
  require_says(weights, Verdict::constant_factor, "1", "1.weight  (2, 3)  WRONG");
  require_says(weights, Verdict::constant_factor, "1",
               "hint: the error δ of this layer is right, as its bias shows (BP3); look at BP4");
  CHECK(weights.rows[0].passed);
}

TEST_CASE("one neuron and one example, where a forgotten σ' is a number", "[compare_backprop]") {
  const Parameter w(Tensor{{0.3, -0.7}}), b(Tensor{0.2});
  const ParameterRefs parameters{{"neuron.weight", w}, {"neuron.bias", b}};
  const Tensor x{{1.5, -0.4}}, y{{0.1}};
  const auto loss = [&] { return nn::quadratic_cost(sigmoid(linear(x, w, b)), y); };
  const Tensor a = sigmoid(linear(x, w, b));
  const auto by_hand = [&](const Tensor& delta) {
    return NamedTensors{{"neuron.weight", matmul(transpose(delta), x)},
                        {"neuron.bias", reshape(delta, {1})}};
  };
  CHECK(compare_backprop(by_hand((a - y) * a * (1 - a)), loss, parameters));
  require_says(compare_backprop(by_hand(a - y), loss, parameters), Verdict::missing_factor,
               "neuron", "σ'(z) is forgotten where z goes into the sigmoid behind layer `neuron`");
  require_says(compare_backprop(by_hand((a - y) * a * (1 - a) * 3.7), loss, parameters),
               Verdict::constant_factor, "neuron", "your gradient is 37/10 times the tape's");
}

TEST_CASE("NaN by hand is wrong", "[compare_backprop]") {
  const Book book;
  const NamedTensors mine{{"1.bias", Tensor{0.0, not_a_number}}};
  const auto loss = [&] { return nn::quadratic_cost(book.net(book.x), book.y); };
  const BackpropComparison report = compare_backprop(mine, loss, book.net.parameters());
  INFO(report);
  CHECK(report.verdict == Verdict::not_finite);
  CHECK(report.rows[0].index == Extents{1});
  CHECK(report.rows[0].explanation.find("your gradient is nan at (1,): look for a division by 0") ==
        0);
  // A NaN may carry a sign, of which nobody wants to know.
  CHECK(to_string(
            compare_backprop({{"1.bias", Tensor{0.0, -not_a_number}}}, loss, book.net.parameters()))
            .find("at (1,) by hand nan, by tape -0.") != std::string::npos);
}

TEST_CASE("what is wrong with one gradient alone", "[compare_backprop]") {
  const Book book;
  require_says(book.compare({.transposed = true}), Verdict::transposed, "0",
               "its shape is (4, 3): it is the transpose of the right gradient (BP4");
  require_says(book.compare({.no_batch_sum = true}), Verdict::wrong, "0",
               "its shape is (5, 3): summed over axis 0, the examples, it is right");
  require_says(book.compare({.column = true}), Verdict::wrong, "1",
               "its shape is (2, 1), though its numbers are right; reshape it to (2,)");
  require_says(book.compare({.wrong_activation = true}), Verdict::wrong, "1", "look at BP4");
  require_says(
      book.compare({.nonsense_hidden = true}), Verdict::wrong, "0",
      "all layers behind it are right; look at the step to the error δ^l of this one (BP2)");
}

TEST_CASE("two mistakes in two layers, whose parameters are called w1, b1, ...",
          "[compare_backprop]") {
  const Parameter w1(numbers({4, 3}, -1, 1, 1)), w2(numbers({4, 4}, -1, 1, 2)),
      w3(numbers({2, 4}, -1, 1, 3)), b1(numbers({4}, -1, 1, 4)), b2(numbers({4}, -1, 1, 5)),
      b3(numbers({2}, -1, 1, 6));
  const ParameterRefs refs{{"w1", w1}, {"b1", b1}, {"w2", w2}, {"b2", b2}, {"w3", w3}, {"b3", b3}};
  const Tensor x = numbers({5, 3}, -1, 1, 7), y = numbers({5, 2}, 0, 1, 8);
  const auto loss = [&] {
    const Tensor a1 = sigmoid(linear(x, w1, b1)), a2 = tanh(linear(a1, w2, b2));
    return nn::quadratic_cost(sigmoid(linear(a2, w3, b3)), y);
  };
  const auto by_hand = [&](bool forget) {
    const Tensor a1 = sigmoid(linear(x, w1, b1)), a2 = tanh(linear(a1, w2, b2)),
                 a3 = sigmoid(linear(a2, w3, b3));
    const Tensor d3 = (a3 - y) * a3 * (1 - a3) / 5;
    Tensor d2 = matmul(d3, w3);
    if (!forget) d2 = d2 * (1 - square(a2));
    Tensor d1 = matmul(d2, w2);
    if (!forget) d1 = d1 * a1 * (1 - a1);
    return NamedTensors{{"w3", matmul(transpose(d3), a2)}, {"b3", sum(d3, 0)},
                        {"w2", matmul(transpose(d2), a1)}, {"b2", sum(d2, 0)},
                        {"w1", matmul(transpose(d1), x)},  {"b1", sum(d1, 0)}};
  };
  CHECK(compare_backprop(by_hand(false), loss, refs));
  const BackpropComparison report = compare_backprop(by_hand(true), loss, refs);
  INFO(report);
  CHECK(report.layer == "2");
  const std::string words = to_string(report);
  // Once, below both rows, and all of it within the table.
  const std::string once =
      "\n    tanh'(z) is forgotten where z goes into the tanh behind layer `2`, (5, 4)"
      "\n    BP2: δ^l = ((w^(l+1))ᵀ δ^(l+1)) ⊙ tanh'(z^l)"
      "\n  b1  ";
  const auto at = words.find(once);
  REQUIRE(at != std::string::npos);
  CHECK(words.find("tanh'(z) is forgotten") == at + 5);
  CHECK(words.find("tanh'(z) is forgotten", at + once.size()) == std::string::npos);
  CHECK(words.find("look at the step to the error") == std::string::npos);
  CHECK(unwrapped(words).find("hint: the errors of the layers before this one are computed from its"
                              " own; correct that, and look again") != std::string::npos);
}

TEST_CASE("names of layers", "[compare_backprop]") {
  const std::vector<std::pair<std::string, std::string>> names{{"hidden.weight", "hidden"},
                                                               {"net.1.bias", "net.1"},
                                                               {"W2", "2"},
                                                               {"bias_out", "out"},
                                                               {"weight3", "3"},
                                                               {"w_hidden", "hidden"},
                                                               {"beta", "beta"},
                                                               {"w", "w"}};
  for (const auto& [name, layer] : names) {
    const Parameter p(Tensor{1., 2.});
    const ParameterRefs refs{{name, p}};
    const auto loss = [&] { return sum(square(p)); };
    CHECK(compare_backprop({{name, Tensor{5., 6.}}}, loss, refs).layer == layer);
  }
}

TEST_CASE("a path that was left out", "[compare_backprop]") {
  const Parameter w(numbers({3, 3}));
  const Tensor x = numbers({2, 3});
  const ParameterRefs parameters{{"w", w}};
  const auto loss = [&] { return sum(square(matmul(tanh(matmul(x, w)), w))); };
  const Tensor a = tanh(matmul(x, w)), delta = 2 * matmul(a, w);
  const Tensor second = matmul(transpose(a), delta);
  const Tensor first = matmul(transpose(x), matmul(delta, transpose(w)) * (1 - square(a)));
  CHECK(compare_backprop({{"w", first + second}}, loss, parameters));
  require_says(compare_backprop({{"w", second}}, loss, parameters), Verdict::wrong, "w",
               "is left out; what stands there is used 2 times, and its error is the sum over all");
  require_says(compare_backprop({{"w", transpose(first + second)}}, loss, parameters),
               Verdict::transposed, "w", "it is the transpose of the right gradient");
  require_says(compare_backprop({{"w", zeros({3, 3})}}, loss, parameters), Verdict::no_gradient,
               "w", "it is zero");
}

TEST_CASE("a comparison on a tape that records", "[compare_backprop]") {
  const Book book;
  const NamedTensors right = book.by_hand({}), wrong = book.by_hand({.sign = true});
  const Tape tape;
  const Tensor cost = nn::quadratic_cost(book.net(book.x), book.y);
  const std::size_t size = tape.size();
  CHECK(compare_backprop(right, cost, book.net.parameters()));
  CHECK_FALSE(compare_backprop(wrong, cost, book.net.parameters()));
  CHECK(tape.size() == size);
}

TEST_CASE("a comparison in float32", "[compare_backprop]") {
  Book book;
  const NamedTensors in_float64 = book.by_hand({});
  book.net.to(DType::float32);
  book.x = cast(book.x, DType::float32);
  book.y = cast(book.y, DType::float32);
  const auto loss = [&] { return nn::quadratic_cost(book.net(book.x), book.y); };
  CHECK(compare_backprop(book.by_hand({}), loss, book.net.parameters()));
  CHECK(compare_backprop(in_float64, loss, book.net.parameters()));
  CHECK_FALSE(compare_backprop(in_float64, loss, book.net.parameters(), {.relative = 1e-12}));
  require_says(book.compare({.no_slope_hidden = true}), Verdict::missing_factor, "0",
               "σ'(z) is forgotten");
}

TEST_CASE("some gradients only, and names that do not fit", "[compare_backprop]") {
  const Book book;
  const auto loss = [&] { return nn::quadratic_cost(book.net(book.x), book.y); };
  const NamedTensors all = book.by_hand({});
  const BackpropComparison one =
      compare_backprop({{"1.bias", all["1.bias"]}}, loss, book.net.parameters());
  CHECK(one);
  CHECK_FALSE(one.rows[2].given);
  CHECK(to_string(one).find("0.bias    (3,)    not given") != std::string::npos);
  REQUIRE_ERROR(compare_backprop({}, loss, book.net.parameters()), ValueError,
                "[compare_backprop] no gradient is given");
  REQUIRE_ERROR(compare_backprop({{"bias", all["1.bias"]}}, loss, book.net.parameters()),
                ValueError,
                "[compare_backprop] no parameter is called bias; there are: 0.weight, 0.bias");
  REQUIRE_ERROR(compare_backprop({{"1.bias", all["1.bias"]}, {"1.bias", all["1.bias"]}}, loss,
                                 book.net.parameters()),
                ValueError, "[compare_backprop] the gradient of 1.bias is given twice");
  REQUIRE_ERROR(compare_backprop({{"1.bias", Tensor()}}, loss, book.net.parameters()), DTypeError,
                "[compare_backprop] the gradient of 1.bias is undefined");
  REQUIRE_ERROR(compare_backprop({{"1.bias", Tensor{1, 2}}}, loss, book.net.parameters()),
                DTypeError, "is int64, not floating");
  REQUIRE_ERROR(compare_backprop(all, Tensor(1.0), book.net.parameters()), TapeError,
                "was not recorded");
}
