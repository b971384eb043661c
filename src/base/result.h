// Errors are values. A Result<T> is a T or an Error that gains context on its way up and is logged once, where
// it is handled.
//
//   Result<Config> load(const std::string& path) {
//     auto text = TRY(read_file(path), "load configuration {}", path);
//     return TRY(parse(text));
//   }
//
// In a coroutine the same is CO_TRY(co_await ...).
#pragma once

#include <fmt/core.h>

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace causeway {

// What kind of failure, for callers that act on it; the message is for people.
enum class Errc {
  Invalid,  // the input can never be right
  NotFound,
  AlreadyExists,
  Conflict,     // somebody else changed it first: read again, retry
  Gone,         // a resourceVersion or continue token that is too old: list again
  Denied,       // no permission
  Unavailable,  // the peer is away: retry later
  Timeout,
  Cancelled,    // the scope that awaited this ended
  Truncated,    // a parser met the end of its input
  Io,           // a system call failed
  Exhausted,    // no address, space or slot is left
  Unsupported,  // this kernel or peer lacks the feature
  Internal,     // a broken invariant of ours
};

std::string_view to_string(Errc code);

class Error {
 public:
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

  Errc code() const { return code_; }
  // "outermost context: ...: cause".
  const std::string& message() const { return message_; }

  // Puts "context: " in front.
  template <class... Args>
  Error with(fmt::format_string<Args...> format, Args&&... args) && {
    message_ = fmt::format(format, std::forward<Args>(args)...) + ": " + message_;
    return std::move(*this);
  }
  Error with() && { return std::move(*this); }

 private:
  Errc code_;
  std::string message_;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

// "<what>: strerror(errno)", with the Errc that fits errno (ENOENT NotFound, EEXIST AlreadyExists, EPERM Denied, ...).
[[nodiscard]] std::unexpected<Error> fail_errno(int error, std::string_view what);
Errc errc_of_errno(int error);

inline Status ok() { return {}; }

namespace detail {
template <class T>
T unwrap(Result<T>&& result) {
  return std::move(*result);
}
inline void unwrap(Status&&) {}
}  // namespace detail

}  // namespace causeway

// The value of a Result, or return its error from this function, with context when a format is given.
#define TRY(expr, ...)                                                          \
  ({                                                                            \
    auto try_result_ = (expr);                                                  \
    if (!try_result_) [[unlikely]]                                              \
      return std::unexpected(std::move(try_result_.error()).with(__VA_ARGS__)); \
    ::causeway::detail::unwrap(std::move(try_result_));                         \
  })
#define CO_TRY(expr, ...)                                                          \
  ({                                                                               \
    auto try_result_ = (expr);                                                     \
    if (!try_result_) [[unlikely]]                                                 \
      co_return std::unexpected(std::move(try_result_.error()).with(__VA_ARGS__)); \
    ::causeway::detail::unwrap(std::move(try_result_));                            \
  })
