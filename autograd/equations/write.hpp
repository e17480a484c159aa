// How expressions become text: the walk over trees, and what a notation has to give it. Internal to
// autograd/equations.
#pragma once

#include "autograd/equations/expression.hpp"

namespace xg::algebra {

/// Writes expressions in a notation. `depth` is the layer that is called L, if not 0; `columns`:
/// what is written is one example.
class Writer {
 public:
  Writer(int depth, bool columns) : depth_(depth), columns_(columns) {}
  virtual ~Writer() = default;

  std::string expression(const Expression& e) const { return piece(e).text; }
  virtual std::string symbol(const Symbol& s) const = 0;

 protected:
  /// How strongly the parts of a piece of text hold together.
  enum class Level { sum, hadamard, product, raised, atom };
  struct Piece {
    std::string text;
    Level level;
  };

  Piece piece(const Expression& e) const;
  /// In brackets unless it holds together at least so strongly.
  std::string wrapped(const Expression& e, Level level) const;
  /// "l−1", "L", "2" or nothing.
  std::string layer_of(const Symbol& s) const;

 private:
  std::string magnitude(double value, std::int64_t examples) const;
  /// "0.1" as it is, "1e-05" as 10^-5
  std::string decimal(const std::string& text) const;
  std::pair<bool, std::string> signed_term(const Expression& e) const;
  Piece called(const Expression& e) const;
  /// The facet of a call, with its parts in their places.
  std::string spelled(const Expression& e, Level level) const;
  /// "f", or "f₁"
  std::string head(const Function& f, const std::string& name_of_f) const;

  virtual std::string minus_sign() const = 0;  // within a superscript
  virtual std::string name(const std::string& function) const = 0;
  virtual std::string literal(const std::string& text) const = 0;
  virtual std::string digits(const std::string& text) const = 0;
  /// above / below, or above / (below m)
  virtual std::string fraction(const std::string& above, const std::string& below,
                               bool per_example) const = 0;
  virtual std::string plus() const = 0;
  virtual std::string minus() const = 0;
  virtual std::string binary_minus() const = 0;
  virtual std::string beside() const = 0;  // between factors of a matrix product
  virtual std::string times() const = 0;   // between numbers
  virtual std::string odot() const = 0;
  virtual Piece divided(const Expression& quotient) const = 0;
  virtual std::string bracketed(const std::string& text) const = 0;
  /// Iverson's bracket: 1 where a comparison holds, 0 elsewhere.
  virtual std::string iverson(const std::string& comparison) const = 0;
  virtual std::string raised(const std::string& base, const std::string& exponent) const = 0;
  virtual std::string lowered(const std::string& base, const std::string& index) const = 0;
  virtual std::string transposed(const std::string& base) const = 0;
  virtual std::string primed(const std::string& function) const = 0;
  virtual std::string norm(const std::string& text) const = 0;  // squared
  virtual std::string summed(const std::string& over, const std::string& text) const = 0;
  virtual std::string applied(const std::string& function, const std::string& subscript,
                              const std::vector<std::string>& arguments) const = 0;

  int depth_;
  bool columns_;
};

/// Plain text for LaTeX: what it reads otherwise is escaped, the signs of formulas are set as such.
std::string latex_text(const std::string& text);

std::unique_ptr<Writer> text_writer(int depth, bool columns);
std::unique_ptr<Writer> latex_writer(int depth, bool columns);
std::unique_ptr<Writer> mathml_writer(int depth, bool columns);

}  // namespace xg::algebra
