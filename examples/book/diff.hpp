// What changed from one network's equations to another's. Prints; knows nothing of networks.
#pragma once

#include <autograd/autograd.hpp>
#include <iostream>
#include <map>
#include <string>

/// The statements of both readings, by what stands on their left: those that are equal once,
/// others as − before and + after.
inline void print_diff(const xg::Reading& before, const xg::Reading& after) {
  const auto print = [](const char* sign, const xg::Statement& s) {
    const std::string mark = s.mark.empty() ? "" : "    (" + s.mark + ")";
    std::cout << sign << ' ' << to_string(s.left) << " = " << to_string(s.right) << mark << '\n';
  };
  const auto compare = [&](const std::vector<xg::Statement>& old_ones,
                           const std::vector<xg::Statement>& new_ones) {
    std::map<xg::Symbol, xg::Statement> rest;
    for (const xg::Statement& s : new_ones) rest[s.left] = s;
    for (const xg::Statement& s : old_ones) {
      const auto it = rest.find(s.left);
      const bool equal = it != rest.end() && to_string(it->second.right) == to_string(s.right) &&
                         it->second.mark == s.mark;
      print(equal ? " " : "−", s);
      if (it == rest.end()) continue;
      if (!equal) print("+", it->second);
      rest.erase(it);
    }
    for (const auto& [left, s] : rest) print("+", s);
  };
  compare(before.forward, after.forward);
  compare(before.backward, after.backward);
}
