// What is no error, but hardly meant: where the text of it goes.
#pragma once

#include <functional>
#include <string>

namespace xg {

/// Takes the text of a warning, on the thread that it is about.
using WarningHandler = std::function<void(const std::string& text)>;

/// Makes `handler` take all warnings from now on; gives the one before. At first they are written
/// to std::cerr. An empty handler ignores them.
WarningHandler set_warning_handler(WarningHandler handler);

namespace detail {
void warn(const std::string& text);
}  // namespace detail

}  // namespace xg
