// A CloudProvider of type exec with the executable of examples/providers: its machines are real
// spillway-node processes. A Job runs there and comes home, also when the daemon is killed right
// after a step was stored.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

// The burst manifests with a rack instead of the simulated provider.
std::string Manifests(const Daemon& daemon) {
  std::string text = BurstManifests(false);
  const std::string simulated = "spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], ";
  const std::size_t at = text.find(simulated);
  SPW_CHECK(at != std::string::npos, "the manifests have a simulated provider");
  const std::size_t end = text.find('\n', at);
  return text.replace(at, end - at,
                      fmt::format("spec:\n  type: exec\n  catalog: pretend\n  exec:\n"
                                  "    command: [{}/examples/providers/rack]\n    environment:\n"
                                  "      - {{name: RACK_DIR, value: {}/rack}}\n"
                                  "      - {{name: SPILLWAY_NODE, value: {}/spillway-node}}",
                                  SPILLWAY_SOURCE_DIR, daemon.state(), SPILLWAY_BIN_DIR));
}

// "" or the phase after whose storing the daemon is killed.
class ExecProviderTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ExecProviderTest, AJobRunsOnItsMachineAndNothingIsLeft) {
  Daemon daemon(
      {.extra = {"--exec-directory", SPILLWAY_SOURCE_DIR "/examples/providers", "--verbose"}});
  if (!GetParam().empty()) daemon.DoOnceAt(GetParam(), "kill -9 $PPID");
  daemon.Start();
  if (HasFatalFailure()) return;
  const std::string all = WritePictures(daemon);
  const auto applied = daemon.Apply(Manifests(daemon));
  ASSERT_TRUE(applied) << applied.error().message;
  if (!GetParam().empty()) {
    ASSERT_TRUE(daemon.WaitForEnd(60s)) << "never reached " << GetParam() << "\n" << daemon.Log();
    daemon.Start();
    if (HasFatalFailure()) return;
  }
  ASSERT_TRUE(daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, 120s))
      << daemon.Log();
  EXPECT_EQ(daemon.ReadFile(daemon.results() + "/vision/hash-0"), Sha256Hex(all) + "  -\n");
  EXPECT_EQ(daemon.ReadFile(daemon.state() + "/rack/machines.json"), "{}");
  EXPECT_TRUE(daemon.Machines().empty()) << "a machine is still running";
  for (const json::value& node : daemon.Items("burstnodes"))
    EXPECT_TRUE(BoolOr(*Find(node, "status"), "settled", false));
  daemon.Terminate();
}

INSTANTIATE_TEST_SUITE_P(Killed, ExecProviderTest,
                         ::testing::Values("", "Requested", "Provisioned", "Deleting"),
                         [](const auto& c) { return c.param.empty() ? "never" : c.param; });

}  // namespace
}  // namespace spillway::integration
