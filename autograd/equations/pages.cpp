// The whole of what was found, laid out: as text, as LaTeX, and as an HTML page.
#include <algorithm>

#include "autograd/equations/write.hpp"

namespace xg {

namespace {

using namespace algebra;

/// Columns that a terminal needs for UTF-8 text.
std::size_t width(const std::string& text) {
  std::size_t result = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool combining = byte == 0xcc && i + 1 < text.size();  // U+0300 to U+033F
    if ((byte & 0xc0) != 0x80 && !combining) ++result;
  }
  return result;
}

/// "l = 1, ..., L−1"
std::string range(const std::pair<int, int>& layers, int depth, const char* dots,
                  const char* minus) {
  const auto name = [&](int l) {
    if (l == depth && depth > 2) return std::string("L");
    if (l == depth - 1 && depth > 3) return detail::text("L", minus, 1);
    return std::to_string(l);
  };
  const auto [from, to] = layers;
  if (from == to) return "l = " + name(from);
  return "l = " + name(from) + (to == from + 1 ? ", " : detail::text(", ", dots, ", ")) + name(to);
}

std::string heading_of_example(const Equations& e, const char* average) {
  if (e.examples == 1) return "For the one example x, in column vectors";
  return detail::text(
      "For one example x, in column vectors; C and its derivatives here are those of x. Over the "
      "batch of m = ",
      e.examples, " they are averaged: ", average);
}
std::string heading_of_batch(const Equations& e) {
  if (e.examples == 0) return "As computed";
  if (e.examples == 1) return "As computed; the one example is a row";
  return detail::text("For the whole batch, as computed; each of the m = ", e.examples,
                      " examples is a row");
}

std::string layers(const Equations& e) { return e.depth ? detail::text("; L = ", e.depth) : ""; }

constexpr char of_batch[] = "of the batch", of_example[] = "of one example";

/// The steps of a derivation: `heading(text, symbol)` says of what, where there are both, and
/// `step(step, symbol)` gets the symbol with the first of each.
template <class Heading, class Step>
void for_each_step(const Statement& s, const Heading& heading, const Step& step) {
  const bool both = !s.steps.empty() && s.steps[0].of_batch;
  for (std::size_t i = 0; i < s.steps.size(); ++i) {
    const std::optional<Symbol>& batch = s.steps[i].of_batch;
    const bool first = i == 0 || batch.has_value() != s.steps[i - 1].of_batch.has_value();
    const Symbol left = batch.value_or(s.left);
    if (both && first) heading(batch ? of_batch : of_example, left);
    step(s.steps[i], first ? std::optional(left) : std::nullopt);
  }
}

template <class F>
void for_each(const Reading& reading, const F& f) {
  for (const Statement& s : reading.forward) f(s, false);
  for (const Statement& s : reading.backward) f(s, true);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

/// A formula that may be broken into lines after its commas and between factors.
std::string breakable(const std::string& latex) {
  std::string result;
  for (const char c : latex) {
    result += c;
    if (c == ',') result += "\\penalty900 ";  // a break after ⊙ or + costs 700
  }
  return result;
}

/// The functions whose derivatives stand in the statements.
std::vector<std::shared_ptr<const Function>> slopes(const Reading& reading) {
  std::vector<std::shared_ptr<const Function>> result;
  for (const Statement& s : reading.backward)
    any(s.right, [&](const Expression& e) {
      const auto is_same = [&](const auto& f) {
        return f->derivative_identity == e->function->derivative_identity;
      };
      if (e.kind() == Kind::derivative && std::none_of(result.begin(), result.end(), is_same))
        result.push_back(e->function);
      return false;
    });
  return result;
}

std::string reading_text(const Reading& whole, int depth, bool columns, bool proofs) {
  const Reading reading = folded(whole, depth);
  const auto writer = text_writer(depth, columns), batch_writer = text_writer(depth, false);
  std::size_t widest = 0;
  const auto line = [&](const Statement& s) {
    return writer->symbol(s.left) + " = " + writer->expression(s.right);
  };
  for (const auto* list : {&reading.forward, &reading.backward})
    for (const Statement& s : *list) widest = std::max(widest, width(line(s)));
  std::string result;
  for (const auto* list : {&reading.forward, &reading.backward}) {
    result += '\n';
    for (const Statement& s : *list) {
      std::string text = "  " + line(s);
      const auto pad = [&](std::size_t to) {
        if (const std::size_t now = width(text); now < to) text.append(to - now, ' ');
      };
      if (!s.mark.empty()) {
        pad(std::min<std::size_t>(widest, 60) + 4);
        text += "  (" + s.mark + ")";
      }
      if (s.layers) {
        pad(std::min<std::size_t>(widest, 60) + 11);
        text += "  " + range(*s.layers, depth, "…", "−");
      }
      result += text + '\n';
      if (!proofs || list == &reading.forward) continue;
      for_each_step(
          s,
          [&](const std::string& of, const Symbol& left) {
            result += "      " + of + ", " + writer->symbol(left) + '\n';
          },
          [&](const DerivationStep& step, const std::optional<Symbol>&) {
            const Writer& w = step.of_batch ? *batch_writer : *writer;
            result += "      = " + w.expression(step.result) + "    [" + step.identity + "]\n";
          });
    }
  }
  const auto functions = slopes(reading);
  for (std::size_t i = 0; i < functions.size(); ++i)
    result += (i ? "        " : "\n  where ") + functions[i]->derivative_identity + '\n';
  return result;
}

}  // namespace

std::string Equations::text(bool proofs) const {
  std::string result;
  if (example)
    result += heading_of_example(*this, "1/m Σ_x") + layers(*this) + ":\n" +
              reading_text(*example, depth, true, proofs) + '\n';
  result += heading_of_batch(*this) + layers(*this) + ":\n" +
            reading_text(batch, depth, false, proofs && !example);
  if (!example) result += "\nThere is no reading for one example: " + refusal + ".\n";
  return result;
}

std::string Equations::latex(bool proofs) const {
  // Lines of a paragraph, which are broken where they are too long.
  const std::string open =
      "\\begin{list}{}{\\leftmargin=4em \\labelwidth=3.5em \\labelsep=0.5em\n"
      "    \\def\\makelabel#1{\\hfill #1}\\raggedright}\n";
  const std::string close = "\\end{list}\n";
  const auto item = [](const std::string& left, const std::string& right) {
    return "  \\item[$\\displaystyle " + left + " =$] $\\displaystyle " + breakable(right) + "$";
  };
  const auto reading = [&](const Reading& whole, bool columns, bool with_proofs) {
    const auto writer = latex_writer(depth, columns), batch_writer = latex_writer(depth, false);
    const auto plain = text_writer(depth, columns);
    const Reading lines = folded(whole, depth);
    bool fits = true;
    for_each(lines, [&](const Statement& s, bool) {
      fits = fits && width(plain->expression(s.right)) <= 80;
    });
    std::string result, derivations;
    for_each(lines, [&](const Statement& s, bool backward) {
      const std::string left = writer->symbol(s.left), right = writer->expression(s.right);
      const std::string mark = s.mark.empty() ? "" : "\\text{(" + s.mark + ")}";
      const std::string layers = s.layers ? "\\quad " + range(*s.layers, depth, "\\dots", "-") : "";
      const std::string both = mark + (mark.empty() || layers.empty() ? "" : " ") + layers;
      if (fits)
        result += (result.empty() ? "  " : " \\\\\n  ") + left + " &= " + right +
                  (both.empty() ? "" : " && " + both);
      else
        result += item(left, right) + (both.empty() ? "" : " \\quad $" + both + "$") + "\n";
      if (!with_proofs || !backward) return;
      derivations += open;
      for_each_step(
          s,
          [&](const std::string& of, const Symbol&) { derivations += "  \\item[] " + of + "\n"; },
          [&](const DerivationStep& step, const std::optional<Symbol>& first) {
            const Writer& w = step.of_batch ? *batch_writer : *writer;
            derivations += item(first ? writer->symbol(*first) : "", w.expression(step.result)) +
                           " \\quad {\\footnotesize [" + latex_text(step.identity) + "]}\n";
          });
      derivations += close;
    });
    result = fits ? "\\begin{align*}\n" + result + "\n\\end{align*}\n" : open + result + close;
    for (const auto& f : slopes(lines))
      result += "where $" + writer->expression(f->derivative_at_u) + " = " +
                writer->expression(f->derivative_at_u.parts()[1]) + "$\\par\n";
    return result + derivations;
  };
  std::string result;
  if (example)
    result += heading_of_example(*this, "$\\tfrac{1}{m} \\sum_x$") + layers(*this) + ":\n" +
              reading(*example, true, proofs);
  result += latex_text(heading_of_batch(*this) + layers(*this)) + ":\n" +
            reading(batch, false, proofs && !example);
  if (!example) result += "There is no reading for one example: " + latex_text(refusal) + ".\n";
  return result;
}

std::string Equations::html_fragment(bool proofs) const {
  // What is too wide is scrolled by itself, in whatever page it stands. Formulas may reach a little
  // over their lines: that shall not be scrolled, nor be cut off. Beside formulas of a table there
  // is room for marks and layers; a page may set --formula where they stand below.
  const std::string scrolled =
      "<div style=\"overflow-x: auto; overflow-y: hidden; padding: 6px 0; max-width: ";
  const std::string wide = scrolled + "100%\">";
  const std::string in_cell = scrolled + "var(--formula, min(40em, 54vw))\">";
  const std::string step_of_proof =
      "<div style=\"display: flex; flex-wrap: wrap; align-items: center; gap: 0 2em; "
      "margin: 0.4em 0 0.4em 2em\">";
  const auto reading = [&](const Reading& whole, bool columns, bool with_proofs) {
    const auto writer = mathml_writer(depth, columns), batch_writer = mathml_writer(depth, false);
    const Reading lines = folded(whole, depth);
    const auto math = [](const std::string& inside) {
      return "<math displaystyle=\"true\"><mrow>" + inside + "</mrow></math>";
    };
    std::string result = wide + "<table>\n";
    for_each(lines, [&](const Statement& s, bool) {
      result += "<tr><td>" + math(writer->symbol(s.left)) + "</td><td>" + in_cell +
                math("<mo>=</mo>" + writer->expression(s.right)) +
                "</div></td><td class=\"mark\">" + (s.mark.empty() ? "" : "(" + s.mark + ")") +
                "</td><td class=\"range\">" + (s.layers ? range(*s.layers, depth, "…", "−") : "") +
                "</td></tr>\n";
    });
    result += "</table></div>\n";
    for (const auto& f : slopes(lines))
      result += wide + "where " +
                math(writer->expression(f->derivative_at_u) + "<mo>=</mo>" +
                     writer->expression(f->derivative_at_u.parts()[1])) +
                "</div>\n";
    if (!with_proofs) return result;
    for_each(lines, [&](const Statement& s, bool backward) {
      if (!backward) return;
      result += "<details><summary>The steps to " + math(writer->symbol(s.left)) + "</summary>\n";
      for_each_step(
          s, [&](const std::string& of, const Symbol&) { result += "<p>" + of + "</p>\n"; },
          [&](const DerivationStep& step, const std::optional<Symbol>& left) {
            const Writer& w = step.of_batch ? *batch_writer : *writer;
            result += step_of_proof + wide +
                      math((left ? writer->symbol(*left) : "") + "<mo>=</mo>" +
                           w.expression(step.result)) +
                      "</div><small>" + escaped(step.identity) + "</small></div>\n";
          });
      result += "</details>\n";
    });
    return result;
  };
  std::string result;
  if (example)
    result += "<h3>One example</h3>\n<p>" +
              heading_of_example(*this,
                                 "<math><mfrac><mn>1</mn><mi>m</mi></mfrac>"
                                 "<munder><mo>∑</mo><mi>x</mi></munder></math>") +
              layers(*this) + ".</p>\n" + reading(*example, true, proofs);
  result += "<h3>The batch</h3>\n<p>" + heading_of_batch(*this) + layers(*this) + ".</p>\n" +
            reading(batch, false, proofs && !example);
  if (!example) result += "<p>There is no reading for one example: " + escaped(refusal) + ".</p>\n";
  return result;
}

std::string Equations::html(bool proofs) const {
  // Colours are the browser's own, light or dark.
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
         "<title>The equations of a tape</title>\n<style>\n"
         ":root { color-scheme: light dark; }\n"
         "body { font-family: serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }\n"
         "td { padding: 0.2em 1em 0.2em 0; white-space: nowrap; }\n"
         "td:first-child { padding-right: 0.3em; text-align: right; }\n"
         // On a narrow page the marks stand below formulas that leave no room for them.
         "@media (max-width: 40em) {\n"
         "  table, tbody { display: block; --formula: 100%; }\n"
         "  tr { display: flex; flex-wrap: wrap; align-items: center; }\n"
         "  td { max-width: 100%; padding-top: 6px; padding-bottom: 6px; overflow-x: auto; "
         "overflow-y: hidden; }\n"
         "}\n"
         "details { margin: 0.6em 0; } summary { cursor: pointer; }\n"
         "</style></head><body>\n<h2>The equations of a tape</h2>\n" +
         html_fragment(proofs) + "</body></html>\n";
}

}  // namespace xg
