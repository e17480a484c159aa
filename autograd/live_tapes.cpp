// A list of tables, one for each thread that has ever had a tape; what ends leaves its table to the
// next thread.
#include "autograd/live_tapes.hpp"

#include <array>
#include <new>

#include "autograd/tensor.hpp"

namespace xg::detail {
namespace {

struct Table {
  std::array<std::atomic<std::uint64_t>, 64> serials{};
  std::atomic<bool> taken{true};
  Table* next = nullptr;
};

std::atomic<Table*> tables{nullptr};

Table* take_table() noexcept {
  for (Table* t = tables.load(std::memory_order_acquire); t; t = t->next)
    if (bool free = false; t->taken.compare_exchange_strong(free, true)) return t;
  auto* const made = new (std::nothrow) Table;
  if (!made) return nullptr;
  made->next = tables.load(std::memory_order_relaxed);
  while (!tables.compare_exchange_weak(made->next, made, std::memory_order_release)) {
  }
  return made;
}

// The tables of this thread's tapes.
struct Mine {
  Table* const table = take_table();
  std::size_t count = 0;
  ~Mine() {
    if (table) table->taken = false;
  }
};
thread_local Mine mine;

}  // namespace

LiveSerial::LiveSerial() noexcept : value_(unique_id()), place_(nullptr) {
  Mine& m = mine;
  if (m.table && m.count < m.table->serials.size()) place_ = &m.table->serials[m.count];
  ++m.count;
  if (place_) place_->store(value_, std::memory_order_relaxed);
}

LiveSerial::~LiveSerial() {
  --mine.count;
  if (place_) place_->store(0, std::memory_order_relaxed);
}

void LiveSerial::renew() noexcept {
  value_ = unique_id();
  if (place_) place_->store(value_, std::memory_order_relaxed);
}

bool is_live(std::uint64_t serial) noexcept {
  for (const Table* t = tables.load(std::memory_order_acquire); t; t = t->next)
    for (const auto& one : t->serials)
      if (one.load(std::memory_order_relaxed) == serial) return true;
  return false;
}

}  // namespace xg::detail
