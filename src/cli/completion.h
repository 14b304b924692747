// Completion for bash.
#pragma once

#include <string>

namespace spillway::cli {

// The script: it asks `spillway complete` for everything (complete.h).
// deploy/completion/spillway.bash is this text; a test compares them.
std::string BashCompletion();

}  // namespace spillway::cli
