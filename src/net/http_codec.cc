#include "net/http_codec.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>

namespace spillway::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

std::string ToString(beast::string_view text) {
  return {text.data(), text.size()};
}

// The end of a chunked body, "0" and two line ends. With fewer bytes of it Beast 1.81 fails an
// assertion of its own, and no chunk needs to be looked at before so many have come.
constexpr std::size_t kLastChunkBytes = 5;

// The longest chunk header, extension or trailer block; more is refused.
constexpr std::size_t kFramingBytes = 4096;

}  // namespace

struct RequestParser::Beast {
  http::request_parser<http::string_body> parser;
};

RequestParser::RequestParser(std::int64_t header_bytes)
    : beast_(std::make_unique<Beast>()), header_bytes_(header_bytes) {
  beast_->parser.header_limit(static_cast<std::uint32_t>(header_bytes));
  beast_->parser.body_limit(boost::none);  // set when the route is known
}

RequestParser::~RequestParser() = default;

RequestParser::Outcome RequestParser::Refuse(int status, std::string message) {
  refusal_ = {status, {Code::kInvalid, std::move(message), {}}};
  return Outcome::kRefused;
}

RequestParser::Outcome RequestParser::Feed(std::string* buffer) {
  auto& parser = beast_->parser;
  const bool in_head = !parser.is_header_done();
  if (!in_head && body_limit_bytes_ < ContentLength().value_or(0))
    return Refuse(413, "the body has " + std::to_string(*ContentLength()) +
                           " bytes; this address takes " + std::to_string(body_limit_bytes_));
  if (!in_head && parser.chunked() && !parser.is_done() && buffer->size() < kLastChunkBytes)
    return Outcome::kNeedMore;
  beast::error_code error;
  std::size_t taken = 0;
  if (!parser.is_done()) taken = parser.put(boost::asio::buffer(*buffer), error);
  buffer->erase(0, taken);
  if (in_head) head_taken_bytes_ += static_cast<std::int64_t>(taken);
  const auto waiting = static_cast<std::int64_t>(buffer->size());
  const bool more = error == http::error::need_more;
  if (error == http::error::header_limit || (in_head && head_taken_bytes_ > header_bytes_) ||
      (in_head && more && head_taken_bytes_ + waiting > header_bytes_))
    return Refuse(431, "the header has more than " + std::to_string(header_bytes_) + " bytes");
  if (error == http::error::body_limit)
    return Refuse(413, "the body has more than " + std::to_string(body_limit_bytes_) + " bytes");
  if (error && !more) return Refuse(400, "not an HTTP/1.1 request: " + error.message());
  if (in_head) return parser.is_header_done() ? FinishHead() : Outcome::kNeedMore;
  if (parser.is_done()) {
    request_.body = std::move(parser.get().body());
    return Outcome::kComplete;
  }
  if (buffer->size() > kFramingBytes) return Refuse(400, "a chunk header or trailer is too long");
  return Outcome::kNeedMore;
}

RequestParser::Outcome RequestParser::FinishHead() {
  const auto& message = beast_->parser.get();
  request_.method = ToString(message.method_string());
  for (const auto& field : message)
    request_.headers.Add(ToString(field.name_string()), ToString(field.value()));
  const std::string target = ToString(message.target());
  if (!target.starts_with('/') || target.find('#') != std::string::npos)
    return Refuse(400, "the request target must be a path that starts with '/'");
  const std::size_t mark = std::min(target.find('?'), target.size());
  request_.path = target.substr(0, mark);
  if (const auto path = PercentDecode(request_.path); !path)
    return Refuse(400, path.error().message);
  auto query = ParseQuery(std::string_view(target).substr(std::min(mark + 1, target.size())));
  if (!query) return Refuse(400, query.error().message);
  request_.query = std::move(*query);
  // Two readers of one message must not disagree about these (RFC 9112, 3.2 and 11.2).
  const Headers& headers = request_.headers;
  if (headers.Count("Host") > 1 || (message.version() == 11 && headers.Count("Host") == 0))
    return Refuse(400, "exactly one Host header is required");
  if (headers.Count("Authorization") > 1)
    return Refuse(400, "the Authorization header is given twice");
  if (headers.Count("Transfer-Encoding") > 0 &&
      !beast::iequals(message[http::field::transfer_encoding], "chunked"))
    return Refuse(400, "the only transfer encoding taken is chunked");
  beast_->parser.eager(true);
  return Outcome::kHead;
}

void RequestParser::SetBodyLimit(std::int64_t body_bytes) {
  body_limit_bytes_ = body_bytes;
  beast_->parser.body_limit(static_cast<std::uint64_t>(body_bytes));
}

std::optional<std::int64_t> RequestParser::ContentLength() const {
  const auto& parser = beast_->parser;
  if (parser.chunked()) return std::nullopt;
  const auto length = parser.content_length();
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  return length ? static_cast<std::int64_t>(std::min<std::uint64_t>(*length, kMax)) : 0;
}

bool RequestParser::KeepAlive() const {
  return beast_->parser.keep_alive();
}

bool RequestParser::ExpectsContinue() const {
  return beast::iequals(beast_->parser.get()[http::field::expect], "100-continue");
}

bool HeadIsSafe(const Response& response) {
  return response.status >= 200 && response.status <= 599 && IsHeaderSafe(response.content_type) &&
         std::ranges::all_of(response.headers.all(), [](const auto& field) {
           return IsHeaderSafe(field.first) && IsHeaderSafe(field.second);
         });
}

std::string FormatHead(const Response& response, bool keep_alive) {
  http::response<http::empty_body> message;
  message.version(11);
  message.result(static_cast<unsigned>(response.status));
  message.keep_alive(keep_alive);
  if (response.status != 204) message.set(http::field::content_type, response.content_type);
  if (!response.stream && response.status != 204) message.content_length(response.body.size());
  message.set("X-Content-Type-Options", "nosniff");
  message.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : response.headers.all()) message.set(name, value);

  http::response_serializer<http::empty_body> serializer(message);
  serializer.split(true);
  std::string head;
  beast::error_code error;
  while (!serializer.is_header_done() && !error) {
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
      std::size_t size = 0;
      for (const auto part : beast::buffers_range_ref(buffers)) {
        head.append(static_cast<const char*>(part.data()), part.size());
        size += part.size();
      }
      serializer.consume(size);
    });
  }
  return head;
}

}  // namespace spillway::net
