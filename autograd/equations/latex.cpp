// Expressions as LaTeX, for amsmath.
#include <algorithm>

#include "autograd/equations/write.hpp"

namespace xg::algebra {

namespace {

/// What is written otherwise in formulas.
constexpr std::pair<const char*, const char*> glyphs[] = {
    {"σ", "\\sigma"}, {"δ", "\\delta"}, {"Δ", "\\Delta"}, {"√", "\\operatorname{sqrt}"},
    {"Σ", "\\sum"},   {"Π", "\\prod"}};

class LatexWriter final : public Writer {
 public:
  using Writer::Writer;
  std::string symbol(const Symbol& s) const override {
    std::string text = letters(s.letter);
    if (s.role == Symbol::Role::adjoint) text = "\\bar{" + text + "}";
    if (s.number) text += "_{" + std::to_string(*s.number) + "}";
    if (const std::string layer = layer_of(s); !layer.empty()) text += "^{" + layer + "}";
    return s.role == Symbol::Role::derivative ? "\\frac{\\partial C}{\\partial " + text + "}"
                                              : text;
  }

 private:
  static std::string letters(const std::string& t) {
    for (const auto& [glyph, command] : glyphs)
      if (t == glyph) return command;
    return t.size() == 1 ? t : "\\mathrm{" + escaped(t) + "}";
  }
  static std::string escaped(const std::string& t) {
    std::string result;
    for (const char c : t) {
      if (std::string_view("_%&#$").find(c) != std::string_view::npos) result += '\\';
      result += c;
    }
    return result;
  }
  std::string minus_sign() const override { return "-"; }
  std::string name(const std::string& n) const override {
    for (const auto& [glyph, command] : glyphs)
      if (n == glyph) return command;
    return "\\operatorname{" + escaped(n) + "}";
  }
  std::string literal(const std::string& t) const override { return "\\text{" + escaped(t) + "}"; }
  std::string digits(const std::string& t) const override {
    const std::size_t e = t.find('e');
    return e == std::string::npos
               ? t
               : t.substr(0, e) + " \\cdot 10^{" + std::to_string(std::stoi(t.substr(e + 1))) + "}";
  }
  std::string fraction(const std::string& a, const std::string& b, bool per_m) const override {
    return "\\tfrac{" + a + "}{" + b + (per_m ? "m" : "") + "}";
  }
  std::string plus() const override { return " + "; }
  std::string minus() const override { return "-"; }
  std::string binary_minus() const override { return " - "; }
  std::string beside() const override { return " \\, "; }
  std::string times() const override { return " \\cdot "; }
  std::string odot() const override { return " \\odot "; }
  Piece divided(const Expression& e) const override {
    return {"\\frac{" + wrapped(e.parts()[0], Level::sum) + "}{" +
                wrapped(e.parts()[1], Level::sum) + "}",
            Level::product};
  }
  std::string bracketed(const std::string& t) const override { return "\\left(" + t + "\\right)"; }
  std::string raised(const std::string& t, const std::string& n) const override {
    return "{" + t + "}^{" + n + "}";
  }
  std::string lowered(const std::string& t, const std::string& n) const override {
    return t + "_{" + n + "}";
  }
  std::string transposed(const std::string& t) const override { return "{" + t + "}^{T}"; }
  std::string primed(const std::string& t) const override { return t + "'"; }
  std::string norm(const std::string& t) const override {
    return "\\left\\| " + t + " \\right\\|^2";
  }
  std::string summed(const std::string& which, const std::string& t) const override {
    return (which.empty() ? "\\sum " : "\\sum_{" + which + "} ") + t;
  }
  std::string applied(const std::string& f, const std::string& sub,
                      const std::vector<std::string>& x) const override {
    std::string text = f + (sub.empty() ? "" : "_{" + literal(sub) + "}") + "(";
    for (std::size_t i = 0; i < x.size(); ++i) text += (i ? ", " : "") + x[i];
    return text + ")";
  }
};

}  // namespace

std::unique_ptr<Writer> latex_writer(int depth, bool columns) {
  return std::make_unique<LatexWriter>(depth, columns);
}

}  // namespace xg::algebra
