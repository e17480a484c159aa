// A folder for the files that a test writes, the bytes of small files, and errors that name them.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "autograd/error.hpp"
#include "tests/support/catch.hpp"

/// REQUIRE_ERROR for a `part` that is only known when the test runs, such as one with a path.
#define REQUIRE_FILE_ERROR(expression, part)                        \
  REQUIRE_THROWS_MATCHES(expression, xg::FileError,                 \
                         Catch::Matchers::Predicate<xg::FileError>( \
                             TextContains{part}, "text contains: " + std::string(part)))

struct TextContains {
  std::string part;
  bool operator()(const xg::FileError& error) const {
    return std::string_view(error.what()).find(part) != std::string_view::npos;
  }
};

/// A new folder that disappears with this object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("xgrad_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Writes `content` into the file `name` and returns its path.
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// `content` as one gzip member.
inline std::string gzip(std::string_view content) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string in(content);
  std::string result(deflateBound(&stream, static_cast<uLong>(in.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

/// The lowest `count` bytes of `value`, the highest of them first.
inline std::string big_endian(std::uint64_t value, int count = 4) {
  std::string result;
  for (int i = count; i-- > 0;) result += static_cast<char>(value >> (8 * i) & 255);
  return result;
}

/// An IDX header, for element type `type`.
inline std::string idx_header(int type, std::initializer_list<std::uint32_t> extents) {
  std::string result =
      big_endian(static_cast<std::uint64_t>(type), 3) + big_endian(extents.size(), 1);
  for (const std::uint32_t extent : extents) result += big_endian(extent);
  return result;
}
