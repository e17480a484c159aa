// Takes IDX headers apart, and converts big-endian elements.
#include "datasets/idx.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <limits>

#include "datasets/detail/idx_file.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace detail {
namespace {

template <std::unsigned_integral Bits>
Bits big_endian(const unsigned char* bytes) {
  Bits result = 0;
  for (std::size_t i = 0; i < sizeof(Bits); ++i)
    result = static_cast<Bits>(static_cast<Bits>(result << 8 % (8 * sizeof(Bits))) | bytes[i]);
  return result;
}

std::size_t element_bytes(IdxType type, const Source& source) {
  switch (type) {
    case IdxType::unsigned_byte:
    case IdxType::signed_byte:
      return 1;
    case IdxType::int16:
      return 2;
    case IdxType::int32:
    case IdxType::float32:
      return 4;
    case IdxType::float64:
      return 8;
  }
  source.fail(text("unknown IDX element type ", static_cast<int>(type),
                   "; there are 8, 9, 11, 12, 13 and 14"));
}

// Bytes of all elements, or the largest number if that is too small to tell.
std::uint64_t content_bytes(const Shape& shape, std::size_t element) {
  std::uint64_t result = element;
  for (const std::int64_t extent : shape)
    if (extent == 0) return 0;
  for (const std::int64_t extent : shape) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (result > std::numeric_limits<std::uint64_t>::max() / factor)
      return std::numeric_limits<std::uint64_t>::max();
    result *= factor;
  }
  return result;
}

// Elements stored as Bits that mean a From, as a tensor of To.
template <class From, std::unsigned_integral Bits, class To>
Tensor convert(const IdxFile& file) {
  static_assert(sizeof(From) == sizeof(Bits));
  Tensor result = Tensor::uninitialised(file.shape, dtype_of<To>);
  To* out = result.exclusive_data<To>();
  for (std::size_t i = 0; i < file.content.size(); i += sizeof(Bits))
    *out++ = static_cast<To>(std::bit_cast<From>(big_endian<Bits>(file.content.data() + i)));
  return result;
}

}  // namespace

IdxFile read_idx_file(Source& source) {
  std::array<unsigned char, 4> magic{};
  if (source.read(magic) < magic.size() || magic[0] != 0 || magic[1] != 0)
    source.fail("not an IDX file: expected two zero bytes, a type and a rank at its start");
  IdxFile file{static_cast<IdxType>(magic[2]), Shape::filled(magic[3], 0), {}};
  const std::size_t element = element_bytes(file.type, source);
  const auto extents = source.read_exactly(4 * file.shape.size(), "extents");
  for (std::size_t i = 0; i < file.shape.size(); ++i)
    file.shape[i] = big_endian<std::uint32_t>(extents.data() + 4 * i);
  const std::string what = text("elements for the shape ", file.shape);
  file.content = source.read_exactly(content_bytes(file.shape, element), what);
  source.expect_end(what);
  return file;
}

}  // namespace detail

Tensor read_idx(const std::filesystem::path& path) {
  using detail::IdxType;
  detail::Source source("read_idx", path);
  const detail::IdxFile file = detail::read_idx_file(source);
  switch (file.type) {
    case IdxType::unsigned_byte:
      return detail::convert<std::uint8_t, std::uint8_t, std::int64_t>(file);
    case IdxType::signed_byte:
      return detail::convert<std::int8_t, std::uint8_t, std::int64_t>(file);
    case IdxType::int16:
      return detail::convert<std::int16_t, std::uint16_t, std::int64_t>(file);
    case IdxType::int32:
      return detail::convert<std::int32_t, std::uint32_t, std::int64_t>(file);
    case IdxType::float32:
      return detail::convert<float, std::uint32_t, float>(file);
    case IdxType::float64:
      break;
  }
  return detail::convert<double, std::uint64_t, double>(file);
}

}  // namespace xg::datasets
