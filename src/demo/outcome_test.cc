#include "demo/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "demo/test_evidence.h"

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Keys(const json::value& value) {
  std::vector<std::string> keys;
  for (const auto& member : value.as_object()) keys.emplace_back(member.key());
  return keys;
}

TEST(FinalReport, HasExactlyTheFixedKeys) {
  const json::value report = FinalReport(GoodEvidence(), true);
  EXPECT_THAT(Keys(report), ElementsAre("ok", "workloads", "burstNodes", "offers", "neverLeft",
                                        "plaintextFoundOnRentedDisks", "scannedBytes", "leftovers",
                                        "audit", "simulated", "timeline"));
  EXPECT_THAT(
      Keys(report.at("workloads").at(0)),
      ElementsAre("name", "namespace", "ranAt", "why", "exitCode", "resultSha256", "expectedSha256",
                  "waitedSeconds", "estimateMicroEuro", "actualMicroEuro"));
  EXPECT_THAT(Keys(report.at("burstNodes").at(0)),
              ElementsAre("name", "provider", "region", "type", "phase", "secondsPaid",
                          "secondsComputed", "costMicroEuro", "bytesIn", "bytesOut", "wipe"));
  EXPECT_EQ(report.at("ok"), true);
  EXPECT_EQ(report.at("audit"), Json(R"({"records":4,"verified":true})"));
  EXPECT_EQ(FinalReport(GoodEvidence(), false).at("ok"), false);
}

TEST(FinalReport, HashesAreOfTheModels) {
  const json::value report = FinalReport(GoodEvidence(), true);
  const json::value& baseline = report.at("workloads").at(4);
  EXPECT_EQ(baseline.at("resultSha256"), "cc");
  const json::value& broken = report.at("workloads").at(5);
  EXPECT_TRUE(broken.at("resultSha256").is_null());
  const json::value& sweep = report.at("workloads").at(6);
  EXPECT_EQ(sweep.at("resultSha256"),
            json::value(Sha256Hex("rank-0/model.bin aa\nrank-1/model.bin bb\n")));
  EXPECT_EQ(sweep.at("resultSha256"), sweep.at("expectedSha256"));
}

TEST(FinalReport, AuditIsVerifiedOnlyIfBothForms) {
  Evidence evidence = GoodEvidence();
  evidence.stored.ok = false;
  EXPECT_EQ(FinalReport(evidence, false).at("audit").at("verified"), false);
}

TEST(Bill, PutsPaidNextToComputedAndSums) {
  const std::string bill = Bill(FinalReport(GoodEvidence(), true), {});
  EXPECT_THAT(bill,
              HasSubstr("vision/broken      scaleway/fr-par-2/L40S-1-48G     3   1m40s    0.25 €  "
                        "0.20 €  -\n"));
  EXPECT_THAT(
      bill,
      HasSubstr(
          "\nThe bill (simulated)\n"
          "MACHINE  RENTED AT                          PAID  COMPUTED    COST  WIPE\n"
          "bn-1     verda/FIN-03/4A100.88V              10m     6m40s  1.03 €  full, read back\n"));
  EXPECT_THAT(bill,
              HasSubstr("total                                      1h19m    13m40s  2.70 €\n"));
  Evidence evidence = GoodEvidence();
  evidence.results["vision/baseline"].results["model.bin"] = "dd";
  EXPECT_THAT(Bill(FinalReport(evidence, false), {}), HasSubstr("DIFFERENT"));
}

TEST(ClaimsText, ShowsWhatHoldsAndWhatDoesNot) {
  EXPECT_EQ(ClaimsText({{"a", true, "1 of 1"}, {"b", false, "missing"}}, cli::Painter(false)),
            "✓ a\n    1 of 1\n✗ b\n    missing\n");
}

TEST(HashFiles, ReadsWhatIsThereButHiddenFiles) {
  std::string directory = "/tmp/spw-demo-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  std::filesystem::create_directories(directory + "/rank-0");
  std::ofstream(directory + "/rank-0/model.bin") << "abc";
  std::ofstream(directory + "/.partial") << "x";
  const auto files = HashFiles(directory);
  ASSERT_TRUE(files);
  EXPECT_EQ(*files, (FileHashes{{"rank-0/model.bin", Sha256Hex("abc")}}));
  EXPECT_EQ(ModelHash(*files), Sha256Hex("abc"));
  EXPECT_EQ(ModelHash({{"metrics.json", "x"}}), "");
  std::filesystem::remove_all(directory);
  EXPECT_EQ(HashFiles(directory).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace spillway::demo
