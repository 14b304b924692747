// One run of a program of build/bin, with its exit status and what it printed.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"

namespace spillway::integration {

struct Outcome {
  int exit = -1;  // -1: it did not end by itself in time, or by a signal
  std::string out, err;
};

// Runs build/bin/`program` in directory `where` with standard input empty; kills it after `most`.
Outcome RunProgram(const std::string& program, const std::vector<std::string>& args,
                   const std::string& where = "/", Duration most = 20s);

}  // namespace spillway::integration
