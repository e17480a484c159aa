// Runs gnuplot, without a shell, and turns what it draws into SVG that takes its colours from CSS.
#include "report/plot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <regex>

#include "autograd/error.hpp"
#include "report/html.hpp"

extern char** environ;

namespace plot {

namespace {

using xg::detail::text;

// gnuplot draws in the blacks rgb(0, 0, n), which tidied() then gives their names: 1 the axes, 2
// the grid, 3 text, and from 10 on these lines.
constexpr std::array colours{"#2f7fc1", "#d4662a", "#239b72", "#a566c0",
                             "#a8852a", "#2196a3", "#d9534f", "#808080"};
constexpr std::size_t first_colour = 10;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

File temporary_file() {
  File file(std::tmpfile());
  if (!file) throw xg::FileError("[plot] a temporary file cannot be made");
  return file;
}

std::string contents(std::FILE* file) {
  std::string result;
  std::rewind(file);
  std::array<char, 4096> block;
  while (const std::size_t n = std::fread(block.data(), 1, block.size(), file))
    result.append(block.data(), n);
  return result;
}

/// What gnuplot prints for a script. Files, unlike pipes, cannot make the two wait for each other.
std::string run_gnuplot(const std::string& operation, const std::string& script) {
  const File in = temporary_file(), out = temporary_file(), err = temporary_file();
  std::fwrite(script.data(), 1, script.size(), in.get());
  std::rewind(in.get());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int descriptor = 0;
  for (const File* file : {&in, &out, &err})
    posix_spawn_file_actions_adddup2(&actions, fileno(file->get()), descriptor++);
  std::array<char, 8> name{"gnuplot"}, defaults{"-d"};  // -d: no start-up files of the user's
  char* const arguments[] = {name.data(), defaults.data(), nullptr};
  pid_t process = 0;
  const int failure = posix_spawnp(&process, name.data(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw xg::ValueError("[" + operation +
                         "] the program gnuplot draws the plots, and cannot be run here; install "
                         "it (Debian's package is gnuplot-nox)");
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw xg::ValueError("[" + operation + "] gnuplot failed: " + contents(err.get()));
  return contents(out.get());
}

std::string quoted(const std::string& s) {
  return "'" + std::regex_replace(s, std::regex("'"), "''") + "'";
}

/// The part of a series that can be drawn.
Series drawable(const Plot& plot, const Series& series) {
  Series result{series.name, {}, {}};
  for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    const double x = series.x[i], y = series.y[i];
    if (!std::isfinite(x) || !std::isfinite(y) || (plot.log_x && x <= 0) || (plot.log_y && y <= 0))
      continue;
    result.x.push_back(x);
    result.y.push_back(y);
  }
  return result;
}

/// At most about 500 points, evenly chosen, the last among them. A point alone becomes a dash of
/// the given length.
std::string points(const Series& s, double dash) {
  const std::size_t n = s.x.size(), stride = n / 500 + 1;
  std::string result;
  const auto add = [&](double x, double y) {
    result += xg::detail::digits(x) + ' ' + xg::detail::digits(y) + '\n';
  };
  for (std::size_t i = 0; i + 1 < n; i += stride) add(s.x[i], s.y[i]);
  add(s.x[n - 1], s.y[n - 1]);
  if (n == 1) add(s.x[0] + dash, s.y[0]);
  return result;
}

/// A logarithmic axis from `low` to `high` with labels 10ⁿ, or for less than two decades some
/// digits.
std::string logarithmic(char axis, double low, double high) {
  if (high / low < 3) return "";
  const bool wide = high / low >= 100;
  low /= 1.2, high *= 1.2;
  const int first = static_cast<int>(std::ceil(std::log10(low))),
            last = static_cast<int>(std::floor(std::log10(high)));
  const int step = std::max(1, (last - first) / 6);
  std::string labels;
  const auto add = [&](const std::string& label, int digit, int n) {
    labels += text(labels.empty() ? "" : ", ", quoted(label), " ", digit, "e", n);
  };
  for (int n = first - 1; n <= last; ++n)
    if (!wide) {
      for (const int digit : high / low < 15 ? std::vector{1, 2, 3, 5, 7} : std::vector{1, 2, 5})
        add(text(digit * std::pow(10, n)), digit, n);
    } else if (n >= first) {
      std::string exponent;
      for (const char c : std::to_string(n)) {
        static constexpr std::array raised{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
        exponent += c == '-' ? "⁻" : raised[static_cast<std::size_t>(c - '0')];
      }
      add((n - first) % step == 0 ? text("10", exponent) : "", 1, n);
    }
  return text("set logscale ", axis, "\nset ", axis, "tics (", labels, ")\nset ", axis, "range [",
              xg::detail::digits(low), ":", xg::detail::digits(high), "]\n");
}

/// Without what does not draw, and with variables for the colours that stand for them.
std::string tidied(std::string svg, const Plot& plot) {
  const auto replace = [&](const std::string& pattern, const std::string& by) {
    svg = std::regex_replace(svg, std::regex(pattern), by);
  };
  const std::size_t begin = svg.find("</defs>"), end = svg.rfind("</g>");
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw xg::ValueError("[plot] gnuplot's SVG is not of the form that is known here");
  svg = svg.substr(begin + 7, end - begin - 7);
  replace("<title>[^<]*</title>", "");
  replace(" id=\"[^\"]*\"", "");
  replace("<g fill[^>]*>\\s*</g>\\s*", "");
  replace(" font-family=\"[^\"]*\"", "");
  replace("\\s*\n\\s*", "\n");
  for (std::size_t i = 0; i < colours.size(); ++i)
    replace(text("rgb\\( *0, *0, *", first_colour + i, "\\)"),
            text("var(--plot-", i + 1, ", ", colours[i], ")"));
  replace("rgb\\( *0, *0, *1\\)", "var(--plot-axis, #808080)");
  replace("rgb\\( *0, *0, *2\\)", "var(--plot-grid, #80808040)");
  replace("rgb\\( *0, *0, *3\\)", "var(--plot-text, #808080)");
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 440 290\" role=\"img\" "
         "font-family=\"sans-serif\" aria-label=\"" +
         escaped(plot.title) + "\">" + svg + "</svg>\n";
}

}  // namespace

void require_gnuplot(const std::string& operation) { run_gnuplot(operation, ""); }

std::string svg(const Plot& plot) {
  std::vector<Series> series;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double low_x = infinity, high_x = -infinity, low_y = infinity, high_y = -infinity;
  for (const Series& whole : plot.series) {
    series.push_back(drawable(plot, whole));
    // As wide as the series, also where only a part of it can be drawn.
    for (const double x : whole.x)
      if (std::isfinite(x) && !(plot.log_x && x <= 0))
        low_x = std::min(low_x, x), high_x = std::max(high_x, x);
    for (const double y : series.back().y) low_y = std::min(low_y, y), high_y = std::max(high_y, y);
  }
  if (low_y > high_y) throw xg::ValueError("[plot] '" + plot.title + "' has no point to draw");
  if (low_x == high_x) high_x = plot.log_x ? 10 * low_x : low_x + 1;
  std::string data, lines;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const Series& s = series[i];
    const std::string style = text(" with lines linecolor rgb ", first_colour + i % colours.size(),
                                   " linewidth 2 dashtype ", i / colours.size() + 1, " title ");
    lines += lines.empty() ? "plot " : ", ";
    if (s.x.empty()) {
      lines += "keyentry" + style + quoted(s.name + ": nothing to draw");
      continue;
    }
    const double dash = plot.log_x ? s.x[0] / 20 : (high_x - low_x) / 80;
    data += text("$d", i, " << END\n", points(s, dash), "END\n");
    lines += text("$d", i, style, quoted(s.name));
  }
  std::string script =
      "set encoding utf8\n"
      "set terminal svg size 440,290 dynamic rounded noenhanced font 'sans-serif,13'\n"
      "set border 3 linecolor rgb '#000001'\n"
      "set tics nomirror textcolor rgb '#000003' scale 0.5\n"
      "set grid linecolor rgb '#000002' linetype 1 linewidth 1\n"
      "set key tmargin left horizontal Left reverse textcolor rgb '#000003' samplen 2 width 1\n";
  if (!plot.x_label.empty())
    script += "set xlabel " + quoted(plot.x_label) + " textcolor rgb '#000003'\n";
  if (!plot.y_label.empty())
    script += "set ylabel " + quoted(plot.y_label) + " textcolor rgb '#000003'\n";
  script += plot.log_x ? logarithmic('x', low_x, high_x)
                       : text("set xrange [", xg::detail::digits(low_x), ":",
                              xg::detail::digits(high_x), "]\n");
  if (plot.lowest_y) script += text("set yrange [", xg::detail::digits(*plot.lowest_y), ":]\n");
  if (plot.log_y) script += logarithmic('y', low_y, high_y);
  return tidied(run_gnuplot("plot", script + data + lines + '\n'), plot);
}

}  // namespace plot
