#include "runtime/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace spillway::runtime {
namespace {

constexpr std::int64_t kCpuPeriodUs = 100'000;
constexpr std::int64_t kMinCpuQuotaUs = 1'000;  // the kernel refuses less

Status WriteFile(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return Fail(Code::kUnavailable,
                fmt::format("cannot write '{}' to {}: {}", text, path, std::strerror(errno)));
  return Ok();
}

bool HasItem(std::string_view list, std::string_view item, char separator) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(separator), list.size());
    if (list.substr(0, end) == item) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

// One line of mountinfo that is a cgroup file system; see proc_pid_mountinfo(5).
struct CgroupMount {
  int version = 0;
  std::string root;   // which group is mounted
  std::string point;  // where
  std::string options;
};

std::vector<CgroupMount> CgroupMounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream left(line.substr(0, dash));
    std::istringstream right(line.substr(dash + 3));
    std::string skip, type;
    CgroupMount mount;
    left >> skip >> skip >> skip >> mount.root >> mount.point;
    right >> type >> skip >> mount.options;
    if (type == "cgroup") mount.version = 1;
    if (type == "cgroup2") mount.version = 2;
    if (mount.version != 0) mounts.push_back(std::move(mount));
  }
  return mounts;
}

// The directory of group `group` under `mount`; empty if the mount does not show it.
std::string DirectoryOf(const CgroupMount& mount, const std::string& group) {
  if (mount.root == "/") return group == "/" ? mount.point : mount.point + group;
  if (group == mount.root) return mount.point;
  if (group.starts_with(mount.root + "/")) return mount.point + group.substr(mount.root.size());
  return {};
}

Status MakeGroup(const CgroupPlace& place, const std::string& name, CgroupPlace& made,
                 std::vector<Fd>& procs) {
  const std::string directory = place.directory + "/" + name;
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return Fail(Code::kUnavailable,
                fmt::format("cannot create group {}: {}", directory, std::strerror(errno)));
  made = {place.version, directory};
  Fd fd(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd)
    return Fail(Code::kUnavailable,
                fmt::format("cannot open {}/cgroup.procs: {}", directory, std::strerror(errno)));
  procs.push_back(std::move(fd));
  return Ok();
}

Status SetMemory(const CgroupPlace& group, std::int64_t bytes) {
  const char* file = group.version == 1 ? "/memory.limit_in_bytes" : "/memory.max";
  return WriteFile(group.directory + file, std::to_string(bytes));
}

Status SetCpu(const CgroupPlace& group, std::int64_t cpu_milli) {
  const std::int64_t quota = std::max(kMinCpuQuotaUs, cpu_milli * kCpuPeriodUs / 1000);
  if (group.version == 2)
    return WriteFile(group.directory + "/cpu.max", fmt::format("{} {}", quota, kCpuPeriodUs));
  SPW_TRY(WriteFile(group.directory + "/cpu.cfs_period_us", std::to_string(kCpuPeriodUs)));
  return WriteFile(group.directory + "/cpu.cfs_quota_us", std::to_string(quota));
}

// The pod's pages must not reach a swap disk. Not every kernel has these files; what is left open
// is reported by SandboxSupport::swap_active.
void ForbidSwap(const CgroupPlace& group) {
  (void)WriteFile(
      group.directory + (group.version == 1 ? "/memory.swappiness" : "/memory.swap.max"), "0");
}

}  // namespace

CgroupPlaces LocateCgroups(std::string_view self_cgroup, std::string_view mountinfo) {
  CgroupPlaces places;
  const std::vector<CgroupMount> mounts = CgroupMounts(mountinfo);
  std::istringstream lines{std::string(self_cgroup)};
  for (std::string line; std::getline(lines, line);) {  // "4:memory:/a/b", version 2: "0::/a/b"
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    const int version = controllers.empty() ? 2 : 1;
    for (const CgroupMount& mount : mounts) {
      if (mount.version != version) continue;
      const std::string directory = DirectoryOf(mount, group);
      if (directory.empty()) continue;
      const auto use = [&](CgroupPlace& place, std::string_view controller) {
        const bool mine = version == 1 ? HasItem(controllers, controller, ',') &&
                                             HasItem(mount.options, controller, ',')
                                       : place.version == 0;
        if (mine) place = {version, directory};
      };
      use(places.memory, "memory");
      use(places.cpu, "cpu");
    }
  }
  return places;
}

Result<PodCgroup> PodCgroup::Create(const CgroupPlaces& places, const std::string& name,
                                    std::int64_t memory_bytes, std::int64_t cpu_milli) {
  PodCgroup group;
  if (places.memory.version != 0 && memory_bytes > 0) {
    SPW_TRY(MakeGroup(places.memory, name, group.memory_, group.procs_));
    SPW_TRY(SetMemory(group.memory_, memory_bytes));
    ForbidSwap(group.memory_);
    group.memory_bytes_ = memory_bytes;
  }
  if (places.cpu.version != 0 && cpu_milli > 0) {
    SPW_TRY(MakeGroup(places.cpu, name, group.cpu_, group.procs_));
    SPW_TRY(SetCpu(group.cpu_, cpu_milli));
  }
  return group;
}

PodCgroup::PodCgroup(PodCgroup&& other) noexcept
    : memory_bytes_(other.memory_bytes_),
      memory_(std::exchange(other.memory_, {})),
      cpu_(std::exchange(other.cpu_, {})),
      procs_(std::move(other.procs_)) {}

PodCgroup::~PodCgroup() {
  procs_.clear();
  if (!memory_.directory.empty()) ::rmdir(memory_.directory.c_str());
  if (!cpu_.directory.empty()) ::rmdir(cpu_.directory.c_str());
}

std::vector<int> PodCgroup::JoinFds() const {
  std::vector<int> fds;
  for (const Fd& fd : procs_) fds.push_back(fd.get());
  return fds;
}

Status PodCgroup::AddMemory(std::int64_t bytes) {
  if (memory_.version == 0) return Ok();
  memory_bytes_ += bytes;
  return SetMemory(memory_, memory_bytes_);
}

std::int64_t PodCgroup::OomKills() const {
  if (memory_.version == 0) return 0;
  std::ifstream file(memory_.directory +
                     (memory_.version == 1 ? "/memory.oom_control" : "/memory.events"));
  std::string key;
  std::int64_t value = 0;
  while (file >> key >> value)
    if (key == "oom_kill") return value;
  return 0;
}

void PodCgroup::KillAll() const {
  for (const CgroupPlace* place : {&memory_, &cpu_}) {
    if (place->directory.empty()) continue;
    std::ifstream file(place->directory + "/cgroup.procs");
    for (pid_t pid = 0; file >> pid;)
      if (pid > 1) ::kill(pid, SIGKILL);
  }
}

void RemoveLeftoverCgroups(const CgroupPlaces& places) {
  for (const CgroupPlace* place : {&places.memory, &places.cpu}) {
    if (place->version == 0) continue;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(place->directory, error)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(kPodPrefix)) continue;
      pid_t owner = 0;
      const std::string_view number = std::string_view(name).substr(kPodPrefix.size());
      std::from_chars(number.data(), number.data() + number.size(), owner);
      if (owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH) ::rmdir(entry.path().c_str());
    }
  }
}

}  // namespace spillway::runtime
