// Catch2, version 2 (Debian 12) or 3; tests include this and nothing else of it.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
namespace Catch::Matchers {
inline auto ContainsSubstring(const std::string& part) { return Contains(part); }
}  // namespace Catch::Matchers
#endif

/// Requires that `expression` throws `type` with a text that contains `part`.
#define REQUIRE_ERROR(expression, type, part)                                                   \
  REQUIRE_THROWS_MATCHES(                                                                       \
      expression, type,                                                                         \
      Catch::Matchers::Predicate<type>(                                                         \
          [&](const type& e) { return std::string(e.what()).find(part) != std::string::npos; }, \
          std::string("text contains: ") + (part)))
