#include "clouds/openstack/api_error.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr std::size_t kMaxMessage = 400;
constexpr std::size_t kLongestWord = 48;  // a request id has 40

// The first "message" of the object or of one of its members.
std::string_view FindMessage(const json::value& body) {
  if (const std::string_view text = StringOr(body, "message", ""); !text.empty()) return text;
  const json::object* object = body.if_object();
  if (object == nullptr) return {};
  for (const auto& member : *object)
    if (const std::string_view text = StringOr(member.value(), "message", ""); !text.empty())
      return text;
  return {};
}

bool Says(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) {
    return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
  };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

// A quota's limit is said in words only, differently by Nova and by what it asks.
bool SaysQuota(std::string_view text) {
  return Says(text, "quota") || Says(text, "maximum number of");
}

Code CodeOf(const Call& call, const Answer& answer, std::string_view message) {
  const int status = answer.status;
  switch (status) {
    case 400:
      return Code::kInvalid;
    case 401:
      return Code::kDenied;
    case 403:
      return call.effect() && SaysQuota(message) ? Code::kQuota : Code::kDenied;
    case 404:
      return Code::kNotFound;
    case 409:
      return call.effect() && SaysQuota(message) ? Code::kQuota : Code::kUnavailable;
    case 413:  // too many requests, or one that is too large
      return answer.headers.Get("Retry-After").empty() ? Code::kInvalid : Code::kThrottled;
    case 429:
      return Code::kThrottled;
    default:
      if (status >= 500) return call.effect() ? Code::kMaybeApplied : Code::kUnavailable;
      // A status nobody documented: nothing can be told from it.
      if (status < 400) return call.effect() ? Code::kMaybeApplied : Code::kUnavailable;
      return Code::kInvalid;
  }
}

}  // namespace

std::string MessageOf(std::string_view body) {
  std::string text;
  if (const Result<json::value> parsed = ParseJson(body)) text = FindMessage(*parsed);
  std::string kept;
  for (std::string_view rest = text; !rest.empty() && kept.size() <= kMaxMessage;) {
    const std::size_t end = std::min(rest.find_first_of(" \t\r\n"), rest.size());
    if (end > 0) {
      if (!kept.empty()) kept += ' ';
      kept += end > kLongestWord ? "***" : rest.substr(0, end);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return schema::Printable(kept, kMaxMessage);
}

Error ErrorOf(const Call& call, const Answer& answer) {
  const std::string said = MessageOf(answer.body);
  Error error;
  error.code = CodeOf(call, answer, said);
  error.message = fmt::format("{}: {} {}: HTTP {}", Name(call.service), call.method,
                              call.path.substr(0, call.path.find('?')), answer.status);
  if (!said.empty()) error.message += ": " + said;
  std::string_view id = answer.headers.Get("X-Openstack-Request-Id");
  if (!id.empty()) error.message += " (" + schema::Printable(id) + ")";
  error.retry_after = net::RetryAfter(answer.headers);
  return error;
}

Result<json::value> JsonOf(const Call& call, const Answer& answer) {
  if (!answer.ok()) return Fail(ErrorOf(call, answer));
  Result<json::value> body = ParseJson(answer.body);
  if (body && body->is_object()) return body;
  return Fail(call.effect() ? Code::kMaybeApplied : Code::kUnavailable,
              fmt::format("{}: {} {}: the answer is not a JSON object", Name(call.service),
                          call.method, call.path.substr(0, call.path.find('?'))));
}

Result<json::value> Standing(Result<json::value> body) {
  if (!body && body.error().code == Code::kNotFound) body.error().code = Code::kUnavailable;
  return body;
}

}  // namespace spillway::openstack
