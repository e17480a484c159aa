// Checks the generator against its published vectors, and the distributions for what they promise.
#include "autograd/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "tests/support/catch.hpp"

using namespace xg;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> as_doubles(const Tensor& t) {
  return visit_dtype(t.dtype(), [&]<class T>(T) {
    return std::vector<double>(t.data<T>(), t.data<T>() + t.size());
  });
}

// Kolmogorov's statistic sqrt(n) * sup |F_n - F|; over 1.95 has probability 0.001.
template <class Distribution>
double kolmogorov(std::vector<double> sample, Distribution cumulative) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double expected = cumulative(sample[i]), below = static_cast<double>(i) / n;
    largest = std::max({largest, expected - below, below + 1.0 / n - expected});
  }
  return std::sqrt(n) * largest;
}

double mean(const std::vector<double>& sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double variance(const std::vector<double>& sample) {
  const double centre = mean(sample);
  double sum = 0.0;
  for (const double x : sample) sum += (x - centre) * (x - centre);
  return sum / static_cast<double>(sample.size());
}

// Pearson's correlation of two samples of equal size.
double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean(a), mean_b = mean(b);
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / (static_cast<double>(a.size()) * std::sqrt(variance(a) * variance(b)));
}

}  // namespace

TEST_CASE("philox gives the published known answers", "[random]") {
  using Block = std::array<std::uint32_t, 4>;
  // From the file kat_vectors of the authors' library Random123, lines "philox4x32 10".
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("keys fold into different keys, the same way every time", "[random]") {
  const Key key{7};
  CHECK(key.fold(3) == Key{7}.fold(3));
  CHECK(key.fold("weights") == Key{7}.fold("weights"));
  const std::vector<Key> keys{key,
                              Key{8},
                              key.fold(0),
                              key.fold(1),
                              Key{8}.fold(1),
                              key.fold(std::uint64_t{1} << 32),
                              key.fold(""),
                              key.fold("a"),
                              key.fold("b"),
                              key.fold(0).fold(1),
                              key.fold(1).fold(0),
                              key.fold("a").fold("b"),
                              key.fold("ab")};
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      INFO("keys " << j << " and " << i);
      CHECK(!(keys[i] == keys[j]));
      CHECK(!identical(random_uniform({4}, keys[i]), random_uniform({4}, keys[j])));
      CHECK(!identical(random_normal({4}, keys[i]), random_normal({4}, keys[j])));
      CHECK(random_permutation(30, keys[i]) != random_permutation(30, keys[j]));
    }
}

TEST_CASE("folded keys and kinds of draw are uncorrelated", "[random]") {
  const Key key{11};
  const auto sample = as_doubles(random_uniform({10000}, key, DType::float64));
  // The standard error of a correlation of 10,000 pairs is 0.01.
  for (const Key other : {key.fold(0), key.fold(1), key.fold("x"), Key{12}})
    CHECK(std::abs(correlation(sample,
                               as_doubles(random_uniform({10000}, other, DType::float64)))) < 0.04);
  CHECK(std::abs(correlation(sample, as_doubles(random_normal({10000}, key, DType::float64)))) <
        0.04);
}

TEST_CASE("the same key gives the same bits, whatever the shape", "[random]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Key key{42};
    CHECK(identical(random_uniform({3, 5}, key, dtype), random_uniform({3, 5}, key, dtype)));
    CHECK(identical(random_normal({3, 5}, key, dtype), random_normal({3, 5}, key, dtype)));
    CHECK(random_uniform({3, 5}, key, dtype).shape() == Shape{3, 5});
    CHECK(random_normal({2, 0}, key, dtype).size() == 0);
    CHECK(random_normal({}, key, dtype).size() == 1);

    const auto longer = as_doubles(random_normal({4, 25}, key, dtype));
    const auto even = as_doubles(random_uniform({100}, key, dtype));
    for (const std::int64_t n : {1, 2, 3, 64, 99}) {
      const auto normal = as_doubles(random_normal({n}, key, dtype));
      const auto uniform = as_doubles(random_uniform({n}, key, dtype));
      CHECK(std::equal(normal.begin(), normal.end(), longer.begin()));
      CHECK(std::equal(uniform.begin(), uniform.end(), even.begin()));
    }
  }
}

TEST_CASE("float32 normal values are the rounded float64 values", "[random]") {
  const Tensor narrow = random_normal({1001}, Key{5}, DType::float32, 1.0, 3.0);
  const Tensor wide = random_normal({1001}, Key{5}, DType::float64, 1.0, 3.0);
  for (std::int64_t i = 0; i < narrow.size(); ++i)
    REQUIRE(narrow.data<float>()[i] == static_cast<float>(wide.data<double>()[i]));
}

TEST_CASE("uniform numbers are uniform", "[random]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
      const auto sample = as_doubles(random_uniform({20000}, Key{seed}, dtype, -2.0, 3.0));
      CHECK(std::abs(mean(sample) - 0.5) < 0.04);
      CHECK(std::abs(variance(sample) - 25.0 / 12.0) < 0.06);
      CHECK(kolmogorov(sample, [](double x) { return (x + 2.0) / 5.0; }) < 1.95);
      CHECK(*std::min_element(sample.begin(), sample.end()) >= -2.0);
      CHECK(*std::max_element(sample.begin(), sample.end()) < 3.0);
    }
}

TEST_CASE("uniform numbers never reach the open end", "[random]") {
  // Only two float32 numbers lie in the interval; most draws would round up to its end.
  const float low = 1.0f, high = std::nextafter(std::nextafter(low, 2.0f), 2.0f);
  const Tensor sample = random_uniform({2000}, Key{1}, DType::float32, low, high);
  for (const float x : sample.values<float>()) REQUIRE((x >= low && x < high));
  // From 0 to 1, one draw in 2^25 would round up.
  const Tensor unit = random_uniform({1 << 22}, Key{3});
  CHECK(*std::max_element(unit.values<float>().begin(), unit.values<float>().end()) < 1.0f);
}

TEST_CASE("normal numbers are normal", "[random]") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
      const auto sample = as_doubles(random_normal({20000}, Key{seed}, dtype, 1.0, 2.0));
      CHECK(std::abs(mean(sample) - 1.0) < 0.05);
      CHECK(std::abs(variance(sample) - 4.0) < 0.15);
      CHECK(kolmogorov(sample, [](double x) {
              return 0.5 * std::erfc(-(x - 1.0) / (2.0 * std::sqrt(2.0)));
            }) < 1.95);
      std::vector<double> even, odd;  // the two numbers of one Box-Muller pair
      for (std::size_t i = 0; i < sample.size(); ++i) (i % 2 ? odd : even).push_back(sample[i]);
      CHECK(std::abs(correlation(even, odd)) < 0.04);
    }
  for (const double x : as_doubles(random_normal({7}, Key{1}, DType::float64, 0.25, 0.0)))
    CHECK(x == 0.25);
}

TEST_CASE("a permutation holds every number once", "[random]") {
  for (const std::int64_t n : {0, 1, 2, 3, 100, 4097}) {
    const auto order = random_permutation(n, Key{9});
    CHECK(order == random_permutation(n, Key{9}));
    std::vector<std::int64_t> sorted = order, all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    if (n >= 100) CHECK(order != all);
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == all);
  }
}

TEST_CASE("every permutation is about equally likely", "[random]") {
  std::map<std::vector<std::int64_t>, int> counts;
  constexpr int draws = 24000;
  for (std::uint64_t i = 0; i < draws; ++i) ++counts[random_permutation(4, Key{1}.fold(i))];
  REQUIRE(counts.size() == 24);
  double chi_squared = 0.0;
  for (const auto& [order, count] : counts)
    chi_squared += (count - draws / 24.0) * (count - draws / 24.0) / (draws / 24.0);
  CHECK(chi_squared < 49.7);  // 23 degrees of freedom, probability 0.001
}

TEST_CASE("random functions refuse what they cannot draw", "[random]") {
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::int64), DTypeError,
                "[random_uniform] expected float32 or float64, got int64");
  REQUIRE_ERROR(random_normal({2}, Key{1}, DType::int64), DTypeError,
                "[random_normal] expected float32 or float64, got int64");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float64, 1.0, 1.0), ValueError,
                "[random_uniform] expected finite bounds with low < high in float64, got [1, 1)");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float64, 1.0, -1.0), ValueError, "got [1, -1)");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float32, 1.0, 1.0 + 1e-12), ValueError,
                "low < high in float32");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float64, 0.0, infinity), ValueError, "inf");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float64, -1.7e308, 1.7e308), ValueError,
                "finite bounds");
  REQUIRE_ERROR(random_uniform({2}, Key{1}, DType::float64, std::nan(""), 1.0), ValueError, "nan");
  REQUIRE_ERROR(random_normal({2}, Key{1}, DType::float64, 0.0, -1.0), ValueError,
                "[random_normal] expected a finite mean and a finite stddev >= 0, got mean 0 and "
                "stddev -1");
  REQUIRE_ERROR(random_normal({2}, Key{1}, DType::float64, infinity, 1.0), ValueError, "mean inf");
  REQUIRE_ERROR(random_normal({2}, Key{1}, DType::float64, 0.0, std::nan("")), ValueError,
                "stddev nan");
  REQUIRE_ERROR(random_uniform({-1}, Key{1}), ShapeError, "negative extent");
  REQUIRE_ERROR(random_permutation(-1, Key{1}), ValueError,
                "[random_permutation] expected 0 <= n <= 2^32, got -1");
  REQUIRE_ERROR(random_permutation((std::int64_t{1} << 32) + 1, Key{1}), ValueError,
                "got 4294967297");
}
