#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/report_views.h"
#include "cli/status_view.h"
#include "cli/test_support.h"

namespace spillway::cli {
namespace {

using ::testing::HasSubstr;

const char* const kStatus = R"({
  "now": "2026-11-24T08:15:30Z", "timeScale": 30,
  "simulated": ["GPUs: they are numbers", "time: it runs faster"],
  "site": {"gpusUsed": 7, "gpusTotal": 8, "nodes": [
    {"name": "a100-01", "ready": true, "unschedulable": false, "gpusUsed": 4, "gpusTotal": 4, "pods": 1},
    {"name": "a100-02", "ready": false, "unschedulable": false, "gpusUsed": 3, "gpusTotal": 4, "pods": 1}]},
  "waiting": [
    {"workload": "medical/Job/diagnosis", "namespace": "medical", "pods": 1, "gpus": 1, "waitedSeconds": 250,
     "verdict": "stays-home", "reason": "data-class",
     "sentence": "waits for the site: Dataset medical/scans is \"restricted\" and never leaves it"}],
  "running": [
    {"workload": "ops/Job/weather", "namespace": "ops", "pods": 1, "gpus": 4, "starting": 0,
     "where": [{"node": "a100-01", "place": "site", "rented": false, "pods": 1}]},
    {"workload": "vision/Job/sweep", "namespace": "vision", "pods": 4, "gpus": 4, "starting": 0,
     "where": [{"node": "bn-00001", "place": "verda/FIN-03/4A100.88V", "rented": true, "pods": 4}]}],
  "rented": [
    {"name": "bn-00001", "phase": "Running", "provider": "verda", "region": "FIN-03", "type": "4A100.88V",
     "gpus": 4, "for": "vision/Job/sweep", "phaseSeconds": 120, "createdAt": "2026-11-24T08:10:30Z",
     "costSoFar": {"microEuro": 1030000, "text": "1.03 €"}, "perHour": {"microEuro": 6160000, "text": "6.16 €"},
     "progress": null, "failure": null, "failureDetail": ""},
    {"name": "bn-00002", "phase": "Provisioned", "provider": "scaleway", "region": "fr-par-2",
     "type": "H100-SXM-8-80G", "gpus": 8, "for": "nlp/Job/gang", "phaseSeconds": 10,
     "createdAt": "2026-11-24T08:14:30Z", "costSoFar": {"microEuro": 0, "text": "0.00 €"},
     "perHour": {"microEuro": 25330000, "text": "25.33 €"},
     "progress": {"stagedPercent": 0}, "failure": null, "failureDetail": ""}],
  "perHour": {"microEuro": 31490000, "text": "31.49 €"},
  "budgets": [{"name": "labs", "period": "month", "amount": {"text": "25.00 €"}, "spent": {"text": "24.90 €"},
    "reserved": {"text": "0.00 €"}, "left": {"text": "0.10 €"}, "percent": 99, "warn": true}],
  "alarms": [{"kind": "budget", "about": "labs", "sentence": "Budget labs: 99 % of 25.00 € is spent"}]})";

const char* const kNodes = R"({"items": [
  {"metadata": {"name": "bn-00001"}, "spec": {"forecast": {"boot": "2m30s", "run": "4m"}}},
  {"metadata": {"name": "bn-00002"}, "spec": {"forecast": {"boot": "90s", "run": "8m"}}}]})";

TEST(StatusView, AnswersOnOneScreen) {
  EXPECT_EQ(
      StatusView(Json(kStatus), Json(kNodes), {false, false, 100, 0}),
      "site 7 of 8 GPUs busy   1 waiting   2 rented (simulated)   31.49 € per hour         "
      "08:15:30 UTC ×30\n"
      "  a100-01 ████████ 4/4  a100-02 ██████░░ 3/4 not ready\n"
      "\nALARMS\n"
      "  ! Budget labs: 99 % of 25.00 € is spent\n"
      "\nWAITING, AND WHY\n"
      "  medical/Job/diagnosis   1 GPU   4m10s  waits for the site: Dataset medical/scans is "
      "\"restricted\"\n"
      "                                         and never leaves it\n"
      "\nRENTED (simulated)\n"
      "  NAME      PHASE        PROGRESS                WHERE               FOR               "
      "SINCE    COST\n"
      "  bn-00001  Running      run   █████░░░░░  50 %  verda/FIN-03/4A10…  vision/Job/sweep   "
      "  2m  1.03 €\n"
      "  bn-00002  Provisioned  boot  ██████░░░░  66 %  scaleway/fr-par-2…  nlp/Job/gang       "
      " 10s  0.00 €\n"
      "\nRUNNING AT THE SITE\n"
      "  WORKLOAD         PODS  WHERE\n"
      "  ops/Job/weather     1  a100-01\n"
      "\nBUDGETS\n"
      "  NAME  USED                  LEFT       OF    SPENT  RESERVED  PERIOD\n"
      "  labs  █████████░  99 % !  0.10 €  25.00 €  24.90 €    0.00 €  month\n"
      "simulated: GPUs, time\n");
}

TEST(StatusView, FitsItsTerminal) {
  for (const std::size_t columns : {80u, 100u, 120u}) {
    const Terminal terminal{true, false, columns, 30};
    std::istringstream lines(StatusView(Json(kStatus), Json(kNodes), terminal));
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count)
      EXPECT_LE(DisplayWidth(line), columns) << line;
    EXPECT_LE(count, 30u);
  }
  EXPECT_THAT(StatusView(Json(kStatus), Json(kNodes), {false, false, 120, 0}),
              HasSubstr("PER HOUR"));
}

TEST(StatusView, LongListsSayWhatTheyLeaveOut) {
  json::value status = Json(kStatus);
  json::array& waiting = status.at("waiting").as_array();
  const json::value one = waiting[0];
  for (int i = 0; i < 20; ++i) waiting.push_back(one);
  EXPECT_THAT(StatusView(status, nullptr, {true, false, 100, 30}), HasSubstr("  … and 14 more\n"));
}

TEST(StatusView, ProgressOfEveryPhase) {
  const auto of = [](const std::string& phase, const std::string& progress) {
    return ProgressOf(
        Json("{\"phase\":\"" + phase + "\",\"phaseSeconds\":60,\"progress\":" + progress + "}"),
        Json(R"({"spec":{"forecast":{"run":"4m"}}})"), Time{});
  };
  EXPECT_EQ(of("Joined", R"({"stagedPercent":50})"), "stage █████░░░░░  50 %");
  EXPECT_EQ(of("Joined", R"({"stagedPercent":50,"stagedBytesPerSecond":1048576,)"
                         R"("stagedSecondsLeft":70})"),
            "stage █████░░░░░  50 %  1.0 MiB/s  1m10s left");
  EXPECT_EQ(of("Joined", R"({"stagedBytes":1,"totalBytes":2097152,"stagedPercent":50})"),
            "stage █████░░░░░  50 % of 2.0 MiB");
  EXPECT_EQ(of("Running", R"({"stagedBytes":1,"totalBytes":2097152,"stagedPercent":50})"),
            "stage █████░░░░░  50 % of 2.0 MiB")
      << "its pods began before all was there";
  EXPECT_EQ(of("Running", R"({"stagedBytes":2,"totalBytes":2,"stagedPercent":100})"),
            "run   ██░░░░░░░░  25 %");
  EXPECT_EQ(of("Running", "null"), "run   ██░░░░░░░░  25 %");
  EXPECT_EQ(of("Returning", R"({"resultsPending":2})"), "2 results to come");
  EXPECT_EQ(of("Wiping", R"({"wipePercent":100})"), "wipe  ██████████ 100 %");
  EXPECT_EQ(of("Deleting", "null"), "");
}

const char* const kExplain = R"j({
  "now": "2026-11-24T08:15:30Z", "simulated": ["GPUs: they are numbers"], "workload": "labs/Job/tune",
  "namespace": "labs", "sentence": "waits: Budget labs lacks 0.79 €",
  "decision": {"waitedSeconds": 120, "estimate": null, "missing": {"text": "0.79 €"},
    "until": "2026-12-01T00:00:00Z"},
  "facts": {"policy": "research", "dataClass": "internal", "dataClassSource": "Dataset labs/digits",
    "inputBytes": 219136, "gang": false, "priority": 100, "pods": 1},
  "judged": "workload",
  "offers": [
    {"provider": "verda", "region": "FIN-02", "type": "1L40S.20V", "gpus": 1, "perHour": {"text": "1.18 €"},
     "reason": "not-rented", "sentence": "nothing is rented now (budget)", "total": {"text": "0.39 €"},
     "evidence": ""},
    {"provider": "ovhcloud", "region": "GRA11", "type": "l40s-90", "gpus": 1, "perHour": {"text": "1.40 €"},
     "reason": "us-nexus", "sentence": "refused: nexus to the United States (subsidiary)", "total": null,
     "evidence": "OVH US LLC (2026-11-23)"}],
  "burstNodes": [{"name": "bn-00001", "phase": "Gone", "why": "cheapest", "provider": "verda", "region": "FIN-03",
    "type": "4A100.88V", "steps": [{"step": "boot", "forecastSeconds": 150, "actualSeconds": 126},
    {"step": "giveBack", "forecastSeconds": 0, "actualSeconds": null}],
    "paid": {"forecastSeconds": 600, "actualSeconds": 600},
    "cost": {"forecast": {"text": "1.03 €"}, "worstCase": {"text": "3.08 €"}, "actual": {"text": "1.03 €"}},
    "failure": "NodeLost", "failureDetail": "no heartbeat", "bytesIn": 1024, "bytesOut": 0,
    "neverLeft": {"objects": 4, "bytes": 2048},
    "wipe": {"class": "crypto-erase only", "verified": false, "certificate": "c/bn-00001.json"}}]})j";

TEST(ExplainView, SaysWhereWhyAndEveryReason) {
  EXPECT_EQ(ExplainView(Json(kExplain), false, {}),
            "labs/Job/tune\n"
            "waits: Budget labs lacks 0.79 €\n"
            "waits for 2m, the budget lacks 0.79 €, looked at again at 2026-12-01 00:00\n"
            "policy research, data class internal (Dataset labs/digits), 214 KiB of input, 1 pod, "
            "priority 100\n"
            "\nOFFERS (simulated)\n"
            "  OFFER                   GPUS  PER HOUR   TOTAL  VERDICT\n"
            "  verda/FIN-02/1L40S.20V     1    1.18 €  0.39 €  nothing is rented now (budget)\n"
            "  ovhcloud/GRA11/l40s-90     1    1.40 €          refused: nexus to the United States "
            "(subsidiary)\n"
            "\nRENTED FOR IT (simulated)\n"
            "  bn-00001 Gone  verda/FIN-03/4A100.88V\n"
            "    why      cheapest\n"
            "    times    boot 2m6s (forecast 2m30s), return - (forecast 0s)\n"
            "    paid     10m (forecast 10m)\n"
            "    cost     1.03 € (forecast 1.03 €, worst case 3.08 €)\n"
            "    data     1.0 KiB in, 0 B out; 4 objects and 2.0 KiB never left\n"
            "    wipe     crypto-erase only, certificate c/bn-00001.json\n"
            "    failure  NodeLost: no heartbeat\n"
            "\nsimulated: GPUs\n");
  EXPECT_THAT(ExplainView(Json(kExplain), true, {}), HasSubstr("OVH US LLC (2026-11-23)"));
}

TEST(ExplainView, ManyOffersAreCounted) {
  json::value explain = Json(kExplain);
  json::array& offers = explain.at("offers").as_array();
  const json::value refused = offers[1];
  for (int i = 0; i < 30; ++i) offers.push_back(refused);
  EXPECT_THAT(ExplainView(explain, false, {}),
              HasSubstr("  … and 21 more; -o wide shows all with evidence\n"));
}

TEST(CostView, PutsPaidNextToComputedAndEstimateNextToActual) {
  const json::value cost = Json(R"({"by": "workload", "simulated": [], "rows": [
    {"key": "vision/Job/sweep", "burstNodes": 2, "live": 1, "secondsPaid": 660, "secondsComputed": 240,
     "estimate": {"text": "1.80 €"}, "actual": {"text": "1.97 €"}, "compute": {"text": "1.96 €"},
     "sideObjects": {"text": "0.01 €"}, "egress": {"text": "0.00 €"}}],
    "total": {"key": "total", "burstNodes": 2, "live": 0, "secondsPaid": 660, "secondsComputed": 0,
     "estimate": {"text": "1.80 €"}, "actual": {"text": "1.97 €"}, "compute": {"text": "1.96 €"},
     "sideObjects": {"text": "0.01 €"}, "egress": {"text": "0.00 €"}}})");
  EXPECT_EQ(CostView(cost, {}),
            "WORKLOAD               NODES  PAID  COMPUTED  USED  ESTIMATE  ACTUAL  COMPUTE  DISKS "
            "ETC  EGRESS\n"
            "vision/Job/sweep  2 (1 live)   11m        4m  36 %    1.80 €  1.97 €   1.96 €     "
            "0.01 €  0.00 €\n"
            "total                      2   11m        0s   0 %    1.80 €  1.97 €   1.96 €     "
            "0.01 €  0.00 €\n");
}

TEST(PlanView, SaysWhatWouldHappenAndCost) {
  const json::value plan =
      Json(R"({"simulated": ["GPUs: x"], "problems": ["Budget x: no amount"], "decisions": [
    {"workload": "vision/Job/sweep", "verdict": "rent", "estimateMicroEuro": 1030000, "missingMicroEuro": null,
     "sentence": "rents it", "explanation": 0}],
    "rentals": [{"provider": "verda", "region": "FIN-03", "type": "4A100.88V", "workload": "vision/Job/sweep",
     "pods": ["a", "b"], "forecast": {"paid": "10m", "total": "1.027 EUR", "worstCase": "3.08 EUR"}}],
    "explanations": [{"offers": [{"reason": "chosen"}, {"reason": "us-nexus"}, {"reason": "us-nexus"},
     {"reason": "costs-more"}]}]})");
  EXPECT_EQ(PlanView(plan, {}),
            "left out: Budget x: no amount\n"
            "WORKLOAD          VERDICT    COST  WHY\n"
            "vision/Job/sweep  rent     1.03 €  rents it\n"
            "\nWOULD RENT (simulated)\n"
            "MACHINE                 FOR               PODS  PAID    COST  AT WORST\n"
            "verda/FIN-03/4A100.88V  vision/Job/sweep     2   10m  1.03 €    3.08 €\n"
            "offers not taken for vision/Job/sweep: 1 costs-more, 2 us-nexus\n"
            "simulated: GPUs\n");
}

TEST(OffersView, ShowsPriceFactsAndVerdict) {
  const json::value offers =
      Json(R"({"simulated": [], "sentence": "BurstPolicy p allows 0 of 1 offers", "items": [
    {"provider": "ovhcloud", "region": "GRA11", "country": "FR", "type": "h100-380", "gpus": 1,
     "gpuProduct": "NVIDIA-H100-PCIe", "perHour": {"text": "2.80 €"}, "perGpuHour": {"text": "2.80 €"},
     "stock": "unknown", "usNexus": "subsidiary", "certificates": ["ISO27001"], "capacity": "on-demand",
     "boot": {"medianSeconds": 41, "p90Seconds": 70, "machines": 12},
     "join": {"medianSeconds": 0, "p90Seconds": 0, "machines": 0},
     "stage": {"medianSeconds": 2, "p90Seconds": 3, "machines": 9},
     "stageRate": {"medianBytesPerSecond": 104857600, "p10BytesPerSecond": 9, "machines": 7},
     "start": {"medianSeconds": 64, "p90Seconds": 130, "machines": 11},
     "tries": {"failed": 3, "tried": 15, "tookSeconds": 60, "paidSeconds": 90},
     "source": "price list", "readAt": "2026-11-23T00:00:00Z", "verdict": {"sentence": "refused: nexus"}}]})");
  EXPECT_EQ(OffersView(offers, false, {}),
            "OFFER                    COUNTRY  GPUS  PRODUCT           PER HOUR  PER GPU  STOCK    "
            "US NEXUS    VERDICT\n"
            "ovhcloud/GRA11/h100-380  FR          1  NVIDIA-H100-PCIe    2.80 €   2.80 €  unknown  "
            "subsidiary  refused: nexus\n"
            "\nBurstPolicy p allows 0 of 1 offers\n");
  EXPECT_THAT(OffersView(offers, true, {}), HasSubstr("price list  2026-11-23"));
  EXPECT_THAT(OffersView(offers, true, {}),
              AllOf(HasSubstr("BOOTS IN                   STAGES IN"),
                    HasSubstr("41s, slow ones 1m10s (12)  2s (9), 100 MiB/s (7)  "
                              "1m4s, slow ones 2m10s (11)  3 of 15  ISO27001")));
}

}  // namespace
}  // namespace spillway::cli
