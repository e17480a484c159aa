// Checks every operation of the catalogue at its samples: derivatives of first and second order,
// types, purity and refusals. What the values should be is in the tests of single operations.
#include "autograd/catalogue.hpp"

#include <tbb/global_control.h>

#include <set>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

using Example = CatalogueEntry::Sample;

std::string describe(const CatalogueEntry& entry, const Example& sample) {
  std::string result = detail::text(entry.name, ": ", sample.equation, " of");
  for (const Tensor& input : sample.inputs)
    result += detail::text(' ', input.dtype(), ' ', input.shape());
  return result;
}

/// Calls f(sample) for every sample that must work, or for every one that must not.
template <class F>
void for_each_sample(bool must_work, F f) {
  for (const CatalogueEntry& entry : catalogue())
    for (const Example& sample : entry.samples) {
      if (sample.error.empty() != must_work) continue;
      INFO(describe(entry, sample));
      f(sample);
    }
}

/// A sample as a function of its floating inputs.
struct Function {
  const Example& sample;
  std::vector<std::size_t> places;  // of the floating inputs
  std::vector<Tensor> inputs;       // these inputs
  Tensor weights;                   // of the output's shape
  bool finite = true;               // the mean of nothing is not

  explicit Function(const Example& s) : sample(s) {
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!is_floating(s.inputs[i].dtype())) continue;
      places.push_back(i);
      inputs.push_back(s.inputs[i]);
    }
    const Tensor y = s.apply(s.inputs);
    weights = is_floating(y.dtype()) ? numbers(y.shape(), 0.5, 2, 99, y.dtype()) : Tensor();
    for (const double element : elements(y)) finite = finite && std::isfinite(element);
  }
  /// Whether inputs and output are float64, so that they can be one vector and compared closely.
  bool of_one_type() const {
    const auto wide = [](const Tensor& x) { return x.dtype() == DType::float64; };
    return std::all_of(inputs.begin(), inputs.end(), wide) && wide(weights);
  }
  bool differentiable() const { return !inputs.empty() && weights.defined() && finite; }

  Tensor value(const std::vector<Tensor>& x) const {
    std::vector<Tensor> all = sample.inputs;
    for (std::size_t i = 0; i < x.size(); ++i) all[places[i]] = x[i];
    return sample.apply(all);
  }
  Tensor loss(const std::vector<Tensor>& x) const { return sum(weights * value(x)); }
  /// Gradients of the loss, themselves recorded if a tape is recording.
  std::vector<Tensor> gradients(const std::vector<Tensor>& x) const {
    const detail::Trace trace;
    std::vector<Tensor> variables;
    for (const Tensor& one : x) variables.push_back(trace.variable(one));
    return trace.gradient(loss(variables), variables);
  }
  /// All inputs as one vector, for transforms of one tensor, and what is computed from it.
  Tensor flat() const {
    std::vector<Tensor> parts;
    for (const Tensor& x : inputs) parts.push_back(reshape(x, {-1}));
    return concatenate(parts);
  }
  Tensor value_of_flat(const Tensor& x) const {
    std::vector<Tensor> parts;
    std::int64_t start = 0;
    for (const Tensor& input : inputs) {
      parts.push_back(reshape(slice(x, 0, start, start + input.size()), input.shape()));
      start += input.size();
    }
    return value(parts);
  }
  std::vector<Tensor> directions() const {
    std::vector<Tensor> result;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      result.push_back(numbers(inputs[i].shape(), -1, 1, 50 + i));
    return result;
  }
};

template <class F>
void for_each_function(F f) {
  for_each_sample(true, [&](const Example& sample) {
    const Function function(sample);
    if (function.differentiable()) f(function);
  });
}

double dot(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double result = 0;
  for (std::size_t i = 0; i < a.size(); ++i) result += sum(a[i] * b[i]).item();
  return result;
}

constexpr GradCheckOptions tight{.relative = 1e-7, .absolute = 1e-9};

}  // namespace

TEST_CASE("the catalogue's names are unique for a number of inputs and every operation has samples",
          "[catalogue]") {
  std::set<std::pair<std::string_view, std::size_t>> names;
  for (const CatalogueEntry& entry : catalogue()) {
    INFO(entry.name);
    CHECK(names.insert({entry.name, entry.samples.at(0).inputs.size()}).second);
    const auto fails = [](const Example& sample) { return !sample.error.empty(); };
    const auto failing = std::count_if(entry.samples.begin(), entry.samples.end(), fails);
    CHECK(failing >= 1);
    CHECK(static_cast<std::size_t>(failing) < entry.samples.size());
    for (const Example& sample : entry.samples) {
      if (!sample.error.empty()) continue;
      const bool listed = sample.equation.find("{...}") != std::string::npos;
      for (std::size_t i = 0; i < sample.inputs.size() && !listed; ++i) {
        INFO(sample.equation);
        CHECK(sample.equation.find(detail::text('{', i, '}')) != std::string::npos);
      }
    }
  }
  CHECK(names.size() >= 46);
}

TEST_CASE("the catalogue is on no tape, though one records when it is first asked for",
          "[catalogue]") {
  const Tape tape;  // ctest runs each case in a process of its own
  REQUIRE_FALSE(catalogue().empty());
  CHECK(tape.size() == 0);
}

TEST_CASE("samples that must fail say why", "[catalogue]") {
  for_each_sample(false, [](const Example& sample) {
    REQUIRE_ERROR(sample.apply(sample.inputs), Error, sample.error);
    try {
      sample.apply(sample.inputs);
    } catch (const Error& error) {
      CHECK(error.what()[0] == '[');
    }
  });
}

TEST_CASE("a refused application leaves the tape as it was", "[catalogue]") {
  for_each_sample(false, [](const Example& sample) {
    Tape tape;
    CHECK_THROWS_AS(sample.apply(sample.inputs), Error);
    CHECK(tape.size() == 0);
  });
}

TEST_CASE("values do not depend on a tape, and inputs stay as they were", "[catalogue]") {
  for_each_sample(true, [](const Example& sample) {
    std::vector<std::vector<double>> before;
    for (const Tensor& input : sample.inputs) before.push_back(elements(input));
    const Tensor plain = sample.apply(sample.inputs);
    CHECK(plain.size() == element_count(plain.shape()));
    Tape tape;
    const Tensor recorded = sample.apply(sample.inputs);
    CHECK(tape.size() > 0);
    CHECK(identical(plain, recorded));
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i] == elements(sample.inputs[i]));
  });
}

TEST_CASE("vjp agrees with differences", "[catalogue]") {
  for_each_function([](const Function& f) {
    const GradCheck report = gradcheck([&](const auto& x) { return f.loss(x); }, f.inputs, tight);
    INFO(report);
    CHECK(report.passed);
  });
}

TEST_CASE("jvp agrees with differences", "[catalogue]") {
  for_each_function([](const Function& f) {
    const std::vector<Tensor> v = f.directions();
    Tensor along;
    {
      const Tape tape;
      const Tensor y = f.value(f.inputs);
      along = push_forward(y, Pointers(f.inputs), Pointers(v));
      along = along.defined() ? detach(along) : zeros_like(detach(y));
    }
    const auto moved = [&](double step) {
      std::vector<Tensor> x = f.inputs;
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = x[i] + step * v[i];
      return f.value(x);
    };
    const double h = 1e-3;
    const Tensor numeric = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    CHECK(difference(along, numeric, 1e-7, 1e-9) == "");
  });
}

TEST_CASE("jvp on a forward tape is that along a kept tape", "[catalogue]") {
  for_each_function([](const Function& f) {
    if (!f.of_one_type()) return;
    const Tensor x = f.flat(), t = numbers(x.shape(), -1, 1, 50);
    const auto value = [&](const Tensor& v) { return f.value_of_flat(v); };
    const auto [y, forward] = value_and_jvp(value, x, t);
    CHECK(identical(y, value(x)));
    const Tape tape;
    CHECK(difference(forward, jvp(value, x, t), 1e-14, 1e-14) == "");
  });
}

TEST_CASE("Hessians are symmetric, hvp multiplies by them, and all nestings agree", "[catalogue]") {
  std::size_t curved = 0;
  for_each_function([&](const Function& f) {
    if (!f.of_one_type()) return;
    // The square gives linear operations second derivatives, too.
    const auto loss = [&](const Tensor& v) {
      const Tensor y = f.value_of_flat(v);
      return sum(f.weights * y + 0.1 * square(y));
    };
    const Tensor x = f.flat(), u = numbers(x.shape(), -1, 1, 51), v = numbers(x.shape(), -1, 1, 52);
    const Tensor h = hessian(loss, x);
    double largest = 1;
    for (const double element : elements(h)) largest = std::max(largest, std::abs(element));
    const double close = 1e-9 * largest;
    CHECK(difference(h, transpose(h), 1e-9, close) == "");
    const Tensor hv = hvp(loss, x, v);
    CHECK(difference(hv, matmul(h, v), 1e-9, close) == "");
    curved += largest > 1;
    const auto backward = [](const auto& g, const Tensor& t) {
      return [&g, t](const Tensor& at) { return sum(t * gradient(g, at)); };
    };
    const auto forward = [](const auto& g, const Tensor& t) {
      return [&g, t](const Tensor& at) { return jvp(g, at, t); };
    };
    const double want = sum(u * hv).item();
    const auto near = [&](const Tensor& got) {
      return std::abs(got.item() - want) <= 1e-9 * std::max(std::abs(want), largest);
    };
    CHECK(near(backward(backward(loss, v), u)(x)));
    CHECK(near(backward(forward(loss, v), u)(x)));
    CHECK(near(forward(backward(loss, v), u)(x)));
    CHECK(near(forward(forward(loss, v), u)(x)));
  });
  CHECK(curved > 100);
}

TEST_CASE("vjp and jvp are adjoint", "[catalogue]") {
  for_each_function([](const Function& f) {
    const std::vector<Tensor> v = f.directions();
    std::vector<Tensor> back(f.inputs.size());
    const Tape tape;
    const Tensor y = f.value(f.inputs);
    const Tensor along = push_forward(y, Pointers(f.inputs), Pointers(v));
    pull_back(y, f.weights, Pointers(f.inputs), back);
    for (std::size_t i = 0; i < back.size(); ++i)
      if (!back[i].defined()) back[i] = zeros_like(f.inputs[i]);
    const double forward = along.defined() ? sum(f.weights * along).item() : 0;
    const double backward = dot(back, v);
    CHECK(std::abs(forward - backward) <= 1e-12 * std::max(1.0, std::abs(forward)));
  });
}

TEST_CASE("gradients can be differentiated again", "[catalogue]") {
  for_each_function([](const Function& f) {
    const std::vector<Tensor> u = f.directions();
    const GradCheck report = gradcheck(
        [&](const std::vector<Tensor>& x) {
          const std::vector<Tensor> g = f.gradients(x);
          Tensor total = sum(u[0] * g[0]);
          for (std::size_t i = 1; i < g.size(); ++i) total = total + sum(u[i] * g[i]);
          return total;
        },
        f.inputs, tight);
    INFO(report);
    CHECK(report.passed);
  });
}

TEST_CASE("gradients do not depend on whether they are recorded", "[catalogue]") {
  const auto compare = [](const Function& f, double tolerance) {
    if (!f.differentiable()) return;
    const std::vector<Tensor> plain = f.gradients(f.inputs);
    const Tape tape;
    const std::vector<Tensor> recorded = f.gradients(f.inputs);
    for (std::size_t i = 0; i < plain.size(); ++i)
      CHECK(difference(plain[i], recorded[i], tolerance, tolerance) == "");
  };
  for_each_function([&](const Function& f) { compare(f, 1e-12); });
  for (const CatalogueEntry& entry : catalogue())
    for (const Example& sample : entry.at_size(200'000)) {
      INFO(describe(entry, sample));
      Function f(sample);
      compare(f, 1e-11);
      for (Tensor& x : f.inputs) x = cast(x, DType::float32);
      if (f.weights.defined()) f.weights = cast(f.weights, f.value(f.inputs).dtype());
      compare(f, 2e-5);
    }
}

TEST_CASE("one tensor can be all inputs of an operation", "[catalogue]") {
  std::size_t checked = 0;
  for_each_function([&](const Function& f) {
    const auto alike = [&](const Tensor& x) { return x.shape() == f.inputs[0].shape(); };
    if (f.inputs.size() < 2 || !std::all_of(f.inputs.begin(), f.inputs.end(), alike)) return;
    Tensor weights;
    const GradCheck report = gradcheck(
        [&](const Tensor& x) {
          const Tensor y = f.value(std::vector<Tensor>(f.inputs.size(), x));
          if (!weights.defined()) weights = numbers(y.shape(), 0.5, 2, 7);
          return sum(weights * y);
        },
        f.inputs[0]);
    INFO(report);
    CHECK(report.passed);
    ++checked;
  });
  CHECK(checked > 20);
}

TEST_CASE("float32 agrees with float64", "[catalogue]") {
  for_each_sample(true, [](const Example& sample) {
    Function f(sample);
    Function single = f;
    for (Tensor& x : single.inputs) x = cast(x, DType::float32);
    const Tensor y = f.value(f.inputs), y32 = single.value(single.inputs);
    const auto scaled = [](const Tensor& got, const Tensor& want) {
      double largest = 1;
      for (const double v : elements(want)) largest = std::max(largest, std::abs(v));
      return difference(cast(got, want.dtype()), want, 0, 1e-5 * largest);
    };
    CHECK(scaled(y32, y) == "");
    if (!f.differentiable()) return;
    if (is_floating(y32.dtype())) single.weights = cast(f.weights, y32.dtype());
    const std::vector<Tensor> g = f.gradients(f.inputs), g32 = single.gradients(single.inputs);
    for (std::size_t i = 0; i < g.size(); ++i) {
      CHECK(g32[i].dtype() == DType::float32);
      CHECK(scaled(g32[i], g[i]) == "");
    }
  });
}

namespace {

/// x + (x + x), large inputs of which nothing states.
struct Threefold {
  static constexpr auto name = "threefold";
  static constexpr Keep keeps = Keep::nothing;
  static inline std::int64_t limit = 6;  // of elements
  Shape shape(Inputs x) const {
    if (x[0].size() > limit) throw ShapeError("[threefold] too many elements");
    return x[0].shape();
  }
  Tensor forward(Inputs x, const Shape&) const {
    const NoRecording scope;
    return x[0] + (x[0] + x[0]);
  }
  Tensor vjp(std::size_t, const Tensor& g, const Record&) const { return 3 * g; }
  Tensor jvp(std::size_t, const Tensor& t, const Record&) const { return 3 * t; }
  std::string equation() const { return "3 {0}"; }
  static std::vector<Sample<Threefold>> samples() {
    return {{{}, {numbers({1, 3})}}, {{}, {numbers({2, 1, 3})}}, {{}, {numbers({6})}}};
  }
};

}  // namespace

TEST_CASE("large samples of an operation that states none", "[catalogue]") {
  CHECK(entry<Threefold>().at_size(600).size() == 1);  // of the first sample
  Threefold::limit = 1000;
  const CatalogueEntry threefold = entry<Threefold>();
  const std::vector<Example> large = threefold.at_size(600);
  REQUIRE(large.size() == 1);
  const Tensor& x = large[0].inputs[0];
  CHECK(x.shape() == Shape{20, 1, 30});
  CHECK(identical(slice(slice(x, 0, 4, 6), 2, 27, 30), threefold.samples[1].inputs[0]));
  Threefold::limit = 5;
  CHECK(threefold.at_size(600).empty());
}

TEST_CASE("large inputs: the same bits on one thread and on several", "[catalogue]") {
  constexpr std::int64_t n = 300'000;  // several ranges of every loop, the last one shorter
  for (const CatalogueEntry& entry : catalogue()) {
    const std::vector<Example> large = entry.at_size(n);
    const bool has_no_size = entry.samples.front().inputs.empty();
    CHECK(large.empty() == has_no_size);
    for (const Example& sample : large)
      for (const DType dtype : {DType::float32, DType::float64}) {
        INFO(describe(entry, sample) << " as " << dtype);
        std::int64_t elements = 0;
        Function f(sample);
        for (const Tensor& input : sample.inputs) elements += input.size();
        CHECK(std::max(elements, f.weights.defined() ? f.weights.size() : 0) > n / 3);
        CHECK(elements < 2 * n);
        for (Tensor& x : f.inputs) x = cast(x, dtype);
        if (f.weights.defined()) f.weights = cast(f.weights, f.value(f.inputs).dtype());
        const auto results = [&](std::size_t threads) {
          const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
          std::vector<Tensor> result;
          if (f.differentiable()) result = f.gradients(f.inputs);
          result.push_back(f.value(f.inputs));
          return result;
        };
        const std::vector<Tensor> one = results(1), several = results(4);
        for (std::size_t i = 0; i < one.size(); ++i) CHECK(identical(one[i], several[i]));
      }
  }
}
