// Systems of linear equations, the inverse, the determinant's logarithm and the Cholesky factor of
// a matrix.
#include <algorithm>
#include <limits>

#include "autograd/catalogue.hpp"
#include "autograd/kernels/lapack.hpp"
#include "autograd/ops.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/samples.hpp"

namespace xg {
namespace ops {
namespace {

using detail::text;

void require_square(std::string_view name, const Shape& a) {
  if (a.size() != 2 || a[0] != a[1])
    throw ShapeError(text('[', name, "] a square matrix is needed, not ", a));
}

/// The shape of a function of one matrix whose result is a matrix like it.
Shape square_shape(std::string_view name, Inputs x) {
  require_floating(name, x);
  require_square(name, x[0].shape());
  return x[0].shape();
}

/// Throws ValueError if there is a row (counted from 1) that depends on those above it.
void require_regular(std::string_view name, const Shape& a, std::int64_t dependent_row) {
  if (dependent_row > 0)
    throw ValueError(text('[', name, "] the matrix ", a, " is singular: row ", dependent_row - 1,
                          ", counted from 0, depends on the rows above it"));
}

/// n³ of an (n, n) matrix.
double cube(const Shape& shape) {
  const auto n = static_cast<double>(shape[0]);
  return n * n * n;
}

/// A matrix that is well conditioned at any size.
Tensor regular_matrix(std::int64_t n) {
  return numbers({n, n}, -1, 1) + static_cast<double>(n + 1) * eye(n);
}
/// Likewise, with a zero in the way of an elimination that exchanges no rows.
Tensor matrix_to_exchange() { return {{0.0, 1.0, 2.0}, {3.0, 0.0, 1.0}, {1.0, 2.0, 0.0}}; }
Tensor positive_definite_matrix(std::int64_t n) {
  const Tensor r = numbers({n, n}, -1, 1);
  return matmul(r, transpose(r)) / static_cast<double>(std::max<std::int64_t>(n, 1)) + eye(n);
}

/// Of `op` at these matrices; and what any function of one matrix must refuse.
template <class O>
std::vector<Sample<O>> matrix_samples(std::initializer_list<Tensor> matrices) {
  std::vector<Sample<O>> result;
  for (const Tensor& a : matrices) result.push_back({{}, {a}});
  result.push_back({{}, {numbers({2, 3}, -1, 1)}, "a square matrix is needed, not (2, 3)"});
  result.push_back({{}, {numbers({4}, -1, 1)}, "a square matrix is needed, not (4,)"});
  result.push_back({{}, {numbers({2, 3, 3}, -1, 1)}, "a square matrix is needed, not (2, 3, 3)"});
  result.push_back({{}, {Tensor{{1}}}, "input 0 is int64; float32 or float64 is needed"});
  return result;
}

/// x with a x = b, for one right side (n,) or the k columns of (n, k).
struct Solve {
  static constexpr auto name = "solve";
  static constexpr Keep keeps = keep_input(0) | Keep::output;

  Shape shape(Inputs x) const {
    require_floating(name, x);
    const Shape &a = x[0].shape(), &b = x[1].shape();
    require_square(name, a);
    if (b.empty() || b.size() > 2 || b[0] != a[0])
      throw ShapeError(text("[solve] the right side does not fit: ", a, " and ", b, "; (", a[0],
                            ",) or (", a[0], ", k) is needed"));
    return b;
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t k = shape.size() == 1 ? 1 : shape[1];
    require_regular(name, x[0].shape(), visit_floating(out.dtype(), [&]<class T>(T) {
                      return kernels::solve<T>(shape[0], k, x[0].data<T>(), x[1].data<T>(),
                                               out.exclusive_data<T>());
                    }));
    return out;
  }
  // ∂/∂b: u = a⁻ᵀ g, ∂/∂a: −u xᵀ.
  std::vector<Tensor> vjps(const Tensor& g, const Record& r) const {
    const Tensor u = solve(transpose(r.input(0)), g);
    const auto columns = [](const Tensor& t) { return t.rank() == 1 ? expand_dims(t, 1) : t; };
    return {-matmul(columns(u), transpose(columns(r.output()))), u};
  }
  Tensor vjp(std::size_t i, const Tensor& g, const Record& r) const { return vjps(g, r)[i]; }
  // From a dx + da x = db.
  Tensor jvp(std::size_t i, const Tensor& t, const Record& r) const {
    return solve(r.input(0), i == 0 ? -matmul(t, r.output()) : t);
  }
  double flops(const Record& r) const {
    return 2. / 3 * cube(r.input_shape(0)) +
           2 * static_cast<double>(r.input_shape(0)[0]) *
               static_cast<double>(element_count(r.output_shape()));
  }
  std::string equation() const { return "solve({0}, {1})"; }
  static std::vector<Sample<Solve>> samples() {
    const Tensor a = regular_matrix(3), b = numbers({3, 2}, -1, 1, 2);
    return {{{}, {a, b}},
            {{}, {a, numbers({3}, -1, 1, 2)}},
            {{}, {regular_matrix(5), numbers({5, 5}, -1, 1, 2)}},
            {{}, {matrix_to_exchange(), b}},
            {{}, {cholesky(positive_definite_matrix(3)), b}},
            {{}, {transpose(cholesky(positive_definite_matrix(3))), numbers({3}, -1, 1, 2)}},
            {{}, {transpose(a), transpose(numbers({4, 3}, -1, 1, 2))}},
            {{}, {regular_matrix(1), numbers({1}, -1, 1, 2)}},
            {{}, {a, numbers({3, 0}, -1, 1)}},
            {{}, {regular_matrix(0), numbers({0}, -1, 1)}},
            {{}, {regular_matrix(0), numbers({0, 2}, -1, 1)}},
            {{}, {numbers({2, 3}, -1, 1), b}, "a square matrix is needed, not (2, 3)"},
            {{}, {numbers({3}, -1, 1), b}, "a square matrix is needed, not (3,)"},
            {{}, {a, numbers({2}, -1, 1)}, "does not fit: (3, 3) and (2,); (3,) or (3, k) is"},
            {{}, {a, numbers({}, -1, 1)}, "the right side does not fit: (3, 3) and ()"},
            {{}, {a, numbers({3, 2, 2}, -1, 1)}, "does not fit: (3, 3) and (3, 2, 2)"},
            {{},
             {Tensor{{1., 2.}, {2., 4.}}, Tensor{1., 2.}},
             "(2, 2) is singular: row 1, counted from 0, depends"},
            {{}, {a, cast(b, DType::float32)}, "types differ"}};
  }
  static std::vector<Sample<Solve>> at_size(std::int64_t n) {
    const std::int64_t side = side_of_square(n / 2);
    return {{{}, {regular_matrix(side), numbers({side, side}, -1, 1, 2)}}};
  }
};

struct Inverse {
  static constexpr auto name = "inverse";
  static constexpr Keep keeps = Keep::output;

  Shape shape(Inputs x) const { return square_shape(name, x); }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    require_regular(name, shape, visit_floating(out.dtype(), [&]<class T>(T) {
                      return kernels::invert<T>(shape[0], x[0].data<T>(), out.exclusive_data<T>());
                    }));
    return out;
  }
  // −yᵀ g yᵀ, and −y t y, of y = a⁻¹.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    const Tensor yt = transpose(r.output());
    return -matmul(matmul(yt, g), yt);
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return -matmul(matmul(r.output(), t), r.output());
  }
  double flops(const Record& r) const { return 2 * cube(r.output_shape()); }
  std::string equation() const { return "inverse({0})"; }
  static std::vector<Sample<Inverse>> samples() {
    auto result = matrix_samples<Inverse>({regular_matrix(3), regular_matrix(4), regular_matrix(1),
                                           matrix_to_exchange(), transpose(regular_matrix(2)),
                                           regular_matrix(0)});
    result.push_back({{}, {Tensor{{0., 0.}, {0., 1.}}}, "(2, 2) is singular: row 0, counted"});
    return result;
  }
  static std::vector<Sample<Inverse>> at_size(std::int64_t n) {
    return {{{}, {regular_matrix(side_of_square(n))}}};
  }
};

/// ln |det a|.
struct LogDet {
  static constexpr auto name = "logdet";
  static constexpr Keep keeps = Keep::inputs;

  Shape shape(Inputs x) const {
    square_shape(name, x);
    return {};
  }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    require_regular(name, x[0].shape(), visit_floating(out.dtype(), [&]<class T>(T) {
                      return kernels::log_abs_determinant<T>(x[0].shape()[0], x[0].data<T>(),
                                                             out.exclusive_data<T>());
                    }));
    return out;
  }
  // g a⁻ᵀ, and tr(a⁻¹ t) = Σ a⁻ᵀ ⊙ t.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    return g * transpose(inverse(r.input(0)));
  }
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return sum(transpose(inverse(r.input(0))) * t);
  }
  double flops(const Record& r) const { return 2. / 3 * cube(r.input_shape(0)); }
  std::string equation() const { return "logdet({0})"; }
  static std::vector<Sample<LogDet>> samples() {
    auto result = matrix_samples<LogDet>({regular_matrix(3), regular_matrix(4), regular_matrix(1),
                                          -regular_matrix(3), matrix_to_exchange(),
                                          transpose(regular_matrix(2)), regular_matrix(0)});
    result.push_back({{}, {zeros({2, 2})}, "(2, 2) is singular: row 0, counted"});
    return result;
  }
  static std::vector<Sample<LogDet>> at_size(std::int64_t n) {
    return {{{}, {regular_matrix(side_of_square(n))}}};
  }
};

/// The lower triangle of x, its diagonal halved.
Tensor halved_lower(const Tensor& x) {
  Tensor weights = Tensor::uninitialised(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>(T) {
    T* to = weights.exclusive_data<T>();
    for (std::int64_t i = 0; i < x.shape()[0]; ++i)
      for (std::int64_t j = 0; j < x.shape()[0]; ++j) *to++ = j < i ? T(1) : j == i ? T(0.5) : T(0);
  });
  return weights * x;
}
Tensor symmetric(const Tensor& x) { return (x + transpose(x)) / 2; }
/// a⁻¹ x a⁻ᵀ
Tensor solve_on_both_sides(const Tensor& a, const Tensor& x) {
  return transpose(solve(a, transpose(solve(a, x))));
}

/// The lower triangular l with l lᵀ = (a + aᵀ) / 2. The rules are those of I. Murray,
/// arXiv:1602.07527.
struct Cholesky {
  static constexpr auto name = "cholesky";
  static constexpr Keep keeps = Keep::output;

  Shape shape(Inputs x) const { return square_shape(name, x); }
  Tensor forward(Inputs x, const Shape& shape) const {
    Tensor out = Tensor::uninitialised(shape, x[0].dtype());
    const std::int64_t minor = visit_floating(out.dtype(), [&]<class T>(T) {
      return kernels::cholesky<T>(shape[0], x[0].data<T>(), out.exclusive_data<T>());
    });
    if (minor > 0 && !is_finite(x[0]))
      throw ValueError(text("[cholesky] the matrix ", shape, " has NaN or infinity in it"));
    if (minor > 0)
      throw ValueError(text("[cholesky] the matrix ", shape, " is not positive definite: its ",
                            "leading minor of order ", minor, " is not above 0"));
    return out;
  }
  // l⁻ᵀ Φ(lᵀ g) l⁻¹ made symmetric, where Φ takes the lower triangle and halves the diagonal.
  Tensor vjp(std::size_t, const Tensor& g, const Record& r) const {
    if (!Tape::recording()) return unrecorded(r.output(), g);
    const Tensor lt = transpose(r.output());
    return symmetric(solve_on_both_sides(lt, halved_lower(matmul(lt, g))));
  }
  // l Φ(l⁻¹ t l⁻ᵀ), of t made symmetric.
  Tensor jvp(std::size_t, const Tensor& t, const Record& r) const {
    return matmul(r.output(), halved_lower(solve_on_both_sides(r.output(), symmetric(t))));
  }
  static Tensor unrecorded(const Tensor& l, const Tensor& g) {
    Tensor adjoint = Tensor::uninitialised(g.shape(), g.dtype());
    visit_floating(g.dtype(), [&]<class T>(T) {
      kernels::cholesky_adjoint<T>(g.shape()[0], l.data<T>(), g.data<T>(),
                                   adjoint.exclusive_data<T>());
    });
    return adjoint;
  }
  double flops(const Record& r) const { return cube(r.output_shape()) / 3; }
  std::string equation() const { return "cholesky({0})"; }
  static std::vector<Sample<Cholesky>> samples() {
    auto result = matrix_samples<Cholesky>(
        {positive_definite_matrix(3), positive_definite_matrix(4), positive_definite_matrix(1),
         positive_definite_matrix(3) + numbers({3, 3}, -0.2, 0.2, 2), positive_definite_matrix(0)});
    result.push_back({{},
                      {Tensor{{4., 2., 0.}, {2., 1., 0.}, {0., 0., 1.}}},
                      "not positive definite: its leading minor of order 2 is not above 0"});
    result.push_back({{}, {Tensor{{-1.}}}, "its leading minor of order 1 is not above 0"});
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const Tensor& a : {Tensor{{nan}}, Tensor{{4., nan}, {nan, 4.}}})
      result.push_back({{}, {a}, "has NaN or infinity in it"});
    return result;
  }
  static std::vector<Sample<Cholesky>> at_size(std::int64_t n) {
    return {{{}, {positive_definite_matrix(side_of_square(n))}}};
  }
};

}  // namespace

std::vector<CatalogueEntry> linear_algebra() {
  return {entry<Solve>(), entry<Inverse>(), entry<LogDet>(), entry<Cholesky>()};
}

}  // namespace ops

Tensor solve(Operand a, Operand b) { return apply(ops::Solve{}, a, b); }
Tensor inverse(Operand a) { return apply(ops::Inverse{}, a); }
Tensor logdet(Operand a) { return apply(ops::LogDet{}, a); }
Tensor cholesky(Operand a) { return apply(ops::Cholesky{}, a); }

}  // namespace xg
