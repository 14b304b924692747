// Expected failures. A function that can fail for a reason its caller must handle returns
// Result<T>; a broken invariant stops the process (SPW_CHECK). Exceptions of third-party
// libraries are caught where the library is called.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace spillway {

// A code exists only if a caller acts differently on it.
enum class Code : std::uint8_t {
  kInvalid,       // the request itself is wrong; repeating it cannot help
  kNotFound,      // the thing does not exist (for a delete: it is gone)
  kConflict,      // it exists already, or it changed since it was read: read again
  kCapacity,      // the provider has no machine of this kind now: park the offer, try the next
  kQuota,         // an account or budget limit is reached: a person must act
  kDenied,        // credentials wrong, expired or not sufficient
  kThrottled,     // too many requests; see retry_after
  kUnavailable,   // certainly had no effect, may work later
  kMaybeApplied,  // the effect may or may not have happened: look before doing it again
  kCorrupt,       // integrity check failed: never use this data
  kInternal,      // a bug or a broken environment on our side
};

// Stable lower-case name, for example "maybe-applied"; used in JSON and logs.
std::string_view CodeName(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;  // for a person: what, where, and what would be right
  std::optional<std::chrono::milliseconds> retry_after;

  // The same error with "context: " put before the message.
  Error In(std::string_view context) const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> Fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::nullopt});
}
inline tl::unexpected<Error> Fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
inline Status Ok() {
  return {};
}

// Prints the message with its place and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message);

}  // namespace spillway

// An invariant of our own code; stays on in release builds.
#define SPW_CHECK(condition, ...)                                                             \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::spillway::CheckFailed(__FILE__, __LINE__, #condition, std::string_view{__VA_ARGS__}); \
  } while (false)

#define SPW_CONCAT_(a, b) a##b
#define SPW_CONCAT(a, b) SPW_CONCAT_(a, b)

// Returns the error of a Status or Result expression to the caller.
#define SPW_TRY(expression)                                                  \
  do {                                                                       \
    auto&& spw_status = (expression);                                        \
    if (!spw_status) return ::tl::unexpected(std::move(spw_status).error()); \
  } while (false)

// SPW_ASSIGN(auto x, F()): x is the value of F(), or the error is returned to the caller.
#define SPW_ASSIGN(declaration, expression) \
  SPW_ASSIGN_(SPW_CONCAT(spw_result_, __LINE__), declaration, expression)
#define SPW_ASSIGN_(temporary, declaration, expression)                  \
  auto temporary = (expression);                                         \
  if (!temporary) return ::tl::unexpected(std::move(temporary).error()); \
  declaration = std::move(*temporary)
