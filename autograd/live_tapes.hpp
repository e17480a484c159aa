// Which tapes are alive, as every thread may ask. Internal.
#pragma once

#include <atomic>
#include <cstdint>

namespace xg::detail {

/// The serial number of a tape, known to be that of a live one for as long as this is there. Those
/// of one thread end in the reverse of their order.
class LiveSerial {
 public:
  LiveSerial() noexcept;
  ~LiveSerial();
  LiveSerial(const LiveSerial&) = delete;
  LiveSerial& operator=(const LiveSerial&) = delete;

  std::uint64_t value() const noexcept { return value_; }
  /// Another number from now on.
  void renew() noexcept;

 private:
  std::uint64_t value_;
  std::atomic<std::uint64_t>* place_;  // null if its thread has very many
};

/// Whether a tape that is alive, of any thread, has this serial number.
bool is_live(std::uint64_t serial) noexcept;

}  // namespace xg::detail
