// The element types that a tensor can have, and the way from a run-time type to a C++ type.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>

#include "autograd/error.hpp"

namespace xg {

/// Element type of a tensor. float32 and float64 take part in every operation and can be
/// differentiated; int64 holds labels and indices.
enum class DType : std::uint8_t { float32, float64, int64 };

/// Bytes of one element.
constexpr std::size_t size_of(DType dtype) noexcept { return dtype == DType::float32 ? 4 : 8; }

/// Whether the type can be differentiated.
constexpr bool is_floating(DType dtype) noexcept { return dtype != DType::int64; }

/// "float32", "float64" or "int64".
constexpr std::string_view to_string(DType dtype) noexcept {
  return dtype == DType::float32 ? "float32" : dtype == DType::float64 ? "float64" : "int64";
}

/// The type called `name`. Throws ValueError with the list of names.
DType dtype_from_name(std::string_view name);

std::ostream& operator<<(std::ostream& stream, DType dtype);

/// A C++ number that stands for a scalar: any arithmetic type but bool and the character types.
template <class T>
concept Number = std::floating_point<T> ||
    (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
     !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
     !std::same_as<T, char32_t>);

/// The stored C++ types.
template <class T>
concept Element =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int64_t>;

/// float for float, double for other floating types, std::int64_t for integers.
template <Number T>
using element_t =
    std::conditional_t<std::same_as<T, float>, float,
                       std::conditional_t<std::floating_point<T>, double, std::int64_t>>;

/// The DType of a stored C++ type.
template <Element T>
inline constexpr DType dtype_of = std::same_as<T, float>    ? DType::float32
                                  : std::same_as<T, double> ? DType::float64
                                                            : DType::int64;

/// `value` in another stored type, towards zero for int64. Throws ValueError for a number that has
/// no place there: NaN, or beyond 2^63.
template <Element To, Element From>
To converted(From value) {
  if constexpr (std::same_as<To, std::int64_t> && std::floating_point<From>)
    if (!(value >= From(-0x1p63) && value < From(0x1p63)))
      throw ValueError(detail::text("[cast] ", value, " is no int64"));
  return static_cast<To>(value);
}

/// Calls `f(T{})` with the C++ type of `dtype`.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  if (dtype == DType::float32) return f(float{});
  if (dtype == DType::float64) return f(double{});
  return f(std::int64_t{});
}

/// Calls `f(T{})` with the C++ type of a floating `dtype`, which the caller has checked.
template <class F>
decltype(auto) visit_floating(DType dtype, F&& f) {
  return dtype == DType::float32 ? f(float{}) : f(double{});
}

}  // namespace xg
