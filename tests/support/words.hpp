// Comparing texts that are laid out in lines.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>

namespace xg::test {

/// The text with every line break and run of spaces made one space.
inline std::string unwrapped(const std::string& text) {
  std::istringstream stream(text);
  std::string result;
  for (std::string word; stream >> word;) result += (result.empty() ? "" : " ") + word;
  return result;
}

/// Columns of its longest line, in UTF-8.
inline std::size_t width_of(const std::string& text) {
  std::istringstream stream(text);
  std::size_t result = 0;
  for (std::string line; std::getline(stream, line);)
    result =
        std::max(result, static_cast<std::size_t>(std::count_if(
                             line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; })));
  return result;
}

}  // namespace xg::test
