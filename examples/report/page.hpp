// The text of the page of a report. Writes no file.
#pragma once

#include <string>

#include "report/history.hpp"
#include "train/options.hpp"

/// The whole page. `ending` says why training ended early, or nothing.
std::string page(const Options& options, const History& history, const std::string& ending);
