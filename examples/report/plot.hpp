// Line plots as SVG, drawn by the program gnuplot. Knows nothing of what is plotted.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace plot {

/// Points that a line joins. Those that are not finite, or not positive on a logarithmic axis, are
/// left out.
struct Series {
  std::string name;
  std::vector<double> x, y;
};

struct Plot {
  std::string title;  ///< what it shows, for readers who cannot see it
  std::string x_label{}, y_label{};
  std::vector<Series> series{};
  bool log_x = false, log_y = false;  ///< where the values span a factor of three or more
  std::optional<double> lowest_y{};   ///< where the axis begins; what is lower is cut off
};

/// Throws xg::ValueError, which names the package, unless gnuplot can be run; `operation` is who
/// needs it.
void require_gnuplot(const std::string& operation);

/// An <svg> element, for a page or as a file of its own. Its colours are the CSS variables
/// --plot-1 to --plot-8 (lines), --plot-text, --plot-axis and --plot-grid where the page sets them,
/// else some that can be read on white and on black. Throws xg::ValueError for a plot without a
/// point, and what require_gnuplot() throws.
std::string svg(const Plot& plot);

}  // namespace plot
