// Expressions as Unicode text on one line.
#include "autograd/equations/write.hpp"

namespace xg {

namespace algebra {

namespace {

std::string subscript(int n) {
  static constexpr const char* digit[] = {"₀", "₁", "₂", "₃", "₄", "₅", "₆", "₇", "₈", "₉"};
  std::string result;
  for (const char c : std::to_string(n)) result += digit[c - '0'];
  return result;
}

}  // namespace

class TextWriter final : public Writer {
 public:
  using Writer::Writer;
  std::string symbol(const Symbol& s) const override {
    std::string text = s.role == Symbol::Role::derivative ? "∂C/∂" : "";
    text += s.letter;
    if (s.role == Symbol::Role::adjoint) text += "\u0304";
    if (s.number) text += subscript(*s.number);
    const std::string layer = layer_of(s);
    if (!layer.empty()) text += layer.size() > 2 ? "^(" + layer + ")" : "^" + layer;
    return text;
  }

 private:
  std::string minus_sign() const override { return "-"; }
  std::string name(const std::string& n) const override { return n; }
  std::string literal(const std::string& t) const override { return t; }
  std::string digits(const std::string& t) const override { return t; }
  std::string fraction(const std::string& a, const std::string& b, bool per_m) const override {
    if (per_m) return a + (b.empty() ? "/m" : "/(" + b + "m)");
    if (a == "1" && b == "2") return "½";
    if (a == "1" && b == "3") return "⅓";
    if (a == "1" && b == "4") return "¼";
    return a + "/" + b;
  }
  std::string plus() const override { return " + "; }
  std::string minus() const override { return "−"; }
  std::string binary_minus() const override { return " − "; }
  std::string beside() const override { return " "; }
  std::string times() const override { return " · "; }
  std::string odot() const override { return " ⊙ "; }
  Piece divided(const Expression& e) const override {
    return {wrapped(e.parts()[0], Level::product) + " / " + wrapped(e.parts()[1], Level::raised),
            Level::hadamard};
  }
  std::string bracketed(const std::string& t) const override { return "(" + t + ")"; }
  std::string iverson(const std::string& t) const override { return "[" + t + "]"; }
  std::string raised(const std::string& t, const std::string& n) const override {
    return t + (n == "2" ? "²" : n == "3" ? "³" : "^" + n);
  }
  std::string lowered(const std::string& t, const std::string& n) const override {
    const bool is_number = n.find_first_not_of("0123456789") == std::string::npos;
    return is_number ? t + subscript(std::stoi(n)) : t + "_" + n;
  }
  std::string transposed(const std::string& t) const override { return t + "ᵀ"; }
  std::string primed(const std::string& t) const override { return t + "'"; }
  std::string norm(const std::string& t) const override { return "‖" + t + "‖²"; }
  std::string summed(const std::string& which, const std::string& t) const override {
    return (which.empty() ? "Σ " : "Σ_" + which + " ") + t;
  }
  std::string applied(const std::string& f, const std::string& sub,
                      const std::vector<std::string>& x) const override {
    std::string text = f + (sub.empty() ? "" : "_" + sub) + "(";
    for (std::size_t i = 0; i < x.size(); ++i) text += (i ? ", " : "") + x[i];
    return text + ")";
  }
};

std::unique_ptr<Writer> text_writer(int depth, bool columns) {
  return std::make_unique<TextWriter>(depth, columns);
}

}  // namespace algebra

std::string to_string(const Symbol& symbol) {
  return algebra::text_writer(0, false)->symbol(symbol);
}
std::string to_string(const Expression& expression) {
  return algebra::text_writer(0, false)->expression(expression);
}

}  // namespace xg
