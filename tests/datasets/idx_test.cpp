// IDX files, plain and compressed, sound and damaged.
#include "datasets/idx.hpp"

#include <bit>

#include "tests/datasets/files.hpp"
#include "tests/support/catch.hpp"

using namespace xg;
using datasets::read_idx;

TEST_CASE("read_idx reads every element type", "[datasets][idx]") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    const Tensor plain = read_idx(folder.write("plain", content));
    CHECK(identical(plain, read_idx(folder.write("compressed", gzip(content)))));
    return plain;
  };
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  CHECK(identical(read(idx_header(0x08, {2, 3}) + std::string("\x00\x01\x02\x7f\x80\xff", 6)),
                  Tensor{{0, 1, 2}, {127, 128, 255}}));
  CHECK(identical(read(idx_header(0x09, {3}) + "\x01\x7f\xff"), Tensor{1, 127, -1}));
  CHECK(identical(read(idx_header(0x0B, {2}) + big_endian(0xfffe, 2) + big_endian(515, 2)),
                  Tensor{-2, 515}));
  CHECK(identical(read(idx_header(0x0C, {2}) + big_endian(0xfffffffe) + big_endian(16909060)),
                  Tensor{-2, 16909060}));
  CHECK(identical(read(idx_header(0x0D, {2}) + big_endian(bits(1.5f)) + big_endian(bits(-1e30f))),
                  Tensor{1.5f, -1e30f}));
  CHECK(identical(read(idx_header(0x0E, {1}) + big_endian(std::bit_cast<std::uint64_t>(-0.1), 8)),
                  Tensor{-0.1}));
}

TEST_CASE("read_idx reads every rank", "[datasets][idx]") {
  const TemporaryFolder folder;
  CHECK(identical(read_idx(folder.write("scalar", idx_header(8, {}) + "\x05")), Tensor(5)));
  CHECK(read_idx(folder.write("five", idx_header(8, {1, 2, 1, 2, 1}) + "abcd")).shape() ==
        Shape{1, 2, 1, 2, 1});
  CHECK(read_idx(folder.write("none", idx_header(8, {0, 4000000000u, 4000000000u}))).shape() ==
        Shape{0, 4000000000, 4000000000});
}

TEST_CASE("read_idx refuses what is no IDX file", "[datasets][idx]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_idx(folder.write("file", content)), reason);
    REQUIRE_FILE_ERROR(read_idx(folder.write("file", gzip(content))), reason);
  };
  REQUIRE_FILE_ERROR(
      read_idx(folder.path() / "absent"),
      "[read_idx] " + (folder.path() / "absent").string() + ": there is no such file");
  REQUIRE_FILE_ERROR(read_idx(folder.path()), "expected a file, got a directory");
  REQUIRE_FILE_ERROR(read_idx("/dev/null"), "expected a regular file");
  REQUIRE_FILE_ERROR(read_idx(folder.write("empty", "")), "the file is empty");
  for (const std::string& content :
       {std::string("\0\0\x08", 3), std::string("text"), std::string("\0\1\x08\1\0\0\0\1a", 9)})
    refused(content, "not an IDX file: expected two zero bytes, a type and a rank at its start");
  refused(idx_header(0x0A, {1}) + "a",
          "unknown IDX element type 10; there are 8, 9, 11, 12, 13 and 14");
  refused(idx_header(8, {1}).substr(0, 6), "truncated: expected 4 bytes of extents, got 2");
}

TEST_CASE("read_idx says why it cannot open a file", "[datasets][idx]") {
  const TemporaryFolder folder;
  const auto path = folder.write("file", idx_header(8, {}) + "a");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  if (std::ifstream(path).is_open()) return;  // the administrator may read everything
  REQUIRE_FILE_ERROR(read_idx(path), "cannot be opened: Permission denied");
}

TEST_CASE("read_idx refuses counts that the content does not have", "[datasets][idx]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_idx(folder.write("file", content)), reason);
    REQUIRE_FILE_ERROR(read_idx(folder.write("file", gzip(content))), reason);
  };
  refused(idx_header(8, {2, 3}) + "abcde",
          "truncated: expected 6 bytes of elements for the shape (2, 3), got 5");
  refused(idx_header(0x0C, {2}) + "abcdefg", "expected 8 bytes");
  // Far more than there is memory for, and more than there are numbers for.
  refused(idx_header(8, {1u << 31, 1u << 31}) + "abcdefgh",
          "truncated: expected 4611686018427387904 bytes of elements for the shape (2147483648, "
          "2147483648), got 8");
  refused(idx_header(0x0E, {1u << 31, 1u << 31, 1u << 31}) + "a", "truncated");

  const std::string longer = idx_header(8, {2}) + "abcd";
  REQUIRE_FILE_ERROR(read_idx(folder.write("file", longer)),
                     "2 bytes follow elements for the shape (2,); expected none");
  REQUIRE_FILE_ERROR(read_idx(folder.write("file", gzip(longer))),
                     "more bytes follow elements for the shape (2,); expected none");
}

TEST_CASE("a gzip file may have several members", "[datasets][idx]") {
  const TemporaryFolder folder;
  const std::string content = idx_header(8, {4}) + "abcd";
  const Tensor expected{97, 98, 99, 100};
  for (std::size_t i = 0; i <= content.size(); ++i)
    CHECK(identical(expected, read_idx(folder.write(
                                  "file", gzip(content.substr(0, i)) + gzip(content.substr(i))))));
}

TEST_CASE("a large gzip file arrives in pieces", "[datasets][idx]") {
  const TemporaryFolder folder;
  constexpr std::uint32_t n = 1000003;
  std::string bytes(n, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  const Tensor read = read_idx(folder.write("file", gzip(idx_header(8, {n}) + bytes)));
  REQUIRE(read.size() == n);
  const auto values = read.values<std::int64_t>();
  CHECK(std::equal(values.begin(), values.end(), bytes.begin(),
                   [](std::int64_t a, char b) { return a == static_cast<unsigned char>(b); }));
}

TEST_CASE("damaged gzip files are refused", "[datasets][idx]") {
  const TemporaryFolder folder;
  const std::string sound = gzip(idx_header(8, {40}) + std::string(40, 'a'));
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_idx(folder.write("file.gz", content)), reason);
  };
  for (std::size_t length = 2; length < sound.size(); ++length)
    refused(sound.substr(0, length), "the gzip data is truncated");

  std::string corrupt = sound;
  corrupt[2] = 'x';
  refused(corrupt, "the gzip data is corrupt (zlib: unknown compression method)");
  corrupt = sound;
  corrupt[sound.size() - 8] = static_cast<char>(corrupt[sound.size() - 8] ^ 1);
  refused(corrupt, "the gzip data is corrupt (zlib: incorrect data check)");
  corrupt = sound;
  corrupt.back() = 'x';
  refused(corrupt, "the gzip data is corrupt (zlib: incorrect length check)");
  refused(sound + "trailing", "the gzip data is corrupt (zlib: incorrect header check)");
}

TEST_CASE("a changed byte never does worse than a FileError", "[datasets][idx]") {
  const TemporaryFolder folder;
  const std::string plain = idx_header(0x0B, {2, 2}) + "abcdefgh";
  for (const std::string& sound : {plain, gzip(plain)})
    for (std::size_t i = 0; i < sound.size(); ++i)
      for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
        std::string changed = sound;
        changed[i] = static_cast<char>(value);
        try {
          const Tensor tensor = read_idx(folder.write("file", changed));
          CHECK(tensor.size() <= 8);
        } catch (const FileError&) {
        }
      }
}
