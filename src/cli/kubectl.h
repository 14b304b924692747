// What changes a cluster is done by the person who asked, not by spillwayd: through kubectl, with
// that person's rights.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"

namespace spillway::cli {

// Runs a.kubectl with more words, `input` on its standard input and its output on ours. Returns the
// exit code for `spillway`.
int RunKubectl(const Arguments& a, const std::vector<std::string>& words, const std::string& input,
               Io& io);

}  // namespace spillway::cli
