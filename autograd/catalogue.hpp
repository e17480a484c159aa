// The list of all operations with their samples. Tests, benchmarks and documentation go over it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/op.hpp"

namespace xg {

/// An operation with its type erased, for code that goes over all of them.
struct CatalogueEntry {
  struct Sample {
    std::string equation;        ///< with the sample's attributes
    std::vector<Tensor> inputs;  ///< in float64, where floating
    std::string error;           ///< if not empty: applying throws an Error whose text has this
    std::function<Tensor(std::span<const Tensor>)> apply;
  };
  std::string_view name;
  Keep keeps;
  std::vector<Sample> samples;
  /// Samples of about n elements in all; none if the operation states no `at_size` and cannot be
  /// applied to any of `samples` repeated along its axes.
  std::function<std::vector<Sample>(std::int64_t n)> at_size;
};

namespace detail {
/// The first of the samples with the largest inputs, every axis of more than one element repeated
/// until there are about n elements in all.
std::vector<CatalogueEntry::Sample> repeated(const std::vector<CatalogueEntry::Sample>& samples,
                                             std::int64_t n);
}  // namespace detail

/// The catalogue entry of an operation, the library's or a user's.
template <Op O>
CatalogueEntry entry() {
  const auto erased = [](const std::vector<Sample<O>>& samples) {
    std::vector<CatalogueEntry::Sample> result;
    for (const Sample<O>& sample : samples)
      result.push_back(
          {sample.op.equation(), sample.inputs, sample.error,
           [op = sample.op](std::span<const Tensor> inputs) { return xg::apply(op, inputs); }});
    return result;
  };
  CatalogueEntry result{O::name, O::keeps, erased(O::samples()), {}};
  if constexpr (requires(std::int64_t n) { O::at_size(n); })
    result.at_size = [erased](std::int64_t n) { return erased(O::at_size(n)); };
  else
    result.at_size = [samples = result.samples](std::int64_t n) {
      return detail::repeated(samples, n);
    };
  return result;
}

/// Every operation of the library.
const std::vector<CatalogueEntry>& catalogue();

namespace ops {
std::vector<CatalogueEntry> arithmetic();
std::vector<CatalogueEntry> functions();
std::vector<CatalogueEntry> activations();
std::vector<CatalogueEntry> comparison();
std::vector<CatalogueEntry> reductions();
std::vector<CatalogueEntry> softmaxes();
std::vector<CatalogueEntry> products();
std::vector<CatalogueEntry> linear_algebra();
std::vector<CatalogueEntry> movement();
std::vector<CatalogueEntry> indexing();
std::vector<CatalogueEntry> making();
std::vector<CatalogueEntry> checkpoints();
std::vector<CatalogueEntry> custom_gradients();
}  // namespace ops

}  // namespace xg
