#include "kube/api_error.h"

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "schema/problem.h"

namespace spillway::kube {
namespace {

constexpr std::size_t kMessageBytes = 1000;
constexpr std::chrono::seconds kMostWait = 24h;

Code CodeOf(int status, bool write, bool asks_to_wait, std::string_view message) {
  switch (status) {
    case 401:
      return Code::kDenied;
    case 403:
      // A ResourceQuota is enforced by admission, whose only word is Forbidden.
      return message.find("exceeded quota") != std::string_view::npos ? Code::kQuota
                                                                      : Code::kDenied;
    case 404:
      return Code::kNotFound;
    case 409:
    case 410:
      return Code::kConflict;
    case 429:
      return Code::kThrottled;
    case 503:
      return write && !asks_to_wait ? Code::kMaybeApplied : Code::kUnavailable;
    default:
      break;
  }
  if (status >= 500) return write ? Code::kMaybeApplied : Code::kUnavailable;
  return status >= 400 ? Code::kInvalid : Code::kInternal;
}

std::optional<Duration> DetailsRetryAfter(const json::value& status) {
  const json::object* details = FindObject(status, "details");
  const std::int64_t seconds = details == nullptr ? 0 : IntOr(*details, "retryAfterSeconds", 0);
  if (seconds <= 0) return std::nullopt;
  return std::min(std::chrono::seconds(seconds), kMostWait);
}

}  // namespace

Error ErrorOf(std::string_view what, bool write, int status, const net::Headers& headers,
              std::string_view body) {
  std::optional<Duration> wait = net::RetryAfter(headers, kMostWait);
  std::string message, reason;
  if (const auto value = ParseJson(body); value && StringOr(*value, "kind", "") == "Status") {
    message = StringOr(*value, "message", "");
    reason = StringOr(*value, "reason", "");
    if (!wait) wait = DetailsRetryAfter(*value);
  }
  if (message.empty()) message = body.substr(0, 200);  // a proxy's page, or plain text
  Error error;
  error.code = CodeOf(status, write, wait.has_value(), message);
  error.message = std::string(what) + ": " + std::to_string(status) +
                  (reason.empty() ? "" : " " + schema::Printable(reason)) + ": " +
                  schema::Printable(message, kMessageBytes);
  error.retry_after = wait;
  return error;
}

Error ErrorOfStatus(std::string_view what, const json::value& status) {
  return ErrorOf(what, false, static_cast<int>(IntOr(status, "code", 500)), {},
                 json::serialize(status));
}

}  // namespace spillway::kube
