// The volume plug-in with a real kubelet. SPILLWAY_TEST_KUBERNETES_DIR names the directory of a
// cluster with a node "node-1" that may be written to (scripts/partners/kubernetes-up --nodes 1
// --dir D); without it everything here is skipped. The site's door is a fake one with real sealing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "node/fake_door.h"

namespace spillway::node {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using State = FakeDoor::State;

std::string ClusterDir() {
  const char* path = std::getenv("SPILLWAY_TEST_KUBERNETES_DIR");
  return path == nullptr ? "" : path;
}

std::string Shell(const std::string& script) {
  FILE* pipe = ::popen(fmt::format("{{ {} ; }} 2>&1", script).c_str(), "r");
  std::string out;
  std::array<char, 4096> part;
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe))
    out.append(part.data(), n);
  ::pclose(pipe);
  return out;
}
std::string Kubectl(const std::string& arguments) {
  return Shell(fmt::format(". {}/env && kubectl {}", ClusterDir(), arguments));
}
std::string InNode(const std::string& command) {
  return fmt::format("{}/scripts/partners/kubernetes-exec --dir {} node-1 {}", SPILLWAY_SOURCE_DIR,
                     ClusterDir(), command);
}

constexpr const char* kObjects = R"(
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: data.spillway.dev}
spec: {attachRequired: false, podInfoOnMount: true, volumeLifecycleModes: [Persistent]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: spw-test-digits}
spec:
  storageClassName: spillway-test
  capacity: {storage: 1Gi}
  accessModes: [ReadOnlyMany]
  claimRef: {namespace: default, name: digits}
  csi:
    driver: data.spillway.dev
    volumeHandle: default/digits
    volumeAttributes: {kind: dataset, claim: digits, namespace: default, directory: vision/digits}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: spw-test-models}
spec:
  storageClassName: spillway-test
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  claimRef: {namespace: default, name: models}
  csi:
    driver: data.spillway.dev
    volumeHandle: default/models
    volumeAttributes: {kind: results, claim: models, namespace: default, directory: vision/run1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: digits}
spec:
  storageClassName: spillway-test
  accessModes: [ReadOnlyMany]
  volumeName: spw-test-digits
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec:
  storageClassName: spillway-test
  accessModes: [ReadWriteMany]
  volumeName: spw-test-models
  resources: {requests: {storage: 1Gi}}
)";

// Runs as a user without any right; the inputs are not asked for as read-only.
constexpr const char* kPod = R"(
apiVersion: v1
kind: Pod
metadata: {{name: train}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
    - name: c
      image: spillway.test/busybox:1
      imagePullPolicy: Never
      securityContext: {{runAsUser: 1000}}
      command: [sh, -c, "{}"]
      volumeMounts: [{{name: d, mountPath: /data}}, {{name: o, mountPath: /out}}]
  volumes:
    - {{name: d, persistentVolumeClaim: {{claimName: digits}}}}
    - {{name: o, persistentVolumeClaim: {{claimName: models}}}}
)";

class VolumesKubeletTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (ClusterDir().empty())
      GTEST_SKIP() << "SPILLWAY_TEST_KUBERNETES_DIR is not set: no kubelet to test against";
    Apply(kObjects);
  }
  void TearDown() override {
    if (ClusterDir().empty()) return;
    Kubectl("delete pod train --ignore-not-found --now --timeout=60s");
    StopNode();
    Kubectl("delete pvc digits models --ignore-not-found --timeout=20s");
    Kubectl("delete pv spw-test-digits spw-test-models --ignore-not-found --timeout=20s");
  }
  void Apply(const std::string& text) {
    std::ofstream(dir_.File("objects.yaml")) << text;
    const std::string said = Kubectl("apply -f " + dir_.File("objects.yaml"));
    EXPECT_THAT(said, Not(HasSubstr("rror"))) << said;
  }
  void StartNode(const std::string& options) {
    node_ = std::thread([this, options] {
      Shell(InNode(fmt::format("{}/spillway-node {} > {} 2>&1", SPILLWAY_BIN_DIR, options, Log())));
    });
    ASSERT_TRUE(Eventually(
        [] {
          return Kubectl("get csinode node-1 -o jsonpath={.spec.drivers[*].name}")
                     .find("data.spillway.dev") != std::string::npos;
        },
        30s));
  }
  void StopNode() {
    if (!node_.joinable()) return;
    Shell(InNode("pkill -TERM -x spillway-node"));
    node_.join();
    if (HasFailure()) std::cout << ReadFile(Log());
  }
  static bool Eventually(const std::function<bool()>& holds, Duration most) {
    const auto give_up = std::chrono::steady_clock::now() + most;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(200ms);
    }
    return true;
  }
  static bool PodIs(const std::string& phase) {
    return Eventually([&] { return Phase() == phase; }, 60s);
  }
  static std::string Phase() { return Kubectl("get pod train -o jsonpath={.status.phase}"); }
  static std::string NodeMounts() { return Shell(InNode("cat /proc/1/mounts")); }

  std::string Log() const { return dir_.File("log"); }

  TempDir dir_;
  std::thread node_;
};

TEST_F(VolumesKubeletTest, TheSiteShowsItsDirectories) {
  fs::create_directories(dir_.File("data/vision/digits"));
  fs::create_directory(dir_.File("results"));
  fs::permissions(fs::path(dir_.disk()).parent_path(), fs::perms(0755));
  std::ofstream(dir_.File("data/vision/digits/a.txt")) << "seven";
  StartNode(fmt::format("--site --data-root {} --results-root {}", dir_.File("data"),
                        dir_.File("results")));
  Apply(fmt::format(kPod, "cp /data/a.txt /out/copy; touch /data/x || echo no > /out/denied"));
  ASSERT_TRUE(PodIs("Succeeded")) << Kubectl("describe pod train");
  EXPECT_EQ(ReadFile(dir_.File("results/vision/run1/copy")), "seven");
  EXPECT_TRUE(fs::exists(dir_.File("results/vision/run1/denied")));
  Kubectl("delete pod train --timeout=30s");
  // The object may be gone before the kubelet has unmounted everything.
  EXPECT_TRUE(
      Eventually([] { return NodeMounts().find("kubernetes.io~csi") == std::string::npos; }, 30s))
      << NodeMounts();
}

TEST_F(VolumesKubeletTest, ARentedNodeKeepsResultsUntilTheyAreReceipted) {
  const std::string secret = Noise(100'000, 7);
  FakeDoor door(dir_.File("node.sock"), {{"digits/a.txt", secret}});
  door.Change([](State& s) {
    s.desired.want = door::Want::kStage;
    s.hold_receipts = true;
  });
  std::ofstream(dir_.File("user-data")) << door::EncodeUserData(door.UserData());
  StartNode(
      fmt::format("--user-data {} --disk {} --kubernetes", dir_.File("user-data"), dir_.disk()));
  ASSERT_TRUE(door.WaitFor([](const State& s) { return s.Last() && s.Last()->staged; }));
  // The kubelet asks again until the site wants pods here.
  Apply(fmt::format(kPod, "cp /data/a.txt /out/copy; touch /data/x || echo no > /out/denied"));
  ASSERT_TRUE(Eventually(
      [] {
        return Kubectl("get events --field-selector involvedObject.name=train")
                   .find("does not want pods to begin") != std::string::npos;
      },
      30s));
  EXPECT_EQ(Phase(), "Pending");
  door.Change([](State& s) { s.desired.want = door::Want::kRun; });
  ASSERT_TRUE(PodIs("Succeeded")) << Kubectl("describe pod train");
  const std::string uid = Kubectl("get pod train -o jsonpath={.metadata.uid}");
  ASSERT_TRUE(door.WaitFor([](const State& s) { return s.Last()->results_pending == 2; }));
  // The API server forgets a pod that has succeeded at once; its results are held all the same.
  Kubectl("delete pod train --timeout=30s");
  ASSERT_TRUE(Eventually(
      [&] { return ReadFile(Log()).find("not unpublished yet") != std::string::npos; }, 60s));
  EXPECT_THAT(NodeMounts(), HasSubstr("spillway-volume"));
  door.Change([](State& s) {
    EXPECT_THAT(s.Last()->released, IsEmpty());
    s.hold_receipts = false;
  });
  // The kubelet has been told that it takes longer, and asks again.
  EXPECT_TRUE(Eventually(
      [&] {
        bool there = false;
        door.Change([&](State& s) { there = s.Last()->released == std::vector{uid}; });
        return there;
      },
      60s));
  door.Change([&](State& s) {
    EXPECT_EQ(s.results["models/copy"].bytes, secret);
    EXPECT_EQ(s.results["models/denied"].bytes, "no\n");
  });
  EXPECT_THAT(NodeMounts(), Not(HasSubstr("spillway-volume")));
  EXPECT_EQ(FoundOnDisk(dir_.disk(), {secret}), 0);
}

TEST_F(VolumesKubeletTest, AWipeEmptiesTheVolumesOfARunningContainer) {
  FakeDoor door(dir_.File("node.sock"), {{"digits/a.txt", Noise(100'000, 7)}});
  door.Change([](State& s) {
    s.desired.want = door::Want::kRun;
    s.desired.overwrite = "used";
    s.desired.verify = "full";
  });
  std::ofstream(dir_.File("user-data")) << door::EncodeUserData(door.UserData());
  StartNode(
      fmt::format("--user-data {} --disk {} --kubernetes", dir_.File("user-data"), dir_.disk()));
  Apply(fmt::format(kPod, "echo weights > /out/model; exec sleep 600"));
  ASSERT_TRUE(PodIs("Running")) << Kubectl("describe pod train");
  const std::string sizes = "exec train -- wc -c /data/a.txt";
  ASSERT_TRUE(Eventually([&] { return Kubectl(sizes).starts_with("100000 "); }, 10s));
  door.Change([](State& s) { s.desired.want = door::Want::kWipe; });
  ASSERT_TRUE(door.WaitFor([](const State& s) { return s.Last()->wiped; }));
  // Nothing unseals the input any more, and nobody may open the results.
  EXPECT_THAT(Kubectl("exec train -- cat /data/a.txt"), HasSubstr("Input/output error"));
  EXPECT_THAT(Kubectl("exec train -- cat /out/model"), HasSubstr("denied"));
  EXPECT_THAT(NodeMounts(), Not(HasSubstr("spillway-volume")));
  Kubectl("delete pod train --now --timeout=30s");
  EXPECT_THAT(Phase(), HasSubstr("not found")) << "the kubelet can end the pod";
}

}  // namespace
}  // namespace spillway::node
