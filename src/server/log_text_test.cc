#include "server/log_text.h"

#include <gtest/gtest.h>

namespace spillway::server {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

TEST(LogText, LeavesUtf8AsItIs) {
  const LogText out = ToLogText("loss 2 €\n", true);
  EXPECT_EQ(out.text, "loss 2 €\n");
  EXPECT_EQ(out.taken_bytes, 11u);
}

TEST(LogText, LeavesACutCharacterForTheNextPiece) {
  const LogText first = ToLogText("a\xE2\x82", true);
  EXPECT_EQ(first.text, "a");
  EXPECT_EQ(first.taken_bytes, 1u);
  const LogText whole = ToLogText("\xE2\x82\xAC", true);
  EXPECT_EQ(whole.text, "€");
}

TEST(LogText, ReplacesWhatCanNeverBecomeACharacter) {
  EXPECT_EQ(ToLogText("a\xFFz", true).text, "a" + std::string(kReplacement) + "z");
  EXPECT_EQ(ToLogText("\xE2z", true).text, std::string(kReplacement) + "z");
  // At the end of a log nothing will complete it.
  const LogText end = ToLogText("a\xE2\x82", false);
  EXPECT_EQ(end.taken_bytes, 3u);
  EXPECT_EQ(end.text, "a" + std::string(kReplacement) + std::string(kReplacement));
}

}  // namespace
}  // namespace spillway::server
