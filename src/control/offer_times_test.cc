#include "control/offer_times.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace spillway::control {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;

const Time kStart = *ParseTime("2026-11-24T08:00:00Z");
constexpr std::int64_t kGib = std::int64_t{1} << 30;

BurstNode Asked(Duration after, const std::string& type = "gpu-1") {
  BurstNode node;
  node.offer.provider = "acme";
  node.offer.region = "fr-1";
  node.offer.instance_type = type;
  node.history = {{Phase::kPlanned, kStart + after}, {Phase::kRequested, kStart + after + 1s}};
  return node;
}

BurstNode Booted(Duration after, Duration took, const std::string& type = "gpu-1") {
  BurstNode node = Asked(after, type);
  node.history.emplace_back(Phase::kProvisioned, kStart + after + 2s);
  node.history.emplace_back(Phase::kJoined, kStart + after + 1s + took);
  return node;
}

BurstNode Failed(Duration after, Failure failure, Duration took, Duration paid) {
  BurstNode node = Asked(after);
  node.history.emplace_back(Phase::kDeleting, kStart + after + 1s + took);
  node.failure = failure;
  node.paid = paid;
  return node;
}

BurstNode Ran(Duration after) {
  BurstNode node = Booted(after, 1min);
  node.history.emplace_back(Phase::kStaged, kStart + after + 2min);
  node.history.emplace_back(Phase::kRunning, kStart + after + 2min);
  return node;
}

// Joined a minute after it was asked for, its data prepared ten seconds later.
BurstNode Staged(Duration after, std::int64_t bytes, Duration took) {
  BurstNode node = Booted(after, 1min);
  node.bytes_in = bytes;
  node.prepared_at = node.history.back().second + 10s;
  node.history.emplace_back(Phase::kStaged, *node.prepared_at + took);
  return node;
}

OfferTimes TimesOf(const std::vector<BurstNode>& nodes) {
  const auto learned = LearnOfferTimes(nodes);
  const auto it = learned.find("acme/fr-1/gpu-1");
  return it == learned.end() ? OfferTimes{} : it->second;
}

TEST(LearnOfferTimesTest, FiveMachinesAreEnoughFourAreNot) {
  std::vector<BurstNode> nodes;
  for (int i = 1; i <= 4; ++i) nodes.push_back(Booted(i * 1h, i * 1min));
  nodes.push_back(Booted(9h, 1min, "gpu-2"));
  BurstNode never = Booted(10h, 1min);  // stalled
  never.history.pop_back();
  nodes.push_back(never);
  EXPECT_THAT(LearnOfferTimes(nodes), IsEmpty());
  nodes.push_back(Booted(5h, 5min));
  const auto learned = LearnOfferTimes(nodes);
  ASSERT_EQ(learned.size(), 1u);
  EXPECT_EQ(learned.begin()->first, "acme/fr-1/gpu-1");
  EXPECT_EQ(learned.begin()->second.boot, (MeasuredTime{3min, 5min, 5}));
  EXPECT_EQ(learned.begin()->second, (OfferTimes{.boot = {3min, 5min, 5}})) << "and nothing else";
  std::ranges::reverse(nodes);
  EXPECT_EQ(LearnOfferTimes(nodes), learned);
}

TEST(LearnOfferTimesTest, WhatWasLongAgoIsForgotten) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 50; ++i) nodes.push_back(Booted(i * 1h, 20min));
  for (int i = 50; i < 99; ++i) nodes.push_back(Booted(i * 1h, 1min));
  EXPECT_EQ(TimesOf(nodes).boot, (MeasuredTime{1min, 1min, 50}));
  nodes.erase(nodes.begin() + 50, nodes.begin() + 60);  // 39 of the 50 newest
  EXPECT_EQ(TimesOf(nodes).boot, (MeasuredTime{1min, 20min, 50}));
}

TEST(LearnOfferTimesTest, OnlyTheNewestNodesAreLookedAt) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 2010; ++i) {
    nodes.push_back(i < 10 ? Booted(i * 1h, 1min) : Booted(i * 1h, 2min, "gpu-2"));
    nodes.back().serial = i;
  }
  EXPECT_EQ(TimesOf(nodes), OfferTimes{});
  nodes.resize(2005);
  EXPECT_EQ(TimesOf(nodes).boot.machines, 5);
  std::ranges::reverse(nodes);
  EXPECT_EQ(TimesOf(nodes).boot.machines, 5);
}

TEST(LearnOfferTimesTest, OneThatTookForEverChangesNeitherQuantile) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 19; ++i) nodes.push_back(Booted(i * 1h, 1min));
  nodes.push_back(Booted(20h, 100h));
  EXPECT_EQ(TimesOf(nodes).boot, (MeasuredTime{1min, 1min, 20}));
}

TEST(LearnOfferTimesTest, BootEndsWhereJoiningBegins) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 5; ++i) {
    nodes.push_back(Booted(i * 1h, 3min));
    nodes.back().registered_at = nodes.back().history[1].second + 1min;
  }
  const OfferTimes times = TimesOf(nodes);
  EXPECT_EQ(times.boot, (MeasuredTime{1min, 1min, 5}));
  EXPECT_EQ(times.join, (MeasuredTime{2min, 2min, 5}));
}

TEST(LearnOfferTimesTest, StagingIsAFloorAndARate) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 5; ++i) nodes.push_back(Staged(i * 1h, 1000 * i, 20s));
  for (int i = 0; i < 4; ++i) nodes.push_back(Staged(i * 1h, 10 * kGib, 120s));
  EXPECT_EQ(TimesOf(nodes).stage, (MeasuredTime{20s, 20s, 5}));
  EXPECT_EQ(TimesOf(nodes).stage_rate, MeasuredRate{}) << "four machines";
  nodes.push_back(Staged(9h, 10 * kGib, 1020s));
  const MeasuredRate rate = TimesOf(nodes).stage_rate;
  EXPECT_EQ(rate.machines, 5);
  EXPECT_NEAR(static_cast<double>(rate.median), 10.0 * kGib / 100, 1000);
  EXPECT_NEAR(static_cast<double>(rate.p10), 10.0 * kGib / 1000, 1000);
}

TEST(LearnOfferTimesTest, ImagesArriveOnMachinesThatRan) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 6; ++i) {
    nodes.push_back(Ran(i * 1h));
    if (i > 0) nodes.back().start_took = i * 10s;
  }
  EXPECT_EQ(TimesOf(nodes).start, (MeasuredTime{30s, 50s, 5}));
}

TEST(LearnOfferTimesTest, FailuresCountWhereTheProviderIsToBlame) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 4; ++i) nodes.push_back(Ran(i * 1h));
  nodes.push_back(Failed(5h, Failure::kCapacity, 2s, 0s));
  nodes.push_back(Failed(6h, Failure::kBootTimeout, 10min, 12min));
  for (const Failure ours : {Failure::kQuota, Failure::kRefused, Failure::kStageTimeout,
                             Failure::kDataFailed, Failure::kCancelled, Failure::kGangFailed})
    nodes.push_back(Failed(7h, ours, 10min, 12min));
  BurstNode lost = Ran(8h);  // after it came to run
  lost.failure = Failure::kNodeLost;
  lost.history.emplace_back(Phase::kDeleting, kStart + 9h);
  nodes.push_back(lost);
  EXPECT_EQ(TimesOf(nodes).tries, (FailedTries{2, 7, 120400ms, 144s}));
  std::ranges::reverse(nodes);
  EXPECT_EQ(TimesOf(nodes).tries.failed, 2);
}

TEST(LearnOfferTimesTest, WhatFailedCostsStaysFinite) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 60; ++i)
    nodes.push_back(Failed(i * 1h, Failure::kBootTimeout, 1000h, 1000h));  // hard to delete
  const FailedTries tries = TimesOf(nodes).tries;
  const Deadlines usual;
  EXPECT_EQ(tries.failed, 50);
  EXPECT_EQ(tries.tried, 50);
  EXPECT_EQ(tries.paid, 2 * (usual.create + usual.boot) * 10);
  EXPECT_EQ(tries.took, tries.paid);
}

}  // namespace
}  // namespace spillway::control
