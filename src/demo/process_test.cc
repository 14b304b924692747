#include "demo/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Process : public ::testing::Test {
 protected:
  Process() {
    AdoptOrphans();
    std::string name = "/tmp/spw-proc-XXXXXX";
    dir_ = mkdtemp(name.data());
  }
  ~Process() override { std::filesystem::remove_all(dir_); }
  Result<Child> Shell(const std::string& script) const {
    return Child::Start({"/bin/sh", "-c", script, dir_}, dir_ + "/log");
  }
  // Until the script has touched the file.
  bool Touched(const std::string& name) const {
    for (int i = 0; i < 500 && !std::filesystem::exists(dir_ + "/" + name); ++i) usleep(10'000);
    return std::filesystem::exists(dir_ + "/" + name);
  }

  std::string dir_;
};

TEST_F(Process, StopsInGoodOrder) {
  auto child = Shell("trap 'exit 0' TERM; : > $0/up; while :; do sleep 0.01; done");
  ASSERT_TRUE(child);
  ASSERT_TRUE(Touched("up"));
  EXPECT_TRUE(child->Running());
  EXPECT_TRUE(child->Stop(20s));
  EXPECT_FALSE(child->Running());
  EXPECT_THAT(Survivors(20s), ElementsAre());
}

TEST_F(Process, SaysHowItEndedOtherwise) {
  auto failed = Shell("exit 3");
  ASSERT_TRUE(failed);
  while (failed->Running()) usleep(1000);
  EXPECT_THAT(failed->Stop(1s).error().message, HasSubstr("exit code 3"));
  auto deaf = Shell("trap '' TERM; : > $0/up; while :; do sleep 0.01; done");
  ASSERT_TRUE(deaf);
  ASSERT_TRUE(Touched("up"));
  EXPECT_THAT(deaf->Stop(50ms).error().message, HasSubstr("was killed"));
  EXPECT_THAT(Survivors(20s), ElementsAre());
}

TEST_F(Process, OrphansAreNotOverlooked) {
  auto child = Shell("(setsid sleep 100 & echo $! > $0/orphan; : > $0/up)");
  ASSERT_TRUE(child);
  ASSERT_TRUE(Touched("up"));
  while (child->Running()) usleep(1000);
  // It may be between its fork and its exec, where it has no command line.
  std::vector<std::string> left = Survivors(0ms);
  for (int i = 0; i < 5000 && left.size() == 1 && left[0].find("sleep") == std::string::npos; ++i) {
    usleep(1000);
    left = Survivors(0ms);
  }
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_THAT(left[0], HasSubstr("sleep 100"));
  kill(std::atoi(left[0].c_str()), SIGKILL);
  EXPECT_THAT(Survivors(20s), ElementsAre());
}

TEST_F(Process, FindsWhatAnEarlierRunLeftAndNothingElse) {
  // It starts nothing: what it forks would look like itself until it is another program.
  auto child = Shell(": > $0/up; kill -STOP $$");
  ASSERT_TRUE(child);
  ASSERT_TRUE(Touched("up"));
  const std::string shell = std::filesystem::canonical("/bin/sh").string();
  EXPECT_THAT(LeftFromBefore({shell}, dir_), ElementsAre(child->pid()));
  EXPECT_THAT(LeftFromBefore({shell}, dir_ + "-other"), ElementsAre());
  EXPECT_THAT(LeftFromBefore({"/no/program"}, dir_), ElementsAre());
  End({child->pid()}, 0ms);
  while (child->Running()) usleep(1000);
}

}  // namespace
}  // namespace spillway::demo
