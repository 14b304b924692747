// The spillway program against a spillwayd "in a cluster": a kubectl that runs in place what it is
// told to run in the pod, so that all the rest of the way is real.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"
#include "tests/integration/program.h"

namespace spillway::integration {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kKubectl = R"sh(#!/bin/sh
echo "$*" >>'{0}/calls'
case "$*" in
  *'get --raw'*) echo '{{"spec":{{"holderIdentity":"spillway-0_1"}}}}' ;;
  *'exec -i'*)
    while [ "$1" != -- ]; do shift; done
    shift
    export SPILLWAY_SOCKET='{0}/spillway.sock'
    exec "{1}/$@"
    ;;
  *'apply -f -'*) exec '{1}/spillway' --socket '{0}/spillway.sock' apply -f - ;;
  *'delete --wait=false -f -'*) exec '{1}/spillway' --socket '{0}/spillway.sock' delete -f - ;;
esac
)sh";

class ThroughKubectl : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>(DaemonSetup{});
    WritePictures(*daemon_);
    daemon_->Start();
    const std::string kubectl = daemon_->dir() + "/bin/kubectl";
    daemon_->WriteFile(kubectl, fmt::format(kKubectl, daemon_->dir(), SPILLWAY_BIN_DIR));
    ASSERT_EQ(::chmod(kubectl.c_str(), 0700), 0);
    const std::string path = daemon_->dir() + "/bin:" + getenv("PATH");
    ASSERT_EQ(::setenv("PATH", path.c_str(), 1), 0);
    ASSERT_EQ(::setenv("KUBECONFIG", "/nowhere/config", 1), 0);
    ::unsetenv("SPILLWAY_SOCKET");
  }
  static void TearDownTestSuite() { daemon_.reset(); }

  void SetUp() override { daemon_->WriteFile(Calls(), ""); }

  static std::string Calls() { return daemon_->dir() + "/calls"; }
  // As the plug-in: in the cluster, whatever sockets this machine has.
  static Outcome Cli(const std::vector<std::string>& args) {
    return RunProgram("kubectl-spillway", args);
  }
  static Outcome Local(std::vector<std::string> args) {
    args.insert(args.begin(), {"--socket", daemon_->dir() + "/spillway.sock"});
    return RunProgram("spillway", args);
  }
  // How often kubectl was run since the test began, to open a connection or for `what`.
  static int Ran(const std::string& what = "exec -i ") {
    const std::string calls = daemon_->ReadFile(Calls());
    int count = 0;
    for (std::size_t at = 0; (at = calls.find(what, at)) != std::string::npos; ++at) ++count;
    return count;
  }

  static std::unique_ptr<Daemon> daemon_;
};
std::unique_ptr<Daemon> ThroughKubectl::daemon_;

TEST_F(ThroughKubectl, LocalFilesAreAppliedAndPlanned) {
  const std::string file = daemon_->dir() + "/burst.yaml";
  daemon_->WriteFile(file, BurstManifests(false));
  const Outcome planned = Cli({"plan", "-f", file});
  EXPECT_EQ(planned.exit, 0) << planned.err;
  EXPECT_EQ(Ran(), 1);
  SetUp();
  const Outcome applied = Cli({"apply", "-f", file});
  EXPECT_EQ(applied.exit, 0) << applied.err;
  EXPECT_THAT(applied.out, HasSubstr("burstpolicy/vision created\n"));
  EXPECT_EQ(Ran(), 1) << "to be checked";
  EXPECT_EQ(Ran("apply -f -"), 1) << "with the rights of the person who asked";

  daemon_->WriteFile(file, "apiVersion: v1\nkind: Namespace\nmetadata: {name: A_B}\n");
  const Outcome wrong = Cli({"apply", "-f", file});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(wrong.err, HasSubstr(file + ":3:18: metadata.name: "));
}

TEST_F(ThroughKubectl, ManyRequestsOfOneCommandShareAConnection) {
  const std::string file = daemon_->dir() + "/many.yaml";
  std::string many;
  for (int i = 0; i < 12; ++i)
    many += fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{}}}\n", i);
  daemon_->WriteFile(file, many);
  ASSERT_EQ(Cli({"apply", "-f", file}).exit, 0);
  SetUp();
  const Outcome got = Cli({"get", "namespaces"});
  EXPECT_EQ(got.exit, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("n11 "));
  EXPECT_EQ(Ran(), 1);
  EXPECT_EQ(Ran("get --raw"), 1);
  SetUp();
  const Outcome deleted = Cli({"delete", "-f", file});
  EXPECT_EQ(deleted.exit, 0) << deleted.err;
  EXPECT_EQ(std::count(deleted.out.begin(), deleted.out.end(), '\n'), 12);
  EXPECT_EQ(Ran("\n"), 1) << "twelve changes and one kubectl";
}

TEST_F(ThroughKubectl, WhatIsFollowedHasAConnectionOfItsOwn) {
  const Outcome waited = Cli({"wait", "namespace/none", "--for=delete"});
  EXPECT_EQ(waited.out, "namespace/none deleted\n") << waited.err;
  EXPECT_LE(Ran(), 2);
}

TEST_F(ThroughKubectl, EvidenceIsTheSameAsThroughTheSocket) {
  const Outcome far = Cli({"audit", "export"}), near = Local({"audit", "export"});
  EXPECT_EQ(far.exit, 0) << far.err;
  EXPECT_EQ(far.out, near.out);
  const Outcome verified = Cli({"audit", "verify"});
  EXPECT_EQ(verified.exit, 0) << verified.err;
  EXPECT_THAT(verified.out,
              HasSubstr("verified: the ledger of pod spillway-0 in namespace spillway-system\n"));
}

TEST_F(ThroughKubectl, TheProgramItselfFindsTheClusterByItsFlags) {
  const Outcome named =
      RunProgram("spillway", {"--context", "prod", "--spillway-namespace", "rental", "version"});
  EXPECT_EQ(named.exit, 0) << named.err;
  EXPECT_THAT(named.out, HasSubstr(", pod spillway-0 in namespace rental of context prod"));
  EXPECT_THAT(daemon_->ReadFile(Calls()),
              AllOf(HasSubstr("--context=prod get --raw /apis/coordination.k8s.io/v1/namespaces/"
                              "rental/leases/spillway\n"),
                    HasSubstr("--context=prod exec -i -n rental spillway-0 -c spillwayd -- "
                              "spillway dial-stdio\n")));
}

TEST_F(ThroughKubectl, KubectlCompletesItsPlugin) {
  const Outcome names = RunProgram("kubectl_complete-spillway", {"get", "namespaces", "def"});
  EXPECT_EQ(names.out, "default\n:4\n") << names.err;
  EXPECT_EQ(RunProgram("kubectl_complete-spillway", {"audit", "ver"}).out, "verify\n:4\n");
}

TEST_F(ThroughKubectl, NoSocketInThePodIsSaidSo) {
  const Outcome none = RunProgram("spillway", {"dial-stdio", "--socket", "/nowhere/s.sock"});
  EXPECT_EQ(none.exit, 1);
  EXPECT_EQ(none.out, "");
  EXPECT_THAT(none.err, HasSubstr("cannot connect to '/nowhere/s.sock'"));
}

}  // namespace
}  // namespace spillway::integration
