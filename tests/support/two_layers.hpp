// A small network for tests of equations, and their text by names.
#pragma once

#include "nn/nn.hpp"
#include "tests/support/equations.hpp"

namespace xg::test {

/// Two layers of three neurons, and a batch of four examples.
struct Data {
  Tensor x = numbers({4, 3}, -1, 1, 21), y = numbers({4, 3}, 0.1, 0.9, 22);
  nn::Dense d{3, 3, {.seed = 1, .dtype = DType::float64}};
  nn::Dense e{3, 3, {.seed = 2, .dtype = DType::float64}};
};

/// Every right side of the reading for one example, by its left side.
inline std::map<std::string, std::string> by_name(const Reading& reading) {
  std::map<std::string, std::string> result;
  for (const auto* list : {&reading.forward, &reading.backward})
    for (const Statement& s : *list)
      result[to_string(s.left)] = to_string(s.right) + (s.mark.empty() ? "" : " " + s.mark);
  return result;
}

}  // namespace xg::test
