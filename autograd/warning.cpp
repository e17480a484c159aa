// Where the text of a warning goes.
#include "autograd/warning.hpp"

#include <iostream>
#include <mutex>
#include <utility>

namespace xg {

namespace {

struct Store {
  std::mutex mutex;
  WarningHandler handler = [](const std::string& text) { std::cerr << text << std::endl; };
};
Store& store() {
  static Store only;
  return only;
}

}  // namespace

WarningHandler set_warning_handler(WarningHandler handler) {
  const std::lock_guard lock(store().mutex);
  return std::exchange(store().handler, std::move(handler));
}

void detail::warn(const std::string& text) {
  WarningHandler handler;
  {
    const std::lock_guard lock(store().mutex);
    handler = store().handler;
  }
  if (handler) handler(text);
}

}  // namespace xg
