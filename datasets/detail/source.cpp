// Reads files and memory in pieces, through zlib where they start with gzip's two magic bytes.
#include "datasets/detail/source.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "autograd/error.hpp"

namespace xg::datasets::detail {

using xg::detail::text;

namespace {

constexpr std::size_t piece = std::size_t{64} << 10;

}  // namespace

struct Source::File {
  explicit File(std::FILE* opened) : stream(opened) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { std::fclose(stream); }

  std::FILE* stream;
};

// zlib's state and the compressed bytes that it has not taken yet.
class Source::Inflater {
 public:
  Inflater() {
    constexpr int gzip_only = 15 + 16;  // the largest window; no zlib or raw streams
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // A gzip file is one or more members, each with its own header and checksum.
  std::size_t read(Source& source, std::span<unsigned char> out) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    std::size_t done = 0;
    while (done < out.size()) {
      if (stream_.avail_in == 0) refill(source);
      if (stream_.avail_in == 0 && between_members_) break;
      if (std::exchange(between_members_, false)) inflateReset(&stream_);
      const auto room = static_cast<uInt>(std::min(most, out.size() - done));
      stream_.next_out = out.data() + done;
      stream_.avail_out = room;
      const bool exhausted = stream_.avail_in == 0;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      between_members_ = status == Z_STREAM_END;
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        source.fail(text(
            "the gzip data is corrupt (zlib: ", stream_.msg ? stream_.msg : zError(status), ")"));
      if (exhausted && status != Z_STREAM_END && stream_.avail_out == room)
        source.fail("the gzip data is truncated");
    }
    return done;
  }

 private:
  void refill(Source& source) {
    stream_.next_in = input_.data();
    stream_.avail_in = static_cast<uInt>(source.read_stored(input_));
  }

  z_stream stream_{};
  std::array<unsigned char, piece> input_;
  bool between_members_ = false;
};

Source::Source(std::string_view operation, const std::filesystem::path& path)
    : operation_(operation), name_(path.string()) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail("there is no such file");
  if (std::filesystem::is_directory(status)) fail("expected a file, got a directory");
  if (!std::filesystem::is_regular_file(status)) fail("expected a regular file");
  stored_bytes_left_ = std::filesystem::file_size(path, error);
  std::FILE* const stream = error ? nullptr : std::fopen(path.c_str(), "rb");
  if (!stream) fail(text("cannot be opened: ", error ? error.message() : std::strerror(errno)));
  file_ = std::make_unique<File>(stream);
  detect_gzip();
}

Source::Source(std::string_view operation, std::string name, std::span<const unsigned char> content)
    : operation_(operation),
      name_(std::move(name)),
      content_(content),
      stored_bytes_left_(content.size()) {
  detect_gzip();
}

Source::Source(Source&&) noexcept = default;
Source::~Source() = default;

void Source::fail(std::string_view reason) const {
  throw FileError(text("[", operation_, "] ", name_, ": ", reason));
}

void Source::detect_gzip() {
  if (stored_bytes_left_ == 0) fail("the file is empty");
  std::array<unsigned char, 2> magic{};
  if (file_) {
    (void)std::fread(magic.data(), 1, magic.size(), file_->stream);
    std::rewind(file_->stream);
  } else {
    std::copy_n(content_.begin(), std::min(magic.size(), content_.size()), magic.begin());
  }
  if (magic == std::array<unsigned char, 2>{0x1f, 0x8b}) inflater_ = std::make_unique<Inflater>();
}

std::size_t Source::read_stored(std::span<unsigned char> out) {
  std::size_t count = std::min(out.size(), content_.size());
  if (file_) {
    count = std::fread(out.data(), 1, out.size(), file_->stream);
    if (std::ferror(file_->stream)) fail(text("cannot be read: ", std::strerror(errno)));
  } else {
    std::copy_n(content_.begin(), count, out.begin());
    content_ = content_.subspan(count);
  }
  stored_bytes_left_ -= std::min<std::uint64_t>(stored_bytes_left_, count);
  return count;
}

std::size_t Source::read(std::span<unsigned char> out) {
  return inflater_ ? inflater_->read(*this, out) : read_stored(out);
}

std::optional<std::uint64_t> Source::remaining() const {
  if (inflater_) return std::nullopt;
  return stored_bytes_left_;
}

std::vector<unsigned char> Source::read_exactly(std::uint64_t count, std::string_view what) {
  const auto fail_short = [&](std::uint64_t came) {
    fail(text("truncated: expected ", count, " bytes of ", what, ", got ", came));
  };
  if (remaining() && *remaining() < count) fail_short(*remaining());
  std::vector<unsigned char> result;
  while (result.size() < count) {
    // Compressed content is trusted for as much again as it has already given.
    const std::uint64_t trusted = inflater_ ? std::max<std::uint64_t>(piece, result.size()) : count;
    const std::size_t before = result.size();
    const auto step = static_cast<std::size_t>(std::min(count - before, trusted));
    result.resize(before + step);
    const std::size_t came = read(std::span(result).subspan(before));
    if (came < step) fail_short(before + came);
  }
  return result;
}

std::vector<unsigned char> Source::read_rest() {
  if (remaining()) return read_exactly(*remaining(), "text");
  std::vector<unsigned char> result;
  for (std::size_t size = 0;;) {
    result.resize(std::max(piece, 2 * size));
    const std::size_t came = read(std::span(result).subspan(size));
    size += came;
    if (size < result.size()) {
      result.resize(size);
      return result;
    }
  }
}

void Source::expect_end(std::string_view what) {
  unsigned char extra = 0;
  if (read({&extra, 1}) == 0) return;
  fail(remaining() ? text(1 + *remaining(), " bytes follow ", what, "; expected none")
                   : text("more bytes follow ", what, "; expected none"));
}

}  // namespace xg::datasets::detail
