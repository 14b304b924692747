#include "control/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/budget.h"
#include "control/conductor.h"
#include "control/gang.h"
#include "control/rule_clock.h"
#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

World EmptyWorld(Time now) {
  World world;
  world.snapshot.now = now;
  world.synced = true;
  return world;
}

std::vector<std::string> Described(const std::vector<Command>& commands) {
  std::vector<std::string> out;
  for (const Command& command : commands) out.push_back(Describe(command));
  return out;
}

TEST(Decide, NothingBeforeTheSiteWasRead) {
  World world = EmptyWorld(kStart);
  world.synced = false;
  world.snapshot.burst_nodes = {PlannedNode()};
  const RoundResult result = Decide(world, {});
  EXPECT_THAT(result.changed, IsEmpty());
  EXPECT_THAT(result.commands, IsEmpty());
}

TEST(Decide, ADryRunChangesNothing) {
  World world = EmptyWorld(kStart);
  world.dry_run = true;
  world.snapshot.burst_nodes = {PlannedNode()};
  const RoundResult result = Decide(world, {});
  EXPECT_THAT(result.changed, IsEmpty());
  EXPECT_THAT(result.entries, IsEmpty());
  EXPECT_THAT(result.commands, IsEmpty());
}

TEST(Decide, TheSameCommandIsSentAgainOnlyAfterAWhile) {
  BurstNode node = NodeIn(Phase::kDeleting);
  World world = EmptyWorld(kStart + 2h);
  world.snapshot.burst_nodes = {node};
  RoundResult result = Decide(world, {});
  EXPECT_THAT(Described(result.commands), ElementsAre("DeleteInstance bn-00001 i-1"));
  EXPECT_EQ(result.look_again, kStart + 2h + kRepeat);
  world.snapshot.now += 1s;
  result = Decide(world, result.memory);
  EXPECT_THAT(result.commands, IsEmpty());
  EXPECT_EQ(result.look_again, kStart + 2h + kRepeat);
  world.snapshot.now += 4s;
  EXPECT_THAT(Decide(world, result.memory).commands, SizeIs(1));
}

TEST(Decide, RepeatsBecomeRarer) {
  World world = EmptyWorld(kStart + 2h);
  world.snapshot.burst_nodes = {NodeIn(Phase::kDeleting)};
  Memory memory;
  int sent = 0;
  for (int second = 0; second < 3600; ++second) {
    world.snapshot.now += 1s;
    RoundResult result = Decide(world, memory);
    sent += static_cast<int>(result.commands.size());
    memory = std::move(result.memory);
  }
  EXPECT_GT(sent, 60);
  EXPECT_LT(sent, 75);
  EXPECT_EQ(RepeatAfter(1), kRepeat);
  EXPECT_EQ(RepeatAfter(1'000'000), kRepeatAtMost);
}

TEST(Decide, NodeObjectsGoWithTheirMachines) {
  World world = EmptyWorld(kStart + 2h);
  world.snapshot.burst_nodes = {NodeIn(Phase::kRunning)};
  world.observations["bn-00001"] = AllWell(NodeIn(Phase::kRunning), kStart + 2h);
  for (const char* name : {"bn-00001", "bn-00000", "site-1"}) {
    Node object;
    object.name = name;
    object.rented = object.name != "site-1";
    world.snapshot.nodes.push_back(object);
  }
  EXPECT_THAT(Described(Decide(world, {}).commands), ElementsAre("RemoveNode bn-00000"));
  world.snapshot.burst_nodes = {NodeIn(Phase::kDeleting)};
  EXPECT_THAT(
      Described(Decide(world, {}).commands),
      ElementsAre("DeleteInstance bn-00001 i-1", "RemoveNode bn-00001", "RemoveNode bn-00000"));
}

TEST(Decide, ASettledNodeFreesItsBudgetInTheSameRound) {
  World world = EmptyWorld(kStart + 5s);
  world.snapshot.burst_nodes = {NodeIn(Phase::kRequested, kStart + 1s)};
  world.snapshot.budgets = {{"vision-month",
                             {"vision"},
                             Money::Euro(100),
                             "month",
                             80,
                             OnExhausted::kWait,
                             Money::Euro(1),
                             Money::Euro(50),
                             {}}};
  ProviderAccount account;
  account.name = "scaleway";
  account.live_nodes = 1;
  world.snapshot.accounts = {account};
  Observation o;
  o.create = CreateAnswer{{}, Error{Code::kCapacity, "none left", {}}};
  world.observations["bn-00001"] = o;
  const RoundResult result = Decide(world, {});
  ASSERT_THAT(result.changed, SizeIs(1));
  EXPECT_EQ(result.changed[0].phase, Phase::kGone);
  EXPECT_EQ(world.snapshot.budgets[0].reserved, Money::Euro(10));
  EXPECT_EQ(world.snapshot.budgets[0].spent, Money::Euro(1));
  EXPECT_EQ(world.snapshot.accounts[0].live_nodes, 0);
}

// Nothing of it exists any more, and the key service does not destroy its run key.
BurstNode OwingItsKey() {
  BurstNode node = NodeIn(Phase::kDeleting);
  node.key_destroyed = false;
  node.key_owed_since = kStart + 2h;
  node.instance_may_exist = false;
  node.absent_lists = kAbsentLists;
  node.last_list_seen = kStart + 2h;
  node.meter_stop = kStart + 2s + 1h;
  return node;
}

TEST(Decide, WhoOnlyOwesItsKeyHoldsNoPlaceAndNoMoneyItDidNotUse) {
  const Time now = kStart + 3h;
  BudgetState budget;
  budget.name = "vision-month";
  budget.amount = Money::Euro(100);
  budget.period = "year";
  BurstNode node = OwingItsKey();
  node.instance_may_exist = true;  // two listings without it are counted in this round
  World world = EmptyWorld(now);
  world.snapshot.burst_nodes = {node};
  world.snapshot.budgets = {budget};
  world.snapshot.accounts.emplace_back().name = "scaleway";
  world.snapshot.accounts[0].live_nodes = 1;
  FillBudgets(world.snapshot.budgets, world.snapshot.burst_nodes, now);
  EXPECT_EQ(world.snapshot.budgets[0].reserved, Money::Euro(40));
  world.observations["bn-00001"].seen = Listed(now, {});
  world.observations["bn-00001"].run.emplace();
  const auto round = [&] {
    Decide(world, {});
    return std::pair(world.snapshot.budgets[0].reserved, world.snapshot.accounts[0].live_nodes);
  };
  EXPECT_EQ(round(), std::pair(Money::Euro(3), 0)) << "what it has cost: an hour";
  EXPECT_TRUE(world.snapshot.burst_nodes[0].OnlyKeyLeft());
  std::vector<BudgetState> afresh = {budget};
  FillBudgets(afresh, world.snapshot.burst_nodes, now);
  EXPECT_EQ(afresh[0].reserved, Money::Euro(3)) << "as the next round sees it";
  EXPECT_EQ(afresh[0].spent, Money());

  // A listing that shows it again takes both back.
  world.snapshot.now = now + 1s;
  world.observations["bn-00001"].seen =
      Listed(now + 1s, {InstanceIn(ports::InstanceState::kDeleting)});
  EXPECT_EQ(round(), std::pair(Money::Euro(40), 1));

  world.snapshot.burst_nodes = {OwingItsKey()};
  world.snapshot.budgets[0].reserved = Money::Euro(3);
  world.snapshot.accounts[0].live_nodes = 0;
  Observation& o = world.observations["bn-00001"];
  o.seen = Listed(now, {});
  o.run->key_destroyed = true;
  o.run->key_destroyed_at = now;
  o.run->certificate = "bn-00001.json";
  EXPECT_EQ(round(), std::pair(Money(), 0));
  EXPECT_EQ(world.snapshot.burst_nodes[0].phase, Phase::kGone);
  EXPECT_EQ(world.snapshot.budgets[0].spent, Money::Euro(3)) << "booked once";
}

TEST(MakeBurstNode, RemembersTheShardsOfItsPods) {
  Snapshot snapshot;
  snapshot.now = kStart;
  snapshot.offers.resize(1);
  snapshot.facts.resize(1);
  for (const char* shards : {"in=2/3", "in=0/3", "in=2/3", "", ""}) {
    Pod& pod = snapshot.pods.emplace_back();
    pod.key = "vision/p", pod.shards = shards;
  }
  Rental rental;
  rental.policy = -1;
  rental.pods = {0, 1, 2};
  EXPECT_THAT(MakeBurstNode(rental, snapshot, 1).node.shards, ElementsAre("in=0/3", "in=2/3"));
  rental.pods = {0, 3};
  EXPECT_THAT(MakeBurstNode(rental, snapshot, 1).node.shards, ElementsAre("", "in=2/3"));
  rental.pods = {3, 4};
  EXPECT_THAT(MakeBurstNode(rental, snapshot, 1).node.shards, IsEmpty()) << "none reads one";
}

TEST(Gang, StagedTogetherFailedTogether) {
  std::vector<BurstNode> nodes(3, NodeIn(Phase::kStaged));
  for (std::size_t i = 0; i < 2; ++i) {
    nodes[i].gang = "nlp/Job/gang";
    nodes[i].gang_size = 2;
  }
  EXPECT_TRUE(GangStates(nodes)[0].all_staged);
  nodes[1].phase = Phase::kJoined;
  EXPECT_FALSE(GangStates(nodes)[0].all_staged);
  EXPECT_TRUE(GangStates(nodes)[2].all_staged) << "not of the gang";
  nodes[1].failure = Failure::kBootTimeout;
  nodes[1].phase = Phase::kGone;
  const auto states = GangStates(nodes);
  EXPECT_TRUE(states[0].failed);
  EXPECT_FALSE(states[1].failed) << "it failed by itself";
  EXPECT_FALSE(states[2].failed);
}

TEST(Gang, AnEarlierAttemptIsAnotherGang) {
  std::vector<BurstNode> nodes(2, NodeIn(Phase::kStaged));
  for (BurstNode& node : nodes) node.gang = "nlp/Job/gang", node.gang_size = 1;
  nodes[0].failure = Failure::kNodeLost;
  nodes[1].history[0].second += 1min;
  EXPECT_FALSE(GangStates(nodes)[1].failed);
  EXPECT_TRUE(GangStates(nodes)[1].all_staged);
}

Plan TwoGangsAndAnother() {
  Plan plan;
  for (const char* gang : {"a", "a", "", "b", "b"}) plan.rentals.emplace_back().gang = gang;
  plan.decisions.resize(3);
  plan.decisions[0].rentals = {0, 1};
  plan.decisions[1].rentals = {2};
  plan.decisions[2].rentals = {3, 4};
  for (Decision& decision : plan.decisions) decision.verdict = Verdict::kRent;
  return plan;
}

TEST(Gang, TheyTakeTurnsOnceOneFoundNoRoom) {
  Snapshot snapshot;
  Plan plan = TwoGangsAndAnother();
  TakeTurns(plan, snapshot);
  EXPECT_THAT(plan.rentals, SizeIs(5)) << "no trouble, no turns";

  BurstNode failed = NodeIn(Phase::kGone);
  failed.gang = "a";
  failed.failure = Failure::kQuota;
  snapshot.burst_nodes = {failed};
  TakeTurns(plan, snapshot);
  ASSERT_THAT(plan.rentals, SizeIs(3)) << "b failed less often";
  EXPECT_EQ(plan.rentals[1].gang, "b");
  EXPECT_EQ(plan.decisions[0].verdict, Verdict::kWait);
  EXPECT_THAT(plan.decisions[1].rentals, ElementsAre(0));
  EXPECT_THAT(plan.decisions[2].rentals, ElementsAre(1, 2));

  BurstNode starting = NodeIn(Phase::kJoined);
  starting.gang = "c";
  starting.gang_size = 1;
  snapshot.burst_nodes.push_back(starting);
  plan = TwoGangsAndAnother();
  TakeTurns(plan, snapshot);
  EXPECT_THAT(plan.rentals, SizeIs(1)) << "another one is starting";
}

// --- sweep -------------------------------------------------------------------------------------

std::map<std::string, ports::Inventory> One(Time read_at, std::vector<ports::Instance> instances,
                                            std::vector<SideObject> stray = {}) {
  return {{"scaleway", ports::Inventory{read_at, std::move(instances), std::move(stray)}}};
}

TEST(SweepTest, DeletesWhatTwoListingsShowAndNobodyOwns) {
  const auto instance = InstanceIn(ports::InstanceState::kRunning);
  const SideObject disk{"disk", "bn-00009/disk-3", Money{}, false, {}};
  Sweep sweep = SweepOrphans(One(kStart, {instance}, {disk}), {}, {}, kStart);
  EXPECT_THAT(sweep.orphans, IsEmpty());
  sweep = SweepOrphans(One(kStart + 10s, {instance}, {disk}), {}, sweep.seen, kStart + 10s);
  EXPECT_THAT(sweep.orphans, IsEmpty()) << "too soon";
  sweep = SweepOrphans(One(kStart + 30s, {instance}, {disk}), {}, sweep.seen, kStart + 30s);
  ASSERT_THAT(sweep.orphans, SizeIs(2));
  EXPECT_EQ(Describe(sweep.orphans[0].command), "DeleteOrphan scaleway i-1 bn-00001");
  EXPECT_EQ(Describe(sweep.orphans[1].command), "DeleteOrphan scaleway  bn-00009");
  EXPECT_EQ(sweep.orphans[1].entry.step, "orphan-bn-00009/disk-3");
}

TEST(SweepTest, AListingWithoutItStartsTheCountAnew) {
  const auto instance = InstanceIn(ports::InstanceState::kRunning);
  Sweep sweep = SweepOrphans(One(kStart, {instance}), {}, {}, kStart);
  sweep = SweepOrphans(One(kStart + 20s, {}), {}, sweep.seen, kStart + 20s);
  sweep = SweepOrphans(One(kStart + 40s, {instance}), {}, sweep.seen, kStart + 40s);
  EXPECT_THAT(sweep.orphans, IsEmpty());
}

TEST(SweepTest, AProviderThatWasNotListedKeepsItsCount) {
  const auto instance = InstanceIn(ports::InstanceState::kRunning);
  Sweep sweep = SweepOrphans(One(kStart, {instance}), {}, {}, kStart);
  sweep = SweepOrphans({}, {}, sweep.seen, kStart + 20s);
  sweep = SweepOrphans(One(kStart + 40s, {instance}), {}, sweep.seen, kStart + 40s);
  EXPECT_THAT(sweep.orphans, SizeIs(1));
}

TEST(SweepTest, LeavesLiveNodesAloneButNotTheirDoubles) {
  const auto own = InstanceIn(ports::InstanceState::kRunning, "i-1");
  const auto second = InstanceIn(ports::InstanceState::kRunning, "i-2");
  const SideObject disk{"disk", "bn-00001/disk-3", Money{}, false, {}};
  const std::vector<BurstNode> nodes = {NodeIn(Phase::kRunning)};
  Sweep sweep = SweepOrphans(One(kStart, {own, second}, {disk}), nodes, {}, kStart);
  sweep = SweepOrphans(One(kStart + 1min, {own, second}, {disk}), nodes, sweep.seen, kStart + 1min);
  ASSERT_THAT(sweep.orphans, SizeIs(1));
  EXPECT_EQ(Describe(sweep.orphans[0].command), "DeleteOrphan scaleway i-2 bn-00001");
}

TEST(SweepTest, ANodeOfAnotherProviderOwnsNothingHere) {
  std::vector<BurstNode> nodes = {NodeIn(Phase::kRunning)};
  nodes[0].offer.provider = "ovh";
  const auto instance = InstanceIn(ports::InstanceState::kRunning);
  Sweep sweep = SweepOrphans(One(kStart, {instance}), nodes, {}, kStart);
  sweep = SweepOrphans(One(kStart + 1min, {instance}), nodes, sweep.seen, kStart + 1min);
  EXPECT_THAT(sweep.orphans, SizeIs(1));
}

// --- budgets -----------------------------------------------------------------------------------

TEST(Budget, CalendarPeriods) {
  const Time now = *ParseTime("2026-11-24T08:15:00Z");  // a Tuesday
  const auto check = [&](std::string_view name, std::string_view start, std::string_view end) {
    const auto period = PeriodAt(name, now);
    ASSERT_TRUE(period.has_value());
    EXPECT_EQ(FormatTime(period->start), start);
    EXPECT_EQ(FormatTime(period->end), end);
  };
  check("day", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z");
  check("week", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
  check("month", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
  check("quarter", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z");
  check("year", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
  EXPECT_FALSE(PeriodAt("fortnight", now).has_value());
}

TEST(Budget, SpentAndReserved) {
  const Time now = *ParseTime("2026-11-24T08:15:00Z");
  auto gone = [&](std::string_view at, Money cost, std::string budget) {
    BurstNode node = NodeIn(Phase::kGone, *ParseTime(at));
    node.cost = cost;
    node.settled = true;
    node.budget = std::move(budget);
    return node;
  };
  BurstNode overdue = NodeIn(Phase::kDeleting);
  overdue.meter_start = now - 100h;  // a deletion that will not end: 300 EUR against 40 reserved
  BurstNode fresh = PlannedNode();
  const std::vector<BurstNode> nodes = {
      gone("2026-11-01T00:00:00Z", Money::Euro(3), "vision-month"),
      gone("2026-10-31T23:59:59Z", Money::Euro(100), "vision-month"),
      gone("2026-11-02T00:00:00Z", Money::Euro(7), "another"), overdue, fresh};

  std::vector<BudgetState> budgets(1);
  budgets[0].name = "vision-month";
  budgets[0].namespaces = {"vision"};
  budgets[0].amount = Money::Euro(500);
  budgets[0].period = "month";
  budgets[0].opening_spend = Money::Euro(10);
  budgets[0].opened_at = *ParseTime("2026-11-05T00:00:00Z");
  FillBudgets(budgets, nodes, now);
  EXPECT_EQ(budgets[0].spent, Money::Euro(20)) << "all that concerns its namespace";
  EXPECT_EQ(budgets[0].reserved, Money::Euro(340));
  EXPECT_EQ(budgets[0].Left(), Money::Euro(140));
  budgets[0].opened_at = *ParseTime("2026-10-05T00:00:00Z");
  FillBudgets(budgets, nodes, now);
  EXPECT_EQ(budgets[0].spent, Money::Euro(10)) << "an opening spend counts in its own period only";
  EXPECT_EQ(FormatTime(budgets[0].period_ends), "2026-12-01T00:00:00Z");
}

// --- clock -------------------------------------------------------------------------------------

TEST(RuleClockTest, FollowsButDoesNotJump) {
  ManualClock wall(kStart);
  const RuleClock clock(wall, Time{});
  wall.Advance(1min);
  EXPECT_EQ(clock.Now(), kStart + 1min);
  wall.JumpWall(5h);
  EXPECT_EQ(clock.Now(), kStart + 1min);
  wall.Advance(100min);
  EXPECT_EQ(clock.Now(), kStart + 101min + 10min);
  wall.JumpWall(-20h);
  const Time before = clock.Now();
  wall.Advance(100min);
  EXPECT_EQ(clock.Now(), before + 90min);
}

TEST(RuleClockTest, SmallStepsSlewAsMuchAsLargeOnes) {
  ManualClock wall(kStart);
  const RuleClock clock(wall, Time{});
  wall.JumpWall(1h);
  for (int i = 0; i < 1000; ++i) {
    wall.Advance(7ms);
    clock.Now();
  }
  EXPECT_EQ(clock.Now(), kStart + 7700ms);
}

TEST(RuleClockTest, NeverStartsBeforeWhatIsStored) {
  ManualClock wall(kStart);
  EXPECT_EQ(RuleClock(wall, kStart + 1h).Now(), kStart + 1h);
  EXPECT_EQ(NewestMoment({NodeIn(Phase::kRunning, kStart + 3h)}), kStart + 3h);
}

// --- conductor ---------------------------------------------------------------------------------

class FakeJournal final : public ports::Journal {
 public:
  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override {
    ++commits;
    if (full) return Fail(Code::kUnavailable, "no space left on device");
    for (const BurstNode& node : nodes) stored[node.name] = node;
    written.insert(written.end(), entries.begin(), entries.end());
    return Ok();
  }
  Result<std::vector<BurstNode>> Nodes(Time) override {
    ++reads;
    std::vector<BurstNode> out;
    for (const auto& [name, node] : stored) out.push_back(node);
    return out;
  }
  Result<std::int64_t> LastSerial() override { return 1; }

  std::map<std::string, BurstNode> stored;
  std::vector<LedgerEntry> written;
  bool full = false;
  int commits = 0, reads = 0;
};

class FakeObserver final : public Observer {
 public:
  Result<World> Observe(std::vector<BurstNode> nodes, std::int64_t) override {
    World world = EmptyWorld(kStart);
    world.snapshot.burst_nodes = std::move(nodes);
    return world;
  }
  void Published(World world, const RoundResult&) override { rounds.push_back(world.snapshot.now); }
  std::vector<Time> rounds;
};

class FakeSink final : public CommandSink {
 public:
  void Send(const Command& command) override { sent.push_back(Describe(command)); }
  std::vector<std::string> sent;
};

TEST(ConductorTest, NothingIsSentThatWasNotStored) {
  ManualClock clock(kStart);
  FakeJournal journal;
  journal.stored["bn-00001"] = PlannedNode();
  FakeObserver observer;
  FakeSink sink;
  Conductor conductor(clock, journal, observer, sink);
  journal.full = true;
  EXPECT_FALSE(conductor.Round().has_value());
  EXPECT_THAT(sink.sent, IsEmpty());
  EXPECT_EQ(journal.stored["bn-00001"].phase, Phase::kPlanned);
  journal.full = false;
  EXPECT_TRUE(conductor.Round().has_value());
  EXPECT_THAT(sink.sent, ElementsAre("CreateInstance bn-00001"));
  EXPECT_EQ(journal.stored["bn-00001"].phase, Phase::kRequested);
  EXPECT_TRUE(conductor.Round().has_value());
  EXPECT_THAT(sink.sent, SizeIs(1));
  EXPECT_EQ(journal.commits, 2) << "a round without news is not stored";
  EXPECT_EQ(journal.reads, 2) << "read again only after the failed commit";
  ASSERT_THAT(observer.rounds, SizeIs(2));
  EXPECT_LT(observer.rounds[0], observer.rounds[1]);
}

}  // namespace
}  // namespace spillway::control
