#include "daemon/measured.h"

#include <gmock/gmock.h>

#include "metrics/instruments.h"

namespace spillway::daemon {
namespace {

using testing::HasSubstr;

class LosingCloud final : public ports::Cloud {
 public:
  Result<std::vector<Offer>> Offers() override { return std::vector<Offer>(3); }
  Status Preflight() override { return Ok(); }
  Result<ports::Instance> Create(const ports::InstanceSpec&) override {
    return Fail(Code::kMaybeApplied, "the answer was lost");
  }
  Status Resume(const std::string&) override { return Ok(); }
  Result<ports::Inventory> List(const std::string&) override { return ports::Inventory(); }
  Result<ports::DeleteProgress> Delete(const std::string&, const std::string&,
                                       const std::string&) override {
    return Fail(Code::kUnavailable, "refused while it boots");
  }
};

std::string Page() {
  metrics::Page page;
  metrics::OfProcess().WriteTo(page);
  return page.Text();
}

TEST(MeasuredCloud, CountsWhatCameOfEachCallAndPassesItOn) {
  const auto cloud = Measured("atlantis", std::make_shared<LosingCloud>());
  EXPECT_EQ(cloud->Offers()->size(), 3u);
  EXPECT_EQ(cloud->Create({}).error().code, Code::kMaybeApplied);
  EXPECT_EQ(cloud->Delete("i", "n", "c").error().code, Code::kUnavailable);
  EXPECT_EQ(cloud->Delete("i", "n", "c").error().message, "refused while it boots");
  EXPECT_TRUE(cloud->List("c"));
  EXPECT_TRUE(cloud->Preflight());
  EXPECT_TRUE(cloud->Resume("i"));
  const std::string calls = "spillway_provider_calls_total{provider=\"atlantis\",call=";
  const std::string text = Page();
  EXPECT_THAT(text, HasSubstr(calls + "\"create\",outcome=\"maybe-applied\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(calls + "\"delete\",outcome=\"unavailable\"} 2\n"));
  for (const char* call : {"offers", "list", "preflight", "resume"})
    EXPECT_THAT(text, HasSubstr(calls + "\"" + call + "\",outcome=\"ok\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("spillway_provider_call_seconds_count{provider=\"atlantis\","
                              "call=\"delete\"} 2\n"));
}

class FullJournal final : public ports::Journal {
 public:
  Status Commit(std::vector<BurstNode>&, const std::vector<LedgerEntry>&) override {
    return full ? Fail(Code::kUnavailable, "no space") : Status(Ok());
  }
  Result<std::vector<BurstNode>> Nodes(Time) override { return std::vector<BurstNode>(2); }
  Result<std::int64_t> LastSerial() override { return 9; }
  bool full = false;
};

TEST(MeasuredJournal, CountsFailuresAndSaysHowLongItTook) {
  FullJournal full;
  MeasuredJournal journal(full);
  std::vector<BurstNode> nodes;
  const auto failures = [] {
    const std::string text = Page(), name = "\nspillway_ledger_commit_failures_total ";
    return std::stoi(text.substr(text.find(name) + name.size()));
  };
  const int before = failures();
  EXPECT_TRUE(journal.Commit(nodes, {}));
  EXPECT_EQ(failures(), before);
  full.full = true;
  EXPECT_EQ(journal.Commit(nodes, {}).error().message, "no space");
  EXPECT_EQ(failures(), before + 1);
  EXPECT_GT(journal.TakeCommitTime().count(), 0);
  EXPECT_EQ(journal.TakeCommitTime().count(), 0);
  EXPECT_EQ(journal.Nodes({})->size(), 2u);
  EXPECT_EQ(*journal.LastSerial(), 9);
}

}  // namespace
}  // namespace spillway::daemon
