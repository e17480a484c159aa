// The error types that xgrad throws, and the one helper that builds their texts.
#pragma once

#include <charconv>
#include <sstream>
#include <stdexcept>
#include <string>

namespace xg {

/// Base of every error that xgrad throws. The text names the operation in brackets, what was
/// expected, what came, and what to do: `[matmul] inner dimensions differ: (10, 784) x (30, 784)`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
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

/// Concatenates everything that can be streamed.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// The shortest text that reads back as the same number.
inline std::string digits(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace detail
}  // namespace xg
