// Reading the DOT text of a picture, for tests of what stands in it.
#pragma once

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/tensors.hpp"

namespace xg::test {

/// A drawn node or edge, with all its text.
struct Drawn {
  std::string head, text;  // "v3" or "v1 -> v3"; the lines of the label, one after the other
  bool backward = false;
};

/// The nodes and edges of DOT text; the lines of a label without mark-up, with "|" between them.
inline std::vector<Drawn> read(const std::string& dot) {
  std::vector<Drawn> result;
  const std::regex statement("^ *(v[0-9]+( -> v[0-9]+)?)( \\[(.*)\\])?$"),
      cell("<TD[^>]*>(.*?)</TD>"), tag("<[^>]*>");
  std::istringstream lines(dot);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, statement)) continue;
    Drawn d{found[1], "", line.find("class=\"backward\"") != std::string::npos};
    for (std::sregex_iterator it(line.begin(), line.end(), cell), end; it != end; ++it)
      d.text.append(d.text.empty() ? "" : "|").append(std::regex_replace((*it)[1].str(), tag, ""));
    result.push_back(d);
  }
  return result;
}

inline std::string text_of(const std::string& dot, const std::string& head, bool backward = false) {
  std::string result;
  for (const Drawn& d : read(dot))
    if (d.head == head && d.backward == backward)
      result.append(result.empty() ? "" : " & ").append(d.text);
  return result;
}

inline std::ptrdiff_t count(const std::string& dot, bool edges, bool backward = false) {
  const auto all = read(dot);
  return std::count_if(all.begin(), all.end(), [&](const Drawn& d) {
    return (d.head.find("->") != std::string::npos) == edges && d.backward == backward;
  });
}

inline std::ptrdiff_t blocks(const std::string& dot) {
  const std::regex cluster("subgraph cluster_");
  return std::distance(std::sregex_iterator(dot.begin(), dot.end(), cluster),
                       std::sregex_iterator());
}

}  // namespace xg::test
