// Reads IDX, the file format of MNIST and its relatives.
#pragma once

#include <filesystem>

#include "autograd/tensor.hpp"

namespace xg::datasets {

/// The array in an IDX file, plain or compressed by gzip: two zero bytes, a type, the rank, the
/// extents as big-endian 32-bit numbers, the big-endian elements in row-major order. Whole-number
/// types (unsigned byte 08, signed byte 09, short 0B, int 0C) give int64, float (0D) float32 and
/// double (0E) float64. Throws FileError unless the file is there and holds just what its header
/// says. Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database".
Tensor read_idx(const std::filesystem::path& path);

}  // namespace xg::datasets
