// The sections of the page, each from what the history knows.
#include "report/page.hpp"

#include <algorithm>
#include <cmath>

#include "report/html.hpp"
#include "report/picture.hpp"
#include "report/plot.hpp"
#include "report/style.hpp"

using namespace xg;
using detail::text;

namespace {

constexpr std::size_t most_neurons = 100, most_mistakes = 24;

template <class... Arguments>
std::string print(const char* format, Arguments... arguments) {
  char buffer[128];
  std::snprintf(buffer, sizeof buffer, format, arguments...);
  return buffer;
}

std::string number(const char* format, double value) {
  return std::isfinite(value) ? print(format, value) : "not finite";
}

std::string percent(double share) { return print("%.2f %%", 100 * share); }

std::string section(const char* id, const char* heading, const std::string& content) {
  return text("<section id=\"", id, "\">\n<h2>", heading, "</h2>\n", content, "</section>\n");
}

std::string paragraph(const std::string& html) { return "<p>" + html + "</p>\n"; }

/// What a class is called; empty unless it has a name beside its number.
std::string class_name(const Options& o, std::int64_t label) {
  static constexpr std::array clothes{"T-shirt", "trouser", "pullover", "dress", "coat",
                                      "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  return o.dataset == "fashion-mnist" ? clothes.at(static_cast<std::size_t>(label)) : "";
}
std::string called(const Options& o, std::int64_t label) {
  const std::string name = class_name(o, label);
  return name.empty() ? std::to_string(label) : name;
}

std::string numbers(const std::vector<std::int64_t>& list, const char* between) {
  std::string result;
  for (const std::int64_t n : list) result += (result.empty() ? "" : between) + std::to_string(n);
  return result;
}

std::string header(const Options& o, const History& h, const std::string& ending) {
  const auto& test = h.test();
  const History::Score* best = nullptr;
  for (const auto& s : test)
    if (s.epoch > 0 && s.epoch == std::floor(s.epoch) && (!best || s.accuracy > best->accuracy))
      best = &s;
  const auto figure = [](const std::string& what, const std::string& value) {
    return text("<div><dt>", what, "</dt><dd>", value, "</dd></div>\n");
  };
  std::string result =
      text("<header>\n<h1>", escaped(o.dataset), " with [", numbers(o.layers, ", "), "]</h1>\n",
           paragraph(text("<span class=\"faint\">", escaped(o.activation), " neurons, ",
                          escaped(o.cost), " cost, batches of ", o.batch_size,
                          ", learning rate η = ", o.learning_rate, ", seed ", o.seed, "</span>")));
  if (!ending.empty())
    result += "<p class=\"notice\">Training ended early: " + escaped(ending) + ".</p>\n";
  result += "<dl class=\"figures\">\n";
  if (best)
    result += figure(text("test images, best (epoch ", best->epoch, ")"), percent(best->accuracy));
  result += figure("test images, at the end", percent(test.back().accuracy));
  result += figure(text(h.probe_size(), " training images, at the end"),
                   percent(h.training().back().accuracy));
  result += figure("cost on test images, at the end", number("%.4g", test.back().cost));
  return result + "</dl>\n</header>\n";
}

std::string figure_of(const plot::Plot& plot, const std::string& caption) {
  const bool any = std::any_of(plot.series.begin(), plot.series.end(), [&](const auto& s) {
    return std::any_of(s.y.begin(), s.y.end(),
                       [&](double y) { return std::isfinite(y) && (!plot.log_y || y > 0); });
  });
  return "<figure><figcaption>" + caption + "</figcaption>\n" +
         (any ? plot::svg(plot) : paragraph("There is no number to draw.")) + "</figure>\n";
}

std::string curves(const History& h) {
  const auto plot = [&](plot::Plot p, const char* caption, const auto& value) {
    p.x_label = "epoch";
    p.series = {{text(h.probe_size(), " training images"), {}, {}}, {"test images", {}, {}}};
    for (const auto& [series, scores] :
         {std::pair{&p.series[0], &h.training()}, std::pair{&p.series[1], &h.test()}})
      for (const History::Score& s : *scores) {
        series->x.push_back(s.epoch);
        series->y.push_back(value(s));
      }
    return figure_of(p, caption);
  };
  // Later epochs are seen better without the first one's rise from guessing.
  double lowest = 100;
  for (const auto* scores : {&h.training(), &h.test()})
    for (const History::Score& s : *scores)
      if (s.epoch >= std::min(1.0, scores->back().epoch))
        lowest = std::min(lowest, 100 * s.accuracy);
  lowest = std::min(90.0, 10 * std::floor(lowest / 10));
  return section(
      "curves", "Cost and accuracy",
      paragraph("Where the two lines part, the network learns its training images by heart.") +
          "<div class=\"plots\">\n" +
          plot({.title = "Cost over epochs", .log_y = true}, "Cost",
               [](const auto& s) { return s.cost; }) +
          plot({.title = "Accuracy over epochs, in percent", .lowest_y = lowest}, "Accuracy, %",
               [](const auto& s) { return 100 * s.accuracy; }) +
          "</div>\n");
}

std::string gradients(const History& h) {
  const auto plot = [&](const char* title, const char* caption,
                        std::vector<double> History::Norms::*of) {
    plot::Plot result{.title = title, .x_label = "epoch", .series = {}};
    result.log_y = true;
    for (std::size_t l = 0; l < (h.norms().front().*of).size(); ++l) {
      plot::Series s{text("l = ", l + 1), {}, {}};
      for (std::size_t i = 0; i < h.norms().size(); ++i) {
        s.x.push_back(h.training()[i].epoch);
        s.y.push_back((h.norms()[i].*of)[l]);
      }
      result.series.push_back(s);
    }
    return figure_of(result, caption);
  };
  const bool zero =
      std::any_of(h.norms().begin(), h.norms().end(), [](const History::Norms& norms) {
        return std::count(norms.bias.begin(), norms.bias.end(), 0.0) > 0;
      });
  return section(
      "gradients", "How fast each layer learns",
      paragraph(
          text("The norm of each layer's gradient, over the same ", h.probe_size(),
               " training images each time; l = 1 is the layer next to the input. "
               "Where the first layers lie far below the last ones, the gradient vanishes on "
               "its way back.",
               zero ? " Where a line is missing, the gradient is exactly zero: nothing is learned."
                    : "")) +
          "<div class=\"plots\">\n" +
          plot("Norm of the gradient of each layer's biases over epochs",
               "Biases: ‖∂C/∂b<sup>l</sup>‖", &History::Norms::bias) +
          plot("Norm of the gradient of each layer's weights over epochs",
               "Weights: ‖∂C/∂w<sup>l</sup>‖", &History::Norms::weight) +
          "</div>\n");
}

/// The side of square images, or 0.
std::int64_t side_of(std::int64_t pixels) {
  const std::int64_t side = std::llround(std::sqrt(static_cast<double>(pixels)));
  return side * side == pixels ? side : 0;
}

std::string picture(const std::string& uri, std::int64_t side, const std::string& alt,
                    const std::string& caption) {
  // A whole number of screen pixels for each of the picture's.
  const std::int64_t size = side * std::max<std::int64_t>(1, (72 + side / 2) / side);
  return text("<figure><img src=\"", uri, "\" width=\"", size + 2, "\" height=\"", size + 2,
              "\" alt=\"", escaped(alt), "\"><figcaption>", escaped(caption),
              "</figcaption></figure>\n");
}

const char* const not_square = "The inputs are not square images, so there is nothing to show.";

/// The magnitude that one in a hundred exceeds, so that a few outliers do not make all others pale.
double typical_largest(std::span<const double> values) {
  std::vector<double> magnitudes;
  for (const double v : values) magnitudes.push_back(std::abs(v));
  std::sort(magnitudes.begin(), magnitudes.end());
  const double result = magnitudes[(magnitudes.size() - 1) * 99 / 100];
  return result > 0 ? result : 1;
}

std::string weights(const History& h) {
  const Tensor w = cast(h.watched().parameters.front().value(), DType::float64);
  const auto values = w.values<double>();
  const auto neurons = static_cast<std::size_t>(w.extent(0)),
             inputs = static_cast<std::size_t>(w.extent(1));
  const std::int64_t side = side_of(w.extent(1));
  const std::size_t shown = std::min(neurons, most_neurons);
  const bool finite =
      std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  std::string content;
  if (side == 0) {
    content = paragraph(not_square);
  } else if (!finite) {
    content = paragraph("The weights are no longer finite numbers.");
  } else {
    content =
        paragraph(text("What each neuron of the first layer looks for: its weight for each pixel. ",
                       shown < neurons ? text("The first ", shown, " of ", neurons, " neurons. ")
                                       : std::string()));
    const double limit = typical_largest(values);
    content += text("<p class=\"scale\">≤ −", print("%.2g", limit), "<span></span>≥ ",
                    print("%.2g", limit), "</p>\n");
    content += "<div class=\"pictures\">\n";
    for (std::size_t n = 0; n < shown; ++n) {
      std::vector<double> row(values.begin() + static_cast<std::ptrdiff_t>(n * inputs),
                              values.begin() + static_cast<std::ptrdiff_t>((n + 1) * inputs));
      for (double& v : row) v /= limit;
      content += picture(signed_picture(row, side), side, text("Weights of neuron ", n + 1),
                         std::to_string(n + 1));
    }
    content += "</div>\n";
  }
  return section("weights", "Weights of the first layer", content);
}

const char* const not_finite = "The network's outputs are no longer finite numbers.";

std::string mistakes(const Options& o, const History& h, const History::Answers& answers) {
  const auto& data = h.watched().test;
  const std::int64_t side = side_of(data.inputs.extent(1));
  const std::size_t shown = std::min(answers.mistakes.size(), most_mistakes);
  std::string content;
  if (!answers.finite) {
    content = paragraph(not_finite);
  } else if (shown == 0) {
    content = paragraph(text("None: all ", data.size(), " test images are recognised."));
  } else if (side == 0) {
    content = paragraph(not_square);
  } else {
    content = paragraph(text(
        shown < answers.mistakes.size()
            ? text("The ", shown, " with the highest cost, of ", answers.mistakes.size(), " in ")
            : text("All ", shown, " in "),
        data.size(),
        " test images, the worst first: what it is, what the network answers, "
        "and the cost of this one image."));
    content += "<div class=\"pictures ink\">\n";
    for (std::size_t i = 0; i < shown; ++i) {
      const History::Mistake& m = answers.mistakes[i];
      const Tensor image = cast(data.slice(m.example, m.example + 1).inputs, DType::float64);
      content += picture(
          ink_picture(image.values<double>(), side), side,
          text("Test image ", m.example, ": ", called(o, m.label), ", taken for ",
               called(o, m.answer)),
          text(called(o, m.label), " → ", called(o, m.answer), " (", number("%.2f", m.cost), ")"));
    }
    content += "</div>\n";
  }
  return section("mistakes", "The worst mistakes", content);
}

std::string confusion(const Options& o, const History::Answers& answers) {
  if (!answers.finite) return section("confusion", "Confusion matrix", paragraph(not_finite));
  const auto classes = answers.confusion.size();
  double most_wrong = 1;
  for (std::size_t i = 0; i < classes; ++i)
    for (std::size_t j = 0; j < classes; ++j)
      if (i != j) most_wrong = std::max(most_wrong, static_cast<double>(answers.confusion[i][j]));
  std::string table =
      "<table class=\"confusion\">\n<caption>rows: what it is; columns: what the network "
      "answers</caption>\n<tr><th></th>";
  for (std::size_t j = 0; j < classes; ++j) table += text("<th scope=\"col\">", j, "</th>");
  table += "</tr>\n";
  for (std::size_t i = 0; i < classes; ++i) {
    table += text("<tr><th scope=\"row\">", i, "</th>");
    double total = 0;
    for (const std::int64_t n : answers.confusion[i]) total += static_cast<double>(n);
    for (std::size_t j = 0; j < classes; ++j) {
      const auto n = static_cast<double>(answers.confusion[i][j]);
      const double strength = i == j ? (total > 0 ? 0.35 * n / total : 0) : 0.6 * n / most_wrong;
      table += text("<td style=\"background-color: rgba(", i == j ? "30, 120, 230" : "235, 110, 20",
                    ", ", print("%.2f", strength), ")\">", n > 0 ? text(n) : "·", "</td>");
    }
    table += "</tr>\n";
  }
  table += "</table>\n";
  std::string names;
  for (std::size_t i = 0; i < classes; ++i)
    if (const auto name = class_name(o, static_cast<std::int64_t>(i)); !name.empty())
      names += text(names.empty() ? "" : ", ", i, " ", name);
  return section("confusion", "Confusion matrix",
                 paragraph("Blue: the share of a class that is recognised. Orange: mistakes, "
                           "against the most frequent one.") +
                     table + (names.empty() ? "" : paragraph(names + ".")));
}

std::string equations_of(const Options& o, const History& h) {
  const Watched& w = h.watched();
  const datasets::Batch batch = w.training.slice(0, std::min(o.batch_size, w.training.size()));
  const Tape tape;
  const Tensor cost = w.cost(batch);
  return section("equations", "Equations",
                 paragraph("What the tape has applied in a step, and the gradient that it derives. "
                           "Each derivative's steps from the chain rule on are below them.") +
                     equations(cost, w.parameters).html_fragment());
}

/// As one argument of a POSIX shell.
std::string shell_word(const std::string& word) {
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "_-./,:+@%") == std::string::npos &&
      !word.empty())
    return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string settings(const Options& o, const History& h) {
  const std::string rate = detail::digits(o.learning_rate);
  const std::pair<const char*, std::string> options[] = {
      {"dataset", o.dataset},
      {"data-dir", o.data_dir},
      {"layers", numbers(o.layers, ",")},
      {"activation", o.activation},
      {"cost", o.cost},
      {"epochs", std::to_string(o.epochs)},
      {"batch-size", std::to_string(o.batch_size)},
      {"learning-rate", rate},
      {"init", o.init},
      {"dtype", o.dtype},
      {"seed", std::to_string(o.seed)},
  };
  std::int64_t parameters = 0;
  for (const ParameterRef& p : h.watched().parameters) parameters += p.value().size();
  std::string rows, command = "train";
  for (const auto& [name, value] : options) {
    if (value.empty()) continue;
    rows += text("<tr><th scope=\"row\">", name, "</th><td>", escaped(value), "</td></tr>\n");
    command += text(" --", name, " ", shell_word(value));
  }
  rows += text("<tr><th scope=\"row\">parameters</th><td>", parameters, "</td></tr>\n",
               "<tr><th scope=\"row\">examples</th><td>", h.watched().training.size(),
               " to train on, ", h.watched().test.size(), " to test</td></tr>\n");
  return section("settings", "Settings",
                 "<table class=\"settings\">\n" + rows + "</table>\n" +
                     paragraph("The same training again, to the same bits for any number of "
                               "threads:") +
                     paragraph("<code>" + escaped(command) + "</code>"));
}

}  // namespace

std::string page(const Options& o, const History& h, const std::string& ending) {
  const History::Answers answers = h.answers();
  return text(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
      escaped(o.dataset), " with [", numbers(o.layers, ", "), "]</title>\n<style>", style,
      "</style>\n</head>\n<body>\n", header(o, h, ending), "<main>\n", curves(h), gradients(h),
      weights(h), mistakes(o, h, answers), confusion(o, answers), equations_of(o, h),
      settings(o, h), "</main>\n</body>\n</html>\n");
}
