// kill -9 at every step of a BurstNode's life: of the daemon right after the step was stored and
// before anything that follows from it was done, and of the rented node's agent. After a restart
// nothing may be leaked, lost or paid twice.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/encoding.h"
#include "base/money.h"
#include "catalog/catalog.h"
#include "clouds/simulated/simulated_cloud.h"
#include "data/sign.h"
#include "store/ledger.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

// A node waits in Staged only for the others of its gang, so that step needs a gang of two
// machines.
bool GangFor(const std::string& phase) {
  return phase == "Staged";
}

enum class Victim { kDaemon, kNode };

struct Case {
  Victim victim;
  std::string phase;
};

std::string Title(const Case& c) {
  return fmt::format("{} at {}", c.victim == Victim::kDaemon ? "spillwayd" : "spillway-node",
                     c.phase);
}

class KillTest : public ::testing::TestWithParam<Case> {
 protected:
  static std::string Kill(const Daemon& daemon) {
    return GetParam().victim == Victim::kDaemon
               ? "kill -9 $PPID"
               : fmt::format("pkill -9 -f -- '--disk {}'", daemon.state());
  }
};

// The provider's own meter, read from the account's state after the daemon has ended.
void CompareWithInvoice(Daemon& daemon, const std::vector<json::value>& nodes) {
  const auto catalog = catalog::Catalog::Load(SPILLWAY_SOURCE_DIR "/catalog");
  ASSERT_TRUE(catalog) << catalog.error().message;
  const json::value provider =
      json::object{{"metadata", json::object{{"name", "scaleway"}}},
                   {"spec", json::object{{"type", "simulated"},
                                         {"catalog", "scaleway"},
                                         {"regions", json::array{"fr-par-2"}}}}};
  auto options = simulated::CloudOptionsFrom(provider, *catalog);
  ASSERT_TRUE(options) << options.error().message;
  SystemClock clock;
  auto cloud = simulated::SimulatedCloud::Open(
      {.cloud = std::move(*options), .directory = daemon.state() + "/clouds/scaleway"}, clock);
  ASSERT_TRUE(cloud) << cloud.error().message;
  std::map<std::string, std::set<std::string>> instances;  // name -> ids
  Money invoiced;
  for (const simulated::InvoiceLine& line : (*cloud)->Invoice()) {
    invoiced += line.cost;
    if (line.kind.empty()) instances[line.name].insert(line.id);
  }
  for (const auto& [name, ids] : instances)
    EXPECT_EQ(ids.size(), 1u) << name << " was rented twice";
  Money booked;
  for (const json::value& node : nodes)
    booked += *ParseMoney(StringOr(*Find(node, "status"), "cost", "0 EUR"));
  const std::int64_t difference = std::abs(invoiced.micro() - booked.micro());
  // The daemon sees the meter through listings, at most a few minutes of its fast clock
  // late.
  EXPECT_LE(difference, std::max<std::int64_t>(invoiced.micro() / 2, 200'000))
      << FormatMoney(invoiced) << " invoiced, " << FormatMoney(booked) << " booked";
}

TEST_P(KillTest, NothingLeakedLostOrPaidTwice) {
  DaemonSetup setup;
  Daemon daemon(setup);
  const std::string all = WritePictures(daemon);
  daemon.DoOnceAt(GetParam().phase, Kill(daemon));
  daemon.Start();
  if (HasFatalFailure()) return;
  const auto applied = daemon.Apply(BurstManifests(GangFor(GetParam().phase)));
  ASSERT_TRUE(applied) << applied.error().message;

  const bool fired =
      daemon.WaitFor([&] { return std::filesystem::exists(daemon.dir() + "/fired"); }, 60s);
  ASSERT_TRUE(fired) << "never reached " << GetParam().phase << "\n" << daemon.Log();
  if (GetParam().victim == Victim::kDaemon) {
    ASSERT_TRUE(daemon.WaitForEnd(5s));
    daemon.Start();
    if (HasFatalFailure()) return;
  }
  ASSERT_TRUE(daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, 90s))
      << daemon.Log();

  for (int i = 0; i < (GangFor(GetParam().phase) ? 2 : 1); ++i)
    EXPECT_EQ(daemon.ReadFile(fmt::format("{}/vision/hash-{}", daemon.results(), i)),
              Sha256Hex(all) + "  -\n");
  const auto report = daemon.Get("/api/v1/report");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(IntOr(*report, "leftovers", -1), 0);
  EXPECT_TRUE(daemon.Machines().empty()) << "a machine is still running";
  const std::vector<json::value> nodes = daemon.Items("burstnodes");
  std::string life;
  for (const json::value& node : nodes) {
    const json::value& status = *Find(node, "status");
    life += fmt::format(" {}:{}", StringOr(*Find(node, "metadata"), "name", ""),
                        StringOr(status, "failure", "ok"));
    EXPECT_TRUE(BoolOr(status, "settled", false));
  }
  daemon.Terminate();
  for (const char* left : {".key", ".wrapped"})
    EXPECT_FALSE(std::filesystem::exists(daemon.state() + "/gateway/keys/bn-00001" + left))
        << "the run key is still there";
  const auto audit = store::VerifyLedger(
      daemon.state() + "/state.db",
      [](std::string_view m, std::string_view signature, std::string_view key) {
        return data::VerifyHex(m, signature, key);
      },
      std::nullopt);
  ASSERT_TRUE(audit) << audit.error().message;
  EXPECT_TRUE(audit->ok) << audit->problem;
  CompareWithInvoice(daemon, nodes);
  fmt::print("| {:<28} | {} burst nodes:{} | {} ledger records |\n", Title(GetParam()),
             nodes.size(), life, audit->records);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* phase : {"Planned", "Requested", "Provisioned", "Joined", "Staged", "Running",
                            "Returning", "Wiping", "Deleting", "Gone"})
    cases.push_back({Victim::kDaemon, phase});
  for (const char* phase : {"Joined", "Staged", "Running", "Returning", "Wiping"})
    cases.push_back({Victim::kNode, phase});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(EveryStep, KillTest, ::testing::ValuesIn(Cases()), [](const auto& c) {
  return fmt::format("{}_{}", c.param.victim == Victim::kDaemon ? "daemon" : "node", c.param.phase);
});

}  // namespace
}  // namespace spillway::integration
