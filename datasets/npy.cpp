// The .npy header is a Python dictionary; this reads the dictionaries that NumPy writes.
#include "datasets/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/detail/rows.hpp"
#include "datasets/detail/source.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t preamble_bytes = 10;  // of version 1.0: magic, version, length of the header
constexpr std::size_t longest_header = 65535;

constexpr std::string_view descr_of(DType dtype) {
  return dtype == DType::float32 ? "<f4" : dtype == DType::float64 ? "<f8" : "<i8";
}

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// Reads {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), } from left to right.
class HeaderParser {
 public:
  HeaderParser(std::string_view header, const detail::Source& source)
      : header_(header), rest_(header), source_(source) {}

  Header parse() {
    Header result;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !result.descr)
        result.descr = quoted();
      else if (key == "fortran_order" && !result.fortran_order)
        result.fortran_order = boolean();
      else if (key == "shape" && !result.shape)
        result.shape = tuple();
      else
        fail();
      if (accept('}')) break;
      expect(',');
    }
    skip_space();
    if (!rest_.empty() || !result.descr || !result.fortran_order || !result.shape) fail();
    return result;
  }

 private:
  [[noreturn]] void fail() const {
    constexpr std::size_t shown = 200;
    source_.fail(
        text("expected a header such as {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), "
             "}, got ",
             header_.substr(0, shown)));
  }
  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  bool accept(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool accept(char token) { return accept(std::string_view(&token, 1)); }
  void expect(char token) {
    if (!accept(token)) fail();
  }
  std::string quoted() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') fail();
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) fail();
    std::string result(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return result;
  }
  bool boolean() {
    if (accept("True")) return true;
    if (!accept("False")) fail();
    return false;
  }
  Shape tuple() {
    std::vector<std::int64_t> extents;
    expect('(');
    while (!accept(')')) {
      extents.push_back(number());
      if (accept(')')) {
        if (extents.size() == 1) fail();  // (3) is a number in Python
        break;
      }
      expect(',');
    }
    return Shape(std::span<const std::int64_t>(extents));
  }
  std::int64_t number() {
    skip_space();
    std::int64_t result = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), result);
    if (error != std::errc() || result < 0) fail();
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return result;
  }

  std::string_view header_, rest_;
  const detail::Source& source_;
};

std::string read_header(detail::Source& source) {
  std::array<unsigned char, 8> start{};
  if (source.read(start) < start.size() || std::memcmp(start.data(), magic.data(), magic.size()))
    source.fail("not a .npy file: expected \"\\x93NUMPY\" and a version at its start");
  const int major = start[6], minor = start[7];
  if ((major != 1 && major != 2) || minor != 0)
    source.fail(text("expected .npy version 1.0 or 2.0, got ", major, ".", minor));
  const auto digits = source.read_exactly(major == 1 ? 2 : 4, "header length");
  std::size_t length = 0;
  for (std::size_t i = digits.size(); i-- > 0;) length = length << 8 | digits[i];
  if (length > longest_header)
    source.fail(text("expected a header of at most ", longest_header, " bytes, got ", length));
  const auto header = source.read_exactly(length, "header");
  return {header.begin(), header.end()};
}

DType dtype_of_header(const Header& header, const detail::Source& source) {
  if (*header.fortran_order)
    source.fail("expected elements in C order, got Fortran order; save numpy.ascontiguousarray(x)");
  for (const DType dtype : {DType::float32, DType::float64, DType::int64})
    if (*header.descr == descr_of(dtype)) return dtype;
  source.fail(text("expected elements of '<f4', '<f8' or '<i8', got '", *header.descr, "'"));
}

// Bytes of all elements. Refuses shapes whose size has no number.
std::uint64_t content_bytes(const Shape& shape, DType dtype, const detail::Source& source) {
  try {
    return static_cast<std::uint64_t>(element_count(shape)) * size_of(dtype);
  } catch (const ShapeError&) {
    source.fail(text("truncated: no file can hold the elements of the shape ", shape));
  }
}

Tensor read(detail::Source source, std::optional<DType> expected) {
  const std::string header_text = read_header(source);
  const Header header = HeaderParser(header_text, source).parse();
  const DType dtype = dtype_of_header(header, source);
  if (expected && dtype != *expected)
    source.fail(text("expected elements of ", *expected, ", got ", dtype));
  const std::string what = text("elements for the shape ", *header.shape);
  const auto content = source.read_exactly(content_bytes(*header.shape, dtype, source), what);
  source.expect_end(what);
  Tensor result = Tensor::uninitialised(*header.shape, dtype);
  if (!content.empty())
    std::memcpy(detail::writable_bytes_of(result), content.data(), content.size());
  return result;
}

// Magic, version, length and dictionary, padded so that the elements start at a multiple of 64.
std::string written_header(const Tensor& tensor) {
  std::string header = text("{'descr': '", descr_of(tensor.dtype()),
                            "', 'fortran_order': False, 'shape': ", tensor.shape(), ", }");
  header.append(63 - (preamble_bytes + header.size()) % 64, ' ');
  header += '\n';
  std::string result(magic);
  for (const std::size_t byte :
       {std::size_t{1}, std::size_t{0}, header.size() % 256, header.size() / 256})
    result += static_cast<char>(byte);
  return result + header;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  return read(detail::Source("read_npy", path), std::nullopt);
}

Tensor read_npy(const std::filesystem::path& path, DType expected) {
  return read(detail::Source("read_npy", path), expected);
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  if (!tensor.defined()) throw DTypeError("[write_npy] the tensor is undefined");
  const auto fail = [&](std::string_view reason) {
    throw FileError(text("[write_npy] ", path.string(), ": ", reason, ": ", std::strerror(errno)));
  };
  errno = 0;
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  if (!stream) fail("cannot be opened for writing");
  const std::string header = written_header(tensor);
  stream.write(header.data(), static_cast<std::streamsize>(header.size()));
  stream.write(reinterpret_cast<const char*>(detail::bytes_of(tensor)),
               static_cast<std::streamsize>(static_cast<std::size_t>(tensor.size()) *
                                            size_of(tensor.dtype())));
  stream.close();
  if (!stream) fail("cannot be written");
}

}  // namespace xg::datasets
