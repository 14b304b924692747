#include "machine/texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"

namespace spillway::machine {
namespace {

using ::testing::HasSubstr;

door::UserData Sample() {
  door::UserData data{"bn-00001", "https://10.98.0.1:7443", "t0k3n", std::string(64, 'c')};
  data.kubernetes = {"https://10.0.0.1:6443", "CERTIFICATE", "abcdef.0123"};
  data.tunnel = {"203.0.113.1:1", "h", "10.98.0.1", "-", "10.98.128.0", "10.98.1.0", {}};
  data.machine = {{},       {}, "openstack://lab/bn-00001", "10.99.0.0/24", {}, {"10.0.128.10"},
                  "c.local"};
  return data;
}

TEST(Texts, TheKubeletKeepsOthersAwayUntilItIsChecked) {
  const door::UserData data = Sample();
  const KubeletPlan plan{&data, "/opt/kubelet", {{"a/b", "c"}, {"d", "e"}}, true};
  const auto config = ParseJson(KubeletConfig(plan));
  ASSERT_TRUE(config);
  const json::array& taints = config->at("registerWithTaints").as_array();
  ASSERT_EQ(taints.size(), 2u);
  EXPECT_EQ(StringOr(taints[0], "key", ""), "spillway.dev/burst");
  EXPECT_EQ(StringOr(taints[0], "value", ""), "bn-00001");
  EXPECT_EQ(StringOr(taints[1], "key", ""), "spillway.dev/starting");
  EXPECT_EQ(StringOr(*config, "cgroupDriver", ""), "systemd");
  EXPECT_FALSE(config->at("authentication").at("anonymous").at("enabled").as_bool());
  const std::string unit = KubeletUnit(plan);
  EXPECT_THAT(unit, HasSubstr("--node-labels=a/b=c,d=e\n"));
  EXPECT_THAT(unit, HasSubstr("--node-ip=10.98.1.0 "));
}

TEST(Texts, TheBootstrapKubeconfigHoldsCertificateAndToken) {
  const auto config = ParseJson(BootstrapKubeconfig(*Sample().kubernetes));
  ASSERT_TRUE(config);
  const json::value& cluster = config->at("clusters").at(0).at("cluster");
  EXPECT_EQ(StringOr(cluster, "certificate-authority-data", ""), Base64(AsBytes("CERTIFICATE")));
  EXPECT_EQ(StringOr(config->at("users").at(0).at("user"), "token", ""), "abcdef.0123");
}

TEST(Texts, PodsGetTheirNetwork) {
  const auto config = ParseJson(CniConfig("10.99.3.0/24", 1370));
  ASSERT_TRUE(config);
  const json::value& bridge = config->at("plugins").at(0);
  EXPECT_EQ(IntOr(bridge, "mtu", 0), 1370);
  EXPECT_EQ(StringOr(bridge.at("ipam").at("ranges").at(0).at(0), "subnet", ""), "10.99.3.0/24");
}

TEST(Texts, ContainerdSaysHowItIsSetUp) {
  const ContainerdFacts facts = ReadContainerdConfig(
      "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n"
      "      conf_dir = \"/etc/cni/net.d\"\n            SystemdCgroup = true\n");
  EXPECT_EQ(facts.cni_programs, "/usr/lib/cni");
  EXPECT_EQ(facts.cni_configs, "/etc/cni/net.d");
  EXPECT_TRUE(facts.systemd_cgroups);
  EXPECT_EQ(ReadContainerdConfig("").cni_programs, "/opt/cni/bin");
  EXPECT_FALSE(ReadContainerdConfig("SystemdCgroup = false\n").systemd_cgroups);
}

}  // namespace
}  // namespace spillway::machine
