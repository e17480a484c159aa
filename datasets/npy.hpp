// Reads and writes NumPy's .npy files.
#pragma once

#include <filesystem>

#include "autograd/tensor.hpp"

namespace xg::datasets {

/// The array in a .npy file of version 1.0 or 2.0, plain or compressed by gzip, with little-endian
/// elements '<f4' (float32), '<f8' (float64) or '<i8' (int64) in C order. Throws FileError unless
/// the file is there, is of that kind and holds just what its header says. Source of the format:
/// numpy.lib.format.
Tensor read_npy(const std::filesystem::path& path);

/// The same; throws FileError also if the elements are not of type `expected`.
Tensor read_npy(const std::filesystem::path& path, DType expected);

/// Writes a .npy file of version 1.0, in place of one that is there. Throws FileError if it cannot
/// be written, DTypeError for an undefined tensor.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace xg::datasets
