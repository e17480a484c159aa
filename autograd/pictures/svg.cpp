// A picture as SVG: the program `dot` run over it, and its colours for light and dark.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "autograd/graph.hpp"
#include "autograd/pictures/picture.hpp"

extern char** environ;

namespace xg {

namespace pictures {

using detail::text;

namespace {

[[noreturn]] void fail(const std::string& why) { throw ProgramError("[graph] " + why); }

/// A file without a name. With files in place of pipes neither side can wait for the other, and
/// nobody gets a signal.
class TemporaryFile {
 public:
  TemporaryFile() : file_(std::tmpfile(), &std::fclose) {
    if (!file_) fail(text("no temporary file can be made: ", std::strerror(errno)));
  }
  int descriptor() const { return fileno(file_.get()); }
  void write(const std::string& content) const {
    if (std::fwrite(content.data(), 1, content.size(), file_.get()) != content.size() ||
        std::fflush(file_.get()) != 0)
      fail(text("a temporary file cannot be written: ", std::strerror(errno)));
    std::rewind(file_.get());
  }
  std::string read() const {
    std::rewind(file_.get());
    std::string content;
    char part[4096];
    while (const std::size_t size = std::fread(part, 1, sizeof part, file_.get()))
      content.append(part, size);
    return content;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// What `dot -Tsvg` makes of the text.
std::string drawn(const std::string& dot) {
  const TemporaryFile input, output, messages;
  input.write(dot);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.descriptor(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, messages.descriptor(), STDERR_FILENO);
  char program[] = "dot", format[] = "-Tsvg";
  char* const arguments[] = {program, format, nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, program, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT)
    fail(
        "SVG is drawn by the program dot, which is not on the PATH; install Graphviz (on Debian: "
        "apt-get install graphviz), or take the text from dot() to where it is");
  if (error != 0) fail(text("the program dot cannot be started: ", std::strerror(error)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) break;  // this process ignores SIGCHLD: dot has ended, nobody knows how
  const std::string said = messages.read();
  if (WIFSIGNALED(status)) fail(text("dot was ended by signal ", WTERMSIG(status), ": ", said));
  if (WEXITSTATUS(status) != 0)
    fail(text("dot failed with status ", WEXITSTATUS(status), ": ", said));
  return output.read();
}

/// Each rule for this picture alone, whatever page it stands in.
std::string style() {
  std::string result =
      "<style>\n.xgrad-graph text { font-family: monospace; }\n"
      "@media (prefers-color-scheme: dark) {\n";
  for (const Colour& c : colours::all)
    for (const char* what : {"fill", "stroke"})
      result += text(".xgrad-graph [", what, "=\"", c.light, "\"] { ", what, ": ", c.dark, "; }\n");
  return result + "}\n</style>\n";
}

}  // namespace
}  // namespace pictures

std::string Graph::svg() const {
  const std::string drawn = pictures::drawn(dot_);
  // Without what stands before the element: the type of document, and who made it.
  const std::size_t begin = drawn.find("<svg "), end = drawn.find('>', begin);
  if (begin == std::string::npos || end == std::string::npos)
    pictures::fail("dot gave no SVG: " + drawn.substr(0, 200));
  return "<svg class=\"xgrad-graph\" " + drawn.substr(begin + 5, end + 1 - begin - 5) + '\n' +
         pictures::style() + drawn.substr(end + 1);
}

}  // namespace xg
