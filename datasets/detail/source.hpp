// Not installed: a file or a block of memory, perhaps compressed by gzip, as a stream of bytes.
// Knows no format beyond gzip's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xg::datasets::detail {

/// What reads refuse, they refuse as FileError "[operation] name: reason". Memory is taken for
/// bytes that have come, never for bytes that a header claims.
class Source {
 public:
  /// Opens a regular file. Throws FileError if there is none or it is empty.
  Source(std::string_view operation, const std::filesystem::path& path);
  /// Reads `content`, which has to outlive this, in the name of `name`.
  Source(std::string_view operation, std::string name, std::span<const unsigned char> content);
  Source(Source&&) noexcept;
  ~Source();

  /// Reads until `out` is full or the content ends, and returns how many bytes came.
  std::size_t read(std::span<unsigned char> out);

  /// The next `count` bytes, which are `what`. Throws FileError if there are fewer.
  std::vector<unsigned char> read_exactly(std::uint64_t count, std::string_view what);

  /// All bytes up to the end.
  std::vector<unsigned char> read_rest();

  /// Throws FileError if anything follows `what`.
  void expect_end(std::string_view what);

  /// Throws FileError for this source.
  [[noreturn]] void fail(std::string_view reason) const;

 private:
  class Inflater;

  std::size_t read_stored(std::span<unsigned char> out);
  void detect_gzip();
  // Bytes still to come, unless the content is compressed.
  std::optional<std::uint64_t> remaining() const;

  std::string operation_, name_;
  struct File;
  std::unique_ptr<File> file_;              // or
  std::span<const unsigned char> content_;  // what is left of the memory
  std::uint64_t stored_bytes_left_ = 0;
  std::unique_ptr<Inflater> inflater_;  // when the content is compressed
};

}  // namespace xg::datasets::detail
