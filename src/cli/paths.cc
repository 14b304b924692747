#include "cli/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace spillway::cli {

namespace {

constexpr const char* kSystemSocket = "/run/spillway/spillway.sock";

}  // namespace

Surroundings RealSurroundings() {
  return {[](const char* name) {
            const char* value = std::getenv(name);
            return std::string(value == nullptr ? "" : value);
          },
          geteuid() == 0, [](const std::string& path) { return access(path.c_str(), F_OK) == 0; }};
}

std::string DefaultStateDir(const Surroundings& around) {
  if (around.root) return "/var/lib/spillway";
  const std::string state = around.variable("XDG_STATE_HOME");
  // The XDG specification says that relative paths are to be ignored.
  if (state.starts_with('/')) return state + "/spillway";
  const std::string home = around.variable("HOME");
  return (home.empty() ? "." : home) + "/.local/state/spillway";
}

std::string DefaultSocket(const Surroundings& around) {
  const std::string named = around.variable("SPILLWAY_SOCKET");
  if (!named.empty()) return named;
  if (around.root) return kSystemSocket;
  const std::string runtime = around.variable("XDG_RUNTIME_DIR");
  if (runtime.starts_with('/')) return runtime + "/spillway/spillway.sock";
  return DefaultStateDir(around) + "/spillway.sock";
}

std::string PodSocket(const Surroundings& around) {
  std::string own = DefaultSocket(around);
  return !around.exists(own) && around.exists(kSystemSocket) ? kSystemSocket : own;
}

}  // namespace spillway::cli
