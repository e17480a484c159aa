// Puts the files of autograd/ops together.
#include "autograd/catalogue.hpp"

namespace xg {

const std::vector<CatalogueEntry>& catalogue() {
  static const std::vector<CatalogueEntry> all = [] {
    std::vector<CatalogueEntry> result;
    for (const auto& group :
         {ops::arithmetic(), ops::functions(), ops::activations(), ops::comparison(),
          ops::reductions(), ops::softmaxes(), ops::products(), ops::movement(), ops::indexing()})
      result.insert(result.end(), group.begin(), group.end());
    return result;
  }();
  return all;
}

}  // namespace xg
