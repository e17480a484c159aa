// Reading what operations say of themselves: the small language of equation facets, which is the
// language of the book on one line. Knows operators, no operations.
#include <charconv>

#include "autograd/catalogue.hpp"
#include "autograd/equations/graph.hpp"

namespace xg::algebra {

namespace {

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}

/// The operation of the catalogue that is called `name` and has one input.
std::shared_ptr<const Function> named(const std::string& name) {
  const std::string facet = name + "({0})";
  for (const CatalogueEntry& entry : catalogue())
    for (const CatalogueEntry::Sample& sample : entry.samples)
      if (sample.equation == facet && sample.error.empty())
        return recorded_function([&] { return sample.apply(sample.inputs); });
  throw Unreadable{};
}

/// Recursive descent over
///
///     sum      = ["−"] quotient { ("+" | "−") quotient }
///     quotient = hadamard [ "/" hadamard ]
///     hadamard = product { "⊙" product }
///     product  = power { power }          a number times, or the matrix product
///     power    = atom { "ᵀ" | "²" | "³" | "^" number }
///     atom     = number | "{" input "}" | "(" sum ")" | name "(" sum ")"
class Facet {
 public:
  Facet(std::string_view text, const Parts& inputs) : rest_(text), inputs_(inputs) {}
  Expression all() {
    Expression result = sum();
    if (!rest_.empty()) throw Unreadable{};
    return result;
  }

 private:
  bool take(std::string_view token) {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    return true;
  }
  static Expression minus(const Expression& e) { return hadamard({number(-1), e}); }

  Expression sum() {
    Parts terms;
    const bool negative = take("−");
    terms.push_back(quotient());
    if (negative) terms[0] = minus(terms[0]);
    for (;;) {
      if (take("+"))
        terms.push_back(quotient());
      else if (take("−"))
        terms.push_back(minus(quotient()));
      else
        return algebra::sum(std::move(terms));
    }
  }
  Expression quotient() {
    Expression result = hadamard_product();
    return take("/") ? algebra::quotient(result, hadamard_product()) : result;
  }
  Expression hadamard_product() {
    Parts factors{product()};
    while (take("⊙")) factors.push_back(product());
    return hadamard(std::move(factors));
  }
  Expression product() {
    Expression result = power();
    while (starts_atom()) {
      const Expression next = power();
      result = result.kind() == Kind::number ? hadamard({result, next})
                                             : algebra::product({result, next});
    }
    return result;
  }
  bool starts_atom() const {
    return rest_.starts_with('{') || rest_.starts_with('(') ||
           (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_[0])));
  }
  Expression power() {
    Expression result = atom();
    for (;;) {
      if (take("ᵀ"))
        result = algebra::transpose(result);
      else if (take("²"))
        result = algebra::power(result, 2);
      else if (take("³"))
        result = algebra::power(result, 3);
      else if (take("^"))
        result = algebra::power(result, digits());
      else
        return result;
    }
  }
  double digits() {
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) throw Unreadable{};
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    take("");
    return value;
  }
  Expression atom() {
    if (take("(")) return closed(sum());
    if (take("{")) {
      const auto i = static_cast<std::size_t>(digits());
      if (!take("}") || i >= inputs_.size()) throw Unreadable{};
      return inputs_[i];
    }
    if (rest_.empty()) throw Unreadable{};
    if (std::isdigit(static_cast<unsigned char>(rest_[0])) || rest_[0] == '-')
      return number(digits());
    std::size_t n = 0;
    while (n < rest_.size() && is_name_byte(rest_[n])) ++n;
    const std::string name(rest_.substr(0, n));
    if (n == 0 || !rest_.substr(n).starts_with('(')) throw Unreadable{};
    rest_.remove_prefix(n + 1);
    const Expression argument = closed(sum());
    return call(named(name), {argument}, argument.shape());
  }
  Expression closed(Expression e) {
    if (!take(")")) throw Unreadable{};
    return e;
  }

  std::string_view rest_;
  const Parts& inputs_;
};

}  // namespace

Axes axes_of(const std::string& subscript, std::size_t rank) {
  Axes axes;
  for (std::size_t i = 0; i < subscript.size();) {
    long axis = 0;
    const auto [end, error] =
        std::from_chars(subscript.data() + i, subscript.data() + subscript.size(), axis);
    if (error == std::errc()) {
      axes.push_back(axis);
      i = static_cast<std::size_t>(end - subscript.data());
    } else {
      ++i;
    }
  }
  return normalise_axes("equation", axes, rank);
}

std::optional<CallForm> call_form(const std::string& facet) {
  CallForm form;
  std::size_t n = 0;
  while (n < facet.size() && is_name_byte(facet[n])) ++n;
  if (n == 0 || n == facet.size() || facet[n] != '(' || facet.back() != ')') return std::nullopt;
  form.name = facet.substr(0, n);
  std::size_t open = n;
  if (form.name.back() == '_') {
    const std::size_t close = facet.find(")(", n);
    if (close == std::string::npos) return std::nullopt;
    form.name.pop_back();
    form.subscript = facet.substr(n, close + 1 - n);
    open = close + 1;
  }
  // Arguments are separated by commas outside of brackets; the bracket that closes is the last.
  int level = 0;
  std::string argument;
  for (std::size_t i = open + 1; i + 1 < facet.size(); ++i) {
    if (facet[i] == '(') ++level;
    if (facet[i] == ')' && --level < 0) return std::nullopt;
    if (facet[i] == ',' && level == 0) {
      form.arguments.push_back(std::exchange(argument, {}));
      while (i + 1 < facet.size() && facet[i + 1] == ' ') ++i;
    } else {
      argument += facet[i];
    }
  }
  form.arguments.push_back(argument);
  for (const std::string& a : form.arguments) {  // inputs and literals, nothing made of inputs
    const std::size_t brace = a.find('{');
    if (brace != std::string::npos && (brace != 0 || a.find('}') != a.size() - 1))
      return std::nullopt;
  }
  return form;
}

Expression read_facet(const std::shared_ptr<const Function>& f, Parts inputs, const Shape& shape) {
  if (const auto form = call_form(f->facet)) {
    if (inputs.size() == 1 && form->name == "broadcast") return broadcast(inputs[0], shape);
    if (inputs.size() == 1 && form->name == "reshape") return reshape(inputs[0], shape);
    if (inputs.size() == 1 && (form->name == "Σ" || form->name == "mean")) {
      const Shape& from = inputs[0].shape();
      const Axes axes = axes_of(form->subscript, from.size());
      const Expression all = total(inputs[0], axes, shape);
      if (form->name == "Σ") return all;
      const double count = static_cast<double>(element_count(from)) /
                           static_cast<double>(std::max<std::int64_t>(element_count(shape), 1));
      return hadamard({number(1 / count), all});
    }
    return call(f, std::move(inputs), shape);
  }
  constexpr std::string_view squares = "‖{0}‖²";
  if (f->facet.starts_with(squares) && inputs.size() == 1)
    return total(power(inputs[0], 2),
                 axes_of(f->facet.substr(squares.size()), inputs[0].shape().size()), shape);
  const Expression result = Facet(f->facet, inputs).all();
  if (result.shape() != shape) throw Unreadable{};
  return result;
}

}  // namespace xg::algebra
