// Every operation of the catalogue, small enough for the cache and too large for it, forward and
// backward, on one thread and on two: bytes per second beside those of std::memcpy, or, for
// products, FLOPs per second beside those of cblas_sgemm. All in float32.
//
//     operations [--small | --large] [--mib N] [name...]
//
// --small and --large print one of the two sizes alone, names only these operations, and --mib is
// what inputs and output of the large rows hold together (256). Bytes are those that have
// to move, counted from shapes: whatever an operation reads and writes beyond them shows as a lower
// rate. Gradients are for all inputs; the last figure is forward and backward together over
// forward.
#include <cblas.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <xsimd/xsimd.hpp>

#include "autograd/autograd.hpp"
#include "autograd/catalogue.hpp"
#include "benchmarks/measure.hpp"

using namespace xg;

namespace {

double bytes_of(const Tensor& x) {
  return static_cast<double>(x.size()) * static_cast<double>(size_of(x.dtype()));
}

/// The elements, which a transpose makes only now.
const void* elements(const Tensor& x) {
  return visit_dtype(x.dtype(), [&]<class T>(T) { return static_cast<const void*>(x.data<T>()); });
}

/// std::memcpy of half of `bytes`, which reads and writes `bytes`, in as many parts as threads.
class Copy {
 public:
  explicit Copy(std::size_t largest) : from_(largest / 2, 1), to_(largest / 2, 2) {}
  void operator()(double bytes, std::size_t threads) {
    const std::size_t half = std::min(from_.size(), static_cast<std::size_t>(bytes / 2));
    tbb::parallel_for(std::size_t{0}, threads, [&](std::size_t i) {
      const std::size_t begin = half * i / threads, end = half * (i + 1) / threads;
      std::memcpy(to_.data() + begin, from_.data() + begin, end - begin);
    });
    measure::use(to_);
  }
  double largest() const { return 2 * static_cast<double>(from_.size()); }

 private:
  std::vector<char> from_, to_;
};

/// The FLOPs per second of cblas_sgemm on one thread.
double sgemm_rate() {
  const int n = 1024;
  const std::vector<float> a(n * n, 1), b(n * n, 1);
  std::vector<float> c(n * n);
  openblas_set_num_threads(1);
  const double time = measure::medians({[&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0,
                c.data(), n);
  }})[0];
  return 2.0 * n * n * n / time;
}

constexpr std::size_t most_threads = 2;

/// Text in a column; what is not ASCII takes one place for each of its characters.
std::string column(std::string text, std::size_t width) {
  const auto starts = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
  });
  text.append(width - std::min(width, static_cast<std::size_t>(starts)), ' ');
  return text;
}

/// One operation at one size, measured forward and backward beside a copy of as many bytes.
class Row {
 public:
  explicit Row(const CatalogueEntry::Sample& s) : sample_(s) {
    for (Tensor& x : sample_.inputs)
      if (is_floating(x.dtype())) x = cast(x, DType::float32);
    release_pooled_memory();
    output_ = sample_.apply(sample_.inputs);
    flops_ = tape_.flops();
    double read = 0;
    for (const Tensor& x : sample_.inputs) {
      read += bytes_of(x);
      free_ = free_ || elements(x) == elements(output_);
      if (is_floating(x.dtype())) floating_.push_back(&x);
    }
    // What only moves elements has no more to read than to write.
    bytes_ = bytes_of(output_) + (flops_ == 0 ? std::min(read, bytes_of(output_)) : read);
    results_.resize(floating_.size());
    const NoRecording scope;
    if (is_floating(output_.dtype())) adjoint_ = ones_like(output_);
    backward();
    gradient_bytes_ = bytes_of(output_) + static_cast<double>(tape_.bytes_kept());
    for (const Tensor& result : results_) {
      if (!result.defined()) continue;
      gradient_bytes_ += bytes_of(result);
      gradient_free_ = gradient_free_ && elements(result) == elements(adjoint_);
      differentiable_ = true;
    }
  }

  bool is_product() const { return flops_ > 8 * bytes_; }

  /// Prints the rates on `threads` threads; those of a product beside `sgemm` FLOPs per second.
  void print(std::size_t threads, Copy& copy, double sgemm) {
    const NoRecording scope;
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const double copied = std::min(bytes_, copy.largest());
    const std::vector<double> time =
        measure::medians({[&] { copy(copied, threads); },
                          [&] { elements(sample_.apply(sample_.inputs)); }, [&] { backward(); }});
    const double copy_rate = copied / time[0], gflops = flops_ / time[1] * 1e-9;
    if (is_product()) {
      const double all = sgemm * static_cast<double>(threads);
      std::printf(" | %7.1f GFLOP/s %5.2f of sgemm %5.2f %5.1f", gflops, gflops * 1e9 / all,
                  2 * flops_ / time[2] / all, (time[1] + time[2]) / time[1]);
      return;
    }
    if (free_)
      std::printf(" |    free            ");
    else
      std::printf(" | %6.1f %5.2f %7.2f", bytes_ / time[1] * 1e-9, bytes_ / time[1] / copy_rate,
                  gflops);
    if (!differentiable_)
      std::printf("       -            ");
    else if (gradient_free_)
      std::printf("    free            ");
    else
      std::printf("  %6.1f %5.2f %5.1f", gradient_bytes_ / time[2] * 1e-9,
                  gradient_bytes_ / time[2] / copy_rate, (time[1] + time[2]) / time[1]);
  }
  std::string shapes() const {
    std::string result;
    for (const Tensor& x : sample_.inputs) result += ' ' + to_string(x.shape());
    return result;
  }

 private:
  void backward() {
    if (!adjoint_.defined()) return;
    pull_back(output_, adjoint_, Inputs(floating_.data(), floating_.size()), results_);
    for (const Tensor& result : results_)
      if (result.defined()) elements(result);
  }

  CatalogueEntry::Sample sample_;
  std::vector<const Tensor*> floating_;  // inputs
  std::vector<Tensor> results_;          // their gradients
  Tape tape_;
  Tensor output_, adjoint_;
  double flops_ = 0, bytes_ = 0, gradient_bytes_ = 0;
  bool free_ = false, gradient_free_ = true, differentiable_ = false;
};

/// sigmoid and exp beside loops over xsimd batches, in the cache.
void beside_raw_loops() {
  using V = xsimd::batch<float>;
  constexpr std::size_t n = 16384;
  const Tensor x = random_uniform({n}, Key{1}, DType::float32, -4, 4);
  Tensor out = Tensor::uninitialised({n}, DType::float32);
  float* to = out.exclusive_data<float>();
  const float* from = x.data<float>();
  const auto raw = [&](auto f) {
    return [=] {
      for (std::size_t i = 0; i < n; i += V::size)
        f(V::load_unaligned(from + i)).store_unaligned(to + i);
      measure::use(to);
    };
  };
  const std::vector<double> time = measure::medians(
      {[&] { measure::use(sigmoid(x)); }, raw([](V v) { return V(1) / (V(1) + xsimd::exp(-v)); }),
       [&] { measure::use(exp(x)); }, raw([](V v) { return xsimd::exp(v); })},
      21);
  std::printf("\n%zu elements over a raw xsimd loop: sigmoid %.2f, exp %.2f\n", n,
              time[0] / time[1], time[2] / time[3]);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t mib = 256;
  bool small_rows = true, large_rows = true;
  std::set<std::string_view> wanted;
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--mib" && i + 1 < argc)
      mib = std::strtoul(argv[++i], nullptr, 10);
    else if (std::string_view(argv[i]) == "--small")
      large_rows = false;
    else if (std::string_view(argv[i]) == "--large")
      small_rows = false;
    else
      wanted.insert(argv[i]);
  const std::size_t cached = 256u << 10, large = mib << 20;
  Copy copy(large);
  const double sgemm = sgemm_rate();
  std::printf("cblas_sgemm on one thread: %.1f GFLOP/s\n", sgemm * 1e-9);
  for (const std::size_t total : {cached, large}) {
    if (!(total == cached ? small_rows : large_rows)) continue;
    const std::size_t threads = total == cached ? 1 : most_threads;
    std::printf("\n%zu KiB of inputs and output. On", total >> 10);
    for (std::size_t t = 1; t <= threads; ++t) std::printf("%s %zu", t == 1 ? "" : ", then", t);
    std::printf(" thread%s: forward GB/s, of copy, GFLOP/s; gradient GB/s, of copy, over forward\n",
                threads == 1 ? "" : "s");
    for (const CatalogueEntry& entry : catalogue()) {
      if (!wanted.empty() && !wanted.contains(entry.name)) continue;
      if (entry.samples[0].inputs.empty()) continue;  // a number costs what a recorded node does
      // A product computes for so long on a byte that a sixteenth will do.
      const auto n = static_cast<std::int64_t>(total / 8);
      const auto small = entry.at_size(100'000);
      const bool product = !small.empty() && Row(small[0]).is_product();
      const auto samples = entry.at_size(product ? n / 16 : n);
      if (samples.empty())
        std::printf("%.*s: no large samples; let it state at_size\n", int(entry.name.size()),
                    entry.name.data());
      for (const CatalogueEntry::Sample& sample : samples) {
        Row row(sample);
        const std::string label = samples.size() > 1 ? sample.equation : std::string(entry.name);
        std::printf("%s", column(label + row.shapes(), 48).c_str());
        for (std::size_t t = 1; t <= threads; ++t) row.print(t, copy, sgemm);
        std::printf("\n");
        std::fflush(stdout);
      }
    }
  }
  if (wanted.empty()) beside_raw_loops();
}
