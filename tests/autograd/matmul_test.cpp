// Values of the matrix product against plain loops: transposed and batched operands, vectors,
// emptiness; that transposed operands are not copied; and the gradients of all of them.
#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

/// The product by definition, with leading axes broadcast and vectors as rows or columns.
Tensor naive(const Tensor& a, const Tensor& b) {
  const Tensor x = a.rank() == 1 ? expand_dims(a, 0) : a, y = b.rank() == 1 ? expand_dims(b, 1) : b;
  const auto leading = [](const Tensor& t) { return Shape(t.shape().data(), t.rank() - 2); };
  Shape shape = broadcast_shapes("test", leading(x), leading(y));
  const std::size_t lead = shape.size();
  shape.push_back(x.extent(-2));
  shape.push_back(y.extent(-1));
  std::vector<double> result;
  for_each_index(shape, [&](const Extents& index) {
    double total = 0;
    for (std::int64_t k = 0; k < x.extent(-1); ++k) {
      const auto at = [&](const Tensor& t, std::int64_t row, std::int64_t column) {
        Extents place = t.shape();
        for (std::size_t i = 0; i + 2 < t.rank(); ++i)
          place[i] = place[i] == 1 ? 0 : index[lead - (t.rank() - 2) + i];
        place[t.rank() - 2] = row, place[t.rank() - 1] = column;
        return t.at(place);
      };
      total += at(x, index[lead], k) * at(y, k, index[lead + 1]);
    }
    result.push_back(total);
  });
  Axes gone;
  if (a.rank() == 1) gone.push_back(static_cast<std::int64_t>(lead));
  if (b.rank() == 1) gone.push_back(static_cast<std::int64_t>(lead) + 1);
  return tensor(result, reduced_shape(shape, gone, false), a.dtype());
}

bool is_lazy(const Tensor& t) { return detail::TensorAccess::buffer(t).is_lazy(); }
bool has_bytes(const Tensor& t) {
  return detail::TensorAccess::buffer(t)->data.load(std::memory_order_acquire) != nullptr;
}

/// A tensor of that shape which is stored as its transpose.
Tensor stored_transposed(const Shape& shape, std::uint64_t seed, DType dtype) {
  Shape other = shape;
  std::swap(other[shape.size() - 1], other[shape.size() - 2]);
  return transpose(numbers(other, -1, 1, seed, dtype));
}

const std::pair<Shape, Shape> shapes[] = {{{1, 1}, {1, 1}},
                                          {{2, 3}, {3, 4}},
                                          {{1, 5}, {5, 3}},
                                          {{4, 5}, {5, 1}},
                                          {{1, 5}, {5, 1}},
                                          {{3, 1}, {1, 2}},
                                          {{3, 0}, {0, 2}},
                                          {{0, 3}, {3, 2}},
                                          {{2, 3}, {3, 0}},
                                          {{33, 17}, {17, 65}},
                                          // In steps along either axis, and in ranges of steps.
                                          {{67, 784}, {784, 30}},
                                          {{30, 64}, {64, 785}},
                                          {{1100, 300}, {300, 26}},
                                          {{2, 3, 4}, {4, 5}},
                                          {{3, 4}, {2, 4, 5}},
                                          {{2, 3, 4}, {2, 4, 5}},
                                          {{2, 1, 3, 4}, {5, 4, 2}},
                                          {{2, 3, 0}, {0, 2}},
                                          {{0, 3, 4}, {4, 2}},
                                          {{6, 1, 1, 2, 3}, {1, 4, 1, 3, 2}},
                                          {{1, 3, 4}, {7, 4, 1}}};

}  // namespace

TEST_CASE("products agree with plain loops however the operands are stored", "[matmul]") {
  for (const auto& [a_shape, b_shape] : shapes)
    for (const DType dtype : {DType::float32, DType::float64})
      for (const bool a_transposed : {false, true})
        for (const bool b_transposed : {false, true}) {
          INFO(a_shape << (a_transposed ? "T x " : " x ") << b_shape << (b_transposed ? "T " : " ")
                       << dtype);
          const Tensor a = a_transposed ? stored_transposed(a_shape, 1, dtype)
                                        : numbers(a_shape, -1, 1, 1, dtype);
          const Tensor b = b_transposed ? stored_transposed(b_shape, 2, dtype)
                                        : numbers(b_shape, -1, 1, 2, dtype);
          const Tensor y = matmul(a, b);
          CHECK((!a_transposed || !has_bytes(a)));
          CHECK((!b_transposed || !has_bytes(b)));
          const double inner = static_cast<double>(a_shape.back());
          CHECK(difference(y, naive(a, b), 1e-5, 1e-6 + 1e-7 * inner) == "");
        }
}

TEST_CASE("vectors are rows on the left and columns on the right", "[matmul]") {
  const std::pair<Shape, Shape> pairs[] = {{{3}, {3}},       {{3}, {3, 4}},    {{2, 3}, {3}},
                                           {{1}, {1}},       {{0}, {0}},       {{0}, {0, 2}},
                                           {{3}, {2, 3, 4}}, {{2, 5, 3}, {3}}, {{2, 2, 5, 3}, {3}}};
  for (const auto& [a_shape, b_shape] : pairs) {
    INFO(a_shape << " x " << b_shape);
    const Tensor a = numbers(a_shape, -1, 1, 1), b = numbers(b_shape, -1, 1, 2);
    CHECK(difference(matmul(a, b), naive(a, b), 1e-13, 1e-14) == "");
    const Tensor w = numbers(naive(a, b).shape(), -1, 1, 3);
    const GradCheck report =
        gradcheck([&](const Tensor& x, const Tensor& y) { return sum(w * matmul(x, y)); }, a, b);
    INFO(report);
    CHECK(report);
  }
}

TEST_CASE("gradients of products are right for transposed operands", "[matmul]") {
  for (const auto& [a_shape, b_shape] : shapes) {
    if (element_count(a_shape) > 100) continue;
    INFO(a_shape << " x " << b_shape);
    Shape at = a_shape, bt = b_shape;
    std::swap(at[at.size() - 1], at[at.size() - 2]);
    std::swap(bt[bt.size() - 1], bt[bt.size() - 2]);
    const Tensor w = numbers(matmul(zeros(a_shape), zeros(b_shape)).shape(), -1, 1, 3);
    const GradCheck report =
        gradcheck([&](const Tensor& x,
                      const Tensor& y) { return sum(w * matmul(transpose(x), transpose(y))); },
                  numbers(at, -1, 1, 1), numbers(bt, -1, 1, 2));
    INFO(report);
    CHECK(report);
  }
}

TEST_CASE("the gradient of a transposed intermediate is its own", "[matmul]") {
  const Tensor x = numbers({4, 3}), w = numbers({5, 3}, -1, 1, 2), c = numbers({4, 5}, -1, 1, 3);
  const Tape tape;
  const Tensor wt = transpose(w), loss = sum(c * matmul(x, wt));
  const std::vector<Tensor> g = gradient(loss, {wt, w, x});
  const NoRecording scope;
  CHECK_FALSE(has_bytes(wt));
  REQUIRE_CLOSE(g[0], matmul(transpose(x), c), 1e-13);
  REQUIRE_CLOSE(g[1], matmul(transpose(c), x), 1e-13);
  REQUIRE_CLOSE(g[2], matmul(c, w), 1e-13);
  CHECK_FALSE(is_lazy(g[1]));  // comes out as stored, ready for an update
}

TEST_CASE("a transpose is made once, when it is read, and undone for nothing", "[matmul]") {
  const Tensor x = numbers({3, 2}), t = transpose(x);
  CHECK(is_lazy(t));
  CHECK_FALSE(has_bytes(t));
  const Tensor back = transpose(t);
  CHECK(back.data<double>() == x.data<double>());
  CHECK_FALSE(has_bytes(t));
  const Tensor copy = t;
  CHECK(t.at({1, 2}) == x.at({2, 1}));
  CHECK(has_bytes(copy));
  CHECK(copy.data<double>() == t.data<double>());
}

TEST_CASE("the gradient of a weight is the same whether it is read before the update or never",
          "[matmul]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [m, in, out] :
         {std::array{10, 784, 30}, {3, 901, 17}, {10, 784, 31}, {1, 3000, 20}, {90, 400, 100}}) {
      INFO(m << ", " << in << ", " << out << ' ' << dtype);
      const Tensor x = numbers({m, in}, -1, 1, 1, dtype), c = numbers({m, out}, -1, 1, 2, dtype);
      const Tensor b = zeros({out}, dtype);
      const Parameter unread(numbers({out, in}, -1, 1, 3, dtype));
      const Parameter read = unread, shared = unread;
      const auto gradient_of = [&](const Parameter& w) {
        const Tape tape;
        return gradient(sum(c * linear(x, w, b)), w);
      };
      const Tensor want = matmul(transpose(c), x);
      ParameterRef("unread", unread).add_scaled(-0.3, gradient_of(unread));
      const Tensor g = gradient_of(read);
      CHECK(difference(g, want, 1e-5, 1e-6) == "");
      ParameterRef("read", read).add_scaled(-0.3, g);
      CHECK(identical(unread, read));
      const Tensor before = shared;  // so that the update needs a new buffer
      ParameterRef("shared", shared).add_scaled(-0.3, gradient_of(shared));
      CHECK(identical(unread, shared));
      CHECK(difference(before - 0.3 * want, unread, 1e-5, 1e-6) == "");
      CHECK(difference(transpose(gradient_of(read)), transpose(want), 1e-5, 1e-6) == "");
      CHECK(difference(matmul(gradient_of(read), transpose(x)), matmul(want, transpose(x)), 1e-4,
                       1e-4) == "");
      CHECK(difference(reshape(gradient_of(read), {-1}), reshape(want, {-1}), 1e-5, 1e-6) == "");
    }
}

TEST_CASE("products do not depend on what their memory held before", "[matmul]") {
  for (const auto& [a_shape, b_shape] : shapes) {
    INFO(a_shape << " x " << b_shape);
    const Tensor a = numbers(a_shape), b = numbers(b_shape, -1, 1, 2);
    const Shape shape = matmul(a, b).shape();
    full(shape, not_a_number);  // goes back to the pool and comes out again
    const Tensor y = matmul(a, b);
    for (const double element : elements(y)) CHECK_FALSE(std::isnan(element));
  }
}

TEST_CASE("products carry NaN and infinity on", "[matmul]") {
  for (const std::int64_t n : {1, 2, 40}) {
    Tensor a = zeros({n, n}), b = ones({n, n});
    b.exclusive_data<double>()[0] = infinity;  // 0 * inf
    CHECK(std::isnan(matmul(a, b).at({0, 0})));
    a.exclusive_data<double>()[0] = not_a_number;
    CHECK(std::isnan(matmul(a, ones({n, n})).at({0, 0})));
  }
}

TEST_CASE("an affine map is a product and a sum, over any leading axes", "[matmul]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Shape& shape : {Shape{4}, Shape{1, 4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{0, 4},
                               Shape{2, 0, 4}, Shape{70, 4}}) {
      INFO(shape << " " << dtype);
      const Tensor x = numbers(shape, -1, 1, 1, dtype), w = numbers({17, 4}, -1, 1, 2, dtype),
                   b = numbers({17}, -1, 1, 3, dtype);
      CHECK(difference(linear(x, w, b), matmul(x, transpose(w)) + b, 1e-5, 1e-6) == "");
      const Tensor stored = stored_transposed({17, 4}, 2, dtype);
      CHECK(difference(linear(x, stored, b), matmul(x, transpose(stored)) + b, 1e-5, 1e-6) == "");
      if (dtype == DType::float64)
        CHECK(gradcheck([&](const Tensor& v, const Tensor& u,
                            const Tensor& c) { return sum(square(linear(v, u, c))); },
                        x, w, b));
    }
  REQUIRE_ERROR(linear(zeros({2, 3}), zeros({4, 5}), zeros({4})), ShapeError,
                "[linear] inputs, weight and bias do not fit: (2, 3), (4, 5) and (4,)");
  REQUIRE_ERROR(linear(zeros({}), zeros({4, 5}), zeros({4})), ShapeError, "do not fit: (), (4, 5)");
  REQUIRE_ERROR(linear(zeros({2, 5}), zeros({4, 5}), zeros({5})), ShapeError, "and (5,)");
  REQUIRE_ERROR(linear(Tensor(), zeros({4, 5}), zeros({4})), DTypeError,
                "[linear] input 0 is undefined");
}

TEST_CASE("products that cannot be say so in the caller's shapes", "[matmul]") {
  const auto error = [](const Shape& a, const Shape& b, const char* text) {
    REQUIRE_ERROR(matmul(zeros(a), zeros(b)), ShapeError, text);
  };
  error({10, 784}, {30, 784},
        "[matmul] inner dimensions differ: (10, 784) x (30, 784); did you mean matmul(a, "
        "transpose(b))?");
  error({2, 3}, {4, 5}, "[matmul] inner dimensions differ: (2, 3) x (4, 5)");
  error({2, 3, 4}, {5, 2}, "[matmul] inner dimensions differ: (2, 3, 4) x (5, 2)");
  error({2, 3, 4}, {3, 4, 2}, "[matmul] shapes do not broadcast: (2,) and (3,)");
  error({3}, {4}, "[matmul] inner dimensions differ: (3,) x (4,)");
  error({2, 3}, {4}, "[matmul] inner dimensions differ: (2, 3) x (4,)");
  error({2, 2, 3}, {4}, "[matmul] inner dimensions differ: (2, 2, 3) x (4,)");
  error({}, {4, 4}, "[matmul] a scalar has no matrix product: () x (4, 4); write a * b");
  REQUIRE_ERROR(matmul(zeros({2, 2}), Tensor()), DTypeError, "[matmul] input 1 is undefined");
  REQUIRE_ERROR(matmul(Tensor{{1, 2}}, Tensor{{1}, {2}}), DTypeError, "[matmul] input 0 is int64");
  REQUIRE_ERROR(transpose(zeros({3})), ShapeError,
                "[transpose] two axes are needed, not the shape (3,)");
}
