#include "runtime/support.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "runtime/launch.h"
#include "runtime/pod_spec.h"
#include "runtime/tree.h"

namespace spillway::runtime {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string FindBwrap() {
  for (const char* path : {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"})
    if (::access(path, X_OK) == 0) return path;
  return {};
}

// Runs an empty sandbox. Nothing: it works; otherwise what bwrap said.
std::optional<std::string> TrySandbox(const std::string& bwrap, bool user_namespace) {
  LaunchPlan plan;
  plan.argv = {bwrap};
  AppendIsolationArgs(plan.argv, {.user_namespace = user_namespace});
  plan.argv.insert(plan.argv.end(), {"--", "/usr/bin/true"});
  Result<Launched> launched = Launch(plan);
  if (!launched) return launched.error().message;
  pollfd done = {launched->pidfd.get(), POLLIN, 0};
  constexpr int kProbeTimeoutMs = 10'000;
  if (::poll(&done, 1, kProbeTimeoutMs) == 0) ::kill(launched->pid, SIGKILL);
  int status = 0;
  ::waitpid(launched->pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::nullopt;
  std::array<char, 512> text{};
  const ssize_t size = ::read(launched->err.get(), text.data(), text.size());
  std::string said(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (said.ends_with('\n')) said.pop_back();
  return said.empty() ? "no answer" : said;
}

Finding ProbeSandbox(SandboxSupport& support) {
  const std::string bwrap = FindBwrap();
  if (bwrap.empty())
    return {"sandbox", false,
            "bubblewrap is not installed, so pods run as plain processes that see the whole "
            "machine; remedy: apt-get install bubblewrap"};
  const std::optional<std::string> refused = TrySandbox(bwrap, true);
  if (!refused) {
    support.bwrap_path = bwrap;
    support.user_namespace = true;
    return {"sandbox", true,
            "pods run in their own user, mount, process, IPC and network namespaces (bubblewrap)"};
  }
  if (::geteuid() == 0 && !TrySandbox(bwrap, false)) {
    support.bwrap_path = bwrap;
    return {"sandbox", true,
            "pods run in their own mount, process, IPC and network namespaces (bubblewrap); user "
            "namespaces are forbidden here, so root inside a pod is root without capabilities"};
  }
  return {
      "sandbox", false,
      fmt::format("this machine forbids namespaces ({}), so pods run as plain processes that see "
                  "the whole machine; remedy: sysctl -w kernel.unprivileged_userns_clone=1 or "
                  "kernel.apparmor_restrict_unprivileged_userns=0, or run outside a container",
                  *refused)};
}

// Version 2 gives a controller to children only if the parent lists it.
void EnableForChildren(const CgroupPlace& place, const std::string& controller) {
  if (place.version != 2) return;
  std::ofstream file(place.directory + "/cgroup.subtree_control");
  file << "+" << controller;
}

Finding ProbeLimit(CgroupPlace& place, const std::string& what, const std::string& otherwise) {
  const bool memory = what == "memory";
  std::string why = "no control group with this controller is mounted";
  if (place.version != 0) {
    EnableForChildren(place, what);
    CgroupPlaces only;
    (memory ? only.memory : only.cpu) = place;
    constexpr std::int64_t kProbeBytes = 64 << 20;
    const auto group = PodCgroup::Create(only, fmt::format("{}{}-probe", kPodPrefix, ::getpid()),
                                         memory ? kProbeBytes : 0, memory ? 0 : 1000);
    if (group)
      return {what + " limit", true,
              fmt::format("each pod's {} is limited by a control group (version {})", what,
                          place.version)};
    why = group.error().message;
    place = {};
  }
  return {what + " limit", false,
          fmt::format("{} ({}); remedy: run as root, or under systemd with Delegate=yes", otherwise,
                      why)};
}

Finding ProbeSwap(SandboxSupport& support) {
  const std::string swaps = ReadAll("/proc/swaps");  // a heading, then one line per device
  support.swap_active = std::count(swaps.begin(), swaps.end(), '\n') > 1;
  if (!support.swap_active) return {"swap", true, "no swap: memory volumes never reach a disk"};
  return {
      "swap", false,
      "swap is on, so the kernel may write pages of memory volumes to a disk; remedy: swapoff -a"};
}

}  // namespace

SandboxSupport Probe() {
  SandboxSupport support;
  support.findings.push_back(ProbeSandbox(support));
  support.cgroups = LocateCgroups(ReadAll("/proc/self/cgroup"), ReadAll("/proc/self/mountinfo"));
  support.findings.push_back(
      ProbeLimit(support.cgroups.memory, "memory",
                 "no control group can be used: each process's private memory is limited instead "
                 "(RLIMIT_DATA), not the pod's sum"));
  support.findings.push_back(
      ProbeLimit(support.cgroups.cpu, "cpu", "no control group can be used: cpu is not limited"));
  support.findings.push_back(ProbeSwap(support));
  return support;
}

void RemoveLeftovers(const SandboxSupport& support) {
  RemoveLeftoverCgroups(support.cgroups);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kPlainParent, error)) {
    if (!entry.path().filename().string().starts_with(kPodPrefix)) continue;
    const Fd fd(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info = {};
    if (!fd || ::fstat(fd.get(), &info) != 0 || info.st_uid != ::geteuid()) continue;
    // The owner holds this lock as long as it lives.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) RemoveTree(entry.path().string());
  }
}

}  // namespace spillway::runtime
