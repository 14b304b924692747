#include "net/sse.h"

#include <gtest/gtest.h>

namespace spillway::net {
namespace {

std::string Show(const std::vector<SseEvent>& events) {
  std::string out;
  for (const SseEvent& e : events) out += "[" + e.event + "|" + e.data + "|" + e.id + "]";
  return out;
}

// The text parsed in pieces of every size must give the same events.
std::string ParseInPieces(const std::string& text) {
  std::string whole;
  for (std::size_t size = text.size(); size >= 1; --size) {
    SseParser parser;
    std::vector<SseEvent> events;
    for (std::size_t at = 0; at < text.size(); at += size) {
      const auto more = parser.Feed(std::string_view(text).substr(at, size));
      EXPECT_TRUE(more);
      events.insert(events.end(), more->begin(), more->end());
    }
    if (size == text.size()) whole = Show(events);
    EXPECT_EQ(Show(events), whole) << "in pieces of " << size;
  }
  return whole;
}

TEST(SseParser, FollowsTheStandard) {
  EXPECT_EQ(ParseInPieces("data: a\n\n"), "[message|a|]");
  EXPECT_EQ(ParseInPieces("data: a\r\ndata: b\r\n\r\ndata:c\r\rdata\n\n"),
            "[message|a\nb|][message|c|][message||]");
  EXPECT_EQ(ParseInPieces("\xEF\xBB\xBF"
                          "event: x\nid: 7\ndata:  two\n\ndata: y\n\nid\ndata: z\n\n"),
            "[x| two|7][message|y|7][message|z|]");
  EXPECT_EQ(ParseInPieces(":\n\n: heartbeat\n\nevent: lost\n\nretry: 5\nother: 1\ndata: d\n\n"),
            "[message|d|]");
  EXPECT_EQ(ParseInPieces("data: never finished\n"), "");
}

TEST(SseParser, RoundTripsWhatTheServerFormats) {
  EXPECT_EQ(FormatSseEvent("change", "x", "12"), "id: 12\nevent: change\ndata: x\n\n");
  EXPECT_EQ(ParseInPieces(FormatSseEvent("a\nb", "one\r\ntwo\n\nthree\r", "1\n2")),
            "[ab|one\ntwo\n\nthree\n|12]");
  EXPECT_EQ(ParseInPieces(FormatSseEvent("", "", "")), "[message||]");
  EXPECT_EQ(ParseInPieces(FormatSseEvent("e", " data: x", "")), "[e| data: x|]");
}

TEST(SseParser, AnEventCannotGrowForEver) {
  SseParser parser(100);
  Status status = Ok();
  int lines = 0;
  for (; status && lines < 1000; ++lines)
    if (const auto events = parser.Feed("data: 0123456789\n"); !events)
      status = Fail(events.error());
  EXPECT_FALSE(status);
  EXPECT_LT(lines, 12);
  SseParser endless(100);
  EXPECT_FALSE(endless.Feed(std::string(101, 'x')));
}

}  // namespace
}  // namespace spillway::net
