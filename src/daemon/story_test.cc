#include "daemon/story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// "Pod/vision/a Warning Reason: message", with ~ before progress.
std::vector<std::string> Lines(const std::vector<Told>& told) {
  std::vector<std::string> lines;
  for (const Told& one : told)
    lines.push_back((one.progress ? "~" : "") + one.kind + "/" + one.name +
                    (one.warning ? " Warning " : " ") + one.reason + ": " + one.message);
  return lines;
}

BurstNode Node() {
  BurstNode node;
  node.name = "bn-1";
  node.why = "rents verda/FIN-03/4A100 for about 1.03 €";
  node.offer.provider = "verda";
  node.offer.region = "FIN-03";
  node.offer.instance_type = "4A100";
  node.offer.price_per_hour = Money::Micro(6'151'156);
  node.forecast.boot = 150s;
  node.pods = {{"vision/a", "u"}};
  return node;
}

class StoryTest : public testing::Test {
 protected:
  std::vector<std::string> At(Phase phase) {
    node_.phase = phase;
    return Lines(story_.OfNodes({node_}));
  }

  std::vector<Told> OfStaging(const gateway::NodeProgress& progress) {
    return story_.OfStaging(node_, progress, now_);
  }

  Story story_;
  BurstNode node_ = Node();
  Time now_ = Time{} + 24h;
};

TEST_F(StoryTest, AGoodBurst) {
  EXPECT_THAT(At(Phase::kPlanned),
              ElementsAre("BurstNode/bn-1 Planned: rents verda/FIN-03/4A100 for about 1.03 €"));
  EXPECT_THAT(
      At(Phase::kRequested),
      ElementsAre("BurstNode/bn-1 Requested: asked verda for a 4A100 in FIN-03 at 6.15 EUR per "
                  "hour"));
  EXPECT_THAT(At(Phase::kRequested), IsEmpty()) << "a change that is no step is not told";
  EXPECT_THAT(At(Phase::kProvisioned),
              ElementsAre("BurstNode/bn-1 Provisioned: verda says it runs; expected to join within "
                          "2m30s",
                          "Pod/a Booting: bn-1 boots; expected to join within 2m30s"));
  EXPECT_THAT(
      At(Phase::kJoined),
      ElementsAre("BurstNode/bn-1 Joined: it has joined with what was promised; its data is "
                  "being staged"));
  EXPECT_THAT(At(Phase::kStaged), ElementsAre("BurstNode/bn-1 Staged: its data is there"));
  EXPECT_THAT(At(Phase::kRunning),
              ElementsAre("BurstNode/bn-1 Running: its pods may run",
                          "Pod/a NodeReady: bn-1 has joined and has its data: the pod may run "
                          "there"));
  node_.cost = Money::Micro(1'027'160);
  EXPECT_THAT(At(Phase::kGone),
              ElementsAre("BurstNode/bn-1 Gone: nothing is left at verda; it cost 1.03 EUR"));
}

TEST_F(StoryTest, AKeyThatIsOwedIsToldOnceAndSoIsItsEnd) {
  At(Phase::kDeleting);
  node_.key_owed_since = Time{} + 24h;
  EXPECT_THAT(
      At(Phase::kDeleting),
      ElementsAre("BurstNode/bn-1 Warning KeyOwed: the key service did not destroy its run key "
                  "within 30m; from 1970-01-02T00:00:00Z on the machine was given back without "
                  "that, and the destruction is asked for until it is done"));
  EXPECT_THAT(At(Phase::kDeleting), IsEmpty());
  node_.key_destroyed = true;
  node_.key_destroyed_at = Time{} + 25h;
  EXPECT_THAT(
      At(Phase::kDeleting),
      ElementsAre("BurstNode/bn-1 KeyDestroyed: the key service did not destroy its run key within "
                  "30m; from 1970-01-02T00:00:00Z on the machine was given back without that; the "
                  "key was destroyed at 1970-01-02T01:00:00Z"));
  EXPECT_THAT(At(Phase::kDeleting), IsEmpty());
}

gateway::NodeProgress Staged(std::int64_t bytes, std::int64_t total, std::int64_t per_second = 0) {
  gateway::NodeProgress progress;
  progress.staged_bytes = bytes;
  progress.sealed_bytes = total;
  progress.stage_bytes_per_s = per_second;
  return progress;
}

TEST_F(StoryTest, StagingSaysHowFastAndHowLong) {
  At(Phase::kJoined);
  EXPECT_THAT(
      Lines(OfStaging(Staged(200, 1000, 100))),
      ElementsAre("~BurstNode/bn-1 Staging: 20 % of 1000 B staged, 100 B per second, 9s left",
                  "~Pod/a Staging: bn-1: 20 % of 1000 B staged, 100 B per second, 9s left"));
}

TEST_F(StoryTest, StagingIsToldInFifths) {
  At(Phase::kJoined);
  EXPECT_THAT(Lines(OfStaging(Staged(0, 1000))),
              ElementsAre("~BurstNode/bn-1 Staging: 0 % of 1000 B staged",
                          "~Pod/a Staging: bn-1: 0 % of 1000 B staged"));
  EXPECT_THAT(OfStaging(Staged(199, 1000)), IsEmpty());
  EXPECT_THAT(Lines(OfStaging(Staged(450, 1000))),
              ElementsAre("~BurstNode/bn-1 Staging: 45 % of 1000 B staged",
                          "~Pod/a Staging: bn-1: 45 % of 1000 B staged"));
  EXPECT_THAT(OfStaging(Staged(410, 1000)), IsEmpty()) << "never backwards";
  EXPECT_EQ(OfStaging(Staged(1000, 1000)).size(), 2u);
  EXPECT_THAT(OfStaging(Staged(0, 0)), IsEmpty());
  At(Phase::kRunning);
  EXPECT_THAT(OfStaging(Staged(1000, 1000)), IsEmpty());
}

TEST_F(StoryTest, StagingThatTakesLongIsToldFromTimeToTime) {
  At(Phase::kJoined);
  EXPECT_EQ(OfStaging(Staged(100, 1000, 10)).size(), 2u);
  now_ += Story::kStagingEvery - 1s;
  EXPECT_THAT(OfStaging(Staged(120, 1000, 10)), IsEmpty());
  now_ += 1s;
  EXPECT_THAT(OfStaging(Staged(100, 1000, 10)), IsEmpty()) << "nothing has changed";
  EXPECT_THAT(Lines(OfStaging(Staged(120, 1000, 20))),
              ElementsAre("~BurstNode/bn-1 Staging: 12 % of 1000 B staged, 20 B per second, 45s "
                          "left",
                          "~Pod/a Staging: bn-1: 12 % of 1000 B staged, 20 B per second, 45s "
                          "left"));
}

TEST_F(StoryTest, StagingGoesOnBesidePodsThatBeganEarly) {
  At(Phase::kJoined);
  EXPECT_EQ(OfStaging(Staged(100, 1000, 10)).size(), 2u);
  At(Phase::kRunning);
  EXPECT_THAT(Lines(OfStaging(Staged(600, 1000, 10))).back(),
              "~Pod/a Staging: bn-1: 60 % of 1000 B staged, 10 B per second, 41s left");
  EXPECT_THAT(Lines(OfStaging(Staged(1000, 1000))).back(),
              "~Pod/a Staging: bn-1: 100 % of 1000 B staged");
  At(Phase::kReturning);
  EXPECT_THAT(OfStaging(Staged(1000, 1000)), IsEmpty());
}

TEST_F(StoryTest, AnotherProcessGoesOnTellingOfStaging) {
  node_.phase = Phase::kJoined;
  EXPECT_EQ(OfStaging(Staged(100, 1000, 10)).size(), 2u);
  EXPECT_THAT(At(Phase::kJoined), IsEmpty()) << "that was told by the one before";
}

TEST_F(StoryTest, ALargeJobIsNotFlooded) {
  for (int i = 0; i < 500; ++i) node_.pods.push_back({"vision/p" + std::to_string(i), "u"});
  At(Phase::kJoined);
  EXPECT_EQ(OfStaging(Staged(0, 1000)).size(), 17u);
}

TEST_F(StoryTest, AFailureIsToldOnceHoweverOftenTheNodeChanges) {
  At(Phase::kRequested);
  node_.failure = Failure::kCapacity;
  node_.failure_detail = "no machine is free";
  EXPECT_THAT(At(Phase::kDeleting),
              ElementsAre("BurstNode/bn-1 Warning Deleting: Capacity: no machine is free; verda is "
                          "asked to delete it until nothing is left",
                          "Pod/a Warning RentalFailed: bn-1: no machine is free"));
  EXPECT_THAT(At(Phase::kDeleting), IsEmpty());
  EXPECT_THAT(At(Phase::kGone),
              ElementsAre("BurstNode/bn-1 Warning Gone: nothing is left at verda; it cost 0.00 "
                          "EUR"));
}

TEST_F(StoryTest, ResultsThatDoNotComeAreToldToTheJob) {
  node_.workload = "vision/Job/sweep";
  At(Phase::kReturning);
  node_.history = {{Phase::kRunning, Time{}}, {Phase::kReturning, Time{}}};
  BurstNode whole = node_;
  EXPECT_THAT(At(Phase::kWiping),
              ElementsAre("BurstNode/bn-1 Wiping: keys are destroyed and its cache is being "
                          "overwritten",
                          "Job/sweep Warning ResultsLost: not all results of what ran on bn-1 came "
                          "home (it took too long): what counts as complete has to be run again"));
  EXPECT_THAT(At(Phase::kDeleting).size(), 1u) << "once";
  whole.results_complete = true;
  whole.phase = Phase::kWiping;
  Story other;
  EXPECT_THAT(other.OfNodes({whole}).size(), 1u);
}

TEST_F(StoryTest, ResultsOfALostNodeAreToldToTheJob) {
  node_.workload = "vision/Job/sweep";
  At(Phase::kReturning);
  node_.history = {{Phase::kReturning, Time{}}};
  node_.failure = Failure::kNodeLost;
  node_.failure_detail = "no heartbeat for 2m";
  EXPECT_THAT(At(Phase::kDeleting),
              testing::Contains("Job/sweep Warning ResultsLost: not all results of what ran on "
                                "bn-1 came home (no heartbeat for 2m): what counts as complete has "
                                "to be run again"));
}

TEST(Decisions, AreToldWhenTheyChange) {
  Snapshot snapshot;
  snapshot.workloads.resize(1);
  snapshot.workloads[0].key = "vision/Job/sweep";
  snapshot.workloads[0].pods = {0, 1};
  snapshot.pods.resize(2);
  snapshot.pods[0].key = "vision/a";
  snapshot.pods[1].key = "vision/b";
  snapshot.pods[1].node = "site-1";
  Decision decision;
  decision.workload = 0;
  Story story;
  std::vector<const Decision*> kept;
  const auto decide = [&](Verdict verdict, Reason reason, const std::string& sentence) {
    decision.verdict = verdict;
    decision.reason = reason;
    decision.sentence = sentence;
    kept.clear();
    return Lines(story.OfDecisions(snapshot, {decision}, &kept));
  };
  EXPECT_THAT(decide(Verdict::kWait, Reason::kNone, "waits for the scheduler's verdict"),
              IsEmpty());
  EXPECT_EQ(kept.size(), 1u);
  EXPECT_THAT(decide(Verdict::kWait, Reason::kSiteSoon, "waits until 14:20"),
              ElementsAre("Pod/a Waiting: waits until 14:20"))
      << "b has a place";
  EXPECT_THAT(decide(Verdict::kWait, Reason::kSiteSoon, "waits until 14:21"), IsEmpty());
  EXPECT_THAT(kept, IsEmpty());
  EXPECT_THAT(decide(Verdict::kRent, Reason::kNone, "rents"), ElementsAre("Pod/a Renting: rents"));
  EXPECT_THAT(decide(Verdict::kOnItsWay, Reason::kNone, "bn-1 is on its way"),
              ElementsAre("Pod/a OnItsWay: bn-1 is on its way"));
  EXPECT_THAT(decide(Verdict::kRefuse, Reason::kDataClass, "never leaves"),
              ElementsAre("Pod/a StaysHome: never leaves"));
  // A workload that is gone is forgotten, and told again when it comes back.
  snapshot.workloads.clear();
  std::vector<const Decision*> none;
  EXPECT_THAT(story.OfDecisions(snapshot, {}, &none), IsEmpty());
}

}  // namespace
}  // namespace spillway::daemon
