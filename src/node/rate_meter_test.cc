#include "node/rate_meter.h"

#include <gtest/gtest.h>

namespace spillway::node {
namespace {

TEST(RateMeter, MeansTheLastWholeSeconds) {
  RateMeter meter;
  EXPECT_EQ(meter.PerSecond(10s), 0);
  meter.Add(100, 10s);
  meter.Add(100, 10s + 900ms);
  EXPECT_EQ(meter.PerSecond(10s + 950ms), 0) << "the first is not over";
  EXPECT_EQ(meter.PerSecond(11s), 200);
  meter.Add(400, 11s);
  EXPECT_EQ(meter.PerSecond(12s), 300);
  for (int i = 12; i < 40; ++i) meter.Add(50, std::chrono::seconds(i));
  EXPECT_EQ(meter.PerSecond(40s), 50) << "what is older does not count";
}

TEST(RateMeter, SilenceIsNoRate) {
  RateMeter meter;
  meter.Add(500, 1s);
  EXPECT_EQ(meter.PerSecond(6s), 100);
  EXPECT_EQ(meter.PerSecond(7s), 0);
}

}  // namespace
}  // namespace spillway::node
