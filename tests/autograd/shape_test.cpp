// Extents, and the arithmetic of shapes and axes; and the names of types.
#include "autograd/shape.hpp"

#include <sstream>

#include "tests/support/catch.hpp"

using namespace xg;

TEST_CASE("extents of any length are copied, moved and assigned", "[shape]") {
  const Extents lists[] = {{}, {1}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, {9, 8, 7, 6, 5, 4, 3, 2, 1}};
  for (const Extents& a : lists)
    for (const Extents& b : lists) {
      Extents copy = a;
      CHECK(copy == a);
      copy = b;
      CHECK(copy == b);
      Extents moved = std::move(copy);
      CHECK(moved == b);
      Extents other = a;
      other = std::move(moved);
      CHECK(other == b);
      CHECK((a == b) == (&a == &b));
    }
  for (Extents x : lists) {
    const Extents before = x;
    Extents& self = x;
    x = self;
    CHECK(x == before);
    x = std::move(self);
    CHECK(x == before);
  }
}

TEST_CASE("extents grow and shrink across the inline capacity", "[shape]") {
  Extents x;
  for (std::int64_t i = 0; i < 7; ++i) x.push_back(i);
  CHECK(x == Extents{0, 1, 2, 3, 4, 5, 6});
  CHECK(x.with_inserted(0, 9) == Extents{9, 0, 1, 2, 3, 4, 5, 6});
  CHECK(x.without(6) == Extents{0, 1, 2, 3, 4, 5});
  while (!x.empty()) x = x.without(0);
  CHECK(x == Extents{});
  CHECK(Extents::filled(5, 2) == Extents{2, 2, 2, 2, 2});
  CHECK(Extents(3) == Extents{3});
  CHECK(Extents{4, 5}.back() == 5);
}

TEST_CASE("shapes print as NumPy's", "[shape]") {
  CHECK(to_string(Shape{}) == "()");
  CHECK(to_string(Shape{3}) == "(3,)");
  CHECK(to_string(Shape{10, 784}) == "(10, 784)");
  std::ostringstream stream;
  stream << Shape{2, -1, 3};
  CHECK(stream.str() == "(2, -1, 3)");
}

TEST_CASE("element_count refuses what cannot be", "[shape]") {
  constexpr std::int64_t limit = std::int64_t{1} << 59;
  CHECK(element_count({}) == 1);
  CHECK(element_count({2, 3, 4}) == 24);
  CHECK(element_count({limit, 0}) == 0);
  CHECK(element_count({limit, limit, 0}) == 0);
  CHECK(element_count({limit}) == limit);
  REQUIRE_ERROR(element_count({2, -1}), ShapeError, "[shape] negative extent in (2, -1)");
  REQUIRE_ERROR(element_count({0, -1}), ShapeError, "[shape] negative extent in (0, -1)");
  REQUIRE_ERROR(element_count({limit, 2}), ShapeError, "[shape] too many elements");
  REQUIRE_ERROR(element_count({1 << 20, 1 << 20, 1 << 20, 1 << 20}), ShapeError,
                "too many elements");
  REQUIRE_ERROR(element_count({std::numeric_limits<std::int64_t>::max()}), ShapeError,
                "[shape] too many elements: (9223372036854775807,)");
}

TEST_CASE("shapes broadcast by NumPy's rule", "[shape]") {
  struct Row {
    Shape a, b, want;
  };
  const Row rows[] = {{{}, {}, {}},
                      {{}, {2, 3}, {2, 3}},
                      {{3}, {2, 3}, {2, 3}},
                      {{4, 1}, {3}, {4, 3}},
                      {{1}, {0}, {0}},
                      {{0}, {0}, {0}},
                      {{2, 1, 3, 1, 2}, {3, 4, 1}, {2, 1, 3, 4, 2}},
                      {{1, 1, 1, 1, 1, 1}, {7}, {1, 1, 1, 1, 1, 7}}};
  for (const Row& row : rows) {
    CHECK(broadcast_shapes("f", row.a, row.b) == row.want);
    CHECK(broadcast_shapes("f", row.b, row.a) == row.want);
  }
  REQUIRE_ERROR(
      broadcast_shapes("f", {2, 3}, {2, 4}), ShapeError,
      "[f] shapes do not broadcast: (2, 3) and (2, 4); extents must be equal or 1, counted "
      "from the last axis");
  REQUIRE_ERROR(broadcast_shapes("f", {0}, {2}), ShapeError, "(0,) and (2,)");
}

TEST_CASE("axes count from either end", "[shape]") {
  CHECK(normalise_axis("f", -1, 3) == 2);
  CHECK(normalise_axis("f", 0, 3) == 0);
  REQUIRE_ERROR(normalise_axis("f", 3, 3), ShapeError,
                "[f] axis 3 is out of range for a tensor with 3 axes");
  REQUIRE_ERROR(normalise_axis("f", -2, 1), ShapeError,
                "[f] axis -2 is out of range for a tensor with 1 axis");
  REQUIRE_ERROR(normalise_axis("f", 0, 0), ShapeError, "a tensor with 0 axes");
  CHECK(normalise_axes("f", {}, 3) == Axes{0, 1, 2});
  CHECK(normalise_axes("f", {-1, 0}, 3) == Axes{0, 2});
  CHECK(normalise_axes("f", {}, 0) == Axes{});
  REQUIRE_ERROR(normalise_axes("f", {0, -3}, 3), ShapeError,
                "[f] an axis is named twice in (0, -3)");
  CHECK(reduced_shape({2, 3, 4}, {0, 2}, false) == Shape{3});
  CHECK(reduced_shape({2, 3, 4}, {0, 2}, true) == Shape{1, 3, 1});
  CHECK(reduced_shape({2}, {}, false) == Shape{2});
}

TEST_CASE("types have names", "[shape]") {
  for (const DType dtype : {DType::float32, DType::float64, DType::int64})
    CHECK(dtype_from_name(to_string(dtype)) == dtype);
  CHECK(size_of(DType::float32) == 4);
  CHECK(size_of(DType::int64) == 8);
  CHECK_FALSE(is_floating(DType::int64));
  REQUIRE_ERROR(dtype_from_name("float16"), ValueError,
                "[dtype] unknown type 'float16'; there are float32, float64 and int64");
}
