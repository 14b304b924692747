// A machine that is lost: a minute without its network is nothing; without its network for longer
// than its lease it destroys its keys and powers off by itself; without power it is given back. The
// work is done elsewhere.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/machines/fixture.h"

namespace spillway::machines_test {
namespace {

using kubernetes_test::kSiteNode;
using kubernetes_test::NameOf;
using kubernetes_test::Text;
using ::testing::HasSubstr;

class LossTest : public MachinesTest {
 protected:
  // The node on which the Job's pod runs, none of `before`.
  std::string NodeOfRun(const std::set<std::string>& before) {
    std::string node;
    EXPECT_TRUE(Eventually(
        [&] {
          for (const json::value& pod : Pods("hash"))
            if (Running(pod) && Text(pod, {"spec", "nodeName"}) != kSiteNode &&
                !before.contains(Text(pod, {"spec", "nodeName"})))
              node = Text(pod, {"spec", "nodeName"});
          return !node.empty();
        },
        kBoot))
        << Story();
    return node;
  }
};

TEST_F(LossTest, WithoutNetworkAndWithoutPowerTheWorkIsDoneElsewhere) {
  StartSpillway(2);
  ApplyCloud();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const std::string cut = NodeOfRun({});
  if (HasFailure()) return;
  const std::string server = ServerOf(cut);
  // A minute costs nothing: its lease is 90 seconds.
  Cut(cut, true);
  EXPECT_FALSE(Eventually([&] { return PhaseOf(cut) != "Running"; }, 60s)) << Story();
  Cut(cut, false);
  EXPECT_FALSE(Eventually([&] { return PhaseOf(cut) != "Running"; }, 60s)) << Story();
  Cut(cut, true);
  // Nobody can tell it to, so it does it by itself.
  EXPECT_TRUE(Eventually(
      [&] {
        const std::string said = Console(server);
        return said.find("nobody renewed the lease") != std::string::npos &&
               said.find("the sealed volume's key is destroyed") != std::string::npos;
      },
      150s))
      << Story();
  const std::string again = NodeOfRun({cut});
  if (HasFailure()) return;
  Signal(ServerOf(again), SIGKILL);
  // Whoever leads dies as well; the other replica finds the machine lost and rents the next.
  Leader()->Signal(SIGKILL);
  ASSERT_TRUE(EventuallyRevived([&] { return Leader() != nullptr; }, 60s));
  const std::string last = NodeOfRun({cut, again});
  if (HasFailure()) return;
  FinishJob();
  ExpectAllReturned(kRun);
  EXPECT_EQ(BurstNodes().size(), 3u) << Story();
}

}  // namespace
}  // namespace spillway::machines_test
