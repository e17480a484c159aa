// Not installed: an IDX file as its reader and the image data sets see it, before conversion.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/shape.hpp"
#include "datasets/detail/source.hpp"

namespace xg::datasets::detail {

/// The types that an IDX header can name.
enum class IdxType : unsigned char {
  unsigned_byte = 0x08,
  signed_byte = 0x09,
  int16 = 0x0B,
  int32 = 0x0C,
  float32 = 0x0D,
  float64 = 0x0E
};

struct IdxFile {
  IdxType type;
  Shape shape;
  std::vector<unsigned char> content;  ///< the elements, big-endian
};

/// Reads the whole of `source`. Throws FileError unless it holds just what its header says.
IdxFile read_idx_file(Source& source);

}  // namespace xg::datasets::detail
