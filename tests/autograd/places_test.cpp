// Errors name the line of the user's code on which the function was called, and that function.
#include "autograd/autograd.hpp"
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

// The call stands on the line of the macro.
#define CHECK_SAYS_PLACE(call, name)                                                          \
  do {                                                                                        \
    const std::string error = error_of([&] { static_cast<void>(call); });                     \
    INFO(#call << ": " << error);                                                             \
    CHECK(error.starts_with("[" name "] "));                                                  \
    CHECK(error.find(detail::text("places_test.cpp:", __LINE__, '\n')) != std::string::npos); \
  } while (false)

Tensor cubes(const Tensor& v) { return sum(pow(v, 3)); }
Tensor itself(const Tensor& v) { return v; }
Tensor product(const Tensor& a, const Tensor& b) { return sum(a * b); }

const Tensor x = numbers({4, 3}), other = numbers({2, 2}), labels{1, 2}, none;

}  // namespace

TEST_CASE("errors of transforms name the place of the call and the transform", "[places]") {
  const Scope scope("here");  // its line ends that of the place
  CHECK_SAYS_PLACE(gradient(cubes, labels), "gradient");
  CHECK_SAYS_PLACE(gradient(cubes, none), "gradient");
  CHECK_SAYS_PLACE(gradient(itself, x), "gradient");
  CHECK_SAYS_PLACE(gradient(product, x, none), "gradient");
  CHECK_SAYS_PLACE(grad(cubes)(labels), "gradient");
  CHECK_SAYS_PLACE(value_and_gradient(cubes, labels), "gradient");
  CHECK_SAYS_PLACE(value_and_jvp(cubes, x, other), "jvp");
  CHECK_SAYS_PLACE(jvp(cubes, x, other), "jvp");
  CHECK_SAYS_PLACE(jvp(product, {x, x}, {x, other}), "jvp");
  CHECK_SAYS_PLACE(vjp(cubes, x, other), "vjp");
  CHECK_SAYS_PLACE(vjp(product, {x, x}, other), "vjp");
  CHECK_SAYS_PLACE(jacobian(cubes, labels), "jacobian");
  CHECK_SAYS_PLACE(jacobian(product, x, labels), "jacobian");
  CHECK_SAYS_PLACE(hessian(itself, x), "hessian");
  CHECK_SAYS_PLACE(hessian(cubes, none), "hessian");
  CHECK_SAYS_PLACE(hessian(cubes, labels), "hessian");
  CHECK_SAYS_PLACE(hessian(product, x, labels), "hessian");
  CHECK_SAYS_PLACE(value_and_gradient(product, x, labels), "gradient");
  CHECK_SAYS_PLACE(hvp(itself, x, x), "hvp");
  CHECK_SAYS_PLACE(hvp(cubes, x, other), "hvp");
  CHECK_SAYS_PLACE(hvp(product, {x, x}, {x, other}), "hvp");
}

TEST_CASE("errors of transforms over parameters name the place of the call", "[places]") {
  const Scope scope("here");
  const Parameter p(x), empty(none);
  const ParameterRefs all{{"p", p}};
  const auto f = [&] { return sum(p * p); };
  const auto wide = [&] { return p * p; };
  CHECK_SAYS_PLACE(gradient(wide, all), "gradient");
  CHECK_SAYS_PLACE(gradient(f, ParameterRefs{{"p", empty}}), "gradient");
  CHECK_SAYS_PLACE(value_and_gradient(wide, all), "gradient");
  CHECK_SAYS_PLACE(jvp(f, all, std::vector{other}), "jvp");
  CHECK_SAYS_PLACE(vjp(f, all, other), "vjp");
  CHECK_SAYS_PLACE(jacobian(f, ParameterRefs{{"p", empty}}), "jacobian");
  CHECK_SAYS_PLACE(hessian(wide, all), "hessian");
  CHECK_SAYS_PLACE(hvp(wide, all, std::vector{x}), "hvp");
}

TEST_CASE("errors of functions with rules of their own name the place of the call", "[places]") {
  const Scope scope("here");
  const Tape tape;
  const auto custom =
      custom_gradient(itself, [](const Tensor& g, const Tensor&, const Tensor&) { return g; });
  CHECK_SAYS_PLACE(custom(none), "custom_gradient");
  CHECK_SAYS_PLACE(on_gradient(labels, itself), "on_gradient");
  CHECK_SAYS_PLACE(on_gradient(x, {}), "on_gradient");
  CHECK_SAYS_PLACE(checkpoint(cubes, none), "checkpoint");
  const std::vector<Tensor (*)(const Tensor&)> functions;
  CHECK_SAYS_PLACE(checkpoint_sequential(functions, x, -1), "checkpoint_sequential");
}

TEST_CASE("errors of a tensor's own functions name the place of the call", "[places]") {
  const Scope scope("here");
  CHECK_SAYS_PLACE(x.item(), "item");
  CHECK_SAYS_PLACE(x.extent(7), "extent");
  CHECK_SAYS_PLACE(x.at({9, 9}), "at");
  CHECK_SAYS_PLACE(x.at({9}), "at");
  CHECK_SAYS_PLACE(x.data<float>(), "Tensor");
  CHECK_SAYS_PLACE(x.values<float>(), "Tensor");
  CHECK_SAYS_PLACE(x.view<float>(), "Tensor");
  CHECK_SAYS_PLACE(none.view<float>(), "Tensor");
  CHECK_SAYS_PLACE(Tensor(std::vector<double>{1.0}, {3}), "Tensor");
  CHECK_SAYS_PLACE(zeros({-1}), "shape");
  CHECK_SAYS_PLACE(full({-1}, 1.0), "shape");
  CHECK_SAYS_PLACE(arange(-1), "shape");
  CHECK_SAYS_PLACE(eye(-1), "shape");
  CHECK_SAYS_PLACE(random_uniform({-1}, Key{1}), "shape");
  CHECK_SAYS_PLACE(random_normal({2}, Key{1}, DType::int64), "random_normal");
  CHECK_SAYS_PLACE(labels + 0.5, "scalar");
  CHECK_SAYS_PLACE(where(labels, labels, 0.5), "scalar");
  CHECK_SAYS_PLACE(pow(labels, 3), "pow");
}

TEST_CASE("errors of changes of a parameter name the place of the call", "[places]") {
  const Scope scope("here");
  const Parameter p(x);
  const ParameterRef reference("p", p);
  CHECK_SAYS_PLACE(reference.assign(other), "assign");
  CHECK_SAYS_PLACE(reference.add_scaled(1, other), "add_scaled");
}
