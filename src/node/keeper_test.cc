#include "node/keeper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>

namespace spillway::node {
namespace {

// RunKept in a process of its own: its result.
int Outcome(
    const std::function<int(Kept&)>& agent, const std::function<void()>& give_up = [] {},
    KeeperOptions options = {}) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(RunKept(agent, give_up, options));
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

[[noreturn]] void Die() {
  ::raise(SIGKILL);
  for (;;) ::pause();
}

TEST(Keeper, AnAgentThatEndsEndsIt) {
  EXPECT_EQ(Outcome([](Kept& kept) { return kept.left().empty() ? 7 : 1; }), 7);
}

TEST(Keeper, AKilledAgentFindsWhatItPutAndNotWhatItDropped) {
  int counter[2];
  ASSERT_EQ(::pipe(counter), 0);
  EXPECT_EQ(Outcome([&](Kept& kept) {
              if (kept.left().empty()) {
                kept.Put("text", AsBytes("one"));
                kept.Put("text", AsBytes("two"));
                kept.Put("pipe", {}, {counter[1], counter[0]});
                kept.Put("gone", AsBytes("x"));
                kept.Drop("gone");
                Die();
              }
              KeptItems& left = kept.left();
              if (left.size() != 2 || AsText(left["text"].bytes) != "two") return 1;
              if (left["pipe"].fds.size() != 2) return 2;
              if (::write(left["pipe"].fds[0].get(), "y", 1) != 1) return 3;
              char byte = 0;
              return ::read(left["pipe"].fds[1].get(), &byte, 1) == 1 && byte == 'y' ? 42 : 4;
            }),
            42);
  ::close(counter[0]);
  ::close(counter[1]);
}

TEST(Keeper, WithoutItemsNobodyFollows) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const auto give_up = [&] { (void)!::write(told[1], "g", 1); };
  EXPECT_EQ(Outcome([](Kept&) -> int { Die(); }, give_up), 1);
  EXPECT_EQ(Outcome(
                [](Kept& kept) -> int {
                  kept.Put("secret", AsBytes("x"));
                  kept.DropAll();
                  Die();
                },
                give_up),
            1);
  std::array<char, 3> bytes{};
  EXPECT_EQ(::read(told[0], bytes.data(), bytes.size()), 2);
  ::close(told[0]);
  ::close(told[1]);
}

TEST(Keeper, TooManyDeathsAreTheEnd) {
  int lives[2];
  ASSERT_EQ(::pipe(lives), 0);
  EXPECT_EQ(Outcome(
                [&](Kept& kept) -> int {
                  (void)!::write(lives[1], "l", 1);
                  kept.Put("x", {});
                  Die();
                },
                [] {}, {.most_restarts = 3}),
            1);
  std::array<char, 8> bytes{};
  EXPECT_EQ(::read(lives[0], bytes.data(), bytes.size()), 4);
  ::close(lives[0]);
  ::close(lives[1]);
}

TEST(Keeper, ATerminationIsHandedOn) {
  EXPECT_EQ(Outcome([](Kept&) -> int {
              sigset_t signals;
              ::sigemptyset(&signals);
              ::sigaddset(&signals, SIGTERM);
              ::sigprocmask(SIG_BLOCK, &signals, nullptr);
              ::kill(::getppid(), SIGTERM);
              int signal = 0;
              ::sigwait(&signals, &signal);
              return signal == SIGTERM ? 5 : 1;
            }),
            5);
}

}  // namespace
}  // namespace spillway::node
