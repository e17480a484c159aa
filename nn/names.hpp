// Tables from names to functions. Internal to nn.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "autograd/source_location.hpp"

namespace xg::nn::detail {

/// The names of a table.
template <class T, std::size_t n>
std::vector<std::string_view> names_of(const std::pair<std::string_view, T> (&table)[n]) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : table) names.push_back(name);
  return names;
}

/// The entry called `name`. Throws ValueError with the list of names, at `place`.
template <class T, std::size_t n>
T find_name(const std::pair<std::string_view, T> (&table)[n], std::string_view name,
            std::string_view what, SourceLocation place) {
  return xg::detail::located(place, [&]() -> T {
    std::string known;
    for (const auto& [entry, value] : table) {
      if (entry == name) return value;
      known += (known.empty() ? "" : ", ") + std::string(entry);
    }
    throw ValueError(xg::detail::text("[", what, "] unknown name '", name, "'; there are ", known));
  });
}

}  // namespace xg::nn::detail
