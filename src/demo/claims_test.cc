#include "demo/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "demo/outcome.h"
#include "demo/test_evidence.h"

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Broken(const Evidence& evidence) {
  std::vector<std::string> out;
  for (const Claim& claim : CheckClaims(evidence))
    if (!claim.ok) out.push_back(claim.name + ": " + claim.detail);
  return out;
}

TEST(Claims, AllHoldForGoodEvidence) {
  EXPECT_THAT(Broken(GoodEvidence()), ElementsAre());
  EXPECT_TRUE(AllHold(CheckClaims(GoodEvidence())));
  EXPECT_FALSE(AllHold({})) << "nothing checked is nothing shown";
  const Evidence none;
  for (const Claim& claim : CheckClaims(none))
    if (claim.name != "every machine that had data has a certificate") {
      EXPECT_FALSE(claim.ok) << claim.name << " holds without any evidence";
    }
}

json::value& ReportNode(Evidence& e, int i) {
  return e.report.at("burstNodes").as_array()[static_cast<std::size_t>(i)];
}
json::object& Node(Evidence& e, int i) {
  return e.nodes.at("items").as_array()[static_cast<std::size_t>(i)].as_object();
}
json::object& Workload(Evidence& e, int i) {
  return e.report.at("workloads").as_array()[static_cast<std::size_t>(i)].as_object();
}

// One piece of evidence that speaks against it, and the claim that must fall.
struct Counter {
  const char* claim;
  std::function<void(Evidence&)> spoil;
};

TEST(Claims, EachFallsWithItsEvidence) {
  const Counter counters[] = {
      {"bit-identical",
       [](Evidence& e) { e.results["vision/sweep"].results["rank-1/model.bin"] = "xx"; }},
      {"bit-identical", [](Evidence& e) { e.results["vision/baseline"].results.clear(); }},
      {"bit-identical", [](Evidence& e) { e.results["vision/baseline"].results["extra"] = "dd"; }},
      {"every rented machine is gone",
       [](Evidence& e) { ReportNode(e, 0).as_object()["phase"] = "Deleting"; }},
      {"nothing is left", [](Evidence& e) { e.report.as_object()["leftovers"] = 1; }},
      {"no plaintext",
       [](Evidence& e) { e.report.as_object()["plaintextFoundOnRentedDisks"] = 1; }},
      {"no plaintext", [](Evidence& e) { e.report.as_object()["scannedBytes"] = 0; }},
      {"never left the site",
       [](Evidence& e) { e.report.at("neverLeft").as_object()["bytes"] = 0; }},
      {"export verifies", [](Evidence& e) { e.exported.ok = false; }},
      {"database verifies", [](Evidence& e) { e.stored.ok = false; }},
      {"every wipe certificate", [](Evidence& e) { e.certificates[0].verified = false; }},
      {"has a certificate", [](Evidence& e) { e.certificates.erase(e.certificates.begin()); }},
      {"stays at home", [](Evidence& e) { Workload(e, 4)["ranAt"] = "verda/FIN-03/x"; }},
      {"share one machine",
       [](Evidence& e) { Node(e, 0)["spec"].as_object()["pods"].as_array().pop_back(); }},
      {"share one machine",
       [](Evidence& e) { Node(e, 1)["spec"].as_object()["workload"] = "vision/Job/sweep"; }},
      {"within a second", [](Evidence& e) { e.ledger[2].at += 30s; }},
      {"within a second", [](Evidence& e) { e.ledger[1].text = "NodeLost: x"; }},
      {"all or nothing", [](Evidence& e) { Workload(e, 2)["exitCode"] = nullptr; }},
      {"restricted data", [](Evidence& e) { e.decisions.erase("medical/Job/diagnosis"); }},
      {"restricted data", [](Evidence& e) { Workload(e, 1)["ranAt"] = "verda/FIN-03/x"; }},
      {"budget that is used up",
       [](Evidence& e) { e.decisions["labs/Job/explore"][0].as_object()["missing"] = nullptr; }},
      {"its own exit code", [](Evidence& e) { Workload(e, 5)["exitCode"] = 1; }},
      {"its own exit code", [](Evidence& e) { e.failed_log.clear(); }},
      {"wiped, returned and billed",
       [](Evidence& e) { Node(e, 3)["status"].as_object()["wipe"].as_object()["class"] = "none"; }},
      {"wiped, returned and billed",
       [](Evidence& e) { ReportNode(e, 3).as_object()["costMicroEuro"] = 0; }},
      {"crypto-erase only", [](Evidence& e) { e.certificates[1].wipe_class = "full"; }},
      {"ran again on another", [](Evidence& e) { Workload(e, 3)["exitCode"] = 1; }},
      {"nexus to the US",
       [](Evidence& e) {
         e.offers["language"].at("items").as_array()[1].at("perGpuHour").as_object()["microEuro"] =
             9000000;
       }},
      {"every offer was considered",
       [](Evidence& e) { e.report.at("offers").as_object()["considered"] = 3; }},
      {"labelled so", [](Evidence& e) { e.report.as_object()["simulated"] = json::array{}; }},
  };
  for (const Counter& counter : counters) {
    Evidence evidence = GoodEvidence();
    counter.spoil(evidence);
    EXPECT_THAT(Broken(evidence), ElementsAre(HasSubstr(counter.claim))) << counter.claim;
  }
}

TEST(Claims, ABucketIsUsedAtTheSiteAndAway) {
  Evidence evidence = GoodEvidence();
  evidence.buckets = {{"vision/baseline", {"s3://models/vision/baseline", {"site"}}},
                      {"vision/sweep", {"s3://models/vision/sweep", {"bn-1"}}}};
  const auto files = static_cast<std::int64_t>(evidence.results["vision/sweep"].results.size());
  const auto receipts = [](Evidence& e) -> json::value& {
    return e.nodes.at("items").as_array()[0].at("status").as_object()["resultsReceipted"];
  };
  ASSERT_GT(files, 0);
  EXPECT_THAT(Broken(evidence), ElementsAre(HasSubstr("a Ceph was"))) << "no receipt";
  receipts(evidence) = files;
  EXPECT_THAT(Broken(evidence), IsEmpty());
  EXPECT_EQ(FinalReport(evidence, true).at("buckets").as_array().size(), 2u);
  Evidence nobody_home = evidence;
  nobody_home.buckets.erase("vision/baseline");
  EXPECT_THAT(Broken(nobody_home), ElementsAre(HasSubstr("a Ceph was")));
}

TEST(Claims, AnotherTryByTheSameNodeIsNoNextOffer) {
  Evidence evidence = GoodEvidence();
  evidence.ledger[2].node = "bn-2";
  EXPECT_THAT(Broken(evidence), ElementsAre(HasSubstr("no other offer was tried")));
}

}  // namespace
}  // namespace spillway::demo
