#include "control/boot_times.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace spillway::control {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;

const Time kStart = *ParseTime("2026-11-24T08:00:00Z");

BurstNode Booted(Duration after, Duration took, const std::string& type = "gpu-1") {
  BurstNode node;
  node.offer.provider = "acme";
  node.offer.region = "fr-1";
  node.offer.instance_type = type;
  node.history = {{Phase::kPlanned, kStart + after},
                  {Phase::kRequested, kStart + after + 1s},
                  {Phase::kProvisioned, kStart + after + 2s},
                  {Phase::kJoined, kStart + after + 1s + took}};
  return node;
}

TEST(LearnBootTimesTest, FiveMachinesAreEnoughFourAreNot) {
  std::vector<BurstNode> nodes;
  for (int i = 1; i <= 4; ++i) nodes.push_back(Booted(i * 1h, i * 1min));
  nodes.push_back(Booted(9h, 1min, "gpu-2"));
  BurstNode never = Booted(10h, 1min);  // stalled
  never.history.pop_back();
  nodes.push_back(never);
  EXPECT_THAT(LearnBootTimes(nodes), IsEmpty());
  nodes.push_back(Booted(5h, 5min));
  const auto learned = LearnBootTimes(nodes);
  ASSERT_EQ(learned.size(), 1u);
  EXPECT_EQ(learned.begin()->first, "acme/fr-1/gpu-1");
  EXPECT_EQ(learned.begin()->second, (BootTimes{3min, 5min, 5}));
  std::ranges::reverse(nodes);
  EXPECT_EQ(LearnBootTimes(nodes), learned);
}

TEST(LearnBootTimesTest, WhatWasLongAgoIsForgotten) {
  std::vector<BurstNode> nodes;
  for (int i = 0; i < 50; ++i) nodes.push_back(Booted(i * 1h, 20min));
  for (int i = 50; i < 99; ++i) nodes.push_back(Booted(i * 1h, 1min));
  EXPECT_EQ(LearnBootTimes(nodes).begin()->second, (BootTimes{1min, 1min, 50}));
  nodes.erase(nodes.begin() + 50, nodes.begin() + 60);  // 39 of the 50 newest
  EXPECT_EQ(LearnBootTimes(nodes).begin()->second, (BootTimes{1min, 20min, 50}));
}

}  // namespace
}  // namespace spillway::control
