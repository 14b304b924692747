#include "net/http_message.h"

#include <gtest/gtest.h>

#include "base/time.h"
#include "net/http_codec.h"

namespace spillway::net {
namespace {

TEST(Percent, DecodingIsStrict) {
  EXPECT_EQ(*PercentDecode("a%20b%2Fc+%c3%a9"), "a b/c+\xC3\xA9");
  EXPECT_EQ(*PercentDecode("%41"), "A");
  for (const char* bad : {"%", "%4", "%zz", "a%2", "%00", "%0a", "%7F", "%ff", "%c3", "%c0%80",
                          "%ed%a0%80", "%f4%90%80%80", "%e0%80%80"})
    EXPECT_FALSE(PercentDecode(bad)) << bad;
}

TEST(Percent, EncodingDecodesBack) {
  const std::string text = "a/b c?d=e&f%g+\xE2\x82\xAC~._-";
  EXPECT_EQ(PercentEncode("a/b c"), "a%2Fb%20c");
  EXPECT_EQ(*PercentDecode(PercentEncode(text)), text);
}

TEST(Query, RefusesWhatIsAmbiguous) {
  const auto query = ParseQuery("a=1&b=x%20y&flag&c==&");
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(query->at("a"), "1");
  EXPECT_EQ(query->at("b"), "x y");
  EXPECT_EQ(query->at("flag"), "");
  EXPECT_EQ(query->at("c"), "=");
  EXPECT_FALSE(ParseQuery("a=1&a=2"));
  EXPECT_FALSE(ParseQuery("a=%"));
  EXPECT_TRUE(ParseQuery("")->empty());
}

TEST(Headers, CompareWithoutCase) {
  Headers headers;
  headers.Add("X-One", "1");
  headers.Add("x-one", "2");
  EXPECT_EQ(headers.Get("x-ONE"), "1");
  EXPECT_EQ(headers.Count("X-one"), 2u);
  EXPECT_EQ(headers.Get("X-On"), "");
  EXPECT_FALSE(IsHeaderSafe("a\r\nSet-Cookie: x"));
}

TEST(Errors, EveryCodeSurvivesTheWire) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    const Error sent{static_cast<Code>(i), "what and \"why\"", 1500ms};
    const Response response = Response::Failure(sent);
    EXPECT_GE(response.status, 400);
    const Error got = ErrorFromResponse(response.status, response.headers, response.body);
    EXPECT_EQ(got.code, sent.code) << response.status;
    EXPECT_EQ(got.message, sent.message);
    EXPECT_EQ(got.retry_after, 2s);  // whole seconds, rounded up
  }
}

TEST(Errors, ForeignBodiesFallBackToTheStatus) {
  EXPECT_EQ(ErrorFromResponse(401, {}, "<html>").code, Code::kDenied);
  EXPECT_EQ(ErrorFromResponse(431, {}, "").code, Code::kInvalid);
  EXPECT_EQ(ErrorFromResponse(503, {}, "{\"error\":\"x\"}").code, Code::kUnavailable);
  EXPECT_EQ(ErrorFromResponse(502, {}, "").code, Code::kInternal);
}

// Feeds the text in pieces of `size` bytes and says how it ended.
RequestParser::Outcome FeedAll(RequestParser* parser, const std::string& text, std::size_t size,
                               std::int64_t body_limit = 100) {
  std::string buffer;
  auto outcome = RequestParser::Outcome::kNeedMore;
  for (std::size_t at = 0; at < text.size(); at += size) {
    buffer += text.substr(at, size);
    while ((outcome = parser->Feed(&buffer)) == RequestParser::Outcome::kHead)
      parser->SetBodyLimit(body_limit);
    if (outcome != RequestParser::Outcome::kNeedMore) return outcome;
  }
  return outcome;
}

TEST(Errors, RetryAfterIsSecondsUpToALimit) {
  const auto of = [](std::string text, Duration most) {
    Headers headers;
    headers.Add("retry-after", std::move(text));
    return RetryAfter(headers, most);
  };
  EXPECT_EQ(of("7", 1h), 7s);
  EXPECT_EQ(of("0", 1h), 0s);
  EXPECT_EQ(of("86400", 1h), 1h);
  EXPECT_EQ(of("86401", 24h), 24h);
  EXPECT_EQ(of("9223372036854775807", 24h), 24h);
  EXPECT_GT(of("9223372036854775807", Duration::max()), 24h);
  for (const char* text : {"", "-1", "7 ", "9223372036854775808", "Wed, 21 Oct 2026 07:28:00 GMT"})
    EXPECT_EQ(of(text, 1h), std::nullopt) << text;
  EXPECT_EQ(RetryAfter({}), std::nullopt);
}

TEST(RequestParser, TakesPiecesOfAnySize) {
  const std::string text =
      "POST /a/%2e%2e/b?x=1%262 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    RequestParser parser(1024);
    ASSERT_EQ(FeedAll(&parser, text, size), RequestParser::Outcome::kComplete)
        << size << " " << parser.refusal().error.message;
    EXPECT_EQ(parser.request().body, "hello world");
    EXPECT_EQ(parser.request().path, "/a/%2e%2e/b");
    EXPECT_EQ(parser.request().query.at("x"), "1&2");
    EXPECT_EQ(parser.request().headers.Count("X-Trailer"), 0u);
  }
}

TEST(RequestParser, RefusesWhatTwoReadersCouldReadDifferently) {
  const std::string host = "Host: h\r\n";
  for (const std::string& text : std::vector<std::string>{
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\n" + host + host + "\r\n",
           "GET http://h/ HTTP/1.1\r\n" + host + "\r\n",
           "GET /#a HTTP/1.1\r\n" + host + "\r\n",
           "GET /%zz HTTP/1.1\r\n" + host + "\r\n",
           "GET /?a=1&a=1 HTTP/1.1\r\n" + host + "\r\n",
           "GET / HTTP/2.0\r\n" + host + "\r\n",
           "GET / HTTP/1.1\r\n" + host + "Authorization: a\r\nAuthorization: b\r\n\r\n",
           "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
           "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\nx",
           "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
           "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n",
           "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "\x16\x03\x01 this is TLS\r\n\r\n",
       }) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, text.size()}) {
      RequestParser parser(1024);
      EXPECT_EQ(FeedAll(&parser, text, size), RequestParser::Outcome::kRefused) << text;
      EXPECT_EQ(parser.refusal().status, 400) << text;
    }
  }
}

TEST(RequestParser, LimitsHoldForPiecesOfAnySize) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  struct Case {
    std::string text;
    int status;
  };
  std::string many;
  for (int i = 0; i < 40; ++i) many += "X-" + std::to_string(i) + ": 0123456789\r\n";
  const std::string chunked = start + "Transfer-Encoding: chunked\r\n\r\n";
  for (const Case& c :
       {Case{start + "X: " + std::string(600, 'a') + "\r\n\r\n", 431},
        Case{start + many + "\r\n", 431}, Case{"GET /" + std::string(600, 'a'), 431},
        Case{start + "Content-Length: 101\r\n\r\n" + std::string(101, 'b'), 413},
        Case{start + "Content-Length: 99999999999999999999\r\n\r\nx", 400},
        Case{chunked + "40\r\n" + std::string(64, 'b') + "\r\n40\r\n", 413},
        Case{chunked + "1;" + std::string(9000, 'e'), 400}}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{50}, c.text.size()}) {
      RequestParser parser(512);
      EXPECT_EQ(FeedAll(&parser, c.text, size), RequestParser::Outcome::kRefused)
          << size << " " << c.text.substr(0, 80);
      EXPECT_EQ(parser.refusal().status, c.status) << size << " " << c.text.substr(0, 80);
    }
  }
}

// The end of an empty chunked body, cut anywhere.
TEST(RequestParser, AnEmptyChunkedBodyMayComeInAnyPieces) {
  const std::string head = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body : {std::string("0\r\n\r\n"), std::string("0\r\nT: t\r\n\r\n"),
                                  std::string("1\r\nx\r\n0\r\n\r\n")})
    for (std::size_t cut = 0; cut < body.size(); ++cut) {
      RequestParser parser(512);
      std::string buffer = head;
      ASSERT_EQ(parser.Feed(&buffer), RequestParser::Outcome::kHead);
      parser.SetBodyLimit(10);
      buffer += body.substr(0, cut);
      EXPECT_EQ(parser.Feed(&buffer), RequestParser::Outcome::kNeedMore) << body << " " << cut;
      for (std::size_t at = cut; at < body.size(); ++at) {
        buffer += body[at];
        const auto outcome = parser.Feed(&buffer);
        EXPECT_EQ(outcome, at + 1 < body.size() ? RequestParser::Outcome::kNeedMore
                                                : RequestParser::Outcome::kComplete)
            << body << " " << cut << " " << at;
      }
      EXPECT_EQ(parser.request().body, body[0] == '1' ? "x" : "");
    }
}

TEST(FormatHead, IsExact) {
  Response response = Response::Text("hello");
  response.headers.Add("X-Spillway", "1");
  EXPECT_EQ(FormatHead(response, true),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
            "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nX-Spillway: 1\r\n\r\n");
  response.status = 204;
  EXPECT_EQ(FormatHead(response, false).find("Content-Length"), std::string::npos);
  EXPECT_NE(FormatHead(response, false).find("Connection: close\r\n"), std::string::npos);
  response.headers.Add("X-Bad", "a\nb");
  EXPECT_FALSE(HeadIsSafe(response));
}

}  // namespace
}  // namespace spillway::net
