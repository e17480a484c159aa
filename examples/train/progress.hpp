// How far an epoch is: a live bar on a terminal, nothing elsewhere.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Progress(std::int64_t examples) : total_(examples) {}

  /// Shows that `done` of all examples have been seen; redraws ten times a second at the most.
  void show(std::int64_t done, const std::string& label) {
    if (!live_) return;
    const Clock::time_point now = Clock::now();
    if (now - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = now;
    constexpr int width = 24;
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    const double rate = static_cast<double>(done) / seconds();
    const auto left = static_cast<std::int64_t>(static_cast<double>(total_ - done) / rate);
    const auto filled = static_cast<std::size_t>(share * width);
    const std::string bar = std::string(filled, '#') + std::string(width - filled, '-');
    std::fprintf(stdout, "\r%s [%s] %3.0f %%  %.0f examples/s  %lld:%02lld left ", label.c_str(),
                 bar.c_str(), 100 * share, rate, static_cast<long long>(left / 60),
                 static_cast<long long>(left % 60));
    std::fflush(stdout);
  }
  /// Takes the bar away, so that a line can be printed.
  void clear() const {
    if (live_) std::fputs("\r\x1b[K", stdout);
  }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

 private:
  std::int64_t total_;
  bool live_ = isatty(STDOUT_FILENO) == 1;
  Clock::time_point started_ = Clock::now(), drawn_ = started_;
};
