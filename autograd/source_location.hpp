// Places in the user's code: what they are, and how an error learns of one.
#pragma once

#include <version>
#if __has_include(<source_location>)
#include <source_location>
#endif

#include "autograd/error.hpp"

namespace xg {

#ifdef __cpp_lib_source_location
using SourceLocation = std::source_location;
#else
/// What std::source_location is, for compilers that have not got it (clang before 16).
class SourceLocation {
 public:
  constexpr SourceLocation() noexcept = default;
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          unsigned line = __builtin_LINE()) noexcept {
    SourceLocation here;
    here.file_ = file;
    here.line_ = line;
    return here;
  }
  constexpr const char* file_name() const noexcept { return file_; }
  constexpr unsigned line() const noexcept { return line_; }

 private:
  const char* file_ = "";
  unsigned line_ = 0;
};
#endif

namespace detail {

/// f(); what it throws is said to be at `place`.
template <class F>
auto located(SourceLocation place, const F& f) {
  try {
    return f();
  } catch (Error& error) {
    error.add_context(place.file_name(), place.line());
    throw;
  }
}

}  // namespace detail
}  // namespace xg
