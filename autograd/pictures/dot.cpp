// A picture in the language of Graphviz. Labels are of its HTML kind, so that their lines can
// differ, and nothing in a name can end them.
#include <algorithm>
#include <cctype>

#include "autograd/error.hpp"
#include "autograd/pictures/picture.hpp"

namespace xg::pictures {

using detail::text;

namespace {

/// Length in bytes of the character of valid UTF-8 at `i`, or 0 (RFC 3629, section 4).
std::size_t character(std::string_view s, std::size_t i) {
  const auto byte = [&](std::size_t k) {
    return k < s.size() ? static_cast<unsigned char>(s[k]) : 0u;
  };
  const unsigned first = byte(i), second = byte(i + 1);
  const std::size_t length = first < 0x80                     ? 1
                             : first >= 0xc2 && first <= 0xdf ? 2
                             : first >= 0xe0 && first <= 0xef ? 3
                             : first >= 0xf0 && first <= 0xf4 ? 4
                                                              : 0;
  for (std::size_t k = 1; k < length; ++k)
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool no_character = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f) ||
                            (first == 0xef && second == 0xbf && byte(i + 2) > 0xbd);
  return overlong || no_character ? 0 : length;
}

/// For HTML-like labels. What XML has no place for becomes U+FFFD.
std::string escaped(std::string_view s) {
  std::string result;
  for (std::size_t i = 0; i < s.size();) {
    const std::size_t length = character(s, i);
    const char c = s[i];
    if (length == 0 || (static_cast<unsigned char>(c) < 0x20 && !std::isspace(c)) || c == 0x7f)
      result += "\ufffd";
    else if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else if (length == 1 && std::isspace(static_cast<unsigned char>(c)))
      result += ' ';
    else
      result += s.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

/// At most five lines of about `columns` characters, broken at spaces; "…" if there is more.
std::vector<std::string> wrapped(std::string_view line, std::size_t columns) {
  std::vector<std::string> result{""};
  std::size_t width = 0;
  while (!line.empty()) {
    const std::size_t at = line.find(' ', 1);
    const std::string_view word = line.substr(0, at);
    const auto size = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), [](char c) {
      return (static_cast<unsigned>(c) & 0xc0) != 0x80;
    }));
    if (width > 0 && width + size > columns) {
      if (result.size() == 5) {
        result.back() += " …";
        break;
      }
      result.emplace_back("   ");
      width = 3;
    }
    result.back() += word;
    width += size;
    line.remove_prefix(word.size());
  }
  return result;
}

std::string font(const Colour& colour, const std::string& inside) {
  return text("<FONT COLOR=\"", colour.light, "\">", inside, "</FONT>");
}

std::string row(const std::string& inside) {
  return "<TR><TD ALIGN=\"LEFT\">" + inside + "</TD></TR>";
}

std::string table(const std::string& rows, int padding) {
  return text("<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"", padding,
              "\">", rows, "</TABLE>>");
}

std::string node(const Picture::Node& n) {
  static constexpr const char* names[] = {"input", "parameter", "operation", "loss"};
  const Colour fills[] = {colours::input, colours::parameter, colours::operation, colours::loss};
  const auto kind = static_cast<std::size_t>(n.kind);
  std::string rows = row("<B>" + escaped(n.title) + "</B>");
  for (const std::string& line : n.forward)
    for (const std::string& part : wrapped(line, 48)) rows += row(escaped(part));
  for (const std::string& line : n.backward) rows += row(font(colours::backward, escaped(line)));
  return text("v", n.number, " [class=\"", names[kind], "\" fillcolor=\"", fills[kind].light,
              "\" label=", table(rows, 1), "]\n");
}

std::string edge(const Picture::Edge& e) {
  std::string rows;
  if (!e.which.empty()) rows += row(font(colours::faint, escaped(e.which)));
  if (!e.term.empty())
    for (const std::string& part : wrapped(e.term, 32))
      rows += row(font(colours::backward, escaped(part)));
  std::string attributes;
  if (e.backward)  // drawn from its end, so that both directions agree on what stands above
    attributes =
        text(" class=\"backward\" dir=back style=dashed color=\"", colours::backward.light, '"');
  if (e.turns) attributes += " constraint=false";
  if (!rows.empty()) attributes += " label=" + table(rows, 3);
  return text("v", e.from, " -> v", e.to,
              attributes.empty() ? "" : " [" + attributes.substr(1) + "]", '\n');
}

}  // namespace

std::string to_dot(const Picture& picture) {
  // Courier has metrics of its own in every Graphviz, and all fonts of fixed width are alike.
  const std::string typeface = "fontname=\"Courier,monospace\"";
  std::string result =
      text("digraph xgrad {\n  graph [bgcolor=\"", colours::ground.light, "\" ", typeface,
           " fontsize=11 fontcolor=\"", colours::faint.light, "\" nodesep=0.4 ranksep=0.4");
  if (picture.backward)
    result += " label=" + table(row("solid: values, forward") +
                                    row(font(colours::backward,
                                             "dashed: what each operation adds to the adjoint of "
                                             "its input, backward")),
                                1);
  result += text("]\n  node [shape=box style=\"rounded,filled\" margin=\"0.11,0.05\" color=\"",
                 colours::line.light, "\" ", typeface, " fontsize=12 fontcolor=\"",
                 colours::text.light, "\"]\n  edge [color=\"", colours::line.light, "\" ", typeface,
                 " fontsize=11 fontcolor=\"", colours::text.light, "\" arrowsize=0.7]\n");
  const auto nodes_of = [&](std::size_t block, const char* indent) {
    for (const Picture::Node& n : picture.nodes)
      if (n.block == block) result += indent + node(n);
  };
  nodes_of(no_block, "  ");
  for (std::size_t b = 0; b < picture.blocks.size(); ++b) {
    result += text("  subgraph cluster_", b, " {\n    class=\"block\" style=\"rounded,filled\"",
                   " fillcolor=\"", colours::block.light, "\" color=\"", colours::line.light,
                   "\" label=<", escaped(picture.blocks[b]), "> labeljust=l\n");
    nodes_of(b, "    ");
    result += "  }\n";
  }
  for (const Picture::Edge& e : picture.edges) result += "  " + edge(e);
  return result + "}\n";
}

}  // namespace xg::pictures
