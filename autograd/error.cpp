// How an error's text comes to name the user's place in the code.
#include "autograd/error.hpp"

#include "autograd/scope.hpp"

namespace xg {

// The library is compiled with such names for its own files, see CMakeLists.txt.
bool detail::is_users_place(std::string_view file, unsigned line) noexcept {
  return line != 0 && !file.starts_with("xgrad:");
}

void Error::add_context(const char* file, unsigned line, std::string_view operation) {
  std::string all = what();
  constexpr std::string_view memory = "[memory]";
  if (!context_) {
    if (!operation.empty() && all.starts_with(memory))
      all.replace(0, memory.size(), detail::text('[', operation, ']'));
    said_ = all.size();
  }
  if (!has_scope_) {
    const std::string path = Scope::path();
    if (!path.empty()) all += "\n  in " + path;
    has_scope_ = true;
  }
  if (!has_place_ && detail::is_users_place(file, line)) {
    all.insert(said_, detail::text("\n  at ", file, ':', line));
    has_place_ = true;
  }
  context_.emplace(all);
}

std::string Scope::path() {
  std::string result;
  for (const Scope* scope = innermost; scope; scope = scope->outer_) {
    const std::string name = scope->name_(*scope);
    result = result.empty() ? name : name + '.' + result;
  }
  return result;
}

}  // namespace xg
