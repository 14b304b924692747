#include "kube/election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/test_server.h"

namespace spillway::kube {
namespace {

using testing::ElementsAre;

// The part of an API server that a Lease needs: one object with optimistic locking.
class LeaseStore {
 public:
  enum class Fault { kNone, kRefuse, kLoseAnswer, kBusy };

  Script Handle(const Seen& seen) {
    const Fault fault = std::exchange(once_, Fault::kNone);
    const Fault now = down_ ? Fault::kRefuse : fault;
    if (now == Fault::kRefuse) return Answer(500, "");
    if (now == Fault::kBusy)
      return Answer(429, StatusBody(429, "TooManyRequests", "busy"), "Retry-After: 60\r\n");
    Script script = Serve(seen);
    if (now == Fault::kLoseAnswer) return {"", false, Script::After::kClose};
    return script;
  }
  json::object Spec() const { return lease_ ? lease_->at("spec").as_object() : json::object(); }
  void Delete() { lease_.reset(); }
  void FailOnce(Fault fault) { once_ = fault; }
  void SetDown(bool down) { down_ = down; }
  // What somebody else writes.
  void Put(json::object spec) {
    lease_ = {{"kind", "Lease"},
              {"metadata", {{"name", "l"}, {"namespace", "s"}, {"labels", {{"kept", "yes"}}}}},
              {"spec", std::move(spec)}};
    Stamp();
  }
  const json::object& lease() const { return *lease_; }

 private:
  Script Serve(const Seen& seen) {
    if (seen.method == "GET")
      return lease_ ? Answer(200, json::serialize(*lease_))
                    : Answer(404, StatusBody(404, "NotFound", "no lease"));
    json::object sent = json::parse(seen.body).as_object();
    const json::object& metadata = sent.at("metadata").as_object();
    if (seen.method == "POST" && lease_) return Answer(409, StatusBody(409, "AlreadyExists", "x"));
    if (seen.method == "PUT" &&
        (!lease_ || metadata.at("resourceVersion") !=
                        lease_->at("metadata").as_object().at("resourceVersion")))
      return Answer(409, StatusBody(409, "Conflict", "x"));
    lease_ = std::move(sent);
    Stamp();
    return Answer(200, json::serialize(*lease_));
  }
  void Stamp() {
    lease_->at("metadata").as_object()["resourceVersion"] = std::to_string(++version_);
  }

  std::optional<json::object> lease_;
  int version_ = 0;
  Fault once_ = Fault::kNone;
  bool down_ = false;
};

class ElectionTest : public testing::Test {
 protected:
  std::unique_ptr<Election> Join(const std::string& identity) {
    ElectionOptions options;
    options.lease = {"s", "l"};
    options.identity = identity;
    return std::make_unique<Election>(client_, options);
  }

  TestTime time_;
  LeaseStore store_;
  std::atomic<std::int64_t> slow_ms_ = 0;  // a request takes so long, and so does its answer
  TestServer server_{[this](const Seen& seen) {
    time_.clock.Advance(Duration(slow_ms_));
    Script script = store_.Handle(seen);
    time_.clock.Advance(Duration(slow_ms_));
    return script;
  }};
  Client client_{server_.MakeAccess(), time_.timing};
};

TEST_F(ElectionTest, TheFirstOneLeadsAndRenews) {
  const auto a = Join("a");
  EXPECT_FALSE(a->IsLeader());
  EXPECT_FALSE(a->Token().Holds());
  EXPECT_EQ(a->Step(), 2s);
  EXPECT_TRUE(a->IsLeader());
  EXPECT_EQ(a->Token().Left(), 10s);
  EXPECT_EQ(store_.Spec().at("renewTime").as_string().size(),
            std::string("2026-11-24T08:15:30.250000Z").size());
  time_.clock.Advance(6s);
  EXPECT_EQ(a->Token().Left(), 4s);
  a->Step();
  EXPECT_EQ(a->Token().Left(), 10s);
  EXPECT_EQ(store_.Spec().at("leaseTransitions"), 0);
  EXPECT_EQ(store_.Spec().at("leaseDurationSeconds"), 15);
}

TEST_F(ElectionTest, LeadershipEndsByItselfAndATokenIsNeverRevived) {
  const auto a = Join("a");
  a->Step();
  const Fence fence = a->Token();
  EXPECT_TRUE(fence.Check());
  time_.clock.Advance(9'999ms);
  EXPECT_TRUE(fence.Holds());
  time_.clock.Advance(1ms);  // nobody steps: the process was stopped
  EXPECT_FALSE(a->IsLeader());
  EXPECT_EQ(fence.Check().error().code, Code::kUnavailable);
  a->Step();  // nobody else came meanwhile
  EXPECT_TRUE(a->IsLeader());
  EXPECT_FALSE(fence.Holds());
  EXPECT_TRUE(a->Token().Holds());
}

TEST_F(ElectionTest, TheRightCountsFromSendingNotFromTheAnswer) {
  const auto a = Join("a");
  slow_ms_ = 1'500;
  a->Step();
  EXPECT_EQ(a->Token().Left(), 7s);
  a->Step();
  EXPECT_EQ(a->Token().Left(), 7s);
}

TEST_F(ElectionTest, AnotherTakesOverOnlyAfterTheWholeLeaseWasSilent) {
  const auto a = Join("a");
  const auto b = Join("b");
  a->Step();
  b->Step();
  EXPECT_FALSE(b->IsLeader());
  EXPECT_EQ(b->Holder(), "a");
  time_.clock.Advance(8s);
  a->Step();
  time_.clock.Advance(8s);
  b->Step();  // sees the renewal, and counts from now on
  time_.clock.Advance(14'999ms);
  b->Step();
  EXPECT_FALSE(b->IsLeader());
  EXPECT_FALSE(a->IsLeader());
  time_.clock.Advance(1ms);
  b->Step();
  EXPECT_TRUE(b->IsLeader());
  EXPECT_EQ(store_.Spec().at("leaseTransitions"), 1);
  a->Step();
  EXPECT_FALSE(a->IsLeader());
  EXPECT_EQ(a->Holder(), "b");
}

// Whatever the order of steps, pauses and faults: never two at once.
TEST_F(ElectionTest, NeverTwoLeaders) {
  std::vector<std::unique_ptr<Election>> all;
  for (const char* name : {"a", "b", "c"}) all.push_back(Join(name));
  Rng rng(11);
  int led = 0, changes = 0;
  std::string last;
  std::size_t stopped = 0;  // one replica makes no step: stopped, or cut off
  for (int i = 0; i < 3000; ++i) {
    if (rng.Chance(1, 25)) stopped = rng.Below(all.size() + 1);
    const std::size_t chosen = rng.Below(all.size());
    if (chosen == stopped) continue;
    if (rng.Chance(1, 8)) store_.FailOnce(static_cast<LeaseStore::Fault>(rng.Between(1, 3)));
    slow_ms_ = rng.Chance(1, 10) ? rng.Between(0, 6'000) : 0;
    Election& one = *all[chosen];
    if (rng.Chance(1, 100))
      (void)one.Release();
    else
      one.Step();
    // Small steps, so that an overlap cannot hide between two looks.
    const int looks = static_cast<int>(rng.Between(1, 5));
    for (int look = 0; look < looks; ++look, time_.clock.Advance(200ms)) {
      int leaders = 0;
      for (const auto& election : all) leaders += election->IsLeader();
      ASSERT_LE(leaders, 1) << i;
      led += leaders;
    }
    if (one.IsLeader() && one.Holder() != last) ++changes, last = one.Holder();
  }
  EXPECT_GT(led, 300);
  EXPECT_GT(changes, 10);
}

TEST_F(ElectionTest, ALostAnswerIsLookedUpAndOurs) {
  const auto a = Join("a");
  store_.FailOnce(LeaseStore::Fault::kNone);
  a->Step();
  store_.FailOnce(LeaseStore::Fault::kLoseAnswer);
  time_.clock.Advance(2s);
  EXPECT_EQ(a->Step(), 500ms);  // tried again soon
  EXPECT_EQ(a->Trouble()->code, Code::kMaybeApplied);
  EXPECT_EQ(a->Token().Left(), 8s);  // counted from the renewal that is certain
  a->Step();
  EXPECT_EQ(a->Token().Left(), 10s);
  EXPECT_FALSE(a->Trouble());
  EXPECT_EQ(store_.Spec().at("leaseTransitions"), 0);
}

TEST_F(ElectionTest, AnOutageEndsLeadershipAndItComesBackAsANewTerm) {
  const auto a = Join("a");
  a->Step();
  const Fence fence = a->Token();
  store_.SetDown(true);
  for (int i = 0; i < 30; ++i) time_.clock.Advance(a->Step());
  EXPECT_FALSE(a->IsLeader());
  store_.SetDown(false);
  a->Step();
  EXPECT_TRUE(a->IsLeader());
  EXPECT_FALSE(fence.Holds());
}

TEST_F(ElectionTest, ReleaseLetsAnotherInAtOnceAndKeepsWhatOthersWrote) {
  store_.Put({{"holderIdentity", ""}, {"x-new", 1}});
  const auto a = Join("a");
  const auto b = Join("b");
  a->Step();
  b->Step();
  EXPECT_TRUE(a->Release());
  EXPECT_FALSE(a->IsLeader());
  b->Step();
  EXPECT_TRUE(b->IsLeader());
  EXPECT_EQ(store_.Spec().at("x-new"), 1);
  EXPECT_EQ(store_.lease().at("metadata").at("labels").at("kept"), "yes");
}

TEST_F(ElectionTest, ADeletedLeaseIsMadeAgain) {
  const auto a = Join("a");
  a->Step();
  const Fence fence = a->Token();
  store_.Delete();
  a->Step();
  EXPECT_TRUE(a->IsLeader());
  EXPECT_FALSE(fence.Holds());
}

TEST_F(ElectionTest, RunTellsOfGainAndLossAndReleases) {
  const auto a = Join("a");
  std::stop_source source;
  std::vector<bool> told;
  a->Run(source.get_token(), [&](bool leading) {
    told.push_back(leading);
    if (told.size() == 1) store_.SetDown(true);
    if (told.size() == 2) store_.SetDown(false);
    if (told.size() == 3) source.request_stop();
  });
  EXPECT_THAT(told, ElementsAre(true, false, true, false));
  EXPECT_EQ(store_.Spec().at("holderIdentity"), "");
}

TEST_F(ElectionTest, UsesTheLaneOfLeases) {
  const auto a = Join("a");
  for (int i = 0; i < 3; ++i) a->Step();
  ASSERT_TRUE(client_.Get(kPods, {"a", "p"}));
  std::vector<int> connections;
  for (const Seen& seen : server_.seen()) connections.push_back(seen.connection);
  EXPECT_EQ(connections.size(), 5u);  // GET, POST, PUT, PUT, GET
  EXPECT_EQ(connections[0], connections[3]);
}

TEST(BootClock, NeverGoesBackAndIsOfThisMachine) {
  const BootClock clock;
  const Duration one = clock.SteadyNow(), two = clock.SteadyNow();
  EXPECT_LE(one, two);
  EXPECT_GT(clock.Now(), ParseTime("2024-01-01T00:00:00Z").value());
}

}  // namespace
}  // namespace spillway::kube
