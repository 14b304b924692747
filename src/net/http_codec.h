// Bytes to requests and responses to bytes, for http_server.cc; no sockets and no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/http_message.h"

namespace spillway::net {

// A request that is refused before a handler sees it. The status says more than the code does
// (431, 413, 408, 401).
struct Refusal {
  int status = 400;
  Error error;
};

// Reads one request. Fed with bytes of any size, it stops once at the end of the head, where the
// owner decides who may send how large a body, and once at the end of the request.
class RequestParser {
 public:
  enum class Outcome { kNeedMore, kHead, kComplete, kRefused };

  explicit RequestParser(std::int64_t header_bytes);
  ~RequestParser();

  // Takes what it can from the front of *buffer. After kHead call SetBodyLimit() and feed again;
  // after kComplete and kRefused no more.
  Outcome Feed(std::string* buffer);

  // Refuses (kRefused, 413 from the next Feed on) bodies that are longer.
  void SetBodyLimit(std::int64_t body_bytes);

  // After kHead: method, path, query and headers; the body after kComplete.
  Request& request() { return request_; }
  const Refusal& refusal() const { return refusal_; }
  // After kHead: the announced length in bytes, or nullopt for a chunked body.
  std::optional<std::int64_t> ContentLength() const;
  bool KeepAlive() const;
  // The client waits for "100 Continue" before it sends the body.
  bool ExpectsContinue() const;

 private:
  struct Beast;

  Outcome Refuse(int status, std::string message);
  Outcome FinishHead();

  std::unique_ptr<Beast> beast_;
  std::int64_t header_bytes_;
  std::int64_t head_taken_bytes_ = 0;
  std::int64_t body_limit_bytes_ = 0;
  Request request_;
  Refusal refusal_;
};

// Status line and header block of `response`, with the empty line. Event streams and responses
// without keep-alive end with the connection. A header that could smuggle a second line is a bug
// of a handler: the caller checks with HeadIsSafe().
std::string FormatHead(const Response& response, bool keep_alive);
bool HeadIsSafe(const Response& response);

}  // namespace spillway::net
