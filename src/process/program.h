// Running somebody else's executable once, within limits.
//
// It gets its input as a file on standard input (in memory, never on a disk), exactly the
// environment it is given, and its own session and process group, of which nothing is left when
// the call returns. What shall go on must make its own session (setsid).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "process/child.h"

namespace spillway::process {

// Of standard error: longer lines are left out, and lines after so many a call.
inline constexpr std::size_t kMaxLineBytes = 1024;
inline constexpr int kMaxLines = 100;

struct ProgramPlan {
  Command command;
  std::string_view input;
  Duration timeout{0};  // real time; then SIGTERM to its group, and SIGKILL after `grace`
  Duration grace{5s};
  std::size_t max_output = 4 << 20;  // bytes; more: as if its time were over
  // One line of standard error, printable, without the newline. May be empty.
  std::function<void(std::string_view line)> said;
};

struct ProgramEnd {
  enum class How { kExited, kKilled, kTimedOut, kTooMuchOutput } how = How::kExited;
  int status = 0;  // exit status, or the signal for kKilled
  std::string output;

  // "exited with status 3", "was killed by signal 9", "did not end within 30s", ...
  std::string Describe(const ProgramPlan& plan) const;
};

// Blocks until it has ended. An error, as of Child::Start, means that it was never started.
// Thread-safe.
Result<ProgramEnd> RunProgram(const ProgramPlan& plan);

}  // namespace spillway::process
