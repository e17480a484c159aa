// Modules as values: naming, copying, moving, converting, and parameters that were forgotten.
#include "nn/nn.hpp"
#include "optim/optim.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

namespace {

struct Classifier : nn::Module {
  nn::Dense hidden{4, 3}, output{3, 2};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& x) const override { return sigmoid(output(sigmoid(hidden(x)))); }
};

struct Nested : nn::Module {
  Classifier inner;
  Parameter scale{Tensor{1.f, 2.f}};
  nn::Members members() const override { return {{"inner", inner}, {"scale", scale}}; }
  Tensor forward(const Tensor& x) const override { return inner(x) * scale; }
};

struct Forgetful : nn::Module {
  nn::Dense hidden{4, 3}, output{3, 2};
  nn::Members members() const override { return {{"hidden", hidden}}; }
  Tensor forward(const Tensor& x) const override { return output(hidden(x)); }
};

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> result;
  for (const ParameterRef& p : module.parameters()) result.push_back(p.name());
  return result;
}

const Tensor x = full({1, 4}, 0.5, DType::float32);

Classifier make_trained_elsewhere(ParameterRefs& held) {
  Classifier net;
  held = net.parameters();
  return net;
}

}  // namespace

TEST_CASE("parameters are named by path") {
  CHECK(names(Nested{}) == std::vector<std::string>{"inner.hidden.weight", "inner.hidden.bias",
                                                    "inner.output.weight", "inner.output.bias",
                                                    "scale"});
  CHECK(nn::parameter_count(Nested{}) == 4 * 3 + 3 + 3 * 2 + 2 + 2);
}

TEST_CASE("a copied module has parameters of its own") {
  Classifier net;
  const Tensor before = net(x);
  const Classifier copy = net;
  for (const ParameterRef& p : net.parameters()) p.assign(zeros_like(p.value()));
  CHECK(identical(copy(x), before));
  CHECK_FALSE(identical(net(x), before));
  const ParameterRefs held = net.parameters();
  net = copy;
  CHECK(identical(net(x), before));
  // What refers to the parameters goes on with the values that were assigned.
  CHECK(identical(held[0].value(), copy.hidden.weight.value()));
  held[0].assign(zeros_like(held[0].value()));
  CHECK_FALSE(identical(net(x), before));
  CHECK(identical(copy(x), before));
}

TEST_CASE("an optimiser goes on with a model that was assigned, however it was made") {
  nn::Sequential net{nn::Dense{4, 3}, sigmoid, nn::Dense{3, 2}};
  const nn::Sequential best = net;
  const ParameterRefs held = net.parameters();
  const auto follows = [&] {
    held[0].assign(zeros_like(held[0].value()));
    return identical(net.parameters()[0].value(), zeros({3, 4}, DType::float32));
  };
  net = best;
  CHECK(follows());
  net = nn::Sequential(best);
  CHECK(identical(held[0].value(), best.parameters()[0].value()));
  CHECK(follows());
  net = nn::Sequential{nn::Tanh{}, nn::Dense{4, 2}};  // another structure
  CHECK(net.parameters()[0].name() == "1.weight");
  CHECK(net(x).shape() == Shape{1, 2});

  Classifier plain;
  const ParameterRefs of_plain = plain.parameters();
  plain = Classifier();
  CHECK(of_plain == plain.parameters());
}

TEST_CASE("tied parameters are listed once") {
  struct Tied : nn::Module {
    nn::Dense layer{4, 4};
    nn::Members members() const override { return {{"a", layer}, {"b", layer}}; }
    Tensor forward(const Tensor& v) const override { return layer(layer(v)); }
  };
  CHECK(names(Tied{}) == std::vector<std::string>{"a.weight", "a.bias"});
}

TEST_CASE("an optimiser holds on to the parameters of a moved module, and of one that is gone") {
  ParameterRefs held;
  std::vector<Classifier> nets;
  nets.push_back(make_trained_elsewhere(held));
  for (int i = 0; i < 10; ++i) nets.emplace_back();  // moves the first
  held[1].assign(Tensor{7.f, 8.f, 9.f});
  CHECK(identical(nets[0].hidden.bias.value(), Tensor{7.f, 8.f, 9.f}));
  nets.clear();
  CHECK(identical(held[1].value(), Tensor{7.f, 8.f, 9.f}));

  Classifier source;
  const Classifier target = std::move(source);
  REQUIRE_ERROR(source.hidden(x), ValueError, "[Dense] the layer was moved from");
  CHECK(target(x).size() == 2);
}

TEST_CASE("a parameter that members() forgets is an error at the first recorded call") {
  const Forgetful net;
  CHECK(net(x).size() == 2);  // without a tape nothing depends on it
  const Tape tape;
  REQUIRE_ERROR(net(x), ValueError,
                "forward() uses a parameter of shape (2, 3) that members() does not list");
}

TEST_CASE("a module may use parameters that the module around it lists") {
  struct Tied : nn::Module {
    nn::Dense encode{4, 4};
    nn::Members members() const override { return {{"encode", encode}}; }
    Tensor forward(const Tensor& v) const override {
      const nn::Lambda decode{[&](const Tensor& h) { return matmul(h, encode.weight); }};
      return decode(tanh(encode(v)));
    }
  };
  const Tape tape;
  const Tied net;
  const auto g = gradient(sum(net(x)), net.parameters());
  CHECK(g[0].shape() == Shape{4, 4});
  const nn::Sequential hides{nn::Lambda{[&](const Tensor& h) { return net(h); }}};
  CHECK(hides.parameters().empty());
}

TEST_CASE("to() converts every parameter, and the module works on in the other type") {
  const Nested net;
  net.to(DType::float64);
  for (const ParameterRef& p : net.parameters()) CHECK(p.value().dtype() == DType::float64);
  CHECK(net(cast(x, DType::float64)).dtype() == DType::float64);
  REQUIRE_ERROR(net(x), DTypeError, "[linear] types differ: float32 (1, 4) and float64 (3, 4)");
}

TEST_CASE("copy_parameters copies between modules of one structure") {
  const Classifier a;
  Classifier b;
  nn::initialise(b, nn::initialisers::glorot, 9);
  nn::copy_parameters(a, b);
  CHECK(identical(a(x), b(x)));
  REQUIRE_ERROR(nn::copy_parameters(a, Nested{}), ValueError,
                "the modules differ at parameter 0: 'hidden.weight' and 'inner.hidden.weight'");
  nn::Dense narrow{4, 3}, wide{5, 3};
  REQUIRE_ERROR(nn::copy_parameters(narrow, wide), ShapeError,
                "parameter 'weight' has the shape (3, 5), what came has (3, 4)");
}

namespace {

struct Misfit : nn::Module {
  nn::Dense hidden{4, 3}, output{5, 2};
  nn::Members members() const override { return {{"hidden", hidden}, {"output", output}}; }
  Tensor forward(const Tensor& input) const override { return output(sigmoid(hidden(input))); }
};

struct Around : nn::Module {
  Misfit part;
  nn::Members members() const override { return {{"part", part}}; }
  Tensor forward(const Tensor& input) const override { return part(input); }
};

}  // namespace

TEST_CASE("errors within modules name the module by its path, and its call", "[module]") {
  const Around net;
  const Scope scope("encoder");
  std::string error;
  try {
    net(ones({6, 4}, DType::float32));
  } catch (const ShapeError& e) {
    error = e.what();
  }
  INFO(error);
  CHECK(error.find("module_test.cpp:") != std::string::npos);
  CHECK(error.ends_with("\n  in encoder.Around.part.output"));
  const nn::Sequential chain{nn::Dense{4, 3}, sigmoid, nn::Dense{5, 2}};
  REQUIRE_ERROR(chain(ones({6, 4}, DType::float32)), ShapeError, "in encoder.Sequential.2");
}

TEST_CASE("the costs' errors name the place of the call", "[module]") {
  const Tensor a = zeros({2, 3}), y = zeros({3, 3});
  const std::string place = detail::text("module_test.cpp:", __LINE__ + 1);
  REQUIRE_ERROR(nn::quadratic_cost(a, y), ShapeError, place);
}
