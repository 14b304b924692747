#include "net/http_message.h"

#include <algorithm>

#include "base/number.h"

namespace spillway::net {
namespace {

constexpr char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool EqualNoCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The length of the well-formed UTF-8 sequence at the start of `s` (Unicode 15, table 3-7), or 0.
std::size_t Utf8Length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto tail = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      if (i >= s.size() || (byte(i) & 0xC0) != 0x80) return false;
    return true;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1, 2) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(1, 3)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(1, 4)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

Status CheckDecoded(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F)
      return Fail(Code::kInvalid, "the address contains a control character");
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0) return Fail(Code::kInvalid, "the address is not UTF-8");
    i += length;
  }
  return Ok();
}

std::optional<Code> ParseCode(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i)
    if (const auto code = static_cast<Code>(i); CodeName(code) == name) return code;
  return std::nullopt;
}

Code CodeForStatus(int status) {
  switch (status) {
    case 401:
    case 403:
      return Code::kDenied;
    case 404:
      return Code::kNotFound;
    case 409:
      return Code::kConflict;
    case 429:
      return Code::kThrottled;
    case 408:
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kMaybeApplied;
    default:
      return status >= 400 && status < 500 ? Code::kInvalid : Code::kInternal;
  }
}

}  // namespace

void Headers::Add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::TakeLine(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) return fields_.clear();
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  Add(std::string(line.substr(0, colon)), std::string(value));
}

std::string_view Headers::Get(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (EqualNoCase(key, name)) return value;
  return {};
}

std::size_t Headers::Count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [&](const auto& field) { return EqualNoCase(field.first, name); }));
}

bool IsHeaderSafe(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7F) || byte == '\t';
  });
}

const std::string& Request::Param(std::string_view name) const {
  const auto it = params.find(name);
  SPW_CHECK(it != params.end(), name);
  return it->second;
}

std::string_view Request::Query(std::string_view name, std::string_view fallback) const {
  const auto it = query.find(name);
  return it == query.end() ? fallback : std::string_view(it->second);
}

Result<json::value> Request::Json() const {
  auto value = ParseJson(body);
  if (!value) return Fail(value.error().In("request body"));
  return value;
}

std::int64_t BodyBytes(const Response& response) {
  return response.source ? response.source->size_bytes() : std::ssize(response.body);
}

Response Response::Json(const json::value& value, int status) {
  Response response;
  response.status = status;
  response.body = json::serialize(value) + "\n";
  return response;
}

Response Response::Text(std::string body, std::string content_type) {
  Response response;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  return response;
}

Response Response::Failure(const Error& error) {
  Response response =
      Json({{"error", {{"code", CodeName(error.code)}, {"message", error.message}}}},
           HttpStatus(error.code));
  if (error.retry_after) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*error.retry_after).count();
    response.headers.Add("Retry-After", std::to_string(std::max<std::int64_t>(1, seconds)));
  }
  return response;
}

Response Response::Stream(std::function<void(EventStream&)> stream) {
  Response response;
  response.content_type = "text/event-stream";
  response.stream = std::move(stream);
  return response;
}

int HttpStatus(Code code) {
  switch (code) {
    case Code::kInvalid:
      return 400;
    case Code::kDenied:
    case Code::kQuota:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kConflict:
    case Code::kCapacity:
      return 409;
    case Code::kThrottled:
      return 429;
    case Code::kUnavailable:
      return 503;
    case Code::kMaybeApplied:
      return 504;
    case Code::kCorrupt:
    case Code::kInternal:
      return 500;
  }
  return 500;
}

std::optional<Duration> RetryAfter(const Headers& headers, Duration most) {
  const auto seconds = ParseCount(headers.Get("Retry-After"));
  if (!seconds) return std::nullopt;
  const auto limit = std::chrono::duration_cast<std::chrono::seconds>(most);
  return std::min(std::chrono::seconds(*seconds), limit);
}

Error ErrorFromResponse(int status, const Headers& headers, std::string_view body) {
  Error error{CodeForStatus(status), "the server answered HTTP " + std::to_string(status), {}};
  if (const auto value = ParseJson(body)) {
    if (const json::value* member = Find(*value, "error")) {
      error.code = ParseCode(StringOr(*member, "code", "")).value_or(error.code);
      error.message = StringOr(*member, "message", error.message);
    }
  }
  error.retry_after = RetryAfter(headers, Duration::max());
  return error;
}

Result<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return Fail(Code::kInvalid, "the address has a broken percent escape; write '%' as '%25'");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  SPW_TRY(CheckDecoded(out));
  return out;
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Result<std::map<std::string, std::string, std::less<>>> ParseQuery(std::string_view text) {
  std::map<std::string, std::string, std::less<>> query;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    SPW_ASSIGN(std::string name, PercentDecode(pair.substr(0, equals)));
    SPW_ASSIGN(std::string value, PercentDecode(pair.substr(std::min(equals + 1, pair.size()))));
    if (!query.emplace(name, std::move(value)).second)
      return Fail(Code::kInvalid, "query parameter '" + name + "' is given twice");
  }
  return query;
}

}  // namespace spillway::net
