// Not installed: the matrix in a text that may come from anywhere.
#pragma once

#include "datasets/csv.hpp"
#include "datasets/detail/source.hpp"

namespace xg::datasets::detail {

/// What read_csv says of its file, for any source.
Tensor parse_csv(Source& source, const CsvOptions& options);

}  // namespace xg::datasets::detail
