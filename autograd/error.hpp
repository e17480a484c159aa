// The error types that xgrad throws, and the one helper that builds their texts.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace xg {

/// Base of every error that xgrad throws. The text names the operation in brackets, what was
/// expected, what came, and what to do: `[matmul] inner dimensions differ: (10, 784) x (30, 784)`.
///
/// A line for each of these follows where it is known: the place in the user's code where the
/// operation was called, and the scopes (scope.hpp), such as modules, within which that was.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  const char* what() const noexcept override {
    return context_ ? context_->what() : std::runtime_error::what();
  }

  /// Adds the scopes of this thread and "at file:line", each if it is known and was not added yet.
  /// A place within the library itself is not. What ran out of memory was `operation`, if it is
  /// given.
  void add_context(const char* file, unsigned line, std::string_view operation = {});

 private:
  std::optional<std::runtime_error> context_;  // the text with what was added: copies cannot fail
  std::size_t said_ = 0;                       // of that, the length before place and scope
  bool has_place_ = false, has_scope_ = false;
};

/// Shapes that do not fit together, or an axis or index out of range.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A tensor of a type that the operation does not take.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// A tape used in a way that could only give a wrong gradient.
class TapeError : public Error {
 public:
  using Error::Error;
};

/// A number that is not finite where DetectAnomalies (anomaly.hpp) looks for one.
class AnomalyError : public Error {
 public:
  using Error::Error;
};

/// An argument outside its allowed range, or an unknown name.
class ValueError : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be read or does not hold what it should; the text names file and reason.
class FileError : public Error {
 public:
  using Error::Error;
};

/// Another program that is missing or that failed; the text names it and says what to do.
class ProgramError : public Error {
 public:
  using Error::Error;
};

namespace detail {

/// Whether a place in the code is known, and not one within the library itself.
bool is_users_place(std::string_view file, unsigned line) noexcept;

/// Concatenates everything that can be streamed. NaN is "nan", whatever its sign.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream stream;
  const auto put = [&](const auto& part) {
    if constexpr (std::is_floating_point_v<std::decay_t<decltype(part)>>)
      if (std::isnan(part)) return void(stream << "nan");
    stream << part;
  };
  (put(parts), ...);
  return stream.str();
}

/// The shortest text that reads back as the same number.
inline std::string digits(double value) {
  if (std::isnan(value)) return "nan";
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace detail
}  // namespace xg
