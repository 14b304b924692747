// Two replicas with one state: the leader is killed right after a step of a BurstNode's life was
// stored and before anything that follows from it was done, or is stopped for a while. The other
// takes over, and nothing is done twice.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

// A takeover takes up to 15 s, the length of the Lease, and a new process. A node's own lease is 90
// s of the daemon's clock, and must be longer.
constexpr int kSlowScale = 3;

using Phases = std::vector<std::string>;

class ReplicasTest : public KubernetesTest, public ::testing::WithParamInterface<Phases> {
 protected:
  // Kills the replica that first stores one of `phases`, once for each of them.
  std::string KillAt(const Phases& phases) const {
    const std::string path = dir_ + "/hook";
    WriteFile(path, fmt::format("#!/bin/sh\ncase $2 in {}) ;; *) exit 0 ;; esac\n"
                                "mkdir {}/fired-$2 2>/dev/null || exit 0\nkill -9 $PPID\n",
                                fmt::join(phases, "|"), dir_));
    chmod(path.c_str(), 0755);
    return path;
  }
  bool Fired(const std::string& phase) const {
    return std::filesystem::exists(dir_ + "/fired-" + phase);
  }
};

TEST_P(ReplicasTest, TheOtherTakesOver) {
  StartDaemons(Daemons{.time_scale = kSlowScale, .replicas = 2, .phase_hook = KillAt(GetParam())});
  ApplyRules();
  ApplyJob({});
  if (HasFatalFailure()) return;
  for (const std::string& phase : GetParam()) {
    // The one that was killed is the standby of the next time.
    ASSERT_TRUE(EventuallyRevived([&] { return Fired(phase); }, 240s))
        << "never reached " << phase << "\n"
        << Story();
  }
  ASSERT_TRUE(EventuallyRevived([&] { return Leader() != nullptr && AllGone(); }, 180s)) << Story();
  ExpectComplete("hash", 10s);
  const int machines = ExpectNothingLeft(60s);
  // One that did not come in time was given back before another was asked for.
  const std::vector<json::value> nodes = BurstNodes();
  const auto late = std::ranges::count_if(nodes, [](const json::value& node) {
    return Text(node, {"status", "failure"}) == "BootTimeout";
  });
  EXPECT_EQ(machines - late, 1) << Story();
  ExpectResults("hash");
}

// Every other step in each of two lives, so that what follows a takeover is done undisturbed too. A
// node that waits for no gang is Joined and Staged within one round, which stores neither.
INSTANTIATE_TEST_SUITE_P(KilledAt, ReplicasTest,
                         ::testing::Values(Phases{"Planned", "Provisioned", "Returning",
                                                  "Deleting"},
                                           Phases{"Requested", "Running", "Wiping", "Gone"}),
                         [](const auto& c) { return fmt::format("{}", fmt::join(c.param, "")); });

class PausedTest : public KubernetesTest {};

// Two minutes of the daemon's clock: longer than its Lease, and as long as a node's lease.
TEST_F(PausedTest, LeaderDoesNotActOnAnOldLease) {
  StartDaemons(Daemons{.time_scale = kSlowScale, .replicas = 2});
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  Replica* paused = Leader();
  ASSERT_NE(paused, nullptr);
  Replica* other = replicas_[paused == replicas_[0].get() ? 1 : 0].get();
  const std::size_t said = ReadFile(paused->log()).size();
  paused->Signal(SIGSTOP);
  // How long it is stopped.
  Eventually([] { return false; }, std::chrono::seconds(120 / kSlowScale));
  EXPECT_EQ(ReadFile(paused->log()).size(), said);
  paused->Signal(SIGCONT);
  ASSERT_TRUE(Eventually([&] { return !paused->Alive(); }, 20s)) << Story();
  EXPECT_TRUE(WIFEXITED(paused->status()) && WEXITSTATUS(paused->status()) == 3)
      << paused->status();
  // It holds the state for as long as it lives; then the other one leads.
  ASSERT_TRUE(Eventually([&] { return other->Alive() && other->Leads(); }, 30s)) << Story();
  // The node has given up on the site by then, or not: its pod goes on, or runs once more.
  EXPECT_TRUE(Eventually([&] { return OpenGates("hash"), JobComplete("hash"); }, 240s)) << Story();
  const int machines = ExpectNothingLeft(180s);
  EXPECT_TRUE(machines == 1 || machines == 2) << machines;
  ExpectResults("hash");
}

}  // namespace
}  // namespace spillway::kubernetes_test
