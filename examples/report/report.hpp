// The report of a training: one HTML page that needs nothing beside it.
#pragma once

#include <filesystem>
#include <string>

#include "report/history.hpp"
#include "train/options.hpp"

class Report {
 public:
  /// Makes the folder `options.report`. Throws ValueError without gnuplot, which draws the plots,
  /// and FileError if the page cannot be written there.
  Report(const Options& options, Watched watched);

  /// To be called after each step, with the number of examples that were trained on.
  void after(std::int64_t examples) { history_.after(examples); }
  /// Writes the page, in place of an older one. `ending` says why training ended early, or nothing.
  /// Throws FileError if it cannot be written, and ValueError if gnuplot fails.
  void write(std::int64_t examples, const std::string& ending);

  std::filesystem::path file() const { return folder_ / "index.html"; }

 private:
  Options options_;
  std::filesystem::path folder_;
  History history_;
};
