// Reads matrices of numbers from text.
#pragma once

#include <cstdint>
#include <filesystem>

#include "autograd/tensor.hpp"

namespace xg::datasets {

struct CsvOptions {
  char delimiter = ',';
  std::int64_t skip_rows = 0;  ///< lines at the start that are not numbers, such as a heading
};

/// The numbers of a text file, plain or compressed by gzip, as a float64 matrix (rows, columns): a
/// row for each line and as many numbers in every row. Spaces around a number, CR LF line ends and
/// empty lines at the end are allowed. Errors count rows as the file's lines, from 1, and columns
/// from 1. Throws FileError unless the file is there and every cell is a finite number; ValueError
/// for skip_rows < 0 or a delimiter that can be part of a number or ends a line.
Tensor read_csv(const std::filesystem::path& path, const CsvOptions& options = {});

}  // namespace xg::datasets
