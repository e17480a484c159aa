// Expressions as LaTeX, for amsmath.
#include <algorithm>

#include "autograd/equations/write.hpp"

namespace xg::algebra {

namespace {

/// What is written otherwise in formulas.
constexpr std::pair<const char*, const char*> glyphs[] = {{"σ", "\\sigma"}, {"δ", "\\delta"},
                                                          {"Δ", "\\Delta"}, {"√", "\\surd"},
                                                          {"Σ", "\\sum"},   {"Π", "\\prod"}};

/// And in text. The last four are no letters of OT1, the fonts that LaTeX begins with.
constexpr std::pair<const char*, const char*> signs[] = {{"−", "-"},
                                                         {"⊙", "\\odot"},
                                                         {"ᵀ", "{}^T"},
                                                         {"²", "{}^2"},
                                                         {"³", "{}^3"},
                                                         {"‖", "\\|"},
                                                         {"·", "\\cdot"},
                                                         {"≠", "\\neq"},
                                                         {"≤", "\\leq"},
                                                         {"∂", "\\partial"},
                                                         {"½", "\\tfrac{1}{2}"},
                                                         {"⅓", "\\tfrac{1}{3}"},
                                                         {"¼", "\\tfrac{1}{4}"},
                                                         {"<", "<"},
                                                         {">", ">"},
                                                         {"|", "|"},
                                                         {"\\", "\\backslash"}};

/// Brackets that leave a formula free to be broken into lines within them.
std::string between(const char* left, const std::string& inside, const char* right) {
  const bool tall = inside.find("\\frac") != std::string::npos;
  return detail::text(tall ? "\\Bigl" : "", left, inside, tall ? "\\Bigr" : "", right);
}

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
    return t.size() == 1 ? t : "\\mathrm{" + latex_text(t) + "}";
  }
  std::string minus_sign() const override { return "-"; }
  std::string name(const std::string& n) const override {
    for (const auto& [glyph, command] : glyphs)
      if (n == glyph) return command;
    return "\\operatorname{" + latex_text(n) + "}";
  }
  std::string literal(const std::string& t) const override {
    return "\\text{" + latex_text(t) + "}";
  }
  std::string digits(const std::string& t) const override { return t; }
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
  std::string bracketed(const std::string& t) const override { return between("(", t, ")"); }
  std::string iverson(const std::string& t) const override { return between("[", t, "]"); }
  std::string raised(const std::string& t, const std::string& n) const override {
    return "{" + t + "}^{" + n + "}";
  }
  std::string lowered(const std::string& t, const std::string& n) const override {
    return t + "_{" + n + "}";
  }
  std::string transposed(const std::string& t) const override {
    return (t.ends_with(')') ? t : "{" + t + "}") + "^{T}";  // free to be broken, too
  }
  std::string primed(const std::string& t) const override { return t + "'"; }
  std::string norm(const std::string& t) const override { return between("\\|", t, "\\|") + "^2"; }
  std::string summed(const std::string& which, const std::string& t) const override {
    return (which.empty() ? "\\sum " : "\\sum_{" + which + "} ") + t;
  }
  std::string applied(const std::string& f, const std::string& sub,
                      const std::vector<std::string>& x) const override {
    std::string arguments;
    if (f == name("√")) return "\\sqrt{" + x[0] + "}";
    for (std::size_t i = 0; i < x.size(); ++i) arguments += (i ? ", " : "") + x[i];
    // A name with a number has its index in brackets, so that it can get another.
    const bool has_index = !sub.empty() && f.find("}_{") != std::string::npos;
    return (has_index ? "{" + f + "}" : f) + (sub.empty() ? "" : "_{" + literal(sub) + "}") +
           between("(", arguments, ")");
  }
};

}  // namespace

std::string latex_text(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    const auto begins = [&](const auto& glyph) { return rest.starts_with(glyph.first); };
    const auto* sign = std::find_if(std::begin(signs), std::end(signs), begins);
    const auto* letter = std::find_if(std::begin(glyphs), std::end(glyphs), begins);
    if (sign != std::end(signs) || letter != std::end(glyphs)) {
      const auto& [glyph, command] = sign != std::end(signs) ? *sign : *letter;
      result += detail::text("\\ensuremath{", command, '}');
      i += std::string_view(glyph).size();
      continue;
    }
    if (rest[0] == '^' || rest[0] == '~')
      result += detail::text('\\', rest[0], "{}");
    else
      result += (std::string_view("_%&#${}").find(rest[0]) != std::string_view::npos ? "\\" : "") +
                std::string(1, rest[0]);
    ++i;
  }
  return result;
}

std::unique_ptr<Writer> latex_writer(int depth, bool columns) {
  return std::make_unique<LatexWriter>(depth, columns);
}

}  // namespace xg::algebra
