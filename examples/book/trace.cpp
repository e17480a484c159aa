// The five steps of backpropagation on a network of 2, 3 and 2 neurons, each step's numbers beside
// the nodes of the tape that produced them.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <iostream>
#include <sstream>

using namespace xg;

/// Prints the nodes that were recorded since the last time.
class Trace {
 public:
  explicit Trace(const Tape& tape) : tape_(tape) {}

  /// `names` are those of the newest nodes, `value` is that of the last.
  void operator()(std::vector<std::string> names, const Tensor& value) {
    std::ostringstream printed;
    printed << tape_;
    std::istringstream nodes(printed.str());
    std::string node;
    for (std::size_t n = 0; std::getline(nodes, node); ++n) {
      if (n < shown_) continue;
      node = "   " + node.substr(0, node.find("  float64"));
      const std::size_t from_last = tape_.size() - 1 - n;
      const std::string name = from_last < names.size() ? names[names.size() - 1 - from_last] : "";
      if (!name.empty())
        node += std::string(characters(node) < 26 ? 26 - characters(node) : 1, ' ') + name;
      if (from_last == 0) node += " = " + numbers(value);
      std::cout << node << '\n';
    }
    shown_ = tape_.size();
  }

  /// The elements, row by row.
  static std::string numbers(const Tensor& t) {
    std::string result;
    const auto columns = static_cast<std::size_t>(t.rank() == 0 ? 1 : t.extent(-1));
    for (std::size_t i = 0; i < t.values<double>().size(); ++i) {
      char number[32];
      std::snprintf(number, sizeof number, "%.4f", t.values<double>()[i]);
      result += (i == 0 ? "" : i % columns == 0 ? "; " : " ") + std::string(number);
    }
    return result;
  }

 private:
  static std::size_t characters(const std::string& utf8) {
    std::size_t count = 0;
    for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return count;
  }

  const Tape& tape_;
  std::size_t shown_ = 0;
};

/// The derivative of the cost with respect to `input`, from that with respect to `output`: the
/// chain rule over the nodes between them.
Tensor chain_rule(const Tensor& output, const Tensor& adjoint, const Tensor& input) {
  const Tensor* const inputs[] = {&input};
  Tensor result;
  pull_back(output, adjoint, Inputs(inputs, 1), {&result, 1});
  return result;
}

int main() {
  // w[l] and b[l] are those of layer l, as in the book; an example is a row
  const std::vector<Tensor> w{Tensor(), Tensor{{0.2, -0.4}, {0.7, 0.1}, {-0.3, 0.5}},
                              Tensor{{0.6, -0.1, 0.3}, {-0.5, 0.4, 0.2}}};
  const std::vector<Tensor> b{Tensor(), Tensor{0.1, -0.2, 0.3}, Tensor{-0.1, 0.2}};
  const Tensor x{{0.5, -1.0}}, y{{1.0, 0.0}};

  const std::size_t L = w.size() - 1;
  const std::string last = std::to_string(L);

  Tape tape;
  Trace trace(tape);
  std::vector<Tensor> z(L + 1), a(L + 1), delta(L + 1);

  std::cout << "1. Input: a^0 = x = " << Trace::numbers(x) << '\n';
  a[0] = x;

  std::cout << "2. Feedforward: z^l = w^l a^(l-1) + b^l and a^l = σ(z^l)\n";
  for (std::size_t l = 1; l <= L; ++l) {
    const std::string n = std::to_string(l);
    z[l] = linear(a[l - 1], w[l], b[l]);
    trace({"a^0", "w^" + n, "b^" + n, "z^" + n}, z[l]);
    a[l] = sigmoid(z[l]);
    trace({"a^" + n}, a[l]);
  }
  const Tensor C = 0.5 * squared_norm(a[L] - y);
  trace({"y", "a^" + last + " − y", "‖a^" + last + " − y‖²", "C"}, C);

  std::cout << "3. Output error: δ^L = ∇_a C ⊙ σ'(z^L)\n";
  const Tensor nabla = chain_rule(C, ones({}), a[L]);
  trace({"∂C/∂C = 1", "", "", "∇_a C"}, nabla);
  delta[L] = chain_rule(a[L], nabla, z[L]);
  trace({"σ'(z^" + last + ")", "δ^" + last}, delta[L]);

  std::cout << "4. Backpropagate the error: δ^l = ((w^(l+1))ᵀ δ^(l+1)) ⊙ σ'(z^l)\n";
  for (std::size_t l = L - 1; l >= 1; --l) {
    const std::string n = std::to_string(l), next = std::to_string(l + 1);
    const Tensor error = chain_rule(z[l + 1], delta[l + 1], a[l]);
    trace({"(w^" + next + ")ᵀ δ^" + next}, error);
    delta[l] = chain_rule(a[l], error, z[l]);
    trace({"σ'(z^" + n + ")", "δ^" + n}, delta[l]);
  }

  std::cout << "5. Output: ∂C/∂b^l = δ^l and ∂C/∂w^l = δ^l (a^(l-1))ᵀ\n";
  std::vector<Tensor> dw(L + 1), db(L + 1);
  for (std::size_t l = 1; l <= L; ++l) {
    const std::string n = std::to_string(l);
    db[l] = chain_rule(z[l], delta[l], b[l]);
    trace({"∂C/∂b^" + n}, db[l]);
    dw[l] = chain_rule(z[l], delta[l], w[l]);
    trace({"∂C/∂w^" + n}, dw[l]);
  }

  // the same in one pass over the tape
  const NoRecording scope;
  bool one_pass = true, by_hand = true;
  for (std::size_t l = 1; l <= L; ++l) {
    const auto g = gradient(C, {w[l], b[l]});
    one_pass = one_pass && identical(g[0], dw[l]) && identical(g[1], db[l]);
  }

  // and by hand, where an example is a column as in the book
  const auto slope = [](const Tensor& v) { return sigmoid(v) * (1 - sigmoid(v)); };
  const auto agree = [](const Tensor& p, const Tensor& q) {
    return max(abs(p - q)).item() < 1e-15;
  };
  a[0] = transpose(x);
  for (std::size_t l = 1; l <= L; ++l) {
    z[l] = matmul(w[l], a[l - 1]) + expand_dims(b[l], 1);
    a[l] = sigmoid(z[l]);
  }
  for (std::size_t l = L; l >= 1; --l) {
    delta[l] = l == L ? (a[L] - transpose(y)) * slope(z[L])                       // BP1
                      : matmul(transpose(w[l + 1]), delta[l + 1]) * slope(z[l]);  // BP2
    by_hand = by_hand && agree(expand_dims(db[l], 1), delta[l]) &&                // BP3
              agree(dw[l], matmul(delta[l], transpose(a[l - 1])));                // BP4
  }
  std::cout << "gradient(C, ...) in one pass: " << (one_pass ? "the same bits" : "DIFFERENT")
            << "\nbackpropagation by hand: " << (by_hand ? "the same within 1e-15" : "DIFFERENT")
            << '\n';
  return one_pass && by_hand ? 0 : 1;
}
