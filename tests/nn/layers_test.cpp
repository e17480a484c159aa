// Layers, activations by name and initialisers.
#include "nn/nn.hpp"
#include "tests/support/catch.hpp"

using namespace xg;

namespace {
double mean_of(const Tensor& t) { return mean(cast(t, DType::float64)).item(); }
double deviation_of(const Tensor& t) { return std::sqrt(var(cast(t, DType::float64)).item()); }
}  // namespace

TEST_CASE("a dense layer computes z = a wᵀ + b, for a batch or one example") {
  nn::Dense layer{2, 3, {.dtype = DType::float64}};
  const auto parameters = layer.parameters();
  parameters[0].assign(Tensor{{1., 2.}, {3., 4.}, {5., 6.}});
  parameters[1].assign(Tensor{10., 20., 30.});
  CHECK(identical(layer(Tensor{{1., 1.}, {2., 0.}}), Tensor{{13., 27., 41.}, {12., 26., 40.}}));
  CHECK(identical(layer(Tensor{1., 1.}), Tensor{13., 27., 41.}));
  CHECK(layer(zeros({0, 2})).shape() == Shape{0, 3});
  CHECK(layer(zeros({4, 5, 2})).shape() == Shape{4, 5, 3});
  REQUIRE_ERROR(layer(zeros({4, 3})), ShapeError,
                "[Dense] the layer has 2 inputs, what came has the shape (4, 3)");
  REQUIRE_ERROR(layer(Tensor(1.0)), ShapeError, "what came has the shape ()");
  REQUIRE_ERROR(nn::Dense(0, 3), ValueError, "at least one input and one output, not 0 and 3");
  REQUIRE_ERROR(nn::Dense(2, 3, {.dtype = DType::int64}), DTypeError, "int64");
}

TEST_CASE("a dense layer without bias") {
  const nn::Dense layer{2, 3, {.bias = false}};
  REQUIRE(layer.parameters().size() == 1);
  CHECK(identical(layer(zeros({1, 2}, DType::float32)), zeros({1, 3}, DType::float32)));
}

TEST_CASE("a sequence takes modules and functions, copies deeply and names by position") {
  nn::Sequential net{nn::Dense{4, 3}, sigmoid, nn::Dense{3, 2}, nn::Softplus{}};
  CHECK(net.size() == 4);
  CHECK(net.parameters().at(2).name() == "2.weight");
  const Tensor x = full({1, 4}, 0.5, DType::float32), before = net(x);
  const nn::Sequential copy = net;
  for (const ParameterRef& p : net.parameters()) p.assign(zeros_like(p.value()));
  CHECK(identical(copy(x), before));
  const nn::Sequential nested{copy, nn::Tanh{}};
  CHECK(nested.parameters().at(0).name() == "0.0.weight");
  CHECK(identical(nested(x), tanh(before)));
  CHECK(identical(nn::Sequential{}(x), x));
}

TEST_CASE("layers of functions agree with the functions") {
  const Tensor z{-2., -0.5, 0., 0.5, 2.};
  CHECK(identical(nn::Linear{}(z), z));
  CHECK(identical(nn::Sigmoid{}(z), sigmoid(z)));
  CHECK(identical(nn::Tanh{}(z), tanh(z)));
  CHECK(identical(nn::Relu{}(z), relu(z)));
  CHECK(identical(nn::LeakyRelu{0.2}(z), leaky_relu(z, 0.2)));
  CHECK(identical(nn::Elu{0.5}(z), elu(z, 0.5)));
  CHECK(identical(nn::Gelu{}(z), gelu(z)));
  CHECK(identical(nn::Softplus{}(z), softplus(z)));
}

TEST_CASE("activations by name") {
  for (const std::string_view name : nn::activation_names()) {
    CAPTURE(name);
    const auto f = nn::activation_from_name(name);
    CHECK(
        gradcheck([&](const Tensor& z) { return sum(square(f(z))); }, Tensor{-1.5, -0.3, 0.4, 2.}));
  }
  REQUIRE_ERROR(nn::activation_from_name("x"), ValueError, "layers_test.cpp:");
  REQUIRE_ERROR(nn::Dense(0, 1), ValueError, "layers_test.cpp:");
  REQUIRE_ERROR(nn::activation_from_name("sigmod"), ValueError,
                "[activation] unknown name 'sigmod'; there are linear, sigmoid, tanh,");
}

TEST_CASE("initialisers have the scale that they promise") {
  const Shape weight{300, 400}, bias{20000};
  namespace init = nn::initialisers;
  const struct {
    nn::Initialiser make;
    double weight_deviation, bias_deviation;
  } rows[] = {{init::standard_normal, 1, 1},
              {init::scaled_normal, 1 / std::sqrt(400.), 1},
              {init::glorot, std::sqrt(2. / 700), 0},
              {init::he, std::sqrt(2. / 400), 0},
              {init::zeros, 0, 0},
              {init::constant(0), 0, 0}};
  for (const auto& row : rows) {
    const Tensor w = row.make(weight, Key{1}, DType::float32);
    const Tensor b = row.make(bias, Key{1}, DType::float64);
    CHECK(w.dtype() == DType::float32);
    CHECK(std::abs(mean_of(w)) <= 0.01 * row.weight_deviation);
    CHECK(std::abs(deviation_of(w) - row.weight_deviation) <= 0.01 * row.weight_deviation);
    CHECK(std::abs(deviation_of(b) - row.bias_deviation) <= 0.02 * row.bias_deviation);
  }
  CHECK(identical(init::constant(0.5)({2}, Key{1}, DType::float32), Tensor{0.5f, 0.5f}));
}

TEST_CASE("initialise draws each parameter from the seed and its path") {
  nn::Sequential a{nn::Dense{3, 3}, nn::Dense{3, 3}}, b = a;
  nn::initialise(a, nn::initialisers::he, 5);
  nn::initialise(b, nn::initialisers::he, 5);
  const auto pa = a.parameters(), pb = b.parameters();
  for (std::size_t i = 0; i < pa.size(); ++i) CHECK(identical(pa[i].value(), pb[i].value()));
  CHECK_FALSE(identical(pa[0].value(), pa[2].value()));
  nn::initialise(b, nn::initialisers::he, 6);
  CHECK_FALSE(identical(pa[0].value(), pb[0].value()));
  for (const std::string_view name : nn::initialiser_names())
    CHECK(nn::initialiser_from_name(name)({2, 2}, Key{1}, DType::float32).shape() == Shape{2, 2});
  REQUIRE_ERROR(nn::initialiser_from_name("x"), ValueError, "layers_test.cpp:");
  REQUIRE_ERROR(nn::initialiser_from_name("xavier"), ValueError,
                "[initialiser] unknown name 'xavier'; there are standard-normal, scaled-normal,");
}
