// Two replicas with one state: the leader is killed right after each step of a BurstNode's life was
// stored and before anything that follows from it was done, or is stopped for a while. The other
// takes over, and nothing is done twice.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

// A takeover takes up to 15 s, the length of the Lease. A node's own lease is two minutes of the
// daemon's clock, and must be longer.
constexpr int kSlowScale = 4;

class ReplicasTest : public KubernetesTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // Kills the replica that first stores `phase`.
  std::string KillAt(const std::string& phase) const {
    const std::string path = dir_ + "/hook";
    WriteFile(path, fmt::format("#!/bin/sh\n[ \"$2\" = {} ] || exit 0\n"
                                "mkdir {}/fired 2>/dev/null || exit 0\nkill -9 $PPID\n",
                                phase, dir_));
    chmod(path.c_str(), 0755);
    return path;
  }
};

TEST_P(ReplicasTest, TheOtherTakesOver) {
  StartDaemons(kSlowScale, 2, KillAt(GetParam()));
  ApplyRules();
  ApplyJob({});
  if (HasFatalFailure()) return;
  const bool fired = Eventually([&] { return std::filesystem::exists(dir_ + "/fired"); }, 240s);
  ASSERT_TRUE(fired) << "never reached " << GetParam() << "\n" << Story();
  ASSERT_TRUE(Eventually(
      [&] { return replicas_[0]->Alive() != replicas_[1]->Alive() && Leader() != nullptr; }, 40s))
      << Story();
  ExpectComplete("hash", 240s);
  EXPECT_EQ(ExpectNothingLeft(180s), 1);
  ExpectResults("hash");
}

// A node that waits for no gang is Joined and Staged within one round, which stores neither.
INSTANTIATE_TEST_SUITE_P(KilledAt, ReplicasTest,
                         ::testing::Values("Planned", "Requested", "Provisioned", "Running",
                                           "Returning", "Wiping", "Deleting", "Gone"),
                         [](const auto& c) { return std::string(c.param); });

class PausedTest : public KubernetesTest {};

TEST_F(PausedTest, LeaderDoesNotActOnAnOldLease) {
  StartDaemons(kSlowScale, 2);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const json::value pod = AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  Replica* paused = Leader();
  ASSERT_NE(paused, nullptr);
  Replica* other = replicas_[paused == replicas_[0].get() ? 1 : 0].get();
  paused->Signal(SIGSTOP);
  OpenGate(NameOf(pod));
  // How long it is stopped: longer than its Lease.
  Eventually([] { return false; }, 20s);
  paused->Signal(SIGCONT);
  ASSERT_TRUE(Eventually([&] { return !paused->Alive(); }, 10s)) << Story();
  EXPECT_TRUE(WIFEXITED(paused->status()) && WEXITSTATUS(paused->status()) == 3)
      << paused->status();
  ASSERT_TRUE(Eventually([&] { return other->Alive() && other->Leads(); }, 20s)) << Story();
  ExpectComplete("hash", 60s);
  EXPECT_EQ(ExpectNothingLeft(180s), 1);
  ExpectResults("hash");
}

}  // namespace
}  // namespace spillway::kubernetes_test
