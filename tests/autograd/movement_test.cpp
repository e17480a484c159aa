// Values of the operations that move, choose, join and make elements, against plain loops.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

constexpr DType dtypes[] = {DType::float32, DType::float64, DType::int64};

/// 0, 1, 2, ... in a shape, so that every element says where it came from.
Tensor counted(const Shape& shape, DType dtype = DType::float64) {
  return reshape(arange(element_count(shape), dtype), shape);
}

/// A tensor whose element at `index` is that of `from` at place(index).
template <class F>
Tensor gathered(const Tensor& from, const Shape& shape, F place) {
  std::vector<double> result;
  for_each_index(shape, [&](const Extents& index) { result.push_back(from.at(place(index))); });
  return tensor(result, shape, from.dtype());
}

const void* address(const Tensor& t) {
  return visit_dtype(t.dtype(), [&]<class T>(T) { return static_cast<const void*>(t.data<T>()); });
}

}  // namespace

TEST_CASE("reshape keeps the elements and the memory", "[movement]") {
  for (const DType dtype : dtypes) {
    const Tensor x = counted({2, 3, 4}, dtype);
    for (const Shape& shape :
         {Shape{24}, Shape{4, 3, 2}, Shape{1, 24, 1}, Shape{2, -1}, Shape{-1}}) {
      const Tensor y = reshape(x, shape);
      CHECK(address(y) == address(x));
      CHECK(elements(y) == elements(x));
    }
    CHECK(reshape(x, {2, -1}).shape() == Shape{2, 12});
  }
  CHECK(reshape(zeros({0, 3}), {-1, 3}).shape() == Shape{0, 3});
  CHECK(reshape(zeros({0, 3}), {7, 0, 2}).shape() == Shape{7, 0, 2});
  CHECK(reshape(Tensor(5.0), {1, 1, 1}).item() == 5);
  const Tensor t = transpose(counted({2, 3}));
  CHECK(elements(reshape(t, {6})) == std::vector<double>{0, 3, 1, 4, 2, 5});
  REQUIRE_ERROR(reshape(zeros({2, 3}), {4, 2}), ShapeError,
                "[reshape] (2, 3) has 6 elements, which do not fill (4, 2)");
  REQUIRE_ERROR(reshape(zeros({2, 3}), {-1, 4}), ShapeError, "which do not fill (-1, 4)");
  REQUIRE_ERROR(reshape(zeros({2, 3}), {-2, 3}), ShapeError, "negative extent in (-2, 3)");
}

TEST_CASE("permute moves every axis in every order", "[movement]") {
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{3, 4}, Shape{2, 3, 4}, Shape{3, 1, 2, 2},
                             Shape{2, 0, 3}, Shape{1, 2, 1, 2, 3}, Shape{70, 33}})
    for (const DType dtype : dtypes) {
      Axes axes = Axes::filled(shape.size(), 0);
      for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
      const Tensor x = counted(shape, dtype);
      do {
        INFO(shape << " by " << axes);
        Shape moved = shape;
        for (std::size_t i = 0; i < axes.size(); ++i)
          moved[i] = shape[static_cast<std::size_t>(axes[i])];
        const Tensor want = gathered(x, moved, [&](const Extents& index) {
          Extents place = index;
          for (std::size_t i = 0; i < axes.size(); ++i)
            place[static_cast<std::size_t>(axes[i])] = index[i];
          return place;
        });
        REQUIRE(identical(permute(x, axes), want));
      } while (std::next_permutation(axes.begin(), axes.end()));
    }
  CHECK(identical(permute(counted({2, 3}), {-1, 0}), transpose(counted({2, 3}))));
}

TEST_CASE("large transposes on several threads", "[movement]") {
  for (const Shape& shape :
       {Shape{1000, 517}, Shape{3, 300, 400}, Shape{100001, 3}, Shape{3, 100001}})
    for (const DType dtype : dtypes) {
      const Tensor x = counted(shape, dtype), t = transpose(x);
      bool right = true;
      const std::int64_t rows = x.extent(-2), columns = x.extent(-1),
                         blocks = x.size() / rows / columns;
      visit_dtype(dtype, [&]<class T>(T) {
        const T *from = x.data<T>(), *to = t.data<T>();
        for (std::int64_t b = 0; b < blocks; ++b, from += rows * columns, to += rows * columns)
          for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t c = 0; c < columns; ++c)
              right = right && from[r * columns + c] == to[c * rows + r];
      });
      CHECK(right);
    }
}

TEST_CASE("squeeze and expand_dims", "[movement]") {
  const Tensor x = counted({1, 3, 1, 2});
  CHECK(squeeze(x).shape() == Shape{3, 2});
  CHECK(squeeze(x, {0}).shape() == Shape{3, 1, 2});
  CHECK(squeeze(x, {-2, 0}).shape() == Shape{3, 2});
  CHECK(squeeze(zeros({1, 1})).shape() == Shape{});
  REQUIRE_ERROR(squeeze(x, {1}), ShapeError, "[squeeze] axis 1 of (1, 3, 1, 2) is not 1");
  CHECK(expand_dims(x, 0).shape() == Shape{1, 1, 3, 1, 2});
  CHECK(expand_dims(x, -1).shape() == Shape{1, 3, 1, 2, 1});
  CHECK(expand_dims(Tensor(1.0), 0).shape() == Shape{1});
  REQUIRE_ERROR(expand_dims(x, 6), ShapeError, "[expand_dims] axis 6 is out of range");
}

TEST_CASE("broadcast_to repeats", "[movement]") {
  const std::pair<Shape, Shape> pairs[] = {{{}, {}},
                                           {{}, {3}},
                                           {{3}, {2, 3}},
                                           {{2, 1}, {2, 3}},
                                           {{1}, {0}},
                                           {{3, 1, 2}, {3, 4, 2}},
                                           {{1, 4, 1}, {2, 3, 4, 5}},
                                           {{2, 1, 2, 1}, {1, 2, 3, 2, 4}},
                                           {{5}, {1, 5}}};
  for (const auto& [small, big] : pairs)
    for (const DType dtype : dtypes) {
      INFO(small << " to " << big);
      const Tensor x = counted(small, dtype);
      const Tensor want = gathered(x, big, [&, &from = small](const Extents& index) {
        Extents place = from;
        for (std::size_t i = 0; i < place.size(); ++i)
          place[i] = place[i] == 1 ? 0 : index[index.size() - place.size() + i];
        return place;
      });
      CHECK(identical(broadcast_to(x, big), want));
    }
  REQUIRE_ERROR(broadcast_to(zeros({2, 3}), {3}), ShapeError,
                "[broadcast_to] (2, 3) cannot become (3,)");
  REQUIRE_ERROR(broadcast_to(zeros({1}), {-1}), ShapeError, "negative extent");
}

TEST_CASE("concatenate and stack join tensors", "[movement]") {
  for (const DType dtype : dtypes) {
    const Tensor a = cast(Tensor{{1, 2}, {3, 4}}, dtype), b = cast(Tensor{{5, 6}}, dtype);
    CHECK(identical(concatenate({a, b}), cast(Tensor{{1, 2}, {3, 4}, {5, 6}}, dtype)));
    CHECK(identical(concatenate({a, a}, -1), cast(Tensor{{1, 2, 1, 2}, {3, 4, 3, 4}}, dtype)));
    CHECK(identical(stack({a, a}, 0), cast(Tensor{{{1, 2}, {3, 4}}, {{1, 2}, {3, 4}}}, dtype)));
    CHECK(identical(stack({a, a}, -1), cast(Tensor{{{1, 1}, {2, 2}}, {{3, 3}, {4, 4}}}, dtype)));
    CHECK(identical(stack({Tensor(1.0), Tensor(2.0)}), Tensor{1., 2.}));
  }
  const std::vector<Tensor> many(100, Tensor{1., 2.});
  CHECK(concatenate(many).shape() == Shape{200});
  CHECK(sum(gradient([&](const Tensor& x) { return sum(concatenate(std::vector<Tensor>(100, x))); },
                     Tensor{1., 2.}))
            .item() == 200);
  REQUIRE_ERROR(concatenate(std::vector<Tensor>{}), ValueError,
                "[concatenate] at least one tensor");
  REQUIRE_ERROR(concatenate({Tensor(1.0)}), ShapeError, "[concatenate] axis 0 is out of range");
  REQUIRE_ERROR(stack({zeros({2}), zeros({3})}), ShapeError,
                "[stack] shapes differ: (2,) and (3,)");
}

TEST_CASE("slice follows Python's rules", "[movement]") {
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  const Tensor x = counted({6});
  struct Row {
    std::int64_t start, stop, step;
    std::vector<double> want;
  };
  const Row rows[] = {{0, 6, 1, {0, 1, 2, 3, 4, 5}},
                      {1, 5, 2, {1, 3}},
                      {1, 6, 2, {1, 3, 5}},
                      {-2, 6, 1, {4, 5}},
                      {-100, 2, 1, {0, 1}},
                      {4, 100, 1, {4, 5}},
                      {3, 3, 1, {}},
                      {5, 2, 1, {}},
                      {-3, -1, 1, {3, 4}},
                      {0, far, far, {0}},
                      {2, far, far - 1, {2}},
                      {-far - 1, far, 5, {0, 5}}};
  for (const Row& row : rows)
    for (const DType dtype : dtypes) {
      INFO(row.start << ':' << row.stop << ':' << row.step);
      const Tensor y = slice(cast(x, dtype), 0, row.start, row.stop, row.step);
      CHECK(elements(y) == row.want);
    }
  const Tensor m = counted({3, 4, 2});
  const Tensor want = gathered(m, {3, 2, 2}, [](const Extents& i) {
    return Extents{i[0], 2 * i[1] + 1, i[2]};
  });
  CHECK(identical(slice(m, 1, 1, 4, 2), want));
  CHECK(identical(slice(m, -2, 1, 4, 2), want));
  REQUIRE_ERROR(slice(x, 0, 0, 1, 0), ValueError, "[slice] the step must be positive, not 0");
  REQUIRE_ERROR(slice(x, 1, 0, 1), ShapeError,
                "[slice] axis 1 is out of range for a tensor with 1 axis");
  REQUIRE_ERROR(slice(Tensor(1.0), 0, 0, 1), ShapeError, "[slice] axis 0 is out of range");
}

TEST_CASE("embed puts elements among zeros", "[movement]") {
  CHECK(identical(embed(Tensor{1., 2.}, 0, 1, 5, 2), Tensor{0., 1., 0., 2., 0.}));
  CHECK(identical(embed(Tensor{{1., 2.}}, 0, 1, 3), Tensor{{0., 0.}, {1., 2.}, {0., 0.}}));
  CHECK(identical(embed(zeros({0}), 0, 2, 3), zeros({3})));
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  REQUIRE_ERROR(embed(Tensor{1., 2., 3.}, 0, 0, 4, far), ShapeError, "do not fit into 4");
  REQUIRE_ERROR(embed(Tensor{1.}, 0, 0, -1), ShapeError, "do not fit into -1");
}

TEST_CASE("take and scatter_add are each other's adjoint", "[movement]") {
  const Tensor x = counted({4, 2}), i{{3, -4}, {1, 3}};
  CHECK(identical(take(x, i), Tensor{{{6., 7.}, {0., 1.}}, {{2., 3.}, {6., 7.}}}));
  CHECK(identical(take(x, Tensor(-1)), Tensor{6., 7.}));
  CHECK(identical(take(Tensor{5, 6, 7}, Tensor{2, 0}), Tensor{7, 5}));
  CHECK(identical(scatter_add(Tensor{1., 2., 4.}, Tensor{2, 0, 2}, 4), Tensor{2., 0., 5., 0.}));
  CHECK(identical(gradient([&](const Tensor& v) { return sum(take(v, i)); }, x),
                  Tensor{{1., 1.}, {1., 1.}, {0., 0.}, {2., 2.}}));
  REQUIRE_ERROR(take(x, Tensor{4}), ShapeError, "[take] row 4 is out of range for 4 rows");
  REQUIRE_ERROR(take(zeros({0, 2}), Tensor{0}), ShapeError,
                "[take] row 0 is out of range for 0 rows");
  REQUIRE_ERROR(scatter_add(zeros({2}), Tensor{0, 1}, -3), ShapeError, "negative extent in (-3,)");
}

TEST_CASE("one_hot, eye, arange and constants", "[movement]") {
  CHECK(identical(one_hot(Tensor{1, 0}, 3), Tensor{{0.f, 1.f, 0.f}, {1.f, 0.f, 0.f}}));
  CHECK(one_hot(Tensor{{1, 0}}, 3, DType::int64).shape() == Shape{1, 2, 3});
  CHECK(identical(eye(2), Tensor{{1., 0.}, {0., 1.}}));
  CHECK(eye(0).shape() == Shape{0, 0});
  CHECK(identical(arange(3), Tensor{0, 1, 2}));
  CHECK(identical(arange(2, DType::float32), Tensor{0.f, 1.f}));
  CHECK(arange((1 << 24) + 3, DType::float32).at({(1 << 24) + 2}) == (1 << 24) + 2);
  CHECK(identical(full({2}, -3, DType::int64), Tensor{-3, -3}));
  CHECK(identical(ones_like(Tensor{1.f}), Tensor{1.f}));
  CHECK(zeros_like(Tensor{{1, 2}}).dtype() == DType::int64);
  REQUIRE_ERROR(one_hot(Tensor{0, 3}, 3), ValueError, "[one_hot] label 3 is not one of 3 classes");
  REQUIRE_ERROR(arange(-1), ShapeError, "negative extent in (-1,)");
}

TEST_CASE("cast takes the nearest value, towards zero for int64", "[movement]") {
  const Tensor x{-1.7, 0.1, 2.9};
  CHECK(identical(cast(x, DType::int64), Tensor{-1, 0, 2}));
  CHECK(identical(cast(x, DType::float32), Tensor{-1.7f, 0.1f, 2.9f}));
  CHECK(cast(x, DType::float64).data<double>() == x.data<double>());
  const Tensor single{1.f, 2.f};
  const auto f = [](const Tensor& v) { return sum(square(cast(v, DType::float64))); };
  CHECK(identical(gradient(f, single), Tensor{2.f, 4.f}));
  CHECK(identical(
      gradient([](const Tensor& v) { return sum(v * cast(cast(v, DType::int64), DType::float64)); },
               x),
      Tensor{-1., 0., 2.}));
}
