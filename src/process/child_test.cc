#include "process/child.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>

namespace spillway::process {
namespace {

using testing::Contains;
using testing::HasSubstr;

// A line of shell whose input and output are one end of a socket, ours the other.
struct Talk {
  explicit Talk(const std::string& line) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours = Fd(ends[0]);
    const Fd theirs(ends[1]);
    auto started = Child::Start({{"sh", "-c", line}, EnvironmentWith({}), ""},
                                {theirs.get(), theirs.get(), STDERR_FILENO});
    EXPECT_TRUE(started) << started.error().message;
    if (started) child.emplace(std::move(*started));
  }
  std::string Read() const {
    std::array<char, 256> bytes;
    const ssize_t got = ::read(ours.get(), bytes.data(), bytes.size());
    return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  void Write(std::string_view text) const {
    EXPECT_EQ(::write(ours.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  Fd ours;
  std::optional<Child> child;
};

TEST(Child, TalksThroughOneSocket) {
  Talk talk("while read -r word; do echo \"$word too\"; done; exit 5");
  talk.Write("one\n");
  EXPECT_EQ(talk.Read(), "one too\n");
  talk.Write("two\n");
  EXPECT_EQ(talk.Read(), "two too\n");
  EXPECT_EQ(talk.child->Wait(0ms), std::nullopt);
  ::shutdown(talk.ours.get(), SHUT_WR);
  const auto status = talk.child->Wait(20s);
  ASSERT_TRUE(status);
  EXPECT_EQ(WEXITSTATUS(*status), 5);
  EXPECT_EQ(talk.child->Wait(0ms), status) << "it stays";
}

TEST(Child, LeavesNothingBehind) {
  Talk talk("sleep 100 & echo $!; trap '' TERM; echo ready; wait");
  const std::string said = talk.Read();
  const auto grandchild = static_cast<pid_t>(std::stol(said));
  ASSERT_GT(grandchild, 1);
  const pid_t child = talk.child->pid();
  talk.child.reset();
  EXPECT_EQ(::kill(child, 0), -1) << "it is reaped";
  // The other end is closed once the last of them is gone.
  while (!talk.Read().empty()) {
  }
}

TEST(Child, EndsWithASignal) {
  Talk talk("echo ready; exec sleep 100");
  EXPECT_EQ(talk.Read(), "ready\n");
  talk.child->Signal(SIGTERM);
  const auto status = talk.child->Wait(20s);
  ASSERT_TRUE(status);
  EXPECT_EQ(WTERMSIG(*status), SIGTERM);
}

TEST(Child, SaysWhatIsMissing) {
  const auto none = Child::Start({{"no-such-program-here"}, {}, ""}, {0, 1, 2});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("no-such-program-here cannot be started"));
}

TEST(Environment, ReplacesAndAdds) {
  ASSERT_EQ(::setenv("SPILLWAY_TEST_A", "old", 1), 0);
  ASSERT_EQ(::setenv("SPILLWAY_TEST_KEPT", "x", 1), 0);
  const auto all = EnvironmentWith({{"SPILLWAY_TEST_A", "new"}, {"SPILLWAY_TEST_B", "b"}});
  EXPECT_THAT(all, Contains("SPILLWAY_TEST_A=new"));
  EXPECT_THAT(all, Contains("SPILLWAY_TEST_B=b"));
  EXPECT_THAT(all, Contains("SPILLWAY_TEST_KEPT=x"));
  EXPECT_THAT(all, testing::Not(Contains("SPILLWAY_TEST_A=old")));
}

}  // namespace
}  // namespace spillway::process
