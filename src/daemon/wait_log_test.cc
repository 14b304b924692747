#include "daemon/wait_log.h"

#include <gtest/gtest.h>

namespace spillway::daemon {
namespace {

TEST(WaitLog, SaysWhenAWaitBeginsAndEachMinuteAfter) {
  WaitLog log;
  int said = 0;
  for (Duration at = 1h; at < 1h + 3min; at += 5s) said += log.Say("PrepareRun bn-1", at) ? 1 : 0;
  EXPECT_EQ(said, 3) << "of 36 times";
  EXPECT_TRUE(log.Say("PrepareRun bn-2", 1h + 3min)) << "each by itself";
  EXPECT_FALSE(log.Say("PrepareRun bn-2", 1h + 3min + 5s));
  log.Ended("PrepareRun bn-2");
  EXPECT_TRUE(log.Say("PrepareRun bn-2", 1h + 3min + 10s)) << "a new wait";
}

TEST(WaitLog, KeepsNothingOfWhatIsAskedNoMore) {
  WaitLog log;
  EXPECT_TRUE(log.Say("PrepareRun bn-1", 1h));
  // More than are kept: nothing is said less often than it should be.
  for (std::size_t i = 0; i < WaitLog::kMost; ++i) EXPECT_TRUE(log.Say(std::to_string(i), 1h + 1s));
  EXPECT_TRUE(log.Say("PrepareRun bn-1", 1h + 2s));
  EXPECT_FALSE(log.Say("PrepareRun bn-1", 1h + 3s));
}

}  // namespace
}  // namespace spillway::daemon
