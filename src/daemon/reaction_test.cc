#include "daemon/reaction.h"

#include <gmock/gmock.h>

#include "metrics/instruments.h"

namespace spillway::daemon {
namespace {

using namespace std::chrono_literals;

store::ObjectPtr PodObject(const std::string& uid, std::string_view node, bool unschedulable) {
  json::object spec;
  if (!node.empty()) spec["nodeName"] = node;
  json::object status;
  if (unschedulable)
    status["conditions"] = json::array{
        json::object{{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}}};
  auto object = std::make_shared<store::StoredObject>();
  object->key = {"Pod", "vision", uid};
  object->uid = uid;
  object->body =
      json::object{{"metadata", json::object{{"uid", uid}}}, {"spec", spec}, {"status", status}};
  return object;
}

class ReactionTest : public testing::Test {
 protected:
  // Count and sum of what was measured since the last call.
  std::pair<std::int64_t, std::int64_t> Measured() {
    metrics::Page page;
    metrics::OfProcess().reaction.WriteTo(page);
    const std::string text = page.Text();
    const auto number = [&](const std::string& name) {
      return std::stod(
          text.substr(text.find("spillway_reaction_seconds" + name) + 26 + name.size()));
    };
    const auto count = static_cast<std::int64_t>(number("_count"));
    const auto sum = static_cast<std::int64_t>(number("_sum") * 1000 + 0.5);
    const std::pair out{count - count_, sum - sum_};
    count_ = count;
    sum_ = sum;
    return out;
  }
  void SetUp() override { Measured(); }

  Reaction reaction_;
  const Reaction::Moment start_ = Reaction::Moment::clock::now();
  std::int64_t count_ = 0, sum_ = 0;
};

TEST_F(ReactionTest, FromTheFirstSightToTheCall) {
  reaction_.Changed({PodObject("a", "", false)}, false, start_);
  reaction_.Changed({PodObject("a", "", true)}, false, start_ + 10ms);
  reaction_.Changed({PodObject("a", "", true)}, false, start_ + 20ms);
  reaction_.Asked({{"vision/a", "a"}, {"vision/b", "b"}}, start_ + 50ms, 15ms);
  EXPECT_EQ(Measured(), std::pair(std::int64_t{1}, std::int64_t{40}));
  metrics::Page page;
  metrics::OfProcess().reaction_own.WriteTo(page);
  EXPECT_THAT(page.Text(), testing::HasSubstr("spillway_reaction_own_seconds_sum 0.025\n"));
  // Once only, also when a second machine is asked for after a failure.
  reaction_.Changed({PodObject("a", "", true)}, false, start_ + 60ms);
  reaction_.Asked({{"vision/a", "a"}}, start_ + 90ms, 0ms);
  EXPECT_EQ(Measured().first, 0);
}

TEST_F(ReactionTest, WhoHasANodeOrIsGoneIsNotMeasured) {
  reaction_.Changed({PodObject("a", "", true), PodObject("b", "", true)}, false, start_);
  reaction_.Changed({PodObject("a", "node", false)}, false, start_);
  reaction_.Changed({PodObject("b", "", true)}, true, start_);
  reaction_.Asked({{"vision/a", "a"}, {"vision/b", "b"}}, start_ + 50ms, 15ms);
  EXPECT_EQ(Measured().first, 0);
}

TEST_F(ReactionTest, WhoWasToldToWaitIsNotMeasured) {
  reaction_.Changed({PodObject("a", "", true), PodObject("b", "", true)}, false, start_);
  Snapshot snapshot;
  snapshot.pods.resize(2);
  snapshot.pods[0].uid = "a";
  snapshot.pods[1].uid = "b";
  snapshot.workloads.resize(2);
  snapshot.workloads[0].pods = {0};
  snapshot.workloads[1].pods = {1};
  std::vector<Decision> decisions(2);
  decisions[0].workload = 0;
  decisions[0].verdict = Verdict::kWait;
  decisions[1].workload = 1;
  decisions[1].verdict = Verdict::kRent;
  reaction_.Decided(snapshot, decisions);
  reaction_.Asked({{"vision/a", "a"}, {"vision/b", "b"}}, start_ + 5ms, 0ms);
  EXPECT_EQ(Measured(), std::pair(std::int64_t{1}, std::int64_t{5}));
}

}  // namespace
}  // namespace spillway::daemon
