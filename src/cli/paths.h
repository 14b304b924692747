// Where the daemon's state and socket are when nobody says otherwise. spillwayd and spillway use
// the same functions, so they meet without a flag.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace spillway::cli {

// What the default places depend on; a test fills it by hand.
struct Surroundings {
  std::function<std::string(const char*)> variable;  // of the environment; empty when not set
  bool root = false;
  std::function<bool(const std::string&)> exists;  // whether there is a file of this path
};
Surroundings RealSurroundings();

// root: /var/lib/spillway. Others: $XDG_STATE_HOME/spillway or ~/.local/state/spillway.
std::string DefaultStateDir(const Surroundings& around);

// $SPILLWAY_SOCKET; root: /run/spillway/spillway.sock; others: $XDG_RUNTIME_DIR/spillway/
// spillway.sock, and below the state directory where there is no runtime directory.
std::string DefaultSocket(const Surroundings& around);

// The same inside spillwayd's pod, where nobody is root and the socket is at root's place unless it
// is elsewhere.
std::string PodSocket(const Surroundings& around);

}  // namespace spillway::cli
