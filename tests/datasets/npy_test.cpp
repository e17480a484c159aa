// .npy files: round trips, what NumPy writes, and what is refused.
#include "datasets/npy.hpp"

#include "tests/datasets/files.hpp"
#include "tests/support/catch.hpp"

using namespace xg;
using datasets::read_npy;
using datasets::write_npy;

namespace {

std::string npy(const std::string& header, const std::string& content, int major = 1) {
  std::string length;
  for (std::size_t i = 0, rest = header.size(); i < (major == 1 ? 2u : 4u); ++i, rest >>= 8)
    length += static_cast<char>(rest & 255);
  return "\x93NUMPY" + big_endian(static_cast<std::uint64_t>(major), 1) + big_endian(0, 1) +
         length + header + content;
}

std::string header(const std::string& descr, const std::string& shape,
                   const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

// 1.0 and -2.5 as NumPy stores them.
const std::string two_doubles("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\x04\xc0", 16);

}  // namespace

TEST_CASE("what write_npy writes, read_npy reads", "[datasets][npy]") {
  const TemporaryFolder folder;
  for (const Tensor& tensor :
       {Tensor{1.0, -0.1}, Tensor{{1.5f, 2.5f, 3.5f}, {4.f, 5.f, 1e-30f}}, Tensor{{1}, {-2}},
        Tensor(2.5), Tensor::full({2, 1, 3, 1, 2}, 7.0), Tensor::full({0, 3}, 0.0),
        Tensor::full({100, 1000}, 3.0, DType::float32)}) {
    const auto path = folder.path() / "tensor.npy";
    write_npy(path, tensor);
    CHECK(identical(read_npy(path), tensor));
    CHECK(identical(read_npy(path, tensor.dtype()), tensor));
    CHECK(identical(read_npy(folder.write("tensor.npy.gz", gzip(content_of(path)))), tensor));
  }
}

TEST_CASE("write_npy writes the bytes that NumPy writes", "[datasets][npy]") {
  const TemporaryFolder folder;
  const auto path = folder.write("tensor.npy", std::string(1000, 'x'));
  write_npy(path, Tensor{1.0, -2.5});
  const std::string dictionary = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }";
  CHECK(content_of(path) ==
        npy(dictionary + std::string(117 - dictionary.size(), ' ') + "\n", two_doubles));
}

TEST_CASE("read_npy reads both versions and other spellings", "[datasets][npy]") {
  const TemporaryFolder folder;
  const Tensor expected{1.0, -2.5};
  for (const std::string& text :
       {header("<f8", "(2,)"), header("<f8", "( 2 , )"),
        std::string("{\"shape\":(2,),\"descr\":\"<f8\",\"fortran_order\":False}")})
    for (const int version : {1, 2})
      CHECK(identical(read_npy(folder.write("file", npy(text, two_doubles, version))), expected));
  CHECK(read_npy(folder.write("file", npy(header("<f8", "(1, 2)"), two_doubles))).shape() ==
        Shape{1, 2});
  CHECK(read_npy(folder.write("file", npy(header("<i8", "()"), "abcdefgh"))).shape() == Shape{});
}

TEST_CASE("read_npy refuses other kinds of array", "[datasets][npy]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_npy(folder.write("file", content)), reason);
  };
  for (const char* descr : {">f8", "<f2", "|u1", "|b1", "<c16", "<i4", "|O"})
    refused(npy(header(descr, "(2,)"), two_doubles),
            "expected elements of '<f4', '<f8' or '<i8', got '" + std::string(descr) + "'");
  refused(npy(header("<f8", "(2,)", "True"), two_doubles),
          "expected elements in C order, got Fortran order; save numpy.ascontiguousarray(x)");
  REQUIRE_FILE_ERROR(
      read_npy(folder.write("file", npy(header("<f8", "(2,)"), two_doubles)), DType::float32),
      "[read_npy] " + (folder.path() / "file").string() +
          ": expected elements of float32, got float64");
}

TEST_CASE("read_npy refuses damaged files", "[datasets][npy]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_npy(folder.write("file", content)), reason);
  };
  const std::string sound = npy(header("<f8", "(2,)"), two_doubles);
  REQUIRE_FILE_ERROR(read_npy(folder.path() / "absent"), "there is no such file");
  REQUIRE_FILE_ERROR(read_npy(folder.path()), "got a directory");
  refused("", "the file is empty");
  refused("PK\x03\x04 a .npz file",
          "not a .npy file: expected \"\\x93NUMPY\" and a version at its start");
  refused(sound.substr(0, 7), "not a .npy file");
  refused(npy("", "", 3), "expected .npy version 1.0 or 2.0, got 3.0");
  refused(sound.substr(0, 9), "truncated: expected 2 bytes of header length, got 1");
  refused(sound.substr(0, 40), "bytes of header, got 30");
  refused(sound.substr(0, sound.size() - 1),
          "truncated: expected 16 bytes of elements for the shape (2,), got 15");
  refused(sound + "xyz", "3 bytes follow elements for the shape (2,); expected none");
  refused("\x93NUMPY" + std::string("\2\0\xff\xff\xff\x7f", 6) + "{}",
          "expected a header of at most 65535 bytes, got 2147483647");
  refused("\x93NUMPY" + std::string("\1\0\xff\xff", 4) + "{}",
          "truncated: expected 65535 bytes of header, got 2");
  refused(npy(header("<f8", "(4000000000, 4000000000)"), two_doubles),
          "truncated: no file can hold the elements of the shape (4000000000, 4000000000)");
  refused(npy(header("<f8", "(1000000000, 100000000)"), two_doubles),
          "truncated: expected 800000000000000000 bytes of elements");
  refused(gzip(npy(header("<f8", "(1000000000, 100000000)"), two_doubles)),
          "truncated: expected 800000000000000000 bytes of elements");
}

TEST_CASE("read_npy refuses other headers", "[datasets][npy]") {
  const TemporaryFolder folder;
  for (const std::string& text :
       {std::string(""),
        std::string("{"),
        std::string("{}"),
        std::string("[]"),
        std::string("{'descr': '<f8', 'fortran_order': False}"),
        std::string("{'descr': '<f8', 'shape': (2,)}"),
        std::string("{'fortran_order': False, 'shape': (2,)}"),
        std::string("{'descr': '<f8, 'fortran_order': False, 'shape': (2,)}"),
        std::string("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}"),
        std::string("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2,)}"),
        std::string("{'descr': '<f8', 'order': 'C', 'fortran_order': False, 'shape': (2,)}"),
        std::string("{'descr': '<f8' 'fortran_order': False, 'shape': (2,)}"),
        header("<f8", "(2)"),
        header("<f8", "2"),
        header("<f8", "(-2,)"),
        header("<f8", "(a,)"),
        header("<f8", "(2,"),
        header("<f8", "(99999999999999999999,)"),
        header("<f8", "(2,)", "Maybe"),
        header("<f8", "(2,)") + "}"})
    REQUIRE_FILE_ERROR(
        read_npy(folder.write("file", npy(text, two_doubles))),
        "expected a header such as {'descr': '<f8', 'fortran_order': False, 'shape': (3, "
        "4), }, got " +
            text);
}

TEST_CASE("a changed or missing byte never does worse than a FileError", "[datasets][npy]") {
  const TemporaryFolder folder;
  const std::string sound = npy(header("<f8", "(2,)"), two_doubles);
  for (std::size_t i = 0; i < sound.size(); ++i) {
    CHECK_THROWS_AS(read_npy(folder.write("file", sound.substr(0, i))), FileError);
    for (const int value : std::initializer_list<int>{0, '9', ' ', '\'', 0xff}) {
      std::string changed = sound;
      changed[i] = static_cast<char>(value);
      try {
        const Tensor tensor = read_npy(folder.write("file", changed));
        CHECK(tensor.size() == 2);
      } catch (const FileError&) {
      }
    }
  }
}

TEST_CASE("write_npy says why it cannot write", "[datasets][npy]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "absent" / "tensor.npy";
  REQUIRE_FILE_ERROR(
      write_npy(path, Tensor{1.0}),
      "[write_npy] " + path.string() + ": cannot be opened for writing: No such file or directory");
  REQUIRE_FILE_ERROR(write_npy(folder.path(), Tensor{1.0}), "cannot be opened for writing");
  if (std::filesystem::exists("/dev/full"))
    REQUIRE_FILE_ERROR(write_npy("/dev/full", Tensor{1.0}),
                       "cannot be written: No space left on device");
  REQUIRE_ERROR(write_npy(folder.path() / "tensor.npy", Tensor()), DTypeError,
                "[write_npy] the tensor is undefined");
  CHECK(!std::filesystem::exists(folder.path() / "tensor.npy"));
}
