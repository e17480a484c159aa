// What the parts of a gradient check hand to each other. Internal to autograd/gradcheck.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autograd/gradcheck.hpp"

namespace xg::check {

using Tensors = std::vector<Tensor>;

/// A scalar function to check.
struct Problem {
  /// Makes these values the inputs; gives the tensors to differentiate by.
  std::function<Tensors(const Tensors&)> set;
  /// The same for inputs that are set already, so that more can be differentiated.
  std::function<Tensors(const Tensors&)> again;
  /// The function of what `set` or `again` gave.
  std::function<Tensor(const Tensors&)> call;
  /// The relative error of a rounded number: that of the coarsest type in the computation.
  double rounding = std::numeric_limits<double>::epsilon();
};
/// A function of tensors as a problem.
Problem problem_of(std::function<Tensor(const Tensors&)> f);
/// The sum of all first derivatives, each times its direction.
Problem derivative_of(const Problem& p, const Tensors& directions);
double value_of(const Problem& p, const Tensors& x);
/// The same at a step from where it is checked; NaN if the function refuses that (ValueError).
double value_near(const Problem& p, const Tensors& x);
/// What the tape says.
struct Taped {
  double value = 0;   // of the recorded call
  Tensors gradients;  // of the shapes of x
};
Taped taped_of(const Problem& p, const Tensors& x);
/// Of elements 0.5 to 1 in size, so that every element counts, and of either sign.
Tensor random_direction(const Tensor& x, std::size_t number);
inline constexpr double rounding_of_float32 = std::numeric_limits<float>::epsilon();

// differences.cpp --------------------------------------------------------------------------------

/// A function along a line: of the distance from where it is differentiated.
using Line = std::function<double(double)>;

/// (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h, whose error is of the order h⁴.
double difference(const Line& f, double h);

/// The rounding error of f near x.
double noise_of(const Problem& p, const Tensors& x);

/// Where differences of falling steps agree best. `noise` is the rounding error of f.
struct Estimate {
  double value = 0, uncertainty = 0;
  double step = 0;  // of the value
  std::vector<GradCheck::Step> sweep;
};
Estimate settle(const Line& f, double step, double noise);

/// The slopes on both sides, if they are two.
struct Kink {
  double left = 0, right = 0;
};
std::optional<Kink> kink_of(const Line& f, double step);

/// The derivatives by one input both ways, at the elements that were looked at.
struct Comparison {
  std::vector<std::int64_t> places;  // of the elements, in row-major order
  std::vector<double> analytic, numeric, uncertainty;
  std::vector<char> failed;
  std::vector<std::optional<Kink>> kinks;
  GradCheck::Input worst;
  bool is_failed() const { return !worst.passed; }
};
/// Compares in all elements of input `k`, or in about `most` of them.
Comparison compare(const Problem& p, const Tensors& x, std::size_t k, const Tensor& gradient,
                   const GradCheckOptions& options, std::int64_t most);
/// Whether derivative and difference agree along one direction through all inputs.
bool agree_along(const Problem& p, const Tensors& x, const Tensors& gradients, double relative);

// tangents.cpp -----------------------------------------------------------------------------------

/// Where u · (J t) by the jvp of each operation is not (Jᵀ u) · t by its vjp.
struct Disagreement {
  std::size_t input = 0;             // t is a direction of this input alone
  double forward = 0, backward = 0;  // by jvp and by vjp
  std::string error{};               // what the jvp threw
};
/// The first input with one along a random direction.
std::optional<Disagreement> jvp_disagreement(const Problem& p, const Tensors& x, double relative);
/// The jvp along a random direction of input `k`, beside differences, element by element of what
/// `apply` gives.
Comparison compare_tangent(const std::function<Tensor(std::span<const Tensor>)>& apply,
                           const Tensors& x, std::size_t k, double relative);

// explain.cpp ------------------------------------------------------------------------------------

/// A tensor that a forgotten factor may be.
struct Factor {
  std::string name;
  Tensor value;  // float64
};
/// What to look for, and in which words to say it.
struct Context {
  std::string mine = "the tape's gradient", truth = "the differences";
  std::string function = "the function";  // whose differences these are
  /// Where a constant factor may come from, each with the words for it.
  std::vector<std::pair<std::string, Shape>> shapes{};
  std::vector<Factor> factors{};
  /// What made float32 of the numbers; empty if all is float64.
  std::string float32{};
  /// How exactly an explanation has to fit, relative to the largest element.
  double fit = 1e-5;
  /// The n of d(uⁿ) may be forgotten.
  bool has_powers = true;
  /// The function acts on each element alone: there is no sum in it.
  bool elementwise = false;
};
struct Finding {
  Verdict verdict = Verdict::correct;
  std::string explanation{};
  std::string guess{};   // of a constant factor: where such a number comes from, empty if unknown
  bool excused = false;  // nothing is wrong with the rule
  std::string words() const { return explanation + guess; }
};
Finding explain(const Comparison& c, const Shape& shape, const Context& context);

/// The factor c with mine = c · truth, if there is one; of as many numbers each. One number alone
/// has a factor only if that is a ratio of small whole numbers.
std::optional<double> constant_factor(std::span<const double> mine, std::span<const double> truth,
                                      double fit);
/// mine = c · truth in words, with the likely reason.
Finding describe_constant(double c, const Context& context);
/// c, as a ratio of small whole numbers if it is one.
std::string ratio_text(double c, double fit);
/// A number for people: "nan" whatever its sign.
std::string number_text(double value, int digits = 6);

// report.cpp -------------------------------------------------------------------------------------

/// Lines of 80 columns, each behind a line break and `indent` spaces.
std::string wrapped(const std::string& words, std::size_t indent);

// localise.cpp -----------------------------------------------------------------------------------

enum class Rule { vjp, jvp };

/// The recorded computation of `output` from `variables`, node by node, with a value for every
/// node: as the tape kept it, else computed again, else drawn at random.
class Walk {
 public:
  Walk(const Tensor& output, const Tensors& variables);

  /// The first operation whose vjp (or, for `second`, the derivative of whose vjp) disagrees with
  /// its forward, or whose jvp disagrees with its vjp. If there is none, the first that has a kink
  /// at its inputs, and a rule that is right there (`input.passed`).
  std::optional<GradCheck::Operation> first_wrong(const GradCheckOptions& options, bool second,
                                                  Rule rule);
  /// The operations of which `first_wrong` cannot say that they are right.
  const std::string& untried() const { return untried_; }
  /// The tensors between variables and output, and the derivatives of elementwise operations.
  std::vector<Factor> factors() const;
  std::vector<std::pair<std::string, Shape>> shapes() const;

 private:
  struct Step {
    std::size_t node;
    std::string name, symbol;
    std::vector<std::size_t> inputs;
    std::function<Tensor(std::span<const Tensor>)> apply;
    Shape shape;
    DType dtype;
    bool relevant;  // between the variables and the output
    bool expands;   // into operations that may use other tensors than its inputs
  };
  Tensors inputs_of(const Step& step) const;
  std::optional<GradCheck::Operation> check(const Step& step, const GradCheckOptions& options,
                                            bool second, Rule rule);
  std::optional<GradCheck::Operation> check_as(const Step& step, const Tensors& x,
                                               const GradCheckOptions& options, bool second,
                                               Rule rule) const;
  /// What to look for in the numbers of one operation.
  Context context_of(const Step& step, const Tensors& x, const Tensor& y, bool second,
                     bool rough) const;
  bool is_elementwise(const Step& step, const Tensors& x, std::size_t i) const;
  GradCheck::Operation wrong_jvp(const Step& step, const Tensors& x, const Tensor& y, std::size_t i,
                                 const Disagreement& found, bool second, bool rough) const;
  GradCheck::Operation operation_of(const Step& step, const Tensors& x, GradCheck::Input worst,
                                    Finding finding) const;
  std::vector<Factor> factors_of(const Step& step, const Tensors& x, const Tensor& y) const;

  std::vector<Step> steps_;
  Tensors values_;             // by node
  std::vector<char> actual_;   // values that are those of the tape
  std::vector<char> depends_;  // on a variable
  std::string untried_;
};

/// Which operation between variables and output made float32 of the numbers; empty if none did.
std::string first_float32(const Tensor& output, const Tensors& variables);
/// `name'` for an operation written name(...), as "σ'"; else from the name of the operation.
std::string derivative_symbol(const std::string& equation, std::string_view name);
/// The derivative of each element of `apply(..., x, ...)`, if each depends on that of x alone.
Tensor elementwise_derivative(const std::function<Tensor(std::span<const Tensor>)>& apply,
                              const Tensor& x);

}  // namespace xg::check
