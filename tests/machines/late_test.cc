// Machines that really boot and must not get in: one that was told another name, and one that hangs
// until everybody has given it up.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/machines/fixture.h"
#include "tunnel/tool.h"

namespace spillway::machines_test {
namespace {

using kubernetes_test::kNodes;
using kubernetes_test::kRequests;
using kubernetes_test::NameOf;
using kubernetes_test::ReadFile;
using kubernetes_test::Text;
using kubernetes_test::WriteFile;
using ::testing::HasSubstr;
using ::testing::Not;

class LateTest : public MachinesTest {
 protected:
  std::string AwaitFirst() {
    EXPECT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 60s)) << Story();
    return BurstNodes().empty() ? "" : NameOf(BurstNodes().front());
  }
  std::string FailureOf(const std::string& name) const {
    for (const json::value& node : BurstNodes())
      if (NameOf(node) == name) return Text(node, {"status", "failure"});
    return "";
  }
  bool Says(const std::string& server, const std::string& words, Duration most) const {
    return Eventually([&] { return Console(server).find(words) != std::string::npos; }, most);
  }
  bool IsOff(const std::string& server) const {
    const std::string pid = ReadFile(fmt::format("{}/{}/pid", machines(), server));
    return pid.empty() || kill(std::stoi(pid), 0) != 0;
  }
  // Neither it nor a request of it is in the cluster.
  void ExpectStranger(const std::string& name) const {
    EXPECT_FALSE(k().Find(kNodes, "", name));
    for (const json::value& request : k().List(kRequests, ""))
      EXPECT_THAT(Text(request, {"spec", "username"}), Not(HasSubstr(name)));
  }
};

TEST_F(LateTest, AMachineThatWasToldAnotherNameIsRefused) {
  CatalogueSaysBoot(120s);  // so it is waited for six minutes
  StartSpillway();
  ApplyCloud(true);
  WriteFile(Filter(), "#!/bin/sh\nsed 's/\"name\":\"bn-00001\"/\"name\":\"bn-00077\"/'\n");
  std::filesystem::permissions(Filter(), std::filesystem::perms::owner_all);
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const std::string liar = AwaitFirst();
  ASSERT_EQ(liar, "bn-00001");
  ASSERT_TRUE(Eventually([&] { return !ServerOf(liar).empty(); }, 60s)) << Story();
  const std::string server = ServerOf(liar);
  EXPECT_TRUE(Says(server, "registration refused", kBoot)) << Console(server);
  std::filesystem::remove(Filter());
  // It powers off by itself, is given back, and the work goes to the next.
  EXPECT_TRUE(Eventually([&] { return IsOff(server); }, 60s)) << Console(server);
  EXPECT_TRUE(Eventually([&] { return !FailureOf(liar).empty(); }, kBoot)) << Story();
  ExpectStranger("bn-00077");
  ExpectStranger(liar);
  const json::value pod = AwaitRunning("hash", kBoot);
  if (HasFailure()) return;
  EXPECT_EQ(Text(pod, {"spec", "nodeName"}), "bn-00002");
  FinishJob();
  ExpectAllReturned(kRun);
}

TEST_F(LateTest, AMachineThatHungAndComesTooLateFindsEveryDoorClosed) {
  CatalogueSaysBoot(120s);  // so it is waited for six minutes
  StartSpillway();
  ApplyCloud(true);
  // It would knock for ten minutes; nothing else is different from a minute.
  WriteFile(Filter(), "#!/bin/sh\nsed 's/spillway-node --machine/& --boot-lease 1m/'\n");
  std::filesystem::permissions(Filter(), std::filesystem::perms::owner_all);
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const std::string late = AwaitFirst();
  ASSERT_TRUE(Eventually([&] { return !ServerOf(late).empty(); }, 60s)) << Story();
  const std::string server = ServerOf(late);
  // With the tunnel open and the program in its hands, the moment before it registers.
  ASSERT_TRUE(Says(server, "spillway-node begins", kBoot)) << Console(server);
  Signal(server, SIGSTOP);
  std::filesystem::remove(Filter());
  std::ofstream(machines() + "/" + server + "/forgotten");
  EXPECT_EQ(FailureOf(late), "");
  EXPECT_TRUE(Eventually([&] { return PhaseOf(late) == "Gone"; }, kBoot)) << Story();
  EXPECT_EQ(FailureOf(late), "BootTimeout");
  const json::value pod = AwaitRunning("hash", kBoot);
  if (HasFailure()) return;
  const std::string next = Text(pod, {"spec", "nodeName"});
  EXPECT_NE(next, late);

  // Now it comes. Nobody answers it any more, so it ends by itself.
  Signal(server, SIGCONT);
  EXPECT_TRUE(Eventually([&] { return IsOff(server); }, kBoot)) << Console(server);
  EXPECT_THAT(Console(server), HasSubstr("the door does not answer"));
  ExpectStranger(late);
  EXPECT_EQ(PhaseOf(next), "Running") << Story();
  FinishJob();
  ExpectAllReturned(kRun);
  EXPECT_EQ(BurstNodes().size(), 2u) << Story();
}

}  // namespace
}  // namespace spillway::machines_test
