// The same Job with its data and results in a real Ceph, on a node of the site and on a rented one;
// and what is lost when driver, store and pod end at the wrong time: nothing.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/encoding.h"
#include "tests/ceph/lab.h"
#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

namespace fs = std::filesystem;

std::string Partner(const std::string& name) {
  return SPILLWAY_SOURCE_DIR "/scripts/partners/" + name;
}

// The store of this program, on the cluster's bridge; it goes with the program.
class Store {
 public:
  static Store& Get() {
    static Store store;
    return store;
  }
  // Empty: it runs, or could not be started. SPILLWAY_TEST_CEPH names it.
  const std::string& absence() const { return absence_; }

  void Start(const TestCluster& cluster) {
    if (!absence_.empty() || power_ >= 0) return;
    const Outcome ready = RunProgram({Partner("ceph-ready")});
    if (ready.exit != 0) {
      absence_ = ready.out + ready.err;
      return;
    }
    const Outcome packages = RunProgram({Partner("ceph-packages")}, "", 600s);
    ASSERT_EQ(packages.exit, 0) << packages.out << packages.err;
    const std::string dir = cluster.work() + "/ceph", pipe = cluster.work() + "/ceph-power";
    setenv("SPILLWAY_TEST_CEPH", dir.c_str(), 1);
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    // Not through Spawn(): that would be killed with this program.
    const Outcome waits =
        RunProgram({"bash", "-c",
                    fmt::format("setsid '{}' '{}' '{}' --dir '{}' >/dev/null 2>&1 </dev/null &",
                                Partner("kubernetes-lib-power"), pipe, Partner("ceph-down"), dir)});
    ASSERT_EQ(waits.exit, 0) << waits.err;
    power_ = open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
    const std::string server = cluster.server();  // "https://10.213.0.1:6443"
    const std::size_t host = server.find("//") + 2;
    const char* port = std::getenv("SPILLWAY_TEST_CEPH_PORT");
    const Outcome up =
        RunProgram({Partner("ceph-up"), "--dir", dir, "--port", port == nullptr ? "28480" : port,
                    "--address", server.substr(host, server.rfind(':') - host)},
                   "", 300s);
    ASSERT_EQ(up.exit, 0) << up.out << up.err;
  }
  // While its directory is still there.
  void End() {
    if (power_ < 0) return;
    const Outcome down = RunProgram({Partner("ceph-down"), "--dir", ceph::Directory()});
    EXPECT_EQ(down.exit, 0) << down.out << down.err;
    close(power_);
    power_ = -1;
  }

 private:
  std::string absence_;
  int power_ = -1;  // if this program is killed, the store ends when nobody holds this any more
};

void Replace(std::string& text, std::string_view from, const std::string& to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

class BucketsTest : public KubernetesTest {
 protected:
  static void TearDownTestSuite() { Store::Get().End(); }
  void SetUp() override {
    KubernetesTest::SetUp();
    if (IsSkipped()) return;
    Store::Get().Start(k());
    if (HasFatalFailure()) return;
    if (!Store::Get().absence().empty()) GTEST_SKIP() << Store::Get().absence();
    lab_ = std::make_unique<ceph::Lab>();
    const s3::Client client = lab_->Client();
    for (int i = 0; i < 5; ++i) {
      const std::string path = fmt::format("pictures/train/{}.txt", i);
      ASSERT_TRUE(client.Put(path, ReadFile(k().data() + "/" + path), {}));
    }
    ASSERT_TRUE(client.Put("pictures/private/names.txt", "Ada Lovelace, Emmy Noether\n", {}));
    ASSERT_NO_FATAL_FAILURE(MakeAccount());
    k().KillSiteVolumes();
    StartDriver();
  }
  void TearDown() override {
    if (lab_ != nullptr) ceph::Lab::Power("start");
    KubernetesTest::TearDown();
  }

  // The account of the site's nodes, with the rights that it is installed with.
  void MakeAccount() const {
    if (fs::exists(kubeconfig())) return;
    Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: spillway-volumes}\n");
    const Outcome applied =
        k().Kubectl({"apply", "-f", SPILLWAY_SOURCE_DIR "/deploy/buckets/rights.yaml"});
    ASSERT_EQ(applied.exit, 0) << applied.err;
    const Outcome token =
        k().Kubectl({"create", "token", "site-volumes", "-n", "spillway-volumes", "--duration=6h"});
    ASSERT_EQ(token.exit, 0) << token.err;
    WriteFile(kubeconfig() + ".token", token.out);
    std::string text = k().KubeconfigText(k().server());
    Replace(text, k().daemon_kubeconfig() + ".token", kubeconfig() + ".token");
    WriteFile(kubeconfig(), text);
  }
  void StartDriver() const {
    k().StartSiteVolumes({"--s3-credentials", lab_->credentials_file(), "--kubeconfig",
                          kubeconfig(), "--buckets", buckets()});
  }
  void Begin() {
    StartDaemons(Daemons{.extra = {"--s3-credentials", lab_->credentials_file()}});
    if (HasFatalFailure()) return;
    const auto place = [&](const std::string& prefix) {
      return fmt::format(
          "source: {{s3: {{endpoint: \"{}\", bucket: {}, prefix: {}, profile: dev}}}}",
          lab_->bucket().endpoint, lab_->bucket().name, prefix);
    };
    ApplyRules("", [&](std::string& text) {
      Replace(text, "source: {directory: pictures}", place("pictures"));
      Replace(text, "spillway.dev/results: NS}",
              "spillway.dev/results: run-1, spillway.dev/results-dataset: models}");
      text += fmt::format(
          "---\napiVersion: spillway.dev/v1alpha1\nkind: Dataset\n"
          "metadata: {{name: models, namespace: NS}}\nspec: {{{}, class: internal}}\n",
          place("models"));
    });
  }
  // The pod of a Job on the site's own node, once it runs.
  json::value AwaitAtHome(const std::string& job) {
    json::value found;
    const auto runs = [&] {
      for (json::value& pod : Pods(job))
        if (Running(pod) && Text(pod, {"spec", "nodeName"}) == kSiteNode) {
          found = std::move(pod);
          return true;
        }
      return false;
    };
    EXPECT_TRUE(Eventually(runs, 180s)) << Story() << DriverLog();
    return found;
  }
  // Who brought a Job's result into the bucket; empty: it is not there.
  std::string BroughtBy(const std::string& job) const {
    const auto head = lab_->Client({.total = 1s}).Head("models/run-1/" + job);
    if (!head) return "";
    EXPECT_EQ(head->metadata.at("spillway-sha256"), Sha256Hex(Sha256Hex(pictures_) + "  -\n"));
    return head->metadata.at("spillway-run");
  }
  void ExpectBroughtHome(const std::string& job, Duration most) const {
    EXPECT_TRUE(Eventually([&] { return BroughtBy(job) == "site"; }, most)) << DriverLog();
    EXPECT_TRUE(Eventually([&] { return NothingIsOnTheNode(); }, 60s)) << DriverLog();
  }
  // What the owner of a Job's results sees of them.
  bool ClaimTells(const std::string& reason) const {
    const Outcome described = k().Kubectl({"describe", "pvc", "-n", ns_, "out"});
    return described.out.find(reason) != std::string::npos;
  }
  bool NothingIsOnTheNode() const {
    for (const char* name : {"/inputs", "/results", "/volumes", "/unsent"}) {
      std::error_code none;
      if (fs::exists(buckets() + name, none) && !fs::is_empty(buckets() + name, none)) return false;
    }
    return true;
  }
  std::string DriverLog() const { return ReadFile(k().site_volumes_log()); }
  std::string kubeconfig() const { return k().work() + "/site-volumes.kubeconfig"; }
  std::string buckets() const { return k().work() + "/site-buckets"; }

  std::unique_ptr<ceph::Lab> lab_;
};

TEST_F(BucketsTest, TheSameJobAtTheSiteAndAway) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  ApplyJob({.name = "first", .gpus = 1, .gated = true});
  const json::value home = AwaitAtHome("first");
  // What is not selected is not there, and nobody writes to data.
  const Outcome looked =
      k().Kubectl({"exec", "-n", ns_, NameOf(home), "--", "/bin/sh", "-c",
                   "ls /data; touch /data/train/new 2>/dev/null || echo read-only"});
  EXPECT_EQ(looked.out, "train\nread-only\n");
  // The site's only GPU is taken.
  ApplyJob({.name = "second", .gpus = 1});
  ExpectComplete("second", 300s);
  EXPECT_TRUE(Eventually([&] { return BroughtBy("second").starts_with("bn-"); }, 60s)) << Story();
  OpenGates("first");
  ExpectComplete("first", 60s);
  ExpectBroughtHome("first", 60s);
  EXPECT_EQ(ExpectNothingLeft(), 1);
  const auto keys = s3::CredentialsFile(lab_->credentials_file()).Find("dev");
  EXPECT_EQ(DriverLog().find(keys->secret_access_key.Reveal()), std::string::npos);
  // A kubelet of a rented machine may read the volumes of its pods.
  const Outcome volumes = k().Kubectl({"get", "pv", "-o", "yaml"});
  EXPECT_NE(volumes.out.find("s3://" + lab_->bucket().name), std::string::npos) << volumes.out;
  EXPECT_EQ(volumes.out.find(lab_->bucket().endpoint), std::string::npos) << volumes.out;
}

TEST_F(BucketsTest, TheDriverIsKilledAndTheStoreIsAwayWhenAPodEnds) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  ApplyJob({.name = "hash", .gpus = 1, .gated = true});
  AwaitAtHome("hash");
  k().KillSiteVolumes();
  ASSERT_TRUE(ceph::Lab::Power("stop"));
  OpenGates("hash");
  ExpectComplete("hash", 60s);
  StartDriver();
  // It has tried, and keeps what it has.
  EXPECT_TRUE(Eventually(
      [&] { return DriverLog().find("the results stay in") != std::string::npos; }, 240s))
      << DriverLog();
  EXPECT_TRUE(Eventually([&] { return ClaimTells("ResultsWaiting"); }, 60s)) << DriverLog();
  EXPECT_FALSE(ClaimTells("ResultsHome"));
  k().KillSiteVolumes();
  ASSERT_TRUE(ceph::Lab::Power("start"));
  StartDriver();
  ExpectBroughtHome("hash", 240s);
  EXPECT_TRUE(Eventually([&] { return ClaimTells("ResultsHome"); }, 60s)) << DriverLog();
  EXPECT_TRUE(BurstNodes().empty());
}

// Nobody asks for the results any more: whoever runs the node has cleared the pod's places by hand.
TEST_F(BucketsTest, ResultsOfAPodThatWasForgottenComeHome) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  ApplyJob({.name = "hash", .gpus = 1, .gated = true});
  const json::value pod = AwaitAtHome("hash");
  ASSERT_FALSE(UidOf(pod).empty());
  const Outcome wrote = k().Kubectl({"exec", "-n", ns_, NameOf(pod), "--", "/bin/sh", "-c",
                                     "cat /data/train/* | sha256sum > /results/hash"});
  ASSERT_EQ(wrote.exit, 0) << wrote.err;
  k().KillSiteVolumes();
  const Outcome cleared = RunProgram(
      {Partner("kubernetes-exec"), "--dir", k().dir(), std::string(kSiteNode), "/bin/sh", "-c",
       fmt::format("for at in /var/lib/kubelet/pods/{}/volumes/kubernetes.io~csi/*/mount; do "
                   "umount -l $at && rmdir $at; done",
                   UidOf(pod))});
  ASSERT_EQ(cleared.exit, 0) << cleared.out << cleared.err;
  EXPECT_EQ(BroughtBy("hash"), "");
  StartDriver();
  ExpectBroughtHome("hash", 60s);
}

}  // namespace
}  // namespace spillway::kubernetes_test
