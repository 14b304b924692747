// Completion for bash, made from the same declarations as the commands.
#pragma once

#include <string>

namespace spillway::cli {

// The script: commands, flags, kinds, and names that it asks the daemon for when one is reachable.
// deploy/completion/spillway.bash is this text; a test compares them.
std::string BashCompletion();

}  // namespace spillway::cli
