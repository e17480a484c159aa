// Where the page of a report goes. What is on it is in page.cpp.
#include "report/report.hpp"

#include <fstream>

#include "report/page.hpp"
#include "report/plot.hpp"

namespace fs = std::filesystem;

namespace {

/// The folder, in which the page can be written.
fs::path prepared(const std::string& name) {
  plot::require_gnuplot("train --report");
  const fs::path folder = name;
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  const fs::path trial = folder / "index.html.new";
  const bool writable = std::ofstream(trial).good();
  fs::remove(trial, ignored);
  if (!writable || fs::is_directory(folder / "index.html", ignored))
    throw xg::FileError("[train --report] " + (folder / "index.html").string() +
                        ": cannot be written; name a folder that can be made or written to");
  return folder;
}

}  // namespace

Report::Report(const Options& options, Watched watched)
    : options_(options), folder_(prepared(options.report)), history_(std::move(watched)) {}

void Report::write(std::int64_t examples, const std::string& ending) {
  history_.end(examples);
  const std::string text = page(options_, history_, ending);
  const fs::path unfinished = folder_ / "index.html.new";
  std::ofstream stream(unfinished, std::ios::binary);
  stream << text;
  stream.close();
  std::error_code failed;
  if (stream) fs::rename(unfinished, file(), failed);
  if (!stream || failed)
    throw xg::FileError("[train --report] " + file().string() + ": cannot be written");
}
