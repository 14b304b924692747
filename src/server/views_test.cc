#include "server/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/answer_check.h"
#include "server/fake_backend.h"
#include "server/view_parts.h"

namespace spillway::server {
namespace {

using testing::HasSubstr;

ViewContext Noon() {
  return {At("12:00:00"), 30, {"machines are simulated"}};
}

std::string Text(const json::value& value) {
  return json::serialize(value);
}

Owners NoonOwners() {
  return {{"vision/one", "vision/Pod/one"},
          {"vision/sweep-0", "vision/Job/sweep"},
          {"vision/sweep-1", "vision/Job/sweep"}};
}

TEST(StatusView, ShowsTheSite) {
  EXPECT_EQ(Text(StatusView(NoonRound(), {}, Noon()).at("site")),
            R"({"gpusUsed":1,"gpusTotal":4,"nodes":[{"name":"gpu-1","ready":true,)"
            R"("unschedulable":false,"gpusUsed":1,"gpusTotal":4,"pods":1}]})");
}

TEST(StatusView, ShowsWhoWaitsAndWhy) {
  EXPECT_EQ(Text(StatusView(NoonRound(), {}, Noon()).at("waiting")),
            R"([{"workload":"labs/Job/tune","namespace":"labs","pods":1,"gpus":1,)"
            R"("since":"2026-11-24T11:58:00Z","waitedSeconds":120,"verdict":"wait",)"
            R"("reason":"budget","sentence":"waits: Budget labs lacks 1.20 €","until":null,)"
            R"("estimate":{"microEuro":1300000,"text":"1.30 €"},)"
            R"("missing":{"microEuro":1200000,"text":"1.20 €"},"burstNode":null}])");
}

TEST(StatusView, ShowsWhereWorkRuns) {
  EXPECT_EQ(Text(StatusView(NoonRound(), {}, Noon()).at("running")),
            R"([{"workload":"vision/Job/base","namespace":"vision","pods":1,"gpus":1,)"
            R"("starting":0,"where":[{"node":"gpu-1","place":"site","rented":false,"pods":1}]},)"
            R"({"workload":"vision/Job/sweep","namespace":"vision","pods":2,"gpus":2,)"
            R"("starting":1,"where":[{"node":"bn-00002",)"
            R"("place":"scaleway/fr-par-2/H100-SXM-4-80G","rented":true,"pods":2}]}])");
}

TEST(StatusView, ShowsWhatIsRentedAndWhatItCosts) {
  const json::value status =
      StatusView(NoonRound(), {{"bn-00002", 300, 1000, 0.5, 2, "slow", 99}}, Noon());
  ASSERT_EQ(status.at("rented").as_array().size(), 1u);
  const json::value& node = status.at("rented").at(0);
  EXPECT_EQ(node.at("name"), "bn-00002");
  EXPECT_EQ(node.at("phaseSeconds"), 900);
  EXPECT_EQ(node.at("for"), "vision/Job/sweep");
  // 19 minutes of 10.692001 EUR per hour, and the disk since the create call, in started minutes.
  EXPECT_EQ(node.at("costSoFar").at("microEuro"), 3'385'801 + 20'000);
  EXPECT_EQ(node.at("perHour").at("microEuro"), 10'752'001);
  EXPECT_EQ(status.at("perHour"), node.at("perHour"));
  EXPECT_EQ(Text(node.at("progress")),
            R"({"burstNode":"bn-00002","stagedBytes":300,"totalBytes":1000,"stagedPercent":30,)"
            R"("stagedBytesPerSecond":99,"stagedSecondsLeft":8,)"
            R"("wipePercent":50,"resultsPending":2,"problem":"slow"})");
  EXPECT_TRUE(StatusView(NoonRound(), {}, Noon()).at("rented").at(0).at("progress").is_null());
}

TEST(StatusView, ShowsBudgets) {
  const json::value status = StatusView(NoonRound(), {}, Noon());
  const json::value& labs = status.at("budgets").at(0);
  EXPECT_EQ(labs.at("percent"), 99);
  EXPECT_EQ(labs.at("warn"), true);
  EXPECT_EQ(labs.at("left").at("text"), "0.10 €");
  EXPECT_EQ(labs.at("periodEnds"), "2026-12-01T00:00:00Z");
  EXPECT_EQ(status.at("budgets").at(1).at("percent"), 5);
  EXPECT_EQ(status.at("budgets").at(1).at("warn"), false);
}

TEST(StatusView, RaisesAlarms) {
  RoundView round = NoonRound();
  round.snapshot.budgets.erase(round.snapshot.budgets.begin());
  EXPECT_EQ(Text(StatusView(round, {}, Noon()).at("alarms")), "[]");

  BurstNode& node = round.snapshot.burst_nodes[1];
  node.phase = Phase::kDeleting;
  node.key_destroyed = true;
  node.phase_since = At("11:50:00");
  EXPECT_EQ(Text(StatusView(round, {}, Noon()).at("alarms")), "[]");  // ten minutes are not more
  node.phase_since = At("11:49:00");
  node.meter_stop = At("11:50:00");
  round.snapshot.accounts[0].ready = false;
  round.snapshot.accounts[0].not_ready_reason = "the token has expired";
  round.problems = {"Pod vision/x: odd"};
  EXPECT_EQ(
      Text(StatusView(round, {}, Noon()).at("alarms")),
      R"([{"kind":"deleting","about":"bn-00002","sentence":"BurstNode bn-00002 at scaleway is )"
      R"(being deleted for 11m and still costs 0.06 € per hour"},)"
      R"({"kind":"provider","about":"ovhcloud","sentence":"CloudProvider ovhcloud cannot be )"
      R"(used: the token has expired"},)"
      R"({"kind":"object","about":"","sentence":"Pod vision/x: odd"}])");
}

TEST(StatusView, AnOwedKeyIsAnAlarmOfItsOwnAndCostsNothing) {
  RoundView round = NoonRound();
  round.snapshot.budgets.clear();
  BurstNode& node = round.snapshot.burst_nodes[1];
  node.phase = Phase::kDeleting;
  node.phase_since = At("10:00:00");
  node.key_owed_since = At("10:30:00");
  node.instance_may_exist = false;
  EXPECT_EQ(
      Text(StatusView(round, {}, Noon()).at("alarms")),
      R"([{"kind":"key","about":"bn-00002","sentence":"BurstNode bn-00002: the key service did )"
      R"(not destroy its run key within 30m; from )" +
          FormatTime(At("10:30:00")) +
          R"( on the machine was given back without that, and the destruction is asked for until )"
          R"(it is done"}])");
  EXPECT_EQ(AnswerCheck().Problem("get", "/api/v1/status", 200, StatusView(round, {}, Noon())), "");
  node.key_destroyed = true;
  EXPECT_EQ(StatusView(round, {}, Noon()).at("alarms").at(0).at("kind"), "deleting");
  node.key_destroyed_at = At("11:50:00");
  EXPECT_EQ(StatusView(round, {}, Noon()).at("alarms"), json::array()) << "what is left is new";
}

TEST(StatusView, AnEmptySiteIsShownToo) {
  const json::value status = StatusView({}, {}, Noon());
  EXPECT_EQ(AnswerCheck().Problem("get", "/api/v1/status", 200, status), "");
  EXPECT_EQ(status.at("perHour").at("microEuro"), 0);
}

TEST(OffersView, JudgesByTheRulesOfAPolicy) {
  const json::value view = *OffersView(NoonRound(), "research", "", Noon());
  EXPECT_EQ(view.at("sentence"), "BurstPolicy research allows 1 of 2 offers");
  const json::value& ovh = view.at("items").at(0);
  EXPECT_EQ(ovh.at("verdict").at("reason"), "us-nexus");
  EXPECT_THAT(Text(ovh.at("verdict").at("sentence")), HasSubstr("nexus to the United States"));
  const json::value& scaleway = view.at("items").at(1);
  EXPECT_EQ(Text(scaleway.at("verdict")),
            R"({"reason":"allowed","detail":"","sentence":"allowed"})");
  EXPECT_EQ(scaleway.at("perGpuHour").at("microEuro"), 2'673'001);  // rounded up
  EXPECT_EQ(scaleway.at("gpuProduct"), "NVIDIA-H100-80GB-HBM3");
  EXPECT_EQ(scaleway.at("boot").at("machines"), 0);
  RoundView learned = NoonRound();
  learned.snapshot.times[learned.snapshot.offers[1].Key()] = {.boot = {41s, 70s, 12},
                                                              .tries = {3, 15, 1min, 90s}};
  const json::value later = *OffersView(learned, "research", "", Noon());
  EXPECT_EQ(Text(later.at("items").at(1).at("boot")),
            R"({"medianSeconds":41,"p90Seconds":70,"machines":12})");
  EXPECT_EQ(Text(later.at("items").at(1).at("join")),
            R"({"medianSeconds":0,"p90Seconds":0,"machines":0})");
  EXPECT_EQ(Text(later.at("items").at(1).at("stageRate")),
            R"({"medianBytesPerSecond":100000000,"p10BytesPerSecond":100000000,"machines":0})");
  EXPECT_EQ(Text(later.at("items").at(1).at("tries")),
            R"({"failed":3,"tried":15,"tookSeconds":60,"paidSeconds":90})");
  EXPECT_EQ(Text(view.at("providers").at("scaleway").at("leftovers")),
            R"([{"kind":"disk","perHour":{"microEuro":7100,"text":"0.01 €"},)"
            R"("deletedWithInstance":false}])");
}

TEST(OffersView, WithoutAPolicyThereIsNoVerdict) {
  const json::value nobody = *OffersView(NoonRound(), "", "", Noon());
  EXPECT_TRUE(nobody.at("items").at(0).at("verdict").is_null());
  const json::value ops = *OffersView(NoonRound(), "", "ops", Noon());
  EXPECT_EQ(ops.at("sentence"), "no BurstPolicy admits namespace ops: its work stays at the site");
  EXPECT_EQ(OffersView(NoonRound(), "other", "", Noon()).error().code, Code::kNotFound);
}

TEST(OffersView, AnUnknownProviderCountsAsTheStrongestNexus) {
  RoundView round = NoonRound();
  round.snapshot.facts.clear();
  EXPECT_EQ(OffersView(round, "", "", Noon())->at("items").at(1).at("usNexus"), "owner");
}

TEST(ExplainView, AWaitingWorkloadShowsThePlannersVerdicts) {
  const json::value view = *ExplainView(NoonRound(), "labs/Job/tune", JobObject("labs", "tune", {}),
                                        nullptr, {}, {}, Noon());
  EXPECT_EQ(view.at("judged"), "workload");
  EXPECT_EQ(view.at("sentence"), "waits: Budget labs lacks 1.20 €");
  EXPECT_EQ(view.at("decision").at("missing").at("text"), "1.20 €");
  EXPECT_EQ(Text(view.at("facts")),
            R"({"policy":"research","dataClass":"internal","dataClassSource":"Dataset )"
            R"(labs/digits","inputBytes":0,"gang":false,"priority":0,"pods":1})");
  ASSERT_EQ(view.at("offers").as_array().size(), 2u);
  EXPECT_EQ(view.at("offers").at(0).at("sentence"), "nothing is rented now (budget)");
  EXPECT_EQ(view.at("offers").at(0).at("total").at("microEuro"), 1'300'000);
  EXPECT_EQ(view.at("offers").at(1).at("evidence"), "OVH US LLC, annual report, 2026-01-01");
}

TEST(ExplainView, ARunningWorkloadShowsItsBurstNodes) {
  const json::value view =
      *ExplainView(NoonRound(), "vision/Job/sweep", JobObject("vision", "sweep", {}), nullptr,
                   {GoneNode(), RunningNode()}, NoonOwners(), Noon());
  EXPECT_TRUE(view.at("decision").is_null());
  EXPECT_EQ(view.at("judged"), "policy");
  EXPECT_EQ(view.at("sentence"), "runs on BurstNode bn-00002 at scaleway/fr-par-2/H100-SXM-4-80G");
  EXPECT_EQ(view.at("offers").at(0).at("reason"), "allowed");
  EXPECT_EQ(view.at("offers").at(1).at("reason"), "us-nexus");
  ASSERT_EQ(view.at("burstNodes").as_array().size(), 2u);
  const json::value& life = view.at("burstNodes").at(1);
  EXPECT_EQ(Text(life.at("steps")),
            R"([{"step":"boot","forecastSeconds":120,"actualSeconds":179},)"
            R"({"step":"stage","forecastSeconds":60,"actualSeconds":90},)"
            R"({"step":"start","forecastSeconds":0,"actualSeconds":null},)"
            R"({"step":"run","forecastSeconds":1800,"actualSeconds":null},)"
            R"({"step":"giveBack","forecastSeconds":0,"actualSeconds":null},)"
            R"({"step":"wipe","forecastSeconds":0,"actualSeconds":null}])");
  EXPECT_EQ(life.at("history").at(5).at("seconds"), 900);  // still in it
  const json::value& gone = view.at("burstNodes").at(0);
  EXPECT_TRUE(gone.at("history").at(3).at("seconds").is_null());
  EXPECT_EQ(Text(gone.at("paid")), R"({"forecastSeconds":2400,"actualSeconds":1800})");
  EXPECT_EQ(Text(gone.at("wipe")),
            R"({"class":"full","verified":true,"certificate":"bn-00001.json"})");
}

TEST(ExplainView, AnEndedWorkloadShowsTheDecisionAsItWasMade) {
  const RoundView then = NoonRound();
  const json::value record = DecisionRecord(then, then.plan.decisions.front(), Noon().now);
  RoundView now = NoonRound();
  now.plan.decisions.clear();
  now.snapshot.offers.clear();
  const json::value view =
      *ExplainView(now, "labs/Job/tune", JobObject("labs", "tune", {}), record, {}, {}, Noon());
  EXPECT_EQ(view.at("judged"), "past");
  EXPECT_EQ(view.at("past").at("sentence"), "waits: Budget labs lacks 1.20 €");
  ASSERT_EQ(view.at("offers").as_array().size(), 2u);
  EXPECT_EQ(view.at("offers").at(0).at("total").at("microEuro"), 1'300'000);
}

TEST(ExplainView, SaysWhatBecameOfAnEndedWorkload) {
  const auto sentence = [](json::object status) {
    const json::value object = JobObject("ops", "x", std::move(status));
    const json::value view =
        *ExplainView(NoonRound(), "ops/Job/x", object, nullptr, {}, {}, Noon());
    EXPECT_EQ(view.at("judged"), "none");
    EXPECT_TRUE(view.at("facts").is_null());
    return std::string(View(view.at("sentence").as_string()));
  };
  const auto condition = [](std::string_view type) {
    return json::object{
        {"conditions", json::array{json::object{
                           {"type", type}, {"status", "True"}, {"message", "exit code 3"}}}}};
  };
  EXPECT_EQ(sentence(condition("Complete")), "has completed");
  EXPECT_EQ(sentence(condition("Failed")), "has failed: exit code 3");
  EXPECT_EQ(sentence(condition("Suspended")), "is suspended");
  EXPECT_EQ(sentence({{"phase", "Succeeded"}}), "has completed");
  EXPECT_EQ(sentence({}), "has no unfinished pods now");
  EXPECT_EQ(ExplainView(NoonRound(), "ops/Job/x", nullptr, nullptr, {}, {}, Noon()).error().code,
            Code::kNotFound);
}

TEST(Shares, AddUpToTheWholeAndGoByPods) {
  const BurstNode node = GoneNode();  // one pod of vision/one, two of vision/sweep
  const auto shares = SharesOf(node, NoonOwners(), At("12:00:00"));
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].first, "vision/Job/sweep");
  EXPECT_EQ(shares[0].second.compute, Money::Micro(3'333'332));
  EXPECT_EQ(shares[1].first, "vision/Pod/one");
  EXPECT_EQ(shares[1].second.compute, Money::Micro(1'666'667));
  Amounts sum;
  for (const auto& [key, part] : shares) sum += part;
  EXPECT_EQ(sum.Actual(), node.cost);
  EXPECT_EQ(sum.paid_ms, 1'800'000);
  // Pods nobody knows any more count for the workload the node was rented for.
  const auto forgotten = SharesOf(node, {}, At("12:00:00"));
  ASSERT_EQ(forgotten.size(), 1u);
  EXPECT_EQ(forgotten[0].first, "vision/Job/sweep");
}

TEST(CostView, PutsEstimateNextToActual) {
  const json::value view = *CostView({GoneNode()}, NoonOwners(), "namespace", std::nullopt, Noon());
  EXPECT_EQ(Text(view.at("rows")),
            R"([{"key":"vision","burstNodes":1,"live":0,"secondsPaid":1800,)"
            R"("secondsComputed":1000,"estimate":{"microEuro":5000000,"text":"5.00 €"},)"
            R"("actual":{"microEuro":5000000,"text":"5.00 €"},)"
            R"("compute":{"microEuro":4999999,"text":"5.00 €"},)"
            R"("sideObjects":{"microEuro":0,"text":"0.00 €"},)"
            R"("egress":{"microEuro":1,"text":"0.00 €"}}])");
  EXPECT_EQ(view.at("total").at("actual"), view.at("rows").at(0).at("actual"));
}

TEST(CostView, GroupsByEachField) {
  const std::vector<BurstNode> nodes{GoneNode(), RunningNode()};
  const auto keys = [&](std::string_view by) {
    std::string text;
    const json::value view = *CostView(nodes, NoonOwners(), by, std::nullopt, Noon());
    for (const json::value& row : view.at("rows").as_array())
      text += std::string(View(row.at("key").as_string())) + " ";
    EXPECT_EQ(view.at("total").at("live"), 1);
    return text;
  };
  EXPECT_EQ(keys("namespace"), "vision ");
  EXPECT_EQ(keys("workload"), "vision/Job/sweep vision/Pod/one ");
  EXPECT_EQ(keys("provider"), "scaleway ");
  EXPECT_EQ(keys("node"), "bn-00001 bn-00002 ");
  EXPECT_EQ(keys("budget"), "vision ");
  EXPECT_EQ(CostView(nodes, {}, "color", std::nullopt, Noon()).error().code, Code::kInvalid);
}

TEST(CostView, LeavesOutWhatWasGoneBefore) {
  const json::value view =
      *CostView({GoneNode(), RunningNode()}, {}, "node", At("11:00:00"), Noon());
  ASSERT_EQ(view.at("rows").as_array().size(), 1u);
  EXPECT_EQ(view.at("rows").at(0).at("key"), "bn-00002");
  EXPECT_EQ(view.at("rows").at(0).at("secondsComputed"), 900);  // so far
}

TEST(CostView, ANodeThatNeverCameHasNoEstimate) {
  BurstNode node = GoneNode();
  node.meter_start.reset();
  node.cost_compute = node.cost_egress = node.cost = Money{};
  const json::value view = *CostView({node}, {}, "node", std::nullopt, Noon());
  EXPECT_EQ(view.at("total").at("estimate").at("microEuro"), 0);
}

ReportInputs NoonReport() {
  FakeBackend backend;
  ReportInputs inputs;
  inputs.jobs = backend.objects["Job"];
  inputs.pods = backend.objects["Pod"];
  inputs.nodes = {GoneNode(), RunningNode()};
  inputs.inspections = backend.Inspections();
  inputs.ledger_records = 5;
  return inputs;
}

TEST(ReportView, TellsWhereEachWorkloadRanAndWhatItCost) {
  const json::value report = ReportView(NoonRound(), NoonReport(), Noon());
  EXPECT_EQ(AnswerCheck().Problem("get", "/api/v1/report", 200, report), "");
  const json::array& workloads = report.at("workloads").as_array();
  ASSERT_EQ(workloads.size(), 4u);
  EXPECT_EQ(Text(workloads[0]),
            R"({"name":"tune","namespace":"labs","ranAt":"","why":"waits: Budget labs lacks )"
            R"(1.20 €","exitCode":null,"waitedSeconds":7800,"estimateMicroEuro":0,)"
            R"("actualMicroEuro":0})");
  EXPECT_EQ(Text(workloads[1]),
            R"({"name":"base","namespace":"vision","ranAt":"site","why":"the site had room",)"
            R"("exitCode":null,"waitedSeconds":300,"estimateMicroEuro":0,"actualMicroEuro":0})");
  EXPECT_EQ(workloads[2].at("name"), "sweep");
  EXPECT_EQ(workloads[2].at("ranAt"), "scaleway/fr-par-2/H100-SXM-4-80G");
  EXPECT_EQ(workloads[2].at("why"), "the site has no room");
  EXPECT_EQ(workloads[2].at("estimateMicroEuro"), 3'333'333 + 7'130'000);
  EXPECT_EQ(workloads[2].at("actualMicroEuro"), 3'333'332 + 3'405'801);
  EXPECT_EQ(workloads[3].at("name"), "one");
  EXPECT_EQ(workloads[3].at("exitCode"), 3);
}

TEST(ReportView, WorkThatWaitedForTheSiteRanThereForThatReason) {
  ReportInputs inputs = NoonReport();
  const auto told = [&](std::string_view at, std::string_view reason, std::string message) {
    inputs.pod_events.push_back({At(at),
                                 At(at),
                                 {"Pod", "vision", "base-0"},
                                 false,
                                 std::string(reason),
                                 std::move(message),
                                 1});
  };
  told("09:52:00", "StaysHome", "waits for the site: its data is restricted");
  told("09:51:00", "Waiting", "waits 10m for the site");
  told("09:53:00", "Started", "Started the container");
  const json::value report = ReportView(NoonRound(), inputs, Noon());
  EXPECT_EQ(report.at("workloads").at(1).at("why"), "waits for the site: its data is restricted");
  EXPECT_EQ(report.at("workloads").at(2).at("why"), "the site has no room");  // its BurstNode's
}

TEST(ReportView, ExitCodeComesFromThePodThatFailedLast) {
  const auto exit_code = [](json::object status, std::vector<json::value> pods) {
    ReportInputs inputs;
    inputs.jobs = {JobObject("vision", "fails", std::move(status))};
    inputs.pods = std::move(pods);
    const json::value report = ReportView({}, inputs, Noon());
    return report.at("workloads").at(0).at("exitCode");
  };
  const auto condition = [](std::string_view type) {
    return json::object{
        {"conditions", json::array{json::object{{"type", type}, {"status", "True"}}}}};
  };
  const json::value first =
      PodObject("vision", "a", "fails", "gpu-1", EndedState("10:00:00", "10:01:00", 3));
  const json::value second =
      PodObject("vision", "b", "fails", "gpu-1", EndedState("10:02:00", "10:03:00", 4));
  EXPECT_EQ(exit_code(condition("Failed"), {second, first}), 4);
  EXPECT_EQ(exit_code(condition("Complete"), {first}), 0);
  EXPECT_TRUE(exit_code({}, {first}).is_null());
}

TEST(ReportView, ADisruptedPodDoesNotSayWhereTheWorkRan) {
  ReportInputs inputs;
  inputs.nodes = {GoneNode()};
  inputs.jobs = {JobObject("vision", "again", {})};
  json::value lost =
      PodObject("vision", "lost", "again", "bn-00001", EndedState("10:05:00", "10:06:00", 137));
  lost.at("status").as_object()["conditions"] =
      json::array{json::object{{"type", "DisruptionTarget"}, {"status", "True"}}};
  inputs.pods = {lost};
  EXPECT_EQ(ReportView({}, inputs, Noon()).at("workloads").at(0).at("ranAt"),
            "scaleway/fr-par-2/H100-SXM-4-80G");
  inputs.pods.push_back(PodObject("vision", "new", "again", "gpu-1", RunningState("10:07:00")));
  EXPECT_EQ(ReportView({}, inputs, Noon()).at("workloads").at(0).at("ranAt"), "site");
}

TEST(ReportView, NamesOffersThatRulesRefusedOrThatFailed) {
  ReportInputs inputs = NoonReport();
  inputs.nodes[0].failure = Failure::kCapacity;
  const json::value report = ReportView(NoonRound(), inputs, Noon());
  EXPECT_EQ(Text(report.at("offers")),
            R"({"considered":2,"rejected":[{"provider":"ovhcloud","region":"GRA11",)"
            R"("type":"h100-380","reason":"us-nexus"},{"provider":"scaleway",)"
            R"("region":"fr-par-2","type":"H100-SXM-4-80G","reason":"parked"}]})");
}

// Two machines of a gang and a replacement: what stayed, stayed once.
TEST(ReportView, WhatStayedCountsOnceForEachWorkload) {
  ReportInputs inputs = NoonReport();
  const BurstNode node = GoneNode();
  inputs.nodes.assign(4, node);
  inputs.nodes[1].never_left_objects = 2;  // it read one file more
  inputs.nodes[1].never_left_bytes = 300;
  inputs.nodes[2].bytes_in = 0;  // it was given up before its data was there
  inputs.nodes[2].never_left_objects = inputs.nodes[2].never_left_bytes = 0;
  inputs.nodes[3].workload = "nlp/Job/other";
  EXPECT_EQ(Text(ReportView({}, inputs, Noon()).at("neverLeft")), R"({"objects":5,"bytes":633})");
}

TEST(ReportView, AddsUpTheEvidence) {
  ReportInputs inputs = NoonReport();
  inputs.existing = {1, 2};
  inputs.inspections.push_back({"bn-00002", false, 50, 4});
  const json::value report = ReportView(NoonRound(), inputs, Noon());
  EXPECT_EQ(Text(report.at("neverLeft")), R"({"objects":3,"bytes":333})");
  EXPECT_EQ(report.at("scannedBytes"), 350);
  EXPECT_EQ(report.at("plaintextFoundOnRentedDisks"), 4);
  EXPECT_EQ(report.at("leftovers"), 3);
  EXPECT_EQ(Text(report.at("burstNodes").at(0)),
            R"({"name":"bn-00001","provider":"scaleway","region":"fr-par-2",)"
            R"("type":"H100-SXM-4-80G","phase":"Gone","secondsPaid":1800,"secondsComputed":1000,)"
            R"("costMicroEuro":5000000,"bytesIn":1000,"bytesOut":10,)"
            R"("wipe":{"class":"full","verified":true,"certificate":"bn-00001.json"}})");
}

}  // namespace
}  // namespace spillway::server
