// Making tensors, reading them and printing them.
#include "autograd/tensor.hpp"

#include <xtensor/xarray.hpp>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xview.hpp>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

TEST_CASE("scalars keep the type of their number", "[tensor]") {
  CHECK(Tensor(1.5).dtype() == DType::float64);
  CHECK(Tensor(1.5f).dtype() == DType::float32);
  CHECK(Tensor(1.5L).dtype() == DType::float64);
  for (const Tensor& t : {Tensor(3), Tensor(3u), Tensor(std::int8_t{3}), Tensor(std::size_t{3})}) {
    CHECK(t.dtype() == DType::int64);
    CHECK(t.item() == 3);
  }
  const Tensor t = 2.0;
  CHECK(t.shape() == Shape{});
  CHECK(t.size() == 1);
  CHECK(t.rank() == 0);
  CHECK(t.item() == 2);
}

TEST_CASE("nested lists give vectors, matrices and rank 3", "[tensor]") {
  const Tensor v{1.0, 2.0, 3.0}, m{{1.f, 2.f}, {3.f, 4.f}, {5.f, 6.f}}, b{{{1, 2}}, {{3, 4}}};
  CHECK(v.shape() == Shape{3});
  CHECK(m.shape() == Shape{3, 2});
  CHECK(b.shape() == Shape{2, 1, 2});
  CHECK(m.dtype() == DType::float32);
  CHECK(b.dtype() == DType::int64);
  CHECK(elements(b) == std::vector<double>{1, 2, 3, 4});
  CHECK(Tensor{7.0}.shape() == Shape{1});
  CHECK(Tensor{{7.0, 8.0}}.shape() == Shape{1, 2});
  REQUIRE_ERROR((Tensor{{1.0, 2.0}, {3.0}}), ShapeError,
                "[Tensor] the nested lists have unequal lengths");
  REQUIRE_ERROR((Tensor{{{1.0, 2.0}}, {{3.0}}}), ShapeError, "unequal lengths");
  REQUIRE_ERROR((Tensor{{{1.0}, {2.0}}, {{3.0}}}), ShapeError, "unequal lengths");
}

TEST_CASE("spans fill a shape", "[tensor]") {
  std::vector<double> values{1, 2, 3, 4, 5, 6};
  const Tensor t(std::span<double>(values), Shape{2, 3});
  values[0] = 9;
  CHECK(t.at({0, 0}) == 1);
  const std::vector<std::uint8_t> bytes{1, 255};
  CHECK(identical(Tensor(std::span(bytes), {2}), Tensor{1, 255}));
  REQUIRE_ERROR(Tensor(std::span(values), {2, 2}), ShapeError,
                "[Tensor] 6 values do not fill the shape (2, 2), which has 4");
}

TEST_CASE("xtensor expressions become tensors, whatever their layout", "[tensor]") {
  const xt::xarray<double> a{{1., 2., 3.}, {4., 5., 6.}};
  CHECK(identical(Tensor(a), Tensor{{1., 2., 3.}, {4., 5., 6.}}));
  CHECK(identical(Tensor(a + 1.0), Tensor{{2., 3., 4.}, {5., 6., 7.}}));
  CHECK(identical(Tensor(xt::transpose(a)), Tensor{{1., 4.}, {2., 5.}, {3., 6.}}));
  CHECK(identical(Tensor(xt::view(a, xt::all(), xt::range(0, 3, 2))), Tensor{{1., 3.}, {4., 6.}}));
  CHECK(identical(Tensor(xt::view(a, 1)), Tensor{4., 5., 6.}));
  const xt::xarray<float, xt::layout_type::column_major> columns{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}};
  CHECK(identical(Tensor(columns), Tensor{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
  const xt::xarray<int> whole{1, 2};
  CHECK(identical(Tensor(whole), Tensor{1, 2}));
  CHECK(identical(Tensor(xt::cast<float>(whole)), Tensor{1.f, 2.f}));
  const Tensor lazy = xt::sin(xt::linspace<double>(0., 1., 11));
  CHECK(lazy.shape() == Shape{11});
  CHECK(lazy.at({10}) == std::sin(1.0));
  CHECK(Tensor(xt::xarray<double>(2.5)).shape() == Shape{});
  CHECK(Tensor(xt::zeros<double>({2, 0, 3})).shape() == Shape{2, 0, 3});
}

TEST_CASE("a view reads the elements in place", "[tensor]") {
  const Tensor t{{1., 2., 3.}, {4., 5., 6.}};
  const auto view = t.view<double>();
  CHECK(&view(0, 0) == t.data<double>());
  CHECK(view.shape()[1] == 3);
  CHECK(view(1, 2) == 6);
  CHECK(xt::sum(view)() == 21);
  CHECK(identical(Tensor(xt::transpose(view)), transpose(t)));
  const Tensor scalar(3.f);
  CHECK(scalar.view<float>()() == 3);
  REQUIRE_ERROR(t.view<float>(), DTypeError,
                "[Tensor] elements of float64 were asked for as float32");
}

TEST_CASE("elements are read by position", "[tensor]") {
  const Tensor t{{1., 2., 3.}, {4., 5., 6.}};
  CHECK(t.at({1, 0}) == 4);
  CHECK(t.extent(-1) == 3);
  CHECK(t.values<double>()[5] == 6);
  REQUIRE_ERROR(t.at({1}), ShapeError, "[at] index (1,) for a tensor of shape (2, 3)");
  REQUIRE_ERROR(t.at({2, 0}), ShapeError, "[at] index (2, 0) is outside the shape (2, 3)");
  REQUIRE_ERROR(t.at({0, -1}), ShapeError, "[at] index (0, -1) is outside");
  REQUIRE_ERROR(t.extent(2), ShapeError, "[extent] axis 2 is out of range");
  REQUIRE_ERROR(t.item(), ShapeError, "[item] the tensor of shape (2, 3) has 6 elements, not one");
  REQUIRE_ERROR(zeros({0}).item(), ShapeError, "[item] the tensor of shape (0,) has 0 elements");
  REQUIRE_ERROR(t.data<float>(), DTypeError, "convert with cast(x, DType::float32)");
  CHECK(Tensor{{5}}.item() == 5);
}

TEST_CASE("an undefined tensor says so", "[tensor]") {
  Tensor t;
  CHECK_FALSE(t.defined());
  REQUIRE_ERROR(t.data<double>(), DTypeError, "[Tensor] the tensor is undefined");
  REQUIRE_ERROR(t.item(), ShapeError, "[item]");
  REQUIRE_ERROR(t.at({}), DTypeError, "is undefined");
  Tensor full(1.0);
  t = std::move(full);
  CHECK(t.item() == 1);
  CHECK_FALSE(full.defined());  // moved from
  CHECK(identical(Tensor(), Tensor()));
  CHECK_FALSE(identical(Tensor(), t));
}

TEST_CASE("only a sole owner writes", "[tensor]") {
  Tensor t = zeros({2});
  t.exclusive_data<double>()[0] = 1;
  const Tensor copy = t;
  REQUIRE_ERROR(t.exclusive_data<double>(), Error, "[Tensor] the elements are shared");
  Tensor turned = transpose(zeros({2, 2}));
  REQUIRE_ERROR(turned.exclusive_data<double>(), Error, "are shared");
}

TEST_CASE("identical compares bits", "[tensor]") {
  CHECK(identical(Tensor{not_a_number}, Tensor{not_a_number}));
  CHECK_FALSE(identical(Tensor{0.0}, Tensor{-0.0}));
  CHECK_FALSE(identical(Tensor{1.0}, Tensor{1.f}));
  CHECK_FALSE(identical(Tensor{1.0}, Tensor(1.0)));
}

TEST_CASE("too large a tensor is refused before memory is asked for", "[tensor]") {
  for (const std::int64_t n : {std::int64_t{1} << 47, std::int64_t{1} << 59})
    REQUIRE_ERROR(zeros({n}), ShapeError, "[memory] over 64 TiB were asked for one tensor");
  for (const std::int64_t n : {std::int64_t{1} << 60, std::int64_t{1} << 61, std::int64_t{1} << 62})
    REQUIRE_ERROR(zeros({n}), ShapeError, "[shape] too many elements");
}

TEST_CASE("tensors print as NumPy's, with type and shape", "[tensor]") {
  const std::pair<Tensor, const char*> rows[] = {
      {Tensor(2.5), "2.5 float64 ()"},
      {Tensor(-3), "-3 int64 ()"},
      {Tensor(), "undefined tensor"},
      {Tensor{1.f, -2.5f, 1e10f}, "[   1.  -2.5 1e+10] float32 (3,)"},
      {Tensor{not_a_number, infinity, -infinity}, "[ nan  inf -inf] float64 (3,)"},
      {Tensor{{1, -2}, {30, 4}}, "[[ 1 -2]\n [30  4]]\nint64 (2, 2)"},
      {Tensor{{{1., 2.}}, {{3., 4.}}}, "[[[1. 2.]]\n\n [[3. 4.]]]\nfloat64 (2, 1, 2)"},
      {zeros({0}), "[] float64 (0,)"},
      {zeros({2, 0}), "[[]\n []]\nfloat64 (2, 0)"},
      {arange(2000), "[   0    1    2 ... 1997 1998 1999] int64 (2000,)"},
      {transpose(Tensor{{1, 2}}), "[[1]\n [2]]\nint64 (2, 1)"}};
  for (const auto& [tensor, want] : rows) CHECK(to_string(tensor) == want);
  CHECK(to_string(reshape(arange(2000), {4, 500})) ==
        "[[   0    1    2 ...  497  498  499]\n"
        " [ 500  501  502 ...  997  998  999]\n"
        " [1000 1001 1002 ... 1497 1498 1499]\n"
        " [1500 1501 1502 ... 1997 1998 1999]]\n"
        "int64 (4, 500)");
  CHECK(to_string(zeros({1'000'000'000, 0})).size() < 100);
}
