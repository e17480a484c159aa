// What is at work on this thread, by name, for errors and anomalies to say where they happened.
#pragma once

#include <string>

namespace xg {

/// A name for what happens until it ends:
///
///     const Scope scope("decoder");
///
/// Scopes nest; a module makes one for each call. Costs nothing until something goes wrong.
class Scope {
 public:
  /// `name` must outlive the scope, as a literal does.
  explicit Scope(const char* name) noexcept
      : Scope(name, [](const Scope& self) {
          return std::string(static_cast<const char*>(self.what()));
        }) {}
  ~Scope() { innermost = outer_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// The names of all scopes of this thread, the outermost first: "Classifier.hidden".
  static std::string path();

  // For scopes that find their name only when it is asked for, as modules do.
  using Name = std::string (*)(const Scope& self);
  Scope(const void* what, Name name) noexcept : what_(what), name_(name), outer_(innermost) {
    innermost = this;
  }
  const void* what() const noexcept { return what_; }
  /// The innermost scope around this one that finds its name in the same way, or null.
  const Scope* outer_of_kind() const noexcept {
    const Scope* outer = outer_;
    while (outer && outer->name_ != name_) outer = outer->outer_;
    return outer;
  }

 private:
  inline static constinit thread_local const Scope* innermost = nullptr;

  const void* what_;
  Name name_;
  const Scope* outer_;
};

}  // namespace xg
