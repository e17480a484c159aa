// Whatever could silently give a wrong gradient is an error that names the place of the call.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>
#include <thread>

#include "tests/support/tensors.hpp"

using namespace xg;
using namespace xg::test;

namespace {

std::string on_another_thread(const std::function<void()>& f) {
  std::string result;
  std::thread([&] { result = error_of(f); }).join();
  return result;
}

std::string here(unsigned line, SourceLocation place = SourceLocation::current()) {
  return detail::text("\n  at ", place.file_name(), ':', line);
}

// What a program that calls f writes to std::cerr before it is aborted.
std::string last_words(const std::function<void()>& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string result;
  char buffer[256];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    result.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? result : "not aborted: " + result;
}

}  // namespace

TEST_CASE("errors of gradient name the place of the call", "[silent]") {
  const Tensor x{1., 2.};
  const Parameter w(x);
  const Tape tape;
  const Tensor y = square(x) * w, loss = sum(y);
  unsigned line = 0;
  std::string error;
  // clang-format off
  error = error_of([&] { line = __LINE__; gradient(y, x); }); CHECK(error.ends_with(here(line)));
  error = error_of([&] { line = __LINE__; gradient(loss, {x, Tensor()}); }); CHECK(error.ends_with(here(line)));
  error = error_of([&] { line = __LINE__; gradient(loss, Tensor{3.}, {Unused::error}); }); CHECK(error.ends_with(here(line)));
  const ParameterRefs refs{{"w", w}};
  refs[0].assign(x);
  error = error_of([&] { line = __LINE__; gradient(loss, refs); }); CHECK(error.ends_with(here(line)));
  // clang-format on
}

TEST_CASE("a parameter that was assigned after it was recorded is refused", "[silent]") {
  Parameter w(Tensor{1., 2.});
  const Tape tape;
  const Tensor loss = sum(square(w));
  w = Parameter(Tensor{3., 4.});
  REQUIRE_ERROR(gradient(loss, w), TapeError, "was changed after this tape recorded it");
  REQUIRE_ERROR(square(w), TapeError, "was changed after this tape recorded it");
}

TEST_CASE("a tape is used on its own thread alone", "[silent]") {
  const Tensor x{1., 2.};
  Tape tape;
  const Tensor loss = sum(square(x));
  CHECK(on_another_thread([&] { gradient(loss, x); }).find("belongs to another thread") !=
        std::string::npos);
  CHECK(on_another_thread([&] {
          const Tape other;
          exp(loss);
        }).find("is not the one in use") != std::string::npos);
  CHECK(on_another_thread([&] { tape.clear(); }) ==
        "[Tape] clear was called on another thread than the one on which the tape was made");
  CHECK(on_another_thread([&] { sum(square(x)); }) == "no error");
  const Tensor h = exp(x);
  CHECK(on_another_thread([&] { 2 * square(h); })
            .starts_with("[square] input 0, of shape (2,), belongs to the tape of another thread, "
                         "which does not see what this one computes; compute it there, or take its "
                         "value as a constant: detach(x), or NoRecording here"));
  CHECK(on_another_thread([&] { square(detach(h)); }) == "no error");
  CHECK(on_another_thread([&] {
          const NoRecording scope;
          square(h);
        }) == "no error");
  std::string within;
  checkpoint(
      [&](const Tensor& v) {
        const Tensor made = exp(v);
        within = on_another_thread([&] { square(made); });
        return made;
      },
      h);
  CHECK(within.find("belongs to the tape of another thread") != std::string::npos);
  CHECK(tape.size() == 5);  // what another thread computes is not recorded
  CHECK(identical(gradient(loss, x), Tensor{2., 4.}));
}

TEST_CASE("what a tape that has ended recorded is a number to every thread", "[silent]") {
  Tensor h;
  {
    const Tape tape;
    h = square(Tensor{1., 2.});
  }
  CHECK(on_another_thread([&] { square(h); }) == "no error");
}

TEST_CASE("gradients of what the tape has never met are refused", "[silent]") {
  const Tensor x{1., 2.};
  const Parameter w(x), copy = w;
  const Tape tape;
  Tensor v = x;
  const Tensor loss = sum(v * w), other = sum(v);
  REQUIRE_ERROR(gradient(loss, copy), TapeError,
                "[gradient] the tape has met none of the tensors: a copy of a parameter or a "
                "module, and a tensor that was assigned since, is not what was recorded");
  v = detach(v) + 1;
  REQUIRE_ERROR(gradient(loss, detach(v)), TapeError, "has met none");
  CHECK(identical(gradient(loss, {w, copy})[1], zeros({2}, DType::float64)));
  CHECK(identical(gradient(other, w), zeros({2}, DType::float64)));
}

TEST_CASE("a tape that ends out of order ends the program", "[silent]") {
  const std::string expected =
      "[Tape] a tape ended on another thread than its own, or before one that was made after it on "
      "its thread; let each end with its scope\n";
  CHECK(last_words([] {
          std::optional<Tape> first(std::in_place), second(std::in_place);
          first.reset();
        }) == expected);
  CHECK(last_words([] {
          std::optional<Tape> tape(std::in_place);
          std::thread([&] { tape.reset(); }).join();
        }) == expected);
}

TEST_CASE("a gradient may be asked twice, but not of a tape that has forgotten", "[silent]") {
  const Tensor x{1., 2.};
  Tape tape;
  const Tensor loss = sum(exp(x) * x);
  const NoRecording scope;
  CHECK(identical(gradient(loss, x), gradient(loss, x)));
  tape.clear();
  REQUIRE_ERROR(gradient(loss, x), TapeError, "was cleared, has ended");
}

TEST_CASE("integers are refused wherever something is differentiated", "[silent]") {
  const Tensor x{1., 2.}, n{1, 2};
  const auto f = [](const Tensor& v) { return argmax(v); };
  const auto g = [](const Tensor& v) { return cast(v, DType::float64); };
  const auto total = [&](const Tensor& v) { return sum(g(v)); };
  REQUIRE_ERROR(vjp(f, x, Tensor(1)), DTypeError,
                "[vjp] what the function gave is int64 and has no derivative");
  REQUIRE_ERROR(jvp(f, x, x), DTypeError,
                "[jvp] what the function gave is int64 and has no derivative");
  REQUIRE_ERROR(jacobian(f, x), DTypeError,
                "[jacobian] what the function gave is int64 and has no derivative");
  REQUIRE_ERROR(gradient(f, x), DTypeError, "[gradient] the loss is int64 and has no derivative");
  REQUIRE_ERROR(vjp(g, n, x), DTypeError, "[vjp] tensor 0 is int64 and cannot be differentiated");
  REQUIRE_ERROR(jvp(g, n, n), DTypeError, "[jvp] tensor 0 is int64 and cannot be differentiated");
  REQUIRE_ERROR(jacobian(g, n), DTypeError, "[jacobian] tensor 0 is int64");
  REQUIRE_ERROR(gradient(total, n), DTypeError, "[gradient] tensor 0 is int64");
  REQUIRE_ERROR(hessian(total, n), DTypeError, "tensor 0 is int64");
  REQUIRE_ERROR(hvp(total, n, n), DTypeError, "[hvp] tensor 0 is int64");
  REQUIRE_ERROR(exp(n), DTypeError, "[exp] input 0 is int64; float32 or float64 is needed");
  REQUIRE_ERROR(matmul(Tensor::full({2, 2}, 1, DType::int64), x), DTypeError, "int64");
  const Tape tape;
  const Tensor y = argmax(x);
  Tensor result;
  REQUIRE_ERROR(pull_back(y, Tensor(1), Pointers({x}), {&result, 1}), DTypeError,
                "[vjp] the output is int64 and has no derivative");
}
