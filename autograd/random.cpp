// Philox4x32-10, and the distributions that are made from its blocks.
#include "autograd/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace xg {

using detail::text;

namespace {

// The third counter word says what a block is for, so that one key used twice by mistake still
// gives different words for different kinds of draw.
enum class Purpose : std::uint32_t { uniform, normal, permutation, fold_number, fold_name };

struct Words {
  std::uint64_t first, second;
};

constexpr std::uint32_t low_word(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high_word(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }
constexpr std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return std::uint64_t{high} << 32 | low;
}

std::array<std::uint32_t, 4> block(Key key, Purpose purpose, std::uint64_t index) noexcept {
  return philox({low_word(index), high_word(index), static_cast<std::uint32_t>(purpose), 0},
                {low_word(key.seed), high_word(key.seed)});
}

Words words(Key key, Purpose purpose, std::uint64_t index) noexcept {
  const auto b = block(key, purpose, index);
  return {join(b[0], b[1]), join(b[2], b[3])};
}

// The upper 53 bits as a multiple of 2^-53 in [0, 1).
double unit_interval(std::uint64_t word) noexcept {
  return static_cast<double>(word >> 11) * 0x1p-53;
}

// FNV-1a, 64 bits (Fowler, Noll, Vo). Its output is mixed by Philox.
std::uint64_t hash(std::string_view name) noexcept {
  std::uint64_t result = 0xcbf29ce484222325u;
  for (const char c : name)
    result = (result ^ static_cast<unsigned char>(c)) * std::uint64_t{0x100000001b3};
  return result;
}

void require_floating(std::string_view operation, DType dtype) {
  if (!is_floating(dtype))
    throw DTypeError(text("[", operation, "] expected float32 or float64, got ", dtype));
}

// Writes `pair(j)`, the elements 2j and 2j + 1, for every j; the last one may be half used.
template <class T, class Pair>
void fill_pairs(Tensor& tensor, Pair pair) {
  T* const out = tensor.exclusive_data<T>();
  const std::int64_t size = tensor.size();
  for (std::int64_t i = 0; i < size; i += 2) {
    const auto [first, second] = pair(static_cast<std::uint64_t>(i / 2));
    out[i] = static_cast<T>(first);
    if (i + 1 < size) out[i + 1] = static_cast<T>(second);
  }
}

// Draws whole numbers below a bound from a stream of 32-bit words.
class BoundedDraws {
 public:
  explicit BoundedDraws(Key key) : key_(key) {}

  // Uniform in [0, bound), 1 <= bound <= 2^32. D. Lemire, "Fast Random Integer Generation in an
  // Interval", ACM TOMACS 29 (2019): a product whose lower half falls short of 2^32 mod bound is
  // drawn again.
  std::uint64_t below(std::uint64_t bound) noexcept {
    std::uint64_t product = next() * bound;
    if (low_word(product) < bound) {
      const std::uint64_t threshold = (std::uint64_t{1} << 32) % bound;
      while (low_word(product) < threshold) product = next() * bound;
    }
    return product >> 32;
  }

 private:
  std::uint64_t next() noexcept {
    if (used_ == block_.size()) {
      block_ = block(key_, Purpose::permutation, index_++);
      used_ = 0;
    }
    return block_[used_++];
  }

  Key key_;
  std::uint64_t index_ = 0;
  std::array<std::uint32_t, 4> block_{};
  std::size_t used_ = 4;
};

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) noexcept {
  constexpr int rounds = 10;
  constexpr std::uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;  // golden ratio, sqrt(3) - 1
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t product0 = multiplier0 * counter[0];
    const std::uint64_t product1 = multiplier1 * counter[2];
    counter = {high_word(product1) ^ counter[1] ^ key[0], low_word(product1),
               high_word(product0) ^ counter[3] ^ key[1], low_word(product0)};
    key = {key[0] + weyl0, key[1] + weyl1};
  }
  return counter;
}

Key Key::fold(std::uint64_t stream) const noexcept {
  return {words(*this, Purpose::fold_number, stream).first};
}

Key Key::fold(std::string_view name) const noexcept {
  return {words(*this, Purpose::fold_name, hash(name)).first};
}

namespace {

Tensor uniform(const Shape& shape, Key key, DType dtype, double low, double high) {
  require_floating("random_uniform", dtype);
  Tensor result = Tensor::uninitialised(shape, dtype);
  visit_floating(dtype, [&]<class T>(T) {
    const T first = static_cast<T>(low), end = static_cast<T>(high);
    const double origin = first, width = static_cast<double>(end) - origin;
    if (!(width > 0.0) || !std::isfinite(width))
      throw ValueError(text("[random_uniform] expected finite bounds with low < high in ", dtype,
                            ", got [", low, ", ", high, ")"));
    const auto scaled = [&](std::uint64_t word) {
      // Rounding may reach the open end; the value just below it is meant then.
      const T value = static_cast<T>(origin + width * unit_interval(word));
      return value < end ? value : std::nextafter(end, first);
    };
    fill_pairs<T>(result, [&](std::uint64_t j) {
      const auto [a, b] = words(key, Purpose::uniform, j);
      return std::pair(scaled(a), scaled(b));
    });
  });
  return result;
}

Tensor normal(const Shape& shape, Key key, DType dtype, double mean, double stddev) {
  require_floating("random_normal", dtype);
  if (!std::isfinite(mean) || !std::isfinite(stddev) || stddev < 0.0)
    throw ValueError(text("[random_normal] expected a finite mean and a finite stddev >= 0, got ",
                          "mean ", mean, " and stddev ", stddev));
  Tensor result = Tensor::uninitialised(shape, dtype);
  visit_floating(dtype, [&]<class T>(T) {
    fill_pairs<T>(result, [&](std::uint64_t j) {
      const auto [a, b] = words(key, Purpose::normal, j);
      // In (0, 1], so that the logarithm is finite.
      const double radius = std::sqrt(-2.0 * std::log(unit_interval(a) + 0x1p-53));
      const double angle = 2.0 * std::numbers::pi * unit_interval(b);
      return std::pair(mean + stddev * radius * std::cos(angle),
                       mean + stddev * radius * std::sin(angle));
    });
  });
  return result;
}

}  // namespace

Tensor random_uniform(const Shape& shape, Key key, DType dtype, double low, double high,
                      SourceLocation place) {
  return detail::located(place, [&] { return uniform(shape, key, dtype, low, high); });
}

Tensor random_normal(const Shape& shape, Key key, DType dtype, double mean, double stddev,
                     SourceLocation place) {
  return detail::located(place, [&] { return normal(shape, key, dtype, mean, stddev); });
}

std::vector<std::int64_t> random_permutation(std::int64_t n, Key key) {
  if (n < 0 || n > std::int64_t{1} << 32)
    throw ValueError(text("[random_permutation] expected 0 <= n <= 2^32, got ", n));
  std::vector<std::int64_t> result(static_cast<std::size_t>(n));
  std::iota(result.begin(), result.end(), std::int64_t{0});
  BoundedDraws draws(key);
  for (std::size_t i = result.size(); i > 1; --i) std::swap(result[i - 1], result[draws.below(i)]);
  return result;
}

}  // namespace xg
