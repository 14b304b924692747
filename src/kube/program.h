// Runs a program to its end, with a limit on its time and on what it may say.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::kube {

struct ProgramRequest {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it has a slash
  std::vector<std::pair<std::string, std::string>> env;  // added to our own environment
  Duration timeout = 30s;                                // real time; then SIGKILL to its group
  std::size_t output_bytes = 1 << 20;                    // of standard output; more is an error
};

struct ProgramResult {
  int exit_code = 0;  // 128 + signal if a signal ended it
  std::string output;
  std::string complaint;  // the first 2 KiB of standard error
};

// Standard input is empty. kNotFound if there is no such program, kUnavailable for a timeout,
// kInvalid for too much output, kInternal if the system refuses.
Result<ProgramResult> RunProgram(const ProgramRequest& request);

}  // namespace spillway::kube
