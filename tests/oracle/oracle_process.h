// The oracle as a child process: one JSON document in, one JSON answer out.
// scripts/partners/kubernetes-oracle/README.md has the protocol.
#pragma once

#include <sys/types.h>
#include <cstdio>
#include <string>

#include "base/json.h"

namespace spillway::oracle {

// Where scripts/partners/kubernetes-oracle-build puts it.
std::string ProgramPath();

// One thread at a time.
class Oracle {
 public:
  explicit Oracle(const std::string& program);
  ~Oracle();
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // kUnavailable when the program has ended; what it said is on the standard error.
  Result<json::value> Ask(const json::value& document);

 private:
  pid_t pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

}  // namespace spillway::oracle
