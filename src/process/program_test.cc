#include "process/program.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace spillway::process {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using How = ProgramEnd::How;

// Runs a line of shell.
struct Shell {
  explicit Shell(std::string line) {
    plan.command.argv = {"sh", "-c", std::move(line)};
    plan.command.env = {"PATH=/usr/bin:/bin"};
    plan.command.directory = "/";
    plan.timeout = 20s;
    plan.grace = 50ms;
    plan.said = [this](std::string_view text) { said.emplace_back(text); };
  }
  ProgramEnd Run() {
    const Result<ProgramEnd> end = RunProgram(plan);
    EXPECT_TRUE(end) << end.error().message;
    return end.value_or(ProgramEnd{});
  }

  ProgramPlan plan;
  std::vector<std::string> said;
};

TEST(Program, InputGoesInAndOutputComesOut) {
  Shell shell("cat; cat /dev/stdin; echo ' done' >&2");
  shell.plan.input = "hello";
  const ProgramEnd end = shell.Run();
  EXPECT_EQ(end.how, How::kExited);
  EXPECT_EQ(end.status, 0);
  // Opened anew, the file begins anew.
  EXPECT_EQ(end.output, "hellohello");
  EXPECT_THAT(shell.said, ElementsAre(" done"));
}

TEST(Program, HasNothingButWhatItIsGiven) {
  ASSERT_EQ(::setenv("SPILLWAY_TEST_SECRET", "hunter2", 1), 0);
  Shell shell("env | sort; pwd; ls /proc/self/fd | wc -l; trap");
  shell.plan.command.env.push_back("COLOUR=blue");
  // 0, 1, 2 and the directory that ls reads.
  EXPECT_EQ(shell.Run().output, "COLOUR=blue\nPATH=/usr/bin:/bin\nPWD=/\n/\n4\n");
}

TEST(Program, StatusAndSignalAreTold) {
  ProgramEnd end = Shell("exit 3").Run();
  EXPECT_EQ(end.how, How::kExited);
  EXPECT_EQ(end.status, 3);
  end = Shell("kill -9 $$").Run();
  EXPECT_EQ(end.how, How::kKilled);
  EXPECT_EQ(end.status, SIGKILL);
}

TEST(Program, WhatCannotBeStartedWasNeverStarted) {
  Shell shell("");
  shell.plan.command.argv = {"/nowhere/program"};
  const Result<ProgramEnd> end = RunProgram(shell.plan);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kNotFound);
  EXPECT_THAT(end.error().message, HasSubstr("/nowhere/program cannot be started: No such file"));
}

TEST(Program, ItsTimeIsLimited) {
  Shell shell("sleep 30");
  shell.plan.timeout = 100ms;
  const ProgramEnd end = shell.Run();
  EXPECT_EQ(end.how, How::kTimedOut);
  EXPECT_EQ(end.Describe(shell.plan), "did not end within 100ms and was killed");
}

// Too much output ends a program as the end of its time does, but at a moment of its own choice.
TEST(Program, IsAskedToEndBeforeItIsKilled) {
  Shell shell("trap 'echo tidy >&2; exit 0' TERM; printf %0100d 0; while :; do sleep 0.01; done");
  shell.plan.max_output = 50;
  shell.plan.grace = 20s;
  EXPECT_EQ(shell.Run().how, How::kTooMuchOutput);
  EXPECT_THAT(shell.said, Contains("tidy"));
}

// Reaped by init, or still a zombie: it does nothing any more.
bool HasEnded(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, program, state;
  return !(stat >> number >> program >> state) || state == "Z" || state == "X";
}

TEST(Program, IsKilledWithItsGroupWhenItDoesNotEnd) {
  char name[] = "/tmp/program-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::string file = std::string(name) + "/pid";
  Shell shell("trap '' TERM; (sh -c 'echo $PPID' >" + file +
              "; while :; do sleep 0.01; done) & until [ -s " + file +
              " ]; do sleep 0.01; done; printf %0100d 0; while :; do sleep 0.01; done");
  shell.plan.max_output = 50;
  EXPECT_EQ(shell.Run().how, How::kTooMuchOutput);
  pid_t child = 0;
  std::ifstream(file) >> child;
  ASSERT_GT(child, 1);
  // The kill was sent; the kernel may take a moment to carry it out.
  for (int i = 0; i < 500 && !HasEnded(child); ++i) ::poll(nullptr, 0, 10);
  EXPECT_TRUE(HasEnded(child));
  std::filesystem::remove_all(name);
}

TEST(Program, DoesNotWaitForWhatItLeavesBehind) {
  const auto begin = std::chrono::steady_clock::now();
  const ProgramEnd end = Shell("sleep 15 & echo answer").Run();
  EXPECT_EQ(end.how, How::kExited);
  EXPECT_EQ(end.output, "answer\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(Program, OutputHasALimit) {
  Shell shell("trap '' TERM; while :; do echo 0123456789; done");
  shell.plan.max_output = 5000;
  const ProgramEnd end = shell.Run();
  EXPECT_EQ(end.how, How::kTooMuchOutput);
  EXPECT_LE(end.output.size(), 5000u);
  Shell exact("printf 12345");
  exact.plan.max_output = 5;
  EXPECT_EQ(exact.Run().how, How::kExited);
}

TEST(Program, ErrorLinesHaveLimits) {
  Shell many("i=0; while [ $i -lt 300 ]; do echo line $i >&2; i=$((i+1)); done");
  (void)many.Run();
  ASSERT_EQ(many.said.size(), static_cast<std::size_t>(kMaxLines));
  EXPECT_EQ(many.said.front(), "line 0");
  EXPECT_EQ(many.said.back(), "(more lines are left out)");
  Shell wide("head -c 5000 /dev/zero | tr '\\0' x >&2; printf '\\na\\033[31mb' >&2");
  (void)wide.Run();
  EXPECT_THAT(wide.said, ElementsAre("(a line of 5000 bytes is left out)", "a [31mb"));
}

}  // namespace
}  // namespace spillway::process
