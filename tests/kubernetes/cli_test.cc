// The spillway command from outside a cluster: real kubectl exec, real kubelet, and nothing but the
// rights of deploy/kubernetes/user-role.yaml.
//
// The pod that holds the Lease runs the real programs, with the libraries of this machine: what
// spillwayd serves there, an embedded site, does not matter for the way to it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPod = R"yaml(
apiVersion: v1
kind: Namespace
metadata: {{name: {0}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {1}, namespace: {0}}}
spec:
  nodeName: home
  terminationGracePeriodSeconds: 0
  tolerations: [{{operator: Exists}}]
  containers:
    - name: spillwayd
      image: spillway.test/busybox:1
      imagePullPolicy: IfNotPresent
      command: [spillwayd, --state=/tmp/state, --catalog={3}/catalog]
      env:
        - {{name: SPILLWAY_SOCKET, value: /tmp/spillway.sock}}
        - {{name: PATH, value: "{2}:/bin"}}
      volumeMounts:
        - {{name: usr, mountPath: /usr, readOnly: true}}
        - {{name: usr, mountPath: /lib, subPath: lib, readOnly: true}}
        - {{name: usr, mountPath: /lib64, subPath: lib64, readOnly: true}}
        - {{name: programs, mountPath: "{2}", readOnly: true}}
        - {{name: catalog, mountPath: "{3}/catalog", readOnly: true}}
  volumes:
    - {{name: usr, hostPath: {{path: /usr}}}}
    - {{name: programs, hostPath: {{path: "{2}"}}}}
    - {{name: catalog, hostPath: {{path: "{3}/catalog"}}}}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {{name: spillway, namespace: {0}}}
spec: {{holderIdentity: {1}_1f2e, leaseDurationSeconds: 15}}
)yaml";

class CliTest : public KubernetesTest {
 protected:
  void SetUp() override {
    KubernetesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    system_ = ns_ + "-system";
    const Outcome made =
        k().Kubectl({"apply", "-f", "-"},
                    fmt::format(kPod, system_, "leader-0", SPILLWAY_BIN_DIR, SPILLWAY_SOURCE_DIR));
    ASSERT_EQ(made.exit, 0) << made.err;
    const Outcome ready = k().Kubectl(
        {"wait", "--for=condition=Ready", "pod/leader-0", "-n", system_, "--timeout=60s"});
    ASSERT_EQ(ready.exit, 0) << ready.err << k().Kubectl({"describe", "pod", "-n", system_}).out
                             << k().Kubectl({"logs", "leader-0", "-n", system_}).out;
    kubeconfig_ = dir_ + "/user.kubeconfig";
    WriteUser();
  }
  void TearDown() override {
    if (!system_.empty()) (void)k().Kubectl({"delete", "namespace", system_, "--wait=false"});
    KubernetesTest::TearDown();
  }

  // A kubeconfig for somebody who has no right at all so far.
  void WriteUser() {
    ASSERT_EQ(k().Kubectl({"create", "serviceaccount", "ada", "-n", system_}).exit, 0);
    const Outcome token = k().Kubectl({"create", "token", "ada", "-n", system_});
    ASSERT_EQ(token.exit, 0) << token.err;
    WriteFile(kubeconfig_,
              fmt::format("apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                          "clusters: [{{name: c, cluster: {{server: \"{}\", "
                          "certificate-authority: \"{}\"}}}}]\n"
                          "users: [{{name: ada, user: {{token: {}}}}}]\n"
                          "contexts: [{{name: test, context: {{cluster: c, user: ada}}}}]\n",
                          k().server(), k().ca_file(), token.out.substr(0, token.out.find('\n'))));
    ASSERT_EQ(::chmod(kubeconfig_.c_str(), 0600), 0);
  }
  // The Role is made for spillway-system; here it is wherever the test's pod is.
  void Allow() {
    std::string role = ReadFile(SPILLWAY_SOURCE_DIR "/deploy/kubernetes/user-role.yaml");
    const std::string there = "namespace: spillway-system";
    ASSERT_NE(role.find(there), std::string::npos);
    role.replace(role.find(there), there.size(), "namespace: " + system_);
    ASSERT_EQ(k().Kubectl({"apply", "-f", "-"}, role).exit, 0);
    ASSERT_EQ(k().Kubectl({"create", "rolebinding", "ada", "-n", system_, "--role=spillway-user",
                           "--serviceaccount=" + system_ + ":ada"})
                  .exit,
              0);
  }
  Outcome Cli(std::vector<std::string> words) const {
    words.insert(words.begin(), {Program("kubectl-spillway"), "--kubeconfig", kubeconfig_,
                                 "--spillway-namespace", system_});
    return RunProgram(words);
  }

  std::string system_, kubeconfig_;
};

TEST_F(CliTest, RightsDecideWhoReachesTheDaemon) {
  const Outcome denied = Cli({"status"});
  EXPECT_EQ(denied.exit, 1);
  EXPECT_THAT(denied.err, HasSubstr("Role spillway-user"));
  Allow();
  const Outcome version = Cli({"version"});
  EXPECT_EQ(version.exit, 0) << version.err;
  EXPECT_THAT(version.out, HasSubstr(", pod leader-0 in namespace " + system_));
  const Outcome doctor = Cli({"doctor"});
  EXPECT_EQ(doctor.exit, 1);
  EXPECT_THAT(doctor.out, HasSubstr("there is nobody to rent from"));
  EXPECT_THAT(doctor.out, HasSubstr("no pod may leave the site"));
  const Outcome ledger = Cli({"audit", "verify"});
  EXPECT_EQ(ledger.exit, 0) << ledger.err;
  EXPECT_THAT(ledger.out, HasSubstr("verified: the ledger of pod leader-0"));
  const Outcome got = Cli({"get", "namespaces"});
  EXPECT_EQ(got.exit, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("default"));
  // Nothing goes on in the pod once the command has ended.
  const auto ended = [&] {
    return k().Kubectl({"exec", "-n", system_, "leader-0", "-c", "spillwayd", "--", "sh", "-c",
                        "for f in /proc/[0-9]*/cmdline; do "
                        "if grep -q 'dial-stdi[o]' $f; then exit 1; fi; done"})
               .exit == 0;
  };
  EXPECT_TRUE(Eventually(ended, 20s));
}

TEST_F(CliTest, WhatItWritesIsWrittenWithThePersonsRights) {
  Allow();
  const std::string file = dir_ + "/policy.yaml";
  WriteFile(file, "apiVersion: spillway.dev/v1alpha1\nkind: Budget\nmetadata: {name: " + ns_ +
                      "}\nspec: {namespaces: [default], amount: 5 EUR, period: month}\n");
  const Outcome applied = Cli({"apply", "-f", file, "--dry-run"});
  EXPECT_EQ(applied.exit, 1) << applied.out;
  EXPECT_THAT(applied.err, HasSubstr("forbidden")) << "spillwayd's rights are not the person's";
}

TEST_F(CliTest, ALeaderThatIsGoneIsSaidSo) {
  Allow();
  ASSERT_EQ(k().Kubectl({"delete", "pod", "leader-0", "-n", system_, "--force"}).exit, 0);
  const Outcome none = Cli({"status"});
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("leader-0, which leads, is no running pod"));
  ASSERT_EQ(k().Kubectl({"delete", "lease", "spillway", "-n", system_}).exit, 0);
  EXPECT_THAT(Cli({"status"}).err, HasSubstr("Spillway is not installed in namespace " + system_));
}

}  // namespace
}  // namespace spillway::kubernetes_test
