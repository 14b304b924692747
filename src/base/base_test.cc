#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/money.h"
#include "base/quantity.h"
#include "base/rng.h"
#include "base/time.h"

namespace spillway {
namespace {

TEST(Duration, ParsesWhatKubernetesUsersWrite) {
  EXPECT_EQ(*ParseDuration("10m"), 10min);
  EXPECT_EQ(*ParseDuration("1h30m"), 90min);
  EXPECT_EQ(*ParseDuration("1.5h"), 90min);
  EXPECT_EQ(*ParseDuration("250ms"), 250ms);
  EXPECT_EQ(*ParseDuration("0"), 0ms);
  for (const char* bad : {"", "10", "-5m", "5 m", "5x", "m", "1h-3m", "99999999999h", "1..5h"})
    EXPECT_FALSE(ParseDuration(bad)) << bad;
}

TEST(Duration, FormatIsExactAndParsesBack) {
  EXPECT_EQ(FormatDuration(90s), "1m30s");
  EXPECT_EQ(FormatDuration(1500ms), "1s500ms");
  Rng rng(7);
  for (int i = 0; i < 2000; ++i) {
    const Duration d{static_cast<std::int64_t>(rng.Below(1'000'000'000))};
    EXPECT_EQ(*ParseDuration(FormatDuration(d)), d);
  }
}

TEST(TimeText, RoundTrips) {
  const Time t = *ParseTime("2026-11-24T08:15:30.250Z");
  EXPECT_EQ(FormatTime(t), "2026-11-24T08:15:30.250Z");
  EXPECT_FALSE(ParseTime("2026-02-30T00:00:00Z"));
  EXPECT_FALSE(ParseTime("2026-11-24 08:15:30"));
  EXPECT_FALSE(ParseTime("2026- 1-+2T08:15:30Z"));
  EXPECT_FALSE(ParseTime("2026-11-24T08:15:30"));
}

TEST(Money, ParsesExactlyAndRefusesTheRest) {
  EXPECT_EQ(ParseMoney("3.50 EUR")->micro(), 3'500'000);
  EXPECT_EQ(ParseMoney("0.000001 EUR")->micro(), 1);
  EXPECT_EQ(ParseMoney("500EUR")->micro(), 500'000'000);
  for (const char* bad :
       {"", "3.5", "-1 EUR", "3 USD", "1.0000001 EUR", "EUR", "1. EUR", "9999999999 EUR"})
    EXPECT_FALSE(ParseMoney(bad)) << bad;
  EXPECT_EQ(FormatMoney(Money::Micro(13'125)), "0.013125 EUR");
  EXPECT_EQ(HumanMoney(Money::Micro(-1'005'000)), "-1.01 €");
}

TEST(Money, CostRoundsUp) {
  EXPECT_EQ(CostCeil(Money::Euro(1), 3600s), Money::Euro(1));
  EXPECT_EQ(CostCeil(Money::Micro(1), 1ms), Money::Micro(1));
  EXPECT_EQ(CostCeil(Money::Micro(2'866'500), 60s), Money::Micro(47'775));
}

TEST(Quantity, MatchesKubernetes) {
  EXPECT_EQ(*ParseMilli("500m"), 500);
  EXPECT_EQ(*ParseMilli("2"), 2000);
  EXPECT_EQ(*ParseMilli("0.1"), 100);
  EXPECT_EQ(*ParseWhole("1Gi"), 1LL << 30);
  EXPECT_EQ(*ParseWhole("1.5Gi"), 3LL << 29);
  EXPECT_EQ(*ParseWhole("1e3"), 1000);
}

TEST(Quantity, RefusesWhatIsOutOfRangeOrMalformed) {
  for (const char* bad : {"", "-1", "1KB", "1 Gi", "Gi", "1e", "1e99", "1.2.3", "16Ei"})
    EXPECT_FALSE(ParseWhole(bad)) << bad;
  EXPECT_EQ(FormatBytes(1LL << 30), "1Gi");
  EXPECT_EQ(FormatMilli(2500), "2500m");
}

TEST(Json, CanonicalSortsAndParserLimitsDepth) {
  EXPECT_EQ(CanonicalJson(*ParseJson(R"({"b":1,"a":[true,null,"x"]})")),
            R"({"a":[true,null,"x"],"b":1})");
  EXPECT_FALSE(ParseJson(std::string(100, '[')));
  EXPECT_FALSE(ParseJson("{} x"));
}

TEST(Encoding, KnownAnswers) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Base64(AsBytes("foob")), "Zm9vYg==");
  EXPECT_EQ(AsText(*ParseBase64("Zm9vYg==")), "foob");
  EXPECT_FALSE(ParseHex("0g"));
}

TEST(Rng, SameSeedSameStream) {
  Rng a(42), b(42), c(43);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
  for (int i = 0; i < 1000; ++i) EXPECT_LT(a.Below(7), 7u);
}

}  // namespace
}  // namespace spillway
