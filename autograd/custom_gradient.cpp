// The operations behind custom_gradient and on_gradient.
#include "autograd/custom_gradient.hpp"

#include <memory>
#include <optional>

#include "autograd/catalogue.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/samples.hpp"
#include "autograd/random.hpp"
#include "autograd/stash.hpp"
#include "autograd/tape_memory.hpp"

namespace xg {

using detail::CustomRule;
using detail::Stash;
using detail::TensorAccess;
using detail::text;

namespace ops {
namespace {

struct CustomGradient {
  struct State {
    std::function<Tensor(Inputs)> f;
    CustomRule rule;
    Stash output{};  // what f gave

    State(std::function<Tensor(Inputs)> function, CustomRule adjoints)
        : f(std::move(function)), rule(std::move(adjoints)) {}
  };
  std::shared_ptr<State> state;

  static constexpr auto name = "custom_gradient";
  static constexpr Keep keeps = Keep::inputs | Keep::output;

  Shape shape(Inputs x) const {
    std::optional<detail::Episode> episode;
    if (Tape* tape = Tape::recording()) episode.emplace(*tape);
    const Tensor y = state->f(x);
    if (!y.defined()) throw DTypeError("[custom_gradient] the function gave an undefined tensor");
    if (episode)
      for (const Tensor& t : episode->used())
        if (is_variable(t) && !is_one_of(t, x))
          throw TapeError(text("[custom_gradient] the function uses a ",
                               TensorAccess::version(t) > 0 ? "parameter" : "recorded tensor",
                               " of shape ", t.shape(),
                               " that is not an argument, so that no gradient would reach it; make"
                               " it one, or write detach(x) for a constant"));
    state->output.put(detach(y));
    return y.shape();
  }
  Tensor forward(Inputs, const Shape&) const { return state->output.take(); }

  std::vector<Tensor> vjps(const Tensor& g, const Record& r) const {
    const Arguments x(r);
    return rule(g, x.output, x);
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const { return vjps(g, r)[i]; }
  // The rule is g ↦ g J, linear in g, so the adjoint of g in it is J times what comes in, wherever
  // that is taken. Not at 0, where a rule that iterates until nothing changes stops at once.
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    const Arguments x(r);
    bool zero = false;
    const Tensor change = xg::vjp(
        [&](const Tensor& g) {
          const Tensor back = rule(g, x.output, x)[i];
          zero = !back.defined();
          return zero ? zeros_like(t) : back;
        },
        random_uniform(x.output.shape(), Key{0}, x.output.dtype(), 0.05, 0.1), t);
    return zero ? Tensor() : change;
  }
  std::string equation() const { return "custom_gradient({...})"; }

  static std::vector<Sample<CustomGradient>> samples() {
    const auto of = [](std::function<Tensor(Inputs)> f, CustomRule rule) {
      return CustomGradient{std::make_shared<State>(std::move(f), std::move(rule))};
    };
    const CustomGradient power = of(
        [](Inputs x) { return pow(x[0], 3); },
        [](const Tensor& g, const Tensor&, Inputs x) { return std::vector{3 * g * square(x[0])}; });
    const CustomGradient product = of([](Inputs x) { return x[0] * exp(x[1]); },
                                      [](const Tensor& g, const Tensor& y, Inputs x) {
                                        return std::vector{g * exp(x[1]), g * y};
                                      });
    return {{power, {numbers({2, 3}, 0.5, 2)}},
            {product, {numbers({3}, -1, 1, 1), numbers({3}, -1, 1, 2)}},
            {product, {numbers({4, 3}, -1, 1, 1), numbers({3}, -1, 1, 2)}},
            {power, {Tensor()}, "input 0 is undefined"},
            {of([](Inputs) { return Tensor(); }, {}),
             {numbers({2}, -1, 1)},
             "the function gave an undefined tensor"}};
  }

 private:
  /// What the rule is called with. Where nothing records they are constants, so that the rule may
  /// use transforms, which then have tapes of their own.
  struct Arguments {
    std::vector<Tensor> x;
    std::vector<const Tensor*> pointers;
    Tensor output;

    explicit Arguments(const Record& r) : output(here(r.output())) {
      for (std::size_t i = 0; i < r.input_count(); ++i) x.push_back(here(r.input(i)));
      for (const Tensor& one : x) pointers.push_back(&one);
    }
    operator Inputs() const { return {pointers.data(), pointers.size()}; }
    static Tensor here(const Tensor& t) { return Tape::recording() ? t : detach(t); }
  };
  static bool is_variable(const Tensor& t) {
    return is_floating(t.dtype()) && (TensorAccess::tape(t) != 0 || TensorAccess::version(t) > 0);
  }
  static bool is_one_of(const Tensor& t, Inputs x) {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (TensorAccess::tape(x[i]) == TensorAccess::tape(t) &&
          TensorAccess::id(x[i]) == TensorAccess::id(t))
        return true;
    return false;
  }
  std::vector<Tensor> rule(const Tensor& g, const Tensor& y, Inputs x) const {
    std::vector<Tensor> changes = state->rule(g, y, x);
    if (changes.size() != x.size())
      throw ValueError(text("[custom_gradient] the rule gave ", changes.size(), " adjoints for ",
                            x.size(), " inputs"));
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!changes[i].defined()) continue;
      if (changes[i].dtype() != x[i].dtype())
        throw DTypeError(text("[custom_gradient] the rule gave ", changes[i].dtype(), " for input ",
                              i, ", which is ", x[i].dtype()));
      try {
        if (changes[i].shape() != x[i].shape()) changes[i] = sum_to(changes[i], x[i].shape());
      } catch (const ShapeError&) {
        throw ShapeError(text("[custom_gradient] the rule gave an adjoint of shape ",
                              changes[i].shape(), " for input ", i, ", which has the shape ",
                              x[i].shape()));
      }
    }
    return changes;
  }
};

struct OnGradient {
  std::shared_ptr<const std::function<Tensor(const Tensor&)>> f;

  static constexpr auto name = "on_gradient";
  static constexpr Keep keeps = Keep::nothing;

  Shape shape(Inputs x) const {
    require_floating(name, x);
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const { return detach(x[0]); }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const {
    Tensor changed = (*f)(g);
    if (changed.defined() && changed.shape() != g.shape())
      throw ShapeError(text("[on_gradient] the function gave the shape ", changed.shape(),
                            " for an adjoint of shape ", g.shape()));
    if (changed.defined() && changed.dtype() != g.dtype())
      throw DTypeError(text("[on_gradient] the function gave ", changed.dtype(),
                            " for an adjoint that is ", g.dtype()));
    return changed;
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return t; }
  static double flops(const Record&) { return 0; }
  std::string equation() const { return "{0}"; }
  static std::vector<Sample<OnGradient>> samples() {
    const OnGradient same{std::make_shared<const std::function<Tensor(const Tensor&)>>(
        [](const Tensor& g) { return g; })};
    return unary_samples<OnGradient>(-1, 1, same);
  }
};

}  // namespace

std::vector<CatalogueEntry> custom_gradients() {
  return {entry<CustomGradient>(), entry<OnGradient>()};
}

}  // namespace ops

Tensor detail::apply_custom(std::function<Tensor(Inputs)> f, CustomRule rule, Inputs x,
                            SourceLocation place) {
  return xg::apply(ops::CustomGradient{std::make_shared<ops::CustomGradient::State>(
                       std::move(f), std::move(rule))},
                   x, place);
}

Tensor on_gradient(Operand x, std::function<Tensor(const Tensor& adjoint)> f) {
  return detail::located(x.place(), [&] {
    if (!f) throw ValueError("[on_gradient] the function is empty");
    using Function = const std::function<Tensor(const Tensor&)>;
    return apply(ops::OnGradient{std::make_shared<Function>(std::move(f))}, x);
  });
}

}  // namespace xg
