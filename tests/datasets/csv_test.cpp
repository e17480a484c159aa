// Matrices of numbers in text files.
#include "datasets/csv.hpp"

#include "tests/datasets/files.hpp"
#include "tests/support/catch.hpp"

using namespace xg;
using datasets::CsvOptions;
using datasets::read_csv;

TEST_CASE("read_csv reads numbers as people write them", "[datasets][csv]") {
  const TemporaryFolder folder;
  const Tensor expected{{1.0, -2.5, 3e-4}, {0.0, 0.1, 1e300}};
  for (const std::string& content :
       {std::string("1,-2.5,3e-4\n0,0.1,1e300\n"), std::string("1,-2.5,3e-4\n0,0.1,1e300"),
        std::string("1,-2.5,3e-4\r\n0,0.1,1e300\r\n"),
        std::string(" 1 ,\t-2.50, +3E-4 \n0.,+.1,1e+300\n\n \n\r\n")}) {
    CHECK(identical(read_csv(folder.write("file", content)), expected));
    CHECK(identical(read_csv(folder.write("file", gzip(content))), expected));
  }
  CHECK(identical(read_csv(folder.write("file", "7")), Tensor{{7.0}}));
}

TEST_CASE("read_csv takes other delimiters and skips headings", "[datasets][csv]") {
  const TemporaryFolder folder;
  const Tensor expected{{1.0, 2.0}, {3.0, 4.0}};
  const auto read = [&](const std::string& content, const CsvOptions& options) {
    return read_csv(folder.write("file", content), options);
  };
  CHECK(identical(read("1;2\n3; 4", {.delimiter = ';'}), expected));
  CHECK(identical(read("1\t2\n3\t 4\r\n", {.delimiter = '\t'}), expected));
  CHECK(identical(read("1 2\n3 4\n", {.delimiter = ' '}), expected));
  CHECK(identical(read("x,y\n\n1,2\n3,4\n", {.skip_rows = 2}), expected));
}

TEST_CASE("read_csv reads a file larger than its buffers", "[datasets][csv]") {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 60000; ++i) content += std::to_string(i) + "," + std::to_string(-i) + "\n";
  for (const std::string& stored : {content, gzip(content)}) {
    const Tensor table = read_csv(folder.write("file", stored));
    REQUIRE(table.shape() == Shape{60000, 2});
    for (std::int64_t i = 0; i < 60000; i += 999)
      CHECK((table.at({i, 0}) == static_cast<double>(i) &&
             table.at({i, 1}) == static_cast<double>(-i)));
  }
}

TEST_CASE("read_csv refuses what is no matrix of finite numbers", "[datasets][csv]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& reason) {
    REQUIRE_FILE_ERROR(read_csv(folder.write("file", content)), reason);
  };
  REQUIRE_FILE_ERROR(
      read_csv(folder.path() / "absent"),
      "[read_csv] " + (folder.path() / "absent").string() + ": there is no such file");
  REQUIRE_FILE_ERROR(read_csv(folder.path()), "got a directory");
  refused("", "the file is empty");
  refused("\n\n", "expected rows of numbers, got none");
  refused(gzip(""), "expected rows of numbers, got none");
  refused(gzip("1,2\n").substr(0, 20), "the gzip data is truncated");
  refused("1,2\n3\n", "row 2 has 1 columns; expected 2 as in the first row");
  refused("1,2\n3,4\n5,6,7\n", "row 3 has 3 columns; expected 2 as in the first row");
  refused("1,2\n\n3,4\n", "row 2 is empty");
  for (const char* cell : {"nan", "NaN", "inf", "-inf", "x", "", "1x", "0x10", "1 2", "--1", "+-1",
                           "+", "1e", "\"1\""})
    refused("1,2\n3," + std::string(cell) + "\n",
            "row 2, column 2: expected a finite number, got '" + std::string(cell) + "'");
  refused("1,2,\n", "row 1, column 3: expected a finite number, got ''");
  refused("1e999\n", "got '1e999', which is beyond float64");
  refused("1," + std::string(1000, 'x'), "got '" + std::string(40, 'x') + "'");
  REQUIRE_FILE_ERROR(read_csv(folder.write("file", "x\n1,2\n3,y\n"), {.skip_rows = 1}),
                     "row 3, column 2");
  REQUIRE_FILE_ERROR(read_csv(folder.write("file", "x\n"), {.skip_rows = 5}), "got none");
}

TEST_CASE("read_csv refuses options that make no sense", "[datasets][csv]") {
  const TemporaryFolder folder;
  const auto path = folder.write("file", "1,2\n");
  REQUIRE_ERROR(read_csv(path, {.skip_rows = -1}), ValueError,
                "[read_csv] expected skip_rows of 0 or more, got -1");
  REQUIRE_ERROR(read_csv(path, {.delimiter = '.'}), ValueError,
                "[read_csv] expected a delimiter that is no part of a number and ends no line, got "
                "character 46");
  for (const char delimiter : std::string("07+-eE\r\n"))
    CHECK_THROWS_AS(read_csv(path, {.delimiter = delimiter}), ValueError);
}
