// Requests, responses and the mapping between Error and HTTP, shared by server and client.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace spillway::net {

class EventStream;

// Header fields in their order; names compare without case (RFC 9110, 5.1).
class Headers {
 public:
  void Add(std::string name, std::string value);
  // A line of a response's head as it came: a field is added, a status line begins anew (what came
  // before belonged to an interim response), anything else says nothing.
  void TakeLine(std::string_view line);
  // The first field of that name, or an empty view.
  std::string_view Get(std::string_view name) const;
  std::size_t Count(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// True if the text can stand in a header line: no control characters but tab, so that a value can
// never start a second line.
bool IsHeaderSafe(std::string_view text);

enum class PeerKind : std::uint8_t { kUnix, kTcp };

// A received request. `path` is what stood on the wire (still percent-encoded, never normalised);
// `query` and `params` are decoded.
struct Request {
  std::string method;
  std::string path;
  std::map<std::string, std::string, std::less<>> query;
  std::map<std::string, std::string, std::less<>> params;  // of the route's pattern
  Headers headers;                                         // without trailers
  std::string body;
  PeerKind peer = PeerKind::kUnix;
  std::int64_t peer_uid = -1;  // the connecting user on a Unix socket, -1 on TCP
  // Over TLS: the certificate (DER) that the client has shown and proven; empty: none.
  std::string certificate;
  // Of this request, in logs here and at the client: the header X-Request-Id, or one made up.
  std::string id;

  // A segment named in the route's pattern; asking for another name is a bug.
  const std::string& Param(std::string_view name) const;
  std::string_view Query(std::string_view name, std::string_view fallback = "") const;
  // The body as JSON; kInvalid with the place of the mistake.
  Result<json::value> Json() const;
};

// A body that is read while it is sent, so that a slow client costs a piece of it and no more. Used
// by one thread at a time, not always the same; goes away when it is sent or the connection ends.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual std::int64_t size_bytes() const = 0;
  struct Piece {
    std::size_t bytes = 0;  // 0: nothing yet, ask again after `wait`
    Duration wait{0};
  };
  // Fills the front of `out` from `offset` on, which goes forward without gaps. Must not block. An
  // error cuts the connection, so that the client notices.
  virtual Result<Piece> Read(std::int64_t offset, std::span<char> out) = 0;
};

// What a handler answers. With `source` set it is the body; with `stream` set, body is ignored and
// the function runs on a thread of its own until it returns (see EventStream).
struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<BodySource> source;
  Headers headers;
  std::function<void(EventStream&)> stream;

  static Response Json(const json::value& value, int status = 200);
  static Response Text(std::string body, std::string content_type = "text/plain; charset=utf-8");
  // {"error":{"code","message"}}, the status of the code, Retry-After where the error has it.
  static Response Failure(const Error& error);
  static Response Stream(std::function<void(EventStream&)> stream);
};

// The length of what follows the head of a response that is no stream.
std::int64_t BodyBytes(const Response& response);

// invalid 400, denied and quota 403, not-found 404, conflict and capacity 409, throttled 429,
// unavailable 503, maybe-applied 504, corrupt and internal 500.
int HttpStatus(Code code);

// The seconds of Retry-After (RFC 9110, 10.2.3), at most `most`; nullopt without one, and for a
// date, which none of the servers that are spoken to sends.
std::optional<Duration> RetryAfter(const Headers& headers, Duration most = 1h);

// The way back, for a client: the code in the body if there is one of ours, else by status.
Error ErrorFromResponse(int status, const Headers& headers, std::string_view body);

// RFC 3986 percent-encoding. Decoding is strict: a broken escape, a control character or text that
// is not UTF-8 is kInvalid; '+' stays '+'. Encoding leaves only unreserved characters as they are.
Result<std::string> PercentDecode(std::string_view text);
std::string PercentEncode(std::string_view text);

// "a=1&b=x%20y"; a name given twice is kInvalid, since nobody could say which one counts.
Result<std::map<std::string, std::string, std::less<>>> ParseQuery(std::string_view text);

}  // namespace spillway::net
