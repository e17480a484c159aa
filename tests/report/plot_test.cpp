// Plots: what gnuplot draws, and what is made of it.
#include "report/plot.hpp"

#include <cstdlib>
#include <iostream>
#include <limits>

#include "autograd/error.hpp"
#include "tests/support/catch.hpp"

namespace {

bool gnuplot_is_missing() {
  try {
    plot::require_gnuplot("test");
    return false;
  } catch (const xg::Error&) {
    std::cout << "skipped: gnuplot is not installed (Debian: gnuplot-nox)\n";
    return true;
  }
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t result = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++result;
  return result;
}

}  // namespace

TEST_CASE("a plot has its lines, labels and colours") {
  if (gnuplot_is_missing()) return;
  const std::string svg = plot::svg(
      {.title = "<cost> & \"time\"",
       .x_label = "it's <b>",
       .y_label = "a_b^c",
       .series = {{"one & two", {0, 1, 2}, {3, 4, 5}}, {"layer 'x'", {0, 1, 2}, {5, 4, 3}}}});
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "<svg") == 1);
  CHECK(count(svg, "aria-label=\"&lt;cost&gt; &amp; &quot;time&quot;\"") == 1);
  for (const char* text : {">it's &lt;b>", ">a_b^c<", ">one &amp; two<", ">layer 'x'<"})
    CHECK(count(svg, text) == 1);
  CHECK(count(svg, "stroke='var(--plot-1,") == 1);
  CHECK(count(svg, "stroke='var(--plot-2,") == 1);
  // Every colour can be changed by the page, and plots on one page do not share names.
  CHECK(count(svg, "rgb(") == 0);
  CHECK(count(svg, " id=") == 0);
  CHECK(count(svg, "href") == 0);
  CHECK(plot::svg({.title = "t", .series = {{"s", {0, 1}, {0, 1}}}}) ==
        plot::svg({.title = "t", .series = {{"s", {0, 1}, {0, 1}}}}));
}

TEST_CASE("a plot has eight colours, then dashes") {
  if (gnuplot_is_missing()) return;
  plot::Plot nine{.title = "nine", .series = {}};
  for (int i = 0; i < 9; ++i)
    nine.series.push_back({xg::detail::text("s", i), {0, 1}, {0.0 + i, 1.0 + i}});
  const std::string svg = plot::svg(nine);
  for (int i = 1; i <= 8; ++i)
    CHECK(count(svg, xg::detail::text("stroke='var(--plot-", i, ",")) == (i == 1 ? 2 : 1));
  CHECK(count(svg, "stroke-dasharray") == 1);
}

TEST_CASE("a plot leaves out what cannot be drawn") {
  if (gnuplot_is_missing()) return;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  const auto with = [](std::vector<double> x, std::vector<double> y, bool log) {
    return plot::svg({.title = "t", .series = {{"s", std::move(x), std::move(y)}}, .log_y = log});
  };
  CHECK(with({0, 1, 2, nan, 2}, {1, infinity, 3, 1, nan}, false) == with({0, 2}, {1, 3}, false));
  CHECK(with({0, 1, 2, 2}, {1, 0, 1000, -1}, true) == with({0, 2}, {1, 1000}, true));
  CHECK(count(with({1, 2}, {1e-3, 1e2}, true), ">10⁻³<") == 1);
  CHECK(count(with({1, 2}, {0.3, 0.95}, true), ">0.7<") == 1);
  CHECK(count(with({1, 2}, {0.3, 20}, true), ">0.5<") == 1);
  CHECK(with({1, 2}, {14, 15}, true) == with({1, 2}, {14, 15}, false));
  // The vertical axis begins where it is told to.
  const auto from = [](std::optional<double> lowest) {
    return plot::svg({.title = "t", .series = {{"s", {0, 1}, {0, 100}}}, .lowest_y = lowest});
  };
  CHECK(count(from(90), "> 80<") == 0);
  CHECK(count(from(90), "> 90<") == 1);
  CHECK(count(from({}), "> 80<") == 1);
  // The axis is as long as without the gap.
  CHECK(count(with({0, 7000}, {1, nan}, false), "> 7000<") == 1);
  // A point alone is seen as a dash: after the sample of the key, two more places.
  const std::string alone = with({3}, {4}, false);
  const std::string path = alone.substr(alone.find("stroke='var(--plot-1,"));
  CHECK(count(path.substr(0, path.find("/>")), " L") == 2);
  const std::string svg =
      plot::svg({.title = "t", .series = {{"some", {0, 1}, {1, 2}}, {"none", {0, 1}, {nan, nan}}}});
  CHECK(count(svg, ">none: nothing to draw<") == 1);
  REQUIRE_ERROR(plot::svg({.title = "empty", .series = {{"none", {0}, {nan}}}}), xg::ValueError,
                "[plot] 'empty' has no point to draw");
}

TEST_CASE("a long series is thinned to its shape") {
  if (gnuplot_is_missing()) return;
  plot::Series line{"line", {}, {}};
  for (int i = 0; i < 100000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i % 2);
  }
  CHECK(plot::svg({.title = "t", .series = {line}}).size() < 20000);
}

TEST_CASE("without gnuplot the error names its package") {
  const char* const before = std::getenv("PATH");
  const std::string path = before ? before : "";
  setenv("PATH", "/nonexistent", 1);
  REQUIRE_ERROR(plot::require_gnuplot("train --report"), xg::ValueError,
                "[train --report] the program gnuplot draws the plots, and cannot be run here; "
                "install it (Debian's package is gnuplot-nox)");
  setenv("PATH", path.c_str(), 1);
}
