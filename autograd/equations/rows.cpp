// What operations do to rows, tried on numbers.
#include "autograd/equations/rows.hpp"

#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "autograd/tape.hpp"

namespace xg::algebra {

namespace {

bool agree(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && (a.size() == 0 || max(abs(a - b)).item() <= 1e-12);
}

/// `test`, and false if the operation refuses what it is given.
template <class F>
bool stands_test(const F& test) {
  try {
    const NoRecording scope;
    return test();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<Tensor> Applied::drawn() const {
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Tensor t = random_uniform(x[i].shape(), Key{7}.fold(i), DType::float64, 0.2, 0.8);
    result.push_back(integers[i] ? cast(t * 2, DType::int64) : t);  // 0 and 1
  }
  return result;
}

std::vector<Tensor> Applied::alone(std::vector<Tensor> all, std::int64_t row) const {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (stands[i] == Stand::rows) all[i] = slice(all[i], 0, row, row + 1);
  return all;
}

bool Applied::is_by_rows() const {
  return stands_test([&] {
    const std::vector<Tensor> all = drawn();
    const Tensor y = f.apply(all);
    if (y.rank() == 0 || y.extent(0) != m) return false;
    for (std::int64_t row = 0; row < m; row += std::max<std::int64_t>(m - 1, 1))
      if (!agree(f.apply(alone(all, row)), slice(y, 0, row, row + 1))) return false;
    return true;
  });
}

bool Applied::is_on_columns() const {
  return stands_test([&] {
    const std::vector<Tensor> one = alone(drawn(), 0);
    std::vector<Tensor> turned = one;
    for (std::size_t i = 0; i < one.size(); ++i)
      if (one[i].rank() == 1)
        turned[i] = reshape(one[i], stands[i] == Stand::rows ? Shape{} : Shape{1, -1});
    const Tensor y = f.apply(one), z = f.apply(turned);
    return y.rank() == 1 ? agree(reshape(y, {}), z) : agree(y, z);
  });
}

bool Applied::sums_rows() const {
  return stands_test([&] {
    const std::vector<Tensor> all = drawn();
    Tensor y = f.apply(all);
    for (std::int64_t row = 0; row < m; ++row) y = y - f.apply(alone(all, row));
    return y.size() > 0 && max(abs(y)).item() <= 1e-12;
  });
}

bool Applied::is_linear(std::size_t i) const {
  return stands_test([&] {
    std::vector<Tensor> a = drawn(), b = a, both = a;
    b[i] = random_uniform(a[i].shape(), Key{8}, DType::float64, -1, 1);
    both[i] = a[i] + 3 * b[i];
    return agree(f.apply(both), f.apply(a) + 3 * f.apply(b));
  });
}

bool Applied::takes_columns() const {
  return stands_test([&] {
    const std::vector<Tensor> all = drawn();
    std::vector<Tensor> columns = all;
    for (Tensor& t : columns)
      if (t.rank() == 1) t = reshape(t, {-1, 1});
    const Tensor y = f.apply(all);
    return agree(y.rank() == 1 ? reshape(y, {-1, 1}) : y, f.apply(columns));
  });
}

}  // namespace xg::algebra
