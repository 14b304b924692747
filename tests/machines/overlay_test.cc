// A rented machine in a cluster whose pod network is a DaemonSet's: flannel, with VXLAN. The
// machine gets its network from the cluster, and its pods are pods of the cluster.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/machines/fixture.h"
#include "tunnel/tool.h"

namespace spillway::machines_test {
namespace {

using kubernetes_test::kNodes;
using kubernetes_test::kPods;
using kubernetes_test::kSiteNode;
using kubernetes_test::NameOf;
using kubernetes_test::ReadFile;
using kubernetes_test::RunProgram;
using kubernetes_test::Text;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kVxlan = 8472;

class OverlayTest : public MachinesTest {
 protected:
  void SetUp() override {
    MachinesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    host_ = k().server().substr(8, k().server().rfind(':') - 8);
    const Outcome image =
        RunProgram({SPILLWAY_SOURCE_DIR "/scripts/partners/kubernetes-image", "flannel"}, "", 600s);
    ASSERT_EQ(image.exit, 0) << image.err;
  }
  void TearDown() override {
    if (!host_.empty()) {
      k().Kubectl({"delete", "namespace", "kube-flannel", "--timeout=60s"}, "", 90s);
      RouteToTunnel("del");
    }
    MachinesTest::TearDown();
  }
  // What `kube-controller-manager --allocate-node-cidrs` does.
  void GiveNetwork(const std::string& node, int number) const {
    const Outcome given = k().Kubectl(
        {"patch", "node", node, "-p",
         fmt::format(
             R"({{"spec": {{"podCIDR": "10.244.{0}.0/24", "podCIDRs": ["10.244.{0}.0/24"]}}}})",
             number)});
    EXPECT_EQ(given.exit, 0) << given.err;
  }
  // The site's router sends the tunnel's network to the host of spillwayd.
  void RouteToTunnel(const char* what) const {
    const std::string file = ReadFile(fmt::format("{}/nodes/{}/netns", k().dir(), kSiteNode));
    const auto done = tunnel::RunTool(
        {"ip", "-n", file.substr(0, file.find(' ')), "route", what, "10.98.0.0/16", "via", host_});
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
  }
  // A pod of the site that answers at port 8080; its address.
  std::string ServeAtSite() const {
    Apply(fmt::format(R"(
apiVersion: v1
kind: Pod
metadata: {{name: server, namespace: {}}}
spec:
  nodeName: {}
  containers:
    - name: main
      image: registry.local/training/numpy:12
      command: [/usr/bin/python3, -m, http.server, "8080"]
)",
                      ns_, kSiteNode));
    std::string address;
    EXPECT_TRUE(Eventually(
        [&] {
          const auto pod = k().Find(kPods, ns_, "server");
          if (pod && Running(*pod)) address = Text(*pod, {"status", "podIP"});
          return !address.empty();
        },
        60s))
        << Story();
    return address;
  }
  std::string host_;
};

TEST_F(OverlayTest, FlannelMakesTheNetworkOfARentedMachine) {
  Apply(kubernetes_test::Filled(ReadFile(SPILLWAY_SOURCE_DIR "/tests/machines/flannel.yaml"),
                                {{"API_HOST", host_}}));
  GiveNetwork(std::string(kSiteNode), 1);
  RouteToTunnel("add");
  const std::string nodes = host_.substr(0, host_.rfind('.')) + ".0/24";
  StartSpillway(1, {"--tunnel-pods", "", "--tunnel-overlay", fmt::format("{}:{}", nodes, kVxlan)});
  ApplyCloud();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually(
      [&] {
        return std::filesystem::exists(
            fmt::format("{}/nodes/{}/cni/net.d/05-flannel.conflist", k().dir(), kSiteNode));
      },
      120s))
      << Story();
  const std::string at_site = ServeAtSite();
  EXPECT_THAT(at_site, StartsWith("10.244.1."));
  ASSERT_TRUE(Eventually([&] { return k().Find(kNodes, "", "bn-00001").has_value(); }, kBoot))
      << Story();
  GiveNetwork("bn-00001", 7);
  const json::value pod = AwaitRunning("hash", kBoot);
  if (HasFailure()) return;
  EXPECT_EQ(Text(pod, {"spec", "nodeName"}), "bn-00001");
  const std::string away = Text(pod, {"status", "podIP"});
  EXPECT_THAT(away, StartsWith("10.244.7."));

  // Both ways, as pods of one cluster; what is no pod stays closed.
  EXPECT_THAT(InPod(NameOf(pod), Connect(at_site, 8080)).out, HasSubstr("open")) << Story();
  const Outcome serves = k().Kubectl({"exec", "-n", ns_, NameOf(pod), "--", "/bin/sh", "-c",
                                      "python3 -m http.server 8081 >/dev/null 2>&1 &"});
  EXPECT_EQ(serves.exit, 0) << serves.err;
  EXPECT_TRUE(Eventually(
      [&] { return InPod("server", Connect(away, 8081)).out.find("open") != std::string::npos; },
      30s));
  EXPECT_THAT(InPod(NameOf(pod), Connect(host_, 22)).out, HasSubstr("closed"));
  EXPECT_THAT(InPod(NameOf(pod), Connect(host_, 10257)).out, HasSubstr("closed"));
  FinishJob();
  ExpectAllReturned(kRun);
}

}  // namespace
}  // namespace spillway::machines_test
