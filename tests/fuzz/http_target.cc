// The HTTP server's parser: the same request however the bytes are cut, and no more taken than is
// allowed.
#include "net/http_codec.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

using net::RequestParser;

constexpr std::int64_t kHeaderBytes = 4096, kBodyBytes = 10'000;

struct Outcome {
  RequestParser::Outcome outcome = RequestParser::Outcome::kNeedMore;
  int status = 0;
  std::string method, path, body;
  std::size_t headers = 0, left = 0;

  bool operator==(const Outcome&) const = default;
};

// Feeds pieces of this size.
Outcome Parse(std::string_view input, std::size_t piece) {
  RequestParser parser(kHeaderBytes);
  std::string buffer;
  Outcome seen;
  while (true) {
    seen.outcome = parser.Feed(&buffer);
    if (seen.outcome == RequestParser::Outcome::kHead) {
      parser.SetBodyLimit(kBodyBytes);
      (void)parser.ContentLength();
      (void)parser.KeepAlive();
      (void)parser.ExpectsContinue();
      continue;
    }
    if (seen.outcome != RequestParser::Outcome::kNeedMore || input.empty()) break;
    buffer += input.substr(0, piece);
    input.remove_prefix(std::min(piece, input.size()));
  }
  seen.left = buffer.size() + input.size();
  if (seen.outcome == RequestParser::Outcome::kRefused) {
    seen.status = parser.refusal().status;
    seen.left = 0;  // what is left of a refused request does not matter
    return seen;
  }
  seen.method = parser.request().method;
  seen.path = parser.request().path;
  seen.body = parser.request().body;
  seen.headers = parser.request().headers.all().size();
  return seen;
}

}  // namespace

std::vector<std::string> Seeds() {
  return {
      "GET /api/v1/status?since=1h&x=%41 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /api/v1/objects HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Content-Length: 13\r\n\r\n{\"a\":[1,2,3]}GET / HTTP/1.1\r\n",
      "PUT /node/v1/results?pod=a/b&uid=1&size=3&chunk=0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\nExpect: 100-continue\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n",
      "DELETE /api/v1/x HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer "
      "0123456789abcdef\r\nRange: bytes=0-1,5-\r\n\r\n"};
}

void Try(std::string_view input) {
  const Outcome whole = Parse(input, std::max<std::size_t>(input.size(), 1));
  SPW_CHECK(whole.body.size() <= static_cast<std::size_t>(kBodyBytes));
  SPW_CHECK(whole.left <= input.size());
  // A longer chunk header or trailer is refused when it comes slowly.
  if (input.size() > 4096) return;
  for (const std::size_t piece : {1, 7}) {
    const Outcome pieces = Parse(input, piece);
    // A bad line may be refused at once, or when the head is complete; a request is one or none.
    if (whole.outcome == RequestParser::Outcome::kComplete ||
        pieces.outcome == RequestParser::Outcome::kComplete)
      SPW_CHECK(pieces == whole, "it depends on how the bytes are cut");
  }
}

}  // namespace spillway::fuzz
