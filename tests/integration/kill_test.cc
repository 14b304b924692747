// kill -9 at every step of a BurstNode's life: of the daemon right after the step was stored and
// before anything that follows from it was done, and of the rented node's agent. After a restart
// nothing may be leaked, lost or paid twice.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/encoding.h"
#include "base/money.h"
#include "catalog/catalog.h"
#include "clouds/simulated/simulated_cloud.h"
#include "data/sign.h"
#include "store/ledger.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

constexpr std::string_view kManifests = R"yaml(
apiVersion: v1
kind: Namespace
metadata: {name: vision}
---
apiVersion: v1
kind: Node
metadata: {name: small}
status: {allocatable: {cpu: "4", memory: 8Gi}, capacity: {cpu: "4", memory: 8Gi}}
---
apiVersion: spillway.dev/v1alpha1
kind: CloudProvider
metadata: {name: scaleway}
spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], simulated: {seed: 7}}
---
apiVersion: spillway.dev/v1alpha1
kind: BurstPolicy
metadata: {name: vision}
spec:
  namespaces: [vision]
  dataClasses: [public, internal]
  jurisdiction: {regions: [EU], usNexus: none}
  price: {maxPerGpuHour: 4 EUR}
  wait: {atMost: 0s}
---
apiVersion: spillway.dev/v1alpha1
kind: Dataset
metadata: {name: pictures, namespace: vision}
spec: {source: {directory: pictures}, class: internal, include: ["train/**"]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: in, namespace: vision, annotations: {spillway.dev/dataset: pictures}}
spec: {accessModes: [ReadOnlyMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: out, namespace: vision, annotations: {spillway.dev/results: vision}}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hash, namespace: vision, annotations: {GANG}}
spec:
  backoffLimit: 0
  completionMode: Indexed
  completions: PODS
  parallelism: PODS
  template:
    metadata: {annotations: {spillway.dev/expected-duration: 1m}}
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: none
          command: [/bin/sh, -c, "cat /data/train/* | sha256sum > /results/hash-$(JOB_COMPLETION_INDEX)"]
          resources: {limits: {nvidia.com/gpu: "GPUS"}, requests: {cpu: "1", memory: 64Mi}}
          volumeMounts:
            - {name: data, mountPath: /data, readOnly: true}
            - {name: results, mountPath: /results}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: in}}
        - {name: results, persistentVolumeClaim: {claimName: out}}
)yaml";

// A node waits in Staged only for the others of its gang, so that step needs a gang of two
// machines.
std::string ManifestsFor(const std::string& phase) {
  const bool gang = phase == "Staged";
  std::string text(kManifests);
  auto put = [&](std::string_view name, std::string_view value) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name))
      text.replace(at, name.size(), value);
  };
  put("GANG", gang ? "spillway.dev/gang: all-or-nothing" : "");
  put("PODS", gang ? "2" : "1");
  put("GPUS", gang ? "8" : "1");
  return text;
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
  // The hook acts once, when `phase` is stored for the first time.
  static std::string Hook(Daemon& daemon) {
    const Case& c = GetParam();
    const std::string path = daemon.dir() + "/hook";
    const std::string kill = c.victim == Victim::kDaemon
                                 ? "kill -9 $PPID"
                                 : fmt::format("pkill -9 -f -- '--disk {}'", daemon.state());
    daemon.WriteFile(path, fmt::format("#!/bin/sh\n[ \"$2\" = {} ] || exit 0\nmkdir {}/fired "
                                       "2>/dev/null || exit 0\n{}\nexit 0\n",
                                       c.phase, daemon.dir(), kill));
    chmod(path.c_str(), 0755);
    return path;
  }
};

std::string Phase(const json::value& node) {
  const json::value* status = Find(node, "status");
  return status == nullptr ? "" : std::string(StringOr(*status, "phase", ""));
}

bool Complete(Daemon& daemon) {
  const auto job = daemon.Get("/api/v1/objects/jobs/hash?namespace=vision");
  if (!job) return false;
  const json::value* status = Find(*job, "status");
  const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
  if (conditions == nullptr) return false;
  for (const json::value& c : *conditions)
    if (StringOr(c, "type", "") == "Complete" && StringOr(c, "status", "") == "True") return true;
  return false;
}

bool AllGone(Daemon& daemon) {
  const auto nodes = daemon.Items("burstnodes");
  return !nodes.empty() && std::all_of(nodes.begin(), nodes.end(),
                                       [](const json::value& n) { return Phase(n) == "Gone"; });
}

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
  const std::string hook = Hook(daemon);
  std::string all;
  for (int i = 0; i < 5; ++i) {
    const std::string text = fmt::format("picture {} {}\n", i, Sha256Hex(std::to_string(i)));
    daemon.WriteFile(fmt::format("{}/pictures/train/{}.txt", daemon.data(), i), text);
    all += text;
  }
  daemon.WriteFile(daemon.data() + "/pictures/private/names.txt",
                   "Ada Lovelace, Emmy Noether, Grace Hopper\n");
  daemon.SetPhaseHook(hook);
  daemon.Start();
  if (HasFatalFailure()) return;
  const auto applied = daemon.Apply(ManifestsFor(GetParam().phase));
  ASSERT_TRUE(applied) << applied.error().message;

  const bool fired =
      daemon.WaitFor([&] { return std::filesystem::exists(daemon.dir() + "/fired"); }, 60s);
  ASSERT_TRUE(fired) << "never reached " << GetParam().phase << "\n" << daemon.Log();
  if (GetParam().victim == Victim::kDaemon) {
    ASSERT_TRUE(daemon.WaitForEnd(5s));
    daemon.Start();
    if (HasFatalFailure()) return;
  }
  ASSERT_TRUE(daemon.WaitFor([&] { return Complete(daemon) && AllGone(daemon); }, 90s))
      << daemon.Log();

  for (int i = 0; i < (GetParam().phase == "Staged" ? 2 : 1); ++i)
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
  EXPECT_FALSE(std::filesystem::exists(daemon.state() + "/gateway/keys/bn-00001"))
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
