// The walk over trees that every notation shares: it knows when brackets are needed.
#include <algorithm>
#include <cmath>

#include "autograd/equations/write.hpp"

namespace xg {

namespace algebra {

namespace {

constexpr const char* relations[] = {"=", "≠", "<", "≤"};

/// The axes of a function over one axis of a matrix, as Σ has them: x for examples, j for what an
/// example has.
std::string over(const std::string& subscript, const Expression& e, bool columns) {
  if (e.parts().empty() || e.parts()[0].shape().size() != 2) return subscript;
  if (subscript == "(1,)" || subscript == "(-1,)") return "j";
  return e->of_examples && !columns && (subscript == "(0,)" || subscript == "(-2,)") ? "x"
                                                                                     : subscript;
}

/// Whether a call compares: "{0} < {1}".
bool is_comparison(const Expression& e) {
  if (e.kind() != Kind::call) return false;
  const std::string& facet = e->function->facet;
  return std::any_of(std::begin(relations), std::end(relations), [&](const char* relation) {
    return facet == detail::text("{0} ", relation, " {1}");
  });
}

}  // namespace

std::string Writer::magnitude(double value, std::int64_t examples) const {
  value = std::abs(value) * static_cast<double>(std::max<std::int64_t>(examples, 1));
  // ½, ⅓ and ¼; and what would have no end as a decimal.
  auto r = ratio(value, 4);
  if (!r && detail::digits(value).size() > 10) r = ratio(value, 10000);
  if (r && r->first >= 1e6) r.reset();
  const std::string above = decimal(r ? detail::digits(r->first) : detail::digits(value));
  const std::string below = r && r->second > 1 ? detail::digits(r->second) : "";
  return !examples && below.empty() ? above : fraction(above, below, examples > 0);
}

std::string Writer::decimal(const std::string& text) const {
  const std::size_t e = text.find('e');
  if (e == std::string::npos) return digits(text);
  const int exponent = std::stoi(text.substr(e + 1));
  const std::string factor = text.substr(0, e);
  return (factor == "1" ? "" : digits(factor) + times()) +
         raised(digits("10"),
                (exponent < 0 ? minus_sign() : "") + std::to_string(std::abs(exponent)));
}

Writer::Piece Writer::piece(const Expression& e) const {
  const auto part = [&](std::size_t i, Level level) { return wrapped(e.parts()[i], level); };
  switch (e.kind()) {
    case Kind::number: {
      const std::string text = magnitude(e->value, e->examples);
      return e->value < 0 ? Piece{minus() + text, Level::sum} : Piece{text, Level::atom};
    }
    case Kind::symbol:
      return {symbol(e->symbol), e->symbol.layer || e->symbol.role == Symbol::Role::derivative
                                     ? Level::raised
                                     : Level::atom};
    case Kind::sum: {
      std::string text;
      for (const Expression& term : e.parts()) {
        const auto [negative, positive] = signed_term(term);
        text += text.empty() ? (negative ? minus() : "") : negative ? binary_minus() : plus();
        text += positive;
      }
      return {text, Level::sum};
    }
    case Kind::hadamard: {
      const auto [negative, positive] = signed_term(e);
      if (negative) return {minus() + positive, Level::sum};
      return {positive, Level::hadamard};
    }
    case Kind::product: {
      std::string text;
      for (std::size_t i = 0; i < e.parts().size(); ++i)
        text += (i ? beside() : "") + part(i, Level::raised);
      return {text, Level::product};
    }
    case Kind::quotient:
      return divided(e);
    case Kind::power:
      if (e->value == 1) return piece(e.parts()[0]);
      return {raised(part(0, Level::atom), detail::digits(e->value)), Level::raised};
    case Kind::transpose:
      return {transposed(part(0, Level::atom)), Level::raised};
    case Kind::total: {
      const Expression& inner = e.parts()[0];
      std::string which;
      if (columns_ && inner.shape().size() == 2 && inner.shape()[1] == 1 && e->axes.size() == 2)
        which = "j";
      else if (inner.shape().size() == 2 && e->axes.size() == 1)
        which = e->axes[0] == 1 ? "j" : columns_ || !e->of_examples ? to_string(e->axes) : "x";
      else if (e->axes.size() < inner.shape().size())
        which = to_string(e->axes);
      return {summed(which, part(0, Level::hadamard)), Level::hadamard};
    }
    case Kind::broadcast:
    case Kind::reshape:
      return {applied(name(e.kind() == Kind::broadcast ? "broadcast" : "reshape"), "",
                      {part(0, Level::sum), literal(to_string(e.shape()))}),
              Level::atom};
    case Kind::norm:
      return {norm(part(0, Level::sum)), Level::raised};
    case Kind::call:
      return called(e);
    case Kind::derivative: {
      const auto form = call_form(e->function->facet);
      return {applied(primed(head(*e->function, form->name)), "", {part(0, Level::sum)}),
              Level::atom};
    }
    case Kind::jacobian: {
      Expression::Node f = *e;
      const std::size_t last = f.parts.size() - 1;
      f.kind = Kind::call;
      f.parts.pop_back();
      const auto form = call_form(f.function->facet);
      std::string of = form ? head(*f.function, form->name) : literal(f.function->facet);
      if (last > 1) of += literal("," + std::to_string(e->slot + 1));
      std::vector<std::string> arguments;
      for (std::size_t i = 0; i < last; ++i) arguments.push_back(part(i, Level::sum));
      return {
          transposed(applied(lowered(name("J"), of), "", arguments)) + beside() +
              part(last, e.parts()[last].kind() == Kind::jacobian ? Level::product : Level::raised),
          Level::product};
    }
  }
  return {};
}

std::string Writer::wrapped(const Expression& e, Level level) const {
  const Piece p = piece(e);
  return p.level < level ? bracketed(p.text) : p.text;
}

std::pair<bool, std::string> Writer::signed_term(const Expression& e) const {
  if (e.kind() == Kind::number) return {e->value < 0, magnitude(e->value, e->examples)};
  if (e.kind() != Kind::hadamard) return {false, wrapped(e, Level::hadamard)};
  double value = 1;
  std::int64_t examples = 0;
  std::vector<Expression> rest;
  std::string numbers;
  for (const Expression& part : e.parts())
    if (part.kind() == Kind::number) {
      value *= part->value;
      examples = std::max(examples, part->examples);
      numbers += (numbers.empty() ? "" : times()) + magnitude(part->value, part->examples);
    } else {
      rest.push_back(part);
    }
  const bool unit =
      numbers.empty() || (std::abs(value) == 1 && !examples && e.parts()[0]->value != 1);
  if (rest.empty()) return {value < 0, numbers};
  std::string text;
  for (const Expression& part : rest) {
    const bool alone = rest.size() == 1;
    const bool close = part.kind() == Kind::total || (unit && part.kind() == Kind::quotient);
    const Level level = !alone ? Level::raised : close ? Level::hadamard : Level::product;
    text += (text.empty() ? "" : odot()) + wrapped(part, level);
  }
  if (unit) return {value < 0, text};
  const bool is_norm = rest[0].kind() == Kind::norm;
  return {value < 0, numbers + (is_norm ? "" : beside()) + text};
}

std::string Writer::head(const Function& f, const std::string& name_of_f) const {
  return f.number ? lowered(name(name_of_f), digits(std::to_string(f.number))) : name(name_of_f);
}

Writer::Piece Writer::called(const Expression& e) const {
  const std::string& facet = e->function->facet;
  if (is_comparison(e)) return {iverson(spelled(e, Level::sum)), Level::atom};
  if (facet == "|{0}|") return {spelled(e, Level::sum), Level::atom};
  const auto form = call_form(facet);
  if (!form) return {spelled(e, Level::raised), Level::sum};
  const bool is_cast = form->name == "float32" || form->name == "float64";
  if (is_cast && is_comparison(e.parts()[0])) return piece(e.parts()[0]);  // a number already
  std::vector<std::string> arguments;
  for (const std::string& a : form->arguments) {
    if (!a.starts_with('{')) {
      arguments.push_back(literal(a));
      continue;
    }
    const Expression& part = e.parts()[std::stoul(a.substr(1))];
    const bool is_condition = form->name == "where" && arguments.empty() && is_comparison(part);
    arguments.push_back(is_condition ? spelled(part, Level::sum) : wrapped(part, Level::sum));
  }
  return {applied(head(*e->function, form->name),
                  e->by_rows ? "" : over(form->subscript, e, columns_), arguments),
          Level::atom};
}

std::string Writer::spelled(const Expression& e, Level level) const {
  const std::string& facet = e->function->facet;
  std::string text, between;
  for (std::size_t i = 0; i < facet.size(); ++i) {
    const std::size_t close = facet[i] == '{' ? facet.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      between += facet[i];
      continue;
    }
    if (!between.empty()) text += literal(std::exchange(between, {}));
    text += wrapped(e.parts()[std::stoul(facet.substr(i + 1))], level);
    i = close;
  }
  return between.empty() ? text : text + literal(between);
}

std::string Writer::layer_of(const Symbol& s) const {
  if (!s.layer) return {};
  if (!s.relative) return *s.layer == depth_ && depth_ > 0 ? "L" : std::to_string(*s.layer);
  if (*s.layer == 0) return "l";
  return detail::text("l", *s.layer > 0 ? "+" : minus_sign(), std::abs(*s.layer));
}

}  // namespace algebra
}  // namespace xg
