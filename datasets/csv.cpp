// Cuts text into lines and cells, and cells into numbers.
#include "datasets/csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/detail/csv_text.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace detail {
namespace {

class CsvParser {
 public:
  CsvParser(const Source& source, const CsvOptions& options) : source_(source), options_(options) {}

  Tensor parse(std::string_view content) {
    std::size_t blank_row = 0;
    while (!content.empty()) {
      const std::string_view line = trimmed(take_until(content, '\n'));
      if (static_cast<std::int64_t>(++row_) <= options_.skip_rows) continue;
      if (line.empty()) {
        if (blank_row == 0) blank_row = row_;
        continue;
      }
      if (blank_row != 0) source_.fail(text("row ", blank_row, " is empty"));
      parse_row(line);
    }
    if (rows_ == 0) source_.fail("expected rows of numbers, got none");
    return Tensor(std::span<const double>(values_), {rows_, static_cast<std::int64_t>(columns_)});
  }

 private:
  // Takes the part before `end` off the front, and `end` with it.
  static std::string_view take_until(std::string_view& rest, char end) {
    const std::size_t length = std::min(rest.find(end), rest.size());
    const std::string_view result = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size()));
    return result;
  }

  // Without spaces around it; a tab that separates cells is none.
  std::string_view trimmed(std::string_view part) const {
    const auto is_space = [&](char c) {
      return (c == ' ' || c == '\t' || c == '\r') && c != options_.delimiter;
    };
    while (!part.empty() && is_space(part.front())) part.remove_prefix(1);
    while (!part.empty() && is_space(part.back())) part.remove_suffix(1);
    return part;
  }

  void parse_row(std::string_view line) {
    std::size_t columns = 0;
    for (bool more = true; more;) {
      more = line.find(options_.delimiter) != std::string_view::npos;
      values_.push_back(number(trimmed(take_until(line, options_.delimiter)), ++columns));
    }
    if (rows_++ == 0) columns_ = columns;
    if (columns != columns_)
      source_.fail(text("row ", row_, " has ", columns, " columns; expected ", columns_,
                        " as in the first row"));
  }

  double number(std::string_view cell, std::size_t column) const {
    const auto fail = [&](std::string_view reason) {
      constexpr std::size_t shown = 40;
      source_.fail(text("row ", row_, ", column ", column, ": expected a finite number, got '",
                        cell.substr(0, shown), "'", reason));
    };
    std::string_view digits = cell;
    if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
    double result = 0.0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, result);
    if (error == std::errc::result_out_of_range) fail(", which is beyond float64");
    if (error != std::errc() || stop != end || !std::isfinite(result)) fail("");
    return result;
  }

  const Source& source_;
  const CsvOptions& options_;
  std::vector<double> values_;
  std::size_t row_ = 0, columns_ = 0;
  std::int64_t rows_ = 0;
};

}  // namespace

Tensor parse_csv(Source& source, const CsvOptions& options) {
  const auto content = source.read_rest();
  return CsvParser(source, options)
      .parse({reinterpret_cast<const char*>(content.data()), content.size()});
}

}  // namespace detail

Tensor read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  constexpr std::string_view reserved = "0123456789+-.eE\r\n";
  if (reserved.find(options.delimiter) != std::string_view::npos)
    throw ValueError(
        text("[read_csv] expected a delimiter that is no part of a number and ends no ",
             "line, got character ", static_cast<int>(options.delimiter)));
  if (options.skip_rows < 0)
    throw ValueError(text("[read_csv] expected skip_rows of 0 or more, got ", options.skip_rows));
  detail::Source source("read_csv", path);
  return detail::parse_csv(source, options);
}

}  // namespace xg::datasets
