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
};

/// The catalogue entry of an operation, the library's or a user's.
template <Op O>
CatalogueEntry entry() {
  CatalogueEntry result{O::name, O::keeps, {}};
  for (const Sample<O>& sample : O::samples())
    result.samples.push_back(
        {sample.op.equation(), sample.inputs, sample.error,
         [op = sample.op](std::span<const Tensor> inputs) { return xg::apply(op, inputs); }});
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
std::vector<CatalogueEntry> movement();
std::vector<CatalogueEntry> indexing();
}  // namespace ops

}  // namespace xg
