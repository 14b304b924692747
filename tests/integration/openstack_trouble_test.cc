// Trouble on a real OpenStack, the one of scripts/partners/openstack-up in the directory that
// SPILLWAY_TEST_OPENSTACK names: spillwayd dies at every step, the API is away, Nova accepts and
// fails, machines hang and come too late, servers are somebody else's or nobody's. After each case
// nothing of ours is in the project, and the ledger says what Nova's records of the servers say.
//
// The daemon's clock runs fast, so that its minutes take seconds; each case says how fast. Two
// minutes of outage are at least six real seconds so, and longer by the seconds that the API
// takes to start. One case runs in real time.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>

#include "base/encoding.h"
#include "base/money.h"
#include "control/advance.h"
#include "control/decide.h"
#include "control/sweep.h"
#include "model/decode.h"
#include "store/ledger.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/openstack_lab.h"
#include "tests/integration/openstack_records.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kImage = "ubuntu-22.04-cuda";
constexpr int kScale = 15;
constexpr int kFast = 20;          // where a wait of many minutes belongs to the case
constexpr Duration kOutage{2min};  // of the daemon's clock
constexpr Duration kRequests{4s};  // real time for what is asked before a create and with a pass
constexpr std::string_view kServer = "server ";
constexpr std::size_t kUuid = 36;
constexpr int kRefused = 3;  // exit status of an agent whose registration was refused
const LabFlavor kAbsent{"gpu.absent.1", "a100", "1.00 EUR"};

// Exit status of scripts/partners/NAME.
int RunPartner(const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {SPILLWAY_SOURCE_DIR "/scripts/partners/" + name};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  auto child = process::Child::Start({argv, process::EnvironmentWith({}), ""},
                                     {null.get(), null.get(), null.get()});
  if (!child) return -1;
  return child->Wait(2min).value_or(-1);
}

// `cat path()` waits there until it is opened.
class Gate {
 public:
  Gate() : path_(fmt::format("{}/openstack-gate-{}", ::testing::TempDir(), ::getpid())) {
    SPW_CHECK(::mkfifo(path_.c_str(), 0600) == 0, "a pipe can be made");
  }
  ~Gate() { fs::remove(path_); }
  std::string path() const { return path_.string(); }
  void Open() const { const Fd writer(::open(path_.c_str(), O_WRONLY | O_CLOEXEC)); }

 private:
  const fs::path path_;
};

struct SiteSetup {
  std::string cluster;
  int scale = kScale;             // of the daemon's clock
  std::set<std::string> hanging;  // flavors whose machines never run
  std::string stop_at, line;      // at this phase the daemon runs this line of shell
};

// One spillwayd of one cluster, and the machines of its servers.
struct Site {
  Site(const RealOpenStack& cloud, const Clock& clock, const SiteSetup& setup)
      : scale(setup.scale),
        daemon({.time_scale = setup.scale,
                .extra = {"--openstack-clouds", cloud.clouds(), "--cluster-id", setup.cluster}}),
        machines(cloud.admin(), setup.cluster, daemon.dir() + "/machines", clock, Rules(setup)),
        pictures(WritePictures(daemon)) {
    if (!setup.stop_at.empty()) daemon.DoOnceAt(setup.stop_at, setup.line);
  }

  // A machine that is quicker than the next listing would make the daemon pass over Provisioned.
  HypervisorRules Rules(const SiteSetup& setup) const {
    HypervisorRules rules;
    rules.hanging = setup.hanging;
    if (setup.stop_at == "Provisioned") rules.boots = [this] { return Fired(); };
    return rules;
  }
  // The daemon has run the line.
  bool Fired() const { return fs::exists(daemon.dir() + "/fired"); }

  // The daemon ran into its hook and died: starts it again.
  void Restart(const Clock& clock) {
    const Duration began = clock.SteadyNow();
    daemon.Start();
    away += clock.SteadyNow() - began;
  }
  bool Finished(Duration most) {
    return daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, most);
  }
  std::vector<BurstNode> Nodes() {
    std::vector<BurstNode> nodes;
    for (const json::value& object : daemon.Items("burstnodes"))
      nodes.push_back(DecodeBurstNode(object).value());
    return nodes;
  }
  Time Now() {
    const auto status = daemon.Get("/api/v1/status");
    return status ? ParseTime(StringOr(*status, "now", "")).value_or(Time{}) : Time{};
  }
  std::vector<LedgerEntry> Ledger() {
    std::vector<LedgerEntry> entries;
    net::HttpClient client({.unix_path = daemon.dir() + "/spillway.sock"}, {});
    const auto text = client.Do(net::HttpRequest::Get("/api/v1/ledger"));
    if (!text) return entries;
    for (std::string_view rest = text->body; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const Result<json::value> line = ParseJson(rest.substr(0, end));
      const json::value* entry = line ? Find(*line, "record") : nullptr;
      if (entry != nullptr) entries.push_back(store::DecodeEntry(*entry).value());
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return entries;
  }

  const int scale;
  Daemon daemon;
  Hypervisors machines;
  const std::string pictures;
  Duration away{0};  // real time during which there was no daemon
};

class OpenStackTrouble : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto directory = RealOpenStack::Directory();
    if (!directory)
      GTEST_SKIP() << "needs a real OpenStack: SPILLWAY_TEST_OPENSTACK names the directory of "
                      "scripts/partners/openstack-up";
    cloud_.emplace(*directory, clock_);
    const auto before = cloud_->Existing();
    ASSERT_TRUE(before) << before.error().message;
    before_ = *before;
    began_ = std::chrono::floor<std::chrono::seconds>(clock_.Now());
  }

  // A case that failed leaves nothing to the next.
  void TearDown() override {
    if (!cloud_) return;
    if (away_) ApiReturns();
    const auto left = cloud_->Existing();
    ASSERT_TRUE(left) << left.error().message;
    for (const std::string& what : *left)
      if (!before_.contains(what) && what.starts_with(kServer))
        Remove(what.substr(kServer.size(), kUuid));
  }

  // And waits until it is gone.
  void Remove(const std::string& server) {
    EXPECT_TRUE(cloud_->DeleteServer(server));
    EXPECT_TRUE(Within(30s, [&] { return !cloud_->StatusOf(server).value_or("away"); }));
  }
  // Asks again and again.
  static bool Within(Duration most, const std::function<bool()>& done) {
    const auto until = std::chrono::steady_clock::now() + most;
    while (!done()) {
      if (std::chrono::steady_clock::now() > until) return false;
      ::poll(nullptr, 0, 100);
    }
    return true;
  }

  static std::string Cluster(const std::string& name) {
    return fmt::format("{}-{}", name, ::getpid());
  }
  void Start(Site& site, const std::string& manifests) {
    site.daemon.Start();
    if (HasFatalFailure()) return;
    const auto applied = site.daemon.Apply(manifests);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  void ApiGoesAway() {
    away_ = true;
    ASSERT_EQ(RunPartner("openstack-api", {"stop", "--dir", cloud_->directory()}), 0);
  }
  void ApiReturns() {
    ASSERT_EQ(RunPartner("openstack-api", {"start", "--dir", cloud_->directory()}), 0);
    away_ = false;
  }
  // The API is away now and comes back after kOutage.
  void StayAway(Site& site) {
    const Time since = site.Now();
    ASSERT_TRUE(site.daemon.WaitFor([&] { return site.Now() >= since + kOutage; }, 60s));
    ApiReturns();
    was_away_ = true;
    fmt::print("the API was away for {} of the daemon's clock, {} times real time\n",
               HumanDuration(site.Now() - since), site.scale);
  }

  // An agent that starts now on the machine of this server is turned away and ends by itself.
  static void ExpectRefused(const Site& site, const std::string& server) {
    auto agent = site.machines.Boot(server);
    ASSERT_TRUE(agent) << agent.error().message;
    const std::optional<int> end = agent->Wait(20s);
    ASSERT_TRUE(end) << "it still runs";
    EXPECT_TRUE(WIFEXITED(*end) && WEXITSTATUS(*end) == kRefused) << *end;
  }

  // Those that the ledger says were deleted, by id.
  static std::set<std::string> Orphans(Site& site) {
    constexpr std::string_view kStep = "orphan-";
    std::set<std::string> ids;
    for (const LedgerEntry& entry : site.Ledger())
      if (entry.step.starts_with(kStep)) ids.insert(entry.step.substr(kStep.size()));
    return ids;
  }

  // The Job is complete and its results are right; each machine beyond `machines` has a reason.
  void CheckWork(Site& site, int machines) {
    for (int i = 0; i < machines; ++i)
      EXPECT_EQ(site.daemon.ReadFile(fmt::format("{}/vision/hash-{}", site.daemon.results(), i)),
                Sha256Hex(site.pictures) + "  -\n");
    int good = 0;
    for (const BurstNode& node : site.Nodes()) {
      if (!node.Failed()) {
        ++good;
        continue;
      }
      EXPECT_NE(node.failure_detail, "");
      fmt::print("{} ({}): {}: {}\n", node.name, node.offer.instance_type, Name(node.failure),
                 node.failure_detail);
    }
    EXPECT_EQ(good, machines);
    EXPECT_EQ(site.daemon.Log().find("adapter-secret"), std::string::npos);
  }

  // Nothing is there that was not there before, neither as the user nor as the administrator sees
  // it. `ours` are all sites; every server that Nova ever saw since the case began belongs to a
  // BurstNode of one of them, but for those `by_hand`.
  void CheckNothingLeft(const std::vector<Site*>& ours, const std::set<std::string>& by_hand = {}) {
    const auto left = cloud_->Existing();
    ASSERT_TRUE(left) << left.error().message;
    EXPECT_EQ(*left, before_);
    const auto records = cloud_->Records(began_);
    ASSERT_TRUE(records) << records.error().message;
    std::set<std::string> seen = by_hand, known = by_hand;
    for (const auto& [id, record] : *records)
      if (record.asked >= began_) seen.insert(id);
    for (Site* site : ours) {
      for (const BurstNode& node : site->Nodes())
        if (!node.instance_id.empty()) known.insert(node.instance_id);
      CheckCosts(*site, *records);
    }
    EXPECT_EQ(seen, known);
  }

  // Every BurstNode's cost against Nova's record of its server:
  //  * the seconds that were metered, on the daemon's clock, are those from the create call to the
  //    end in Nova's record times the clock's speed; how far they may differ, and why, is in
  //    CheckCost. In real time they are paid as Nova's are, or one step of the meter more;
  //  * the cost is exactly the flavor's price of these seconds, in full minutes as the catalogue
  //    says, and the ledger has booked exactly that. Without a server it is nothing.
  void CheckCosts(Site& site, const std::map<std::string, ServerRecord>& records) {
    std::map<std::string, Money> booked;
    for (const LedgerEntry& entry : site.Ledger()) booked[entry.node] += entry.spent;
    for (const BurstNode& node : site.Nodes()) {
      SCOPED_TRACE(node.name);
      EXPECT_TRUE(node.settled);
      EXPECT_EQ(booked[node.name], node.cost);
      if (node.instance_id.empty()) {
        EXPECT_EQ(node.cost, Money());
        continue;
      }
      const auto record = records.find(node.instance_id);
      ASSERT_NE(record, records.end());
      CheckCost(site, node, record->second);
    }
  }

  void CheckCost(const Site& site, const BurstNode& node, const ServerRecord& record) {
    // We look for the image and the network before we create, and see the end with the next pass.
    const Duration late =
        kRequests + (was_away_ ? control::kRepeatAtMost : control::kRepeat) / site.scale;
    // Nova's times are cut to seconds. A clock whose program was killed goes on where it was, and
    // a tenth slower until the wall clock, which is not so fast, has come nearer.
    const Duration early = 1s + site.away + (site.away > 0s ? 1s : 0s);
    const double slow = site.away > 0s ? 0.9 : 1;
    ASSERT_TRUE(record.ended) << "Nova says that it is " << record.status;
    ASSERT_TRUE(node.meter_start && node.meter_stop);
    const Duration recorded = *record.ended - record.asked;
    const Duration metered = (*node.meter_stop - *node.meter_start) / site.scale;
    EXPECT_LE(metered, recorded + late);
    EXPECT_GE(static_cast<double>((metered + early).count()),
              static_cast<double>(recorded.count()) * slow);
    EXPECT_EQ(record.flavor, node.offer.instance_type);
    EXPECT_EQ(node.offer.price_per_hour, PriceOf(record.flavor));
    const Metered meter =
        Meter(node.billing, PriceOf(record.flavor), *node.meter_start, *node.meter_stop);
    EXPECT_EQ(node.paid, meter.paid);
    EXPECT_EQ(node.cost, meter.cost);
    if (site.scale == 1) {
      EXPECT_LE(node.paid, PaidBy(node, record) + node.billing.step);
    }
    fmt::print("{}: {} s by Nova's record, {:.1f} s metered, times {}: {} paid, {}\n", node.name,
               recorded / 1s, static_cast<double>(metered.count()) / 1000, site.scale,
               FormatDuration(node.paid), FormatMoney(node.cost));
  }
  static Duration PaidBy(const BurstNode& node, const ServerRecord& record) {
    return Meter(node.billing, Money(), record.asked, *record.ended).paid;
  }
  static Money PriceOf(const std::string& flavor) {
    for (const LabFlavor& known : {kA100, kH100, kAbsent})
      if (known.name == flavor) return ParseMoney(known.price).value();
    return Money();
  }

  SystemClock clock_;
  std::optional<RealOpenStack> cloud_;
  std::set<std::string> before_;
  Time began_{};
  bool away_ = false;      // the API, now
  bool was_away_ = false;  // during this case
};

// The phase after whose storing the daemon is killed.
class OpenStackKilled : public OpenStackTrouble,
                        public ::testing::WithParamInterface<std::string> {};

TEST_P(OpenStackKilled, TheJobCompletesAndNothingIsLeft) {
  // A node waits in Staged only for the others of its gang.
  const bool gang = GetParam() == "Staged";
  Site site(*cloud_, clock_,
            {.cluster = Cluster("killed"), .stop_at = GetParam(), .line = "kill -9 $PPID"});
  Start(site, LabManifests(kImage, {kA100}, gang));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.daemon.WaitForEnd(60s)) << "never reached " << GetParam() << site.daemon.Log();
  site.Restart(clock_);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  CheckWork(site, gang ? 2 : 1);
  CheckNothingLeft({&site});
}

INSTANTIATE_TEST_SUITE_P(At, OpenStackKilled,
                         ::testing::Values("Requested", "Provisioned", "Joined", "Staged",
                                           "Running", "Returning", "Wiping", "Deleting"),
                         [](const auto& c) { return c.param; });

// Nova has the server, and nobody has read its answer yet or has only just.
TEST_F(OpenStackTrouble, KilledWhileTheCreateCallIsOnItsWay) {
  Site site(*cloud_, clock_, {.cluster = Cluster("create")});
  Start(site, LabManifests(kImage));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Within(60s, [&] { return site.machines.Servers().value_or(0) > 0; }));
  site.daemon.Kill();
  site.Restart(clock_);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  CheckWork(site, 1);
  EXPECT_EQ(site.Nodes().size(), 1u);
  CheckNothingLeft({&site});
}

TEST_F(OpenStackTrouble, TheApiIsAwayWhenAJobComes) {
  Site site(*cloud_, clock_, {.cluster = Cluster("away")});
  const std::string all = LabManifests(kImage);
  const std::size_t job = all.find("---\napiVersion: batch/v1");
  ASSERT_NE(job, std::string::npos);
  Start(site, all.substr(0, job));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.daemon.WaitFor([&] { return IsReady(site.daemon); }, 30s));
  ApiGoesAway();
  ASSERT_TRUE(site.daemon.WaitFor([&] { return !IsReady(site.daemon); }, 60s));
  EXPECT_THAT(WhyNotReady(site.daemon), HasSubstr("http://127.0.0.1:"));
  ASSERT_TRUE(site.daemon.Apply(all.substr(job)));
  StayAway(site);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  CheckWork(site, 1);
  EXPECT_EQ(site.Nodes().size(), 1u) << "something was rented while nobody could answer";
  CheckNothingLeft({&site});
}

// The phase after whose storing the API is away: before the create call, after it, and before the
// delete call.
class OpenStackAway : public OpenStackTrouble, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    OpenStackTrouble::SetUp();
    gone_ = fmt::format("{}/openstack-away-{}", ::testing::TempDir(), ::getpid());
  }
  void TearDown() override {
    OpenStackTrouble::TearDown();
    fs::remove(gone_);
  }
  // A line of shell, after which gone_ is there.
  std::string TakeApiAway() const {
    return fmt::format(
        "{}/scripts/partners/openstack-api stop --dir {} </dev/null >/dev/null 2>&1 && touch {}",
        SPILLWAY_SOURCE_DIR, cloud_->directory().string(), gone_.string());
  }

  fs::path gone_;
};

TEST_P(OpenStackAway, TheJobCompletesAndNothingIsLeft) {
  Site site(
      *cloud_, clock_,
      {.cluster = Cluster("away"), .scale = kFast, .stop_at = GetParam(), .line = TakeApiAway()});
  away_ = true;
  Start(site, LabManifests(kImage));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.daemon.WaitFor([&] { return fs::exists(gone_); }, 60s)) << site.daemon.Log();
  StayAway(site);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  CheckWork(site, 1);
  CheckNothingLeft({&site});
}

INSTANTIATE_TEST_SUITE_P(From, OpenStackAway,
                         ::testing::Values("Requested", "Provisioned", "Deleting"),
                         [](const auto& c) { return c.param; });

TEST_F(OpenStackTrouble, NovaAcceptsAndFails) {
  Site site(*cloud_, clock_, {.cluster = Cluster("error")});
  Start(site, LabManifests(kImage, {kAbsent, kA100}));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  CheckWork(site, 1);
  const std::vector<BurstNode> nodes = site.Nodes();
  // The offer rests: it was the cheapest, and was not taken again.
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].offer.instance_type, kAbsent.name);
  EXPECT_EQ(nodes[0].failure, Failure::kCapacity);
  EXPECT_THAT(nodes[0].failure_detail, HasSubstr("No valid host"));
  EXPECT_FALSE(nodes[0].instance_id.empty());
  EXPECT_EQ(nodes[1].offer.instance_type, kA100.name);
  CheckNothingLeft({&site});
}

// The machine of the first server hangs. Its agent comes when the deadline is over, and once more
// when the server is gone.
TEST_F(OpenStackTrouble, AMachineHangsAndComesTooLate) {
  Gate gate;
  Site site(*cloud_, clock_,
            {.cluster = Cluster("hangs"),
             .scale = kFast,
             .hanging = {kA100.name},
             .stop_at = "Deleting",
             .line = "cat " + gate.path()});
  Start(site, LabManifests(kImage, {kA100, kH100}));
  if (HasFatalFailure()) return;
  ASSERT_TRUE(site.daemon.WaitFor([&] { return site.Fired(); }, 90s)) << site.daemon.Log();
  const std::vector<BurstNode> nodes = site.Nodes();
  ASSERT_FALSE(nodes.empty());
  EXPECT_EQ(nodes[0].failure, Failure::kBootTimeout);
  EXPECT_EQ(nodes[0].failure_detail, "the node did not register in time");
  const auto status = cloud_->StatusOf(nodes[0].instance_id);
  ASSERT_TRUE(status && *status);
  EXPECT_EQ(**status, "ACTIVE");
  ExpectRefused(site, nodes[0].instance_id);
  gate.Open();
  ASSERT_TRUE(site.Finished(90s)) << site.daemon.Log();
  ExpectRefused(site, nodes[0].instance_id);
  CheckWork(site, 1);
  ASSERT_EQ(site.Nodes().size(), 2u);
  EXPECT_EQ(site.Nodes()[1].offer.instance_type, kH100.name);
  CheckNothingLeft({&site});
}

// Real time for the first cluster: its meter begins with Nova's own time.
TEST_F(OpenStackTrouble, OrphansAreSweptAndOthersAreLeftAlone) {
  const std::string ours = Cluster("first"), theirs = Cluster("second"), nobody = Cluster("third");
  const auto made = [&](const std::string& cluster) {
    return cloud_->MakeServer(
        "bn-00077",
        cluster.empty()
            ? json::object{{"purpose", "by hand"}}
            : json::object{{"spillway-cluster", cluster}, {"spillway-node", "bn-00077"}},
        cluster.empty() ? json::array{"by-hand"}
                        : json::array{"spillway-cluster-" + cluster, "spillway-node-bn-00077"});
  };
  const auto orphan = made(ours), plain = made(""), other = made(nobody);
  ASSERT_TRUE(orphan && plain && other);
  Site first(*cloud_, clock_, {.cluster = ours, .scale = 1});
  Site second(*cloud_, clock_, {.cluster = theirs});
  Start(first, LabManifests(kImage));
  Start(second, LabManifests(kImage));
  if (HasFatalFailure()) return;
  const Time started = clock_.Now();
  ASSERT_TRUE(second.Finished(90s)) << second.daemon.Log();
  ASSERT_TRUE(first.Finished(150s)) << first.daemon.Log();
  CheckWork(first, 1);
  CheckWork(second, 1);
  EXPECT_TRUE(first.daemon.WaitFor([&] { return !cloud_->StatusOf(*orphan).value(); }, 30s));
  const std::vector<LedgerEntry> ledger = first.Ledger();
  const auto swept = std::find_if(ledger.begin(), ledger.end(), [&](const LedgerEntry& entry) {
    return entry.step == "orphan-" + *orphan;
  });
  ASSERT_NE(swept, ledger.end());
  EXPECT_GE(swept->at, started + control::kOrphanGrace - 1s);
  EXPECT_EQ(Orphans(first), std::set<std::string>{*orphan});
  EXPECT_EQ(Orphans(second), std::set<std::string>());
  for (const std::string& id : {*plain, *other}) {
    EXPECT_EQ(cloud_->StatusOf(id).value(), "ACTIVE");
    Remove(id);
  }
  CheckNothingLeft({&first, &second}, {*orphan, *plain, *other});
}

}  // namespace
}  // namespace spillway::integration
