// Expressions as presentation MathML.
#include "autograd/equations/write.hpp"

namespace xg::algebra {

namespace {

std::string element(const char* name, const std::string& inside) {
  return detail::text('<', name, '>', inside, "</", name, '>');
}
std::string row(const std::string& inside) { return element("mrow", inside); }
std::string mo(const char* text) { return element("mo", text); }

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text)
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else
      result += c;
  return result;
}

class MathmlWriter final : public Writer {
 public:
  using Writer::Writer;
  std::string symbol(const Symbol& s) const override {
    std::string text = element("mi", escaped(s.letter));
    if (s.role == Symbol::Role::adjoint) text = "<mover>" + text + "<mo>¯</mo></mover>";
    const std::string layer = layer_of(s);
    const std::string number = s.number ? element("mn", std::to_string(*s.number)) : "";
    std::string above;  // l, +, 1
    for (const auto& [glyph, tag] : {std::pair{"l", "mi"}, {"L", "mi"}, {"+", "mo"}, {"−", "mo"}})
      if (const std::size_t at = layer.find(glyph); at != std::string::npos)
        above += element(tag, glyph);
    const std::size_t digit = layer.find_first_of("0123456789");
    if (digit != std::string::npos) above += element("mn", layer.substr(digit));
    above = row(above);
    if (!layer.empty() && s.number)
      text = element("msubsup", text + number + above);
    else if (!layer.empty())
      text = element("msup", text + above);
    else if (s.number)
      text = element("msub", text + number);
    if (s.role != Symbol::Role::derivative) return text;
    return element("mfrac", row("<mi>∂</mi><mi>C</mi>") + row("<mi>∂</mi>" + text));
  }

 private:
  std::string minus_sign() const override { return "−"; }
  std::string name(const std::string& n) const override { return element("mi", escaped(n)); }
  std::string literal(const std::string& t) const override { return element("mtext", escaped(t)); }
  std::string digits(const std::string& t) const override { return element("mn", t); }
  std::string fraction(const std::string& a, const std::string& b, bool per_m) const override {
    return element("mfrac",
                   row(a) + row((b.empty() ? "" : element("mn", b)) + (per_m ? "<mi>m</mi>" : "")));
  }
  std::string plus() const override { return mo("+"); }
  std::string minus() const override { return "<mo form=\"prefix\">−</mo>"; }
  std::string binary_minus() const override { return mo("−"); }
  std::string beside() const override { return "<mspace width=\"0.2em\"/>"; }
  std::string times() const override { return mo("·"); }
  std::string odot() const override { return mo("⊙"); }
  Piece divided(const Expression& e) const override {
    return {element("mfrac", row(wrapped(e.parts()[0], Level::sum)) +
                                 row(wrapped(e.parts()[1], Level::sum))),
            Level::product};
  }
  std::string bracketed(const std::string& t) const override { return row(mo("(") + t + mo(")")); }
  std::string iverson(const std::string& t) const override { return row(mo("[") + t + mo("]")); }
  std::string raised(const std::string& t, const std::string& n) const override {
    return element("msup", row(t) + element("mn", n));
  }
  std::string lowered(const std::string& t, const std::string& n) const override {
    return element("msub", row(t) + row(n));
  }
  std::string transposed(const std::string& t) const override {
    return element("msup", row(t) + "<mi mathvariant=\"normal\">T</mi>");
  }
  std::string primed(const std::string& t) const override { return element("msup", t + mo("′")); }
  std::string norm(const std::string& t) const override {
    return element("msup", row(mo("‖") + t + mo("‖")) + element("mn", "2"));
  }
  std::string summed(const std::string& which, const std::string& t) const override {
    const std::string sign = which.empty() ? mo("∑") : element("munder", mo("∑") + literal(which));
    return row(sign + t);
  }
  std::string applied(const std::string& f, const std::string& sub,
                      const std::vector<std::string>& x) const override {
    if (f == name("√")) return element("msqrt", row(x[0]));
    std::string text = sub.empty() ? f : element("msub", f + literal(sub));
    text += mo("(");
    for (std::size_t i = 0; i < x.size(); ++i) text += (i ? mo(",") : "") + x[i];
    return row(text + mo(")"));
  }
};

}  // namespace

std::unique_ptr<Writer> mathml_writer(int depth, bool columns) {
  return std::make_unique<MathmlWriter>(depth, columns);
}

}  // namespace xg::algebra
