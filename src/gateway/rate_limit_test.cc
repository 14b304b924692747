#include "gateway/rate_limit.h"

#include <gtest/gtest.h>

namespace spillway::gateway {
namespace {

TEST(RateLimit, GivesTheRateAndNotMuchMore) {
  constexpr std::int64_t kRate = 1 << 20;
  RateLimit limit(kRate);
  std::int64_t given = 0;
  Duration now = 5s;
  const Duration end = now + 10s;
  while (now < end) {
    const RateLimit::Grant grant = limit.Take(64 << 10, now);
    given += grant.bytes;
    EXPECT_TRUE(grant.bytes > 0 || grant.wait > 0ms) << "never neither";
    now += grant.wait;
  }
  EXPECT_NEAR(static_cast<double>(given), 10.0 * kRate, 0.02 * 10 * kRate);
}

TEST(RateLimit, APauseIsNoCredit) {
  RateLimit limit(1 << 20);
  limit.Take(1 << 30, 0s);
  EXPECT_LE(limit.Take(1 << 30, 3600s).bytes, 64 << 10);
}

TEST(RateLimit, ASlowOneStillGetsOn) {
  RateLimit limit(1000);
  limit.Take(1 << 20, 0s);
  const RateLimit::Grant grant = limit.Take(1 << 20, 0s);
  EXPECT_EQ(grant.bytes, 0);
  EXPECT_GT(limit.Take(1 << 20, grant.wait).bytes, 0);
}

TEST(RateLimit, NoneIsNone) {
  RateLimit limit(0);
  EXPECT_EQ(limit.Take(1 << 30, 0s).bytes, 1 << 30);
}

}  // namespace
}  // namespace spillway::gateway
