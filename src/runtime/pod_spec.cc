#include "runtime/pod_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>

#include "runtime/frames.h"

namespace spillway::runtime {
namespace {

namespace fs = std::filesystem;

// Directories of the sandbox's root that are the host's or the sandbox's own: no volume there.
constexpr std::array kTakenRoots = {"/usr",   "/etc",   "/bin",    "/sbin", "/lib",
                                    "/lib32", "/lib64", "/libx32", "/proc", "/dev"};
// What programs of /usr need of /etc, and nothing that holds a secret.
constexpr std::array kEtcNames = {
    "alternatives",  "ld.so.cache", "ld.so.conf",      "ld.so.conf.d",    "passwd",     "group",
    "nsswitch.conf", "localtime",   "timezone",        "locale.alias",    "mime.types", "services",
    "protocols",     "ssl/certs",   "ssl/openssl.cnf", "ca-certificates", "fonts",      "magic"};

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

bool IsBelow(std::string_view path, std::string_view root) {
  return path == root || (path.starts_with(root) && path[root.size()] == '/');
}

Status CheckMountPath(const Volume& volume) {
  const std::string& path = volume.mount_path;
  const auto bad = [&](std::string_view why) {
    return Fail(Code::kInvalid,
                fmt::format("volume '{}': mountPath '{}' {}", volume.name, path, why));
  };
  if (path.size() < 2 || path.front() != '/' || !CheckRelativePath(path.substr(1)))
    return bad("must be an absolute path without '.', '..' or '//', for example /data");
  for (const std::string_view root : kTakenRoots)
    if (IsBelow(path, root))
      return bad(fmt::format(
          "lies on {}, which is not the pod's; choose another, for example /data", root));
  if (IsBelow("/run/spillway", path) || IsBelow(path, "/run/spillway"))
    return bad("hides /run/spillway, which starts the pod; choose another, for example /data");
  return Ok();
}

Status CheckEnv(const PodSpec& spec) {
  for (const auto& [name, value] : spec.env)
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      return Fail(Code::kInvalid,
                  fmt::format("pod '{}': environment name '{}' must not be empty or hold '=', and "
                              "neither name nor value may hold a NUL byte",
                              spec.name, name));
  return Ok();
}

void Add(std::vector<std::string>& argv, std::initializer_list<std::string> words) {
  argv.insert(argv.end(), words);
}

// /bin, /lib and friends: links into /usr on a merged system, directories on others.
void AppendSystemRoot(std::vector<std::string>& argv) {
  Add(argv, {"--ro-bind", "/usr", "/usr"});
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(name, error);
    if (!error)
      Add(argv, {"--symlink", target.string(), name});
    else
      Add(argv, {"--ro-bind-try", name, name});
  }
}

void AppendEtc(std::vector<std::string>& argv, bool share_network) {
  const auto bind = [&](const std::string& path) { Add(argv, {"--ro-bind-try", path, path}); };
  for (const char* name : kEtcNames) bind(std::string("/etc/") + name);
  std::error_code error;
  std::vector<std::string> pythons;  // site customisation of Debian's interpreters
  for (const auto& entry : fs::directory_iterator("/etc", error))
    if (entry.path().filename().string().starts_with("python")) pythons.push_back(entry.path());
  std::sort(pythons.begin(), pythons.end());
  for (const std::string& path : pythons) bind(path);
  if (!share_network) return;
  for (const char* path : {"/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf"}) bind(path);
}

// Not bwrap's own --dev: its pseudo terminals would need a second user namespace, in which pod-init
// could not make the inputs read-only.
void AppendDevices(std::vector<std::string>& argv) {
  Add(argv, {"--tmpfs", "/dev"});
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
    Add(argv, {"--dev-bind", name, name});
  Add(argv,
      {"--symlink", "/proc/self/fd", "/dev/fd", "--symlink", "/proc/self/fd/0", "/dev/stdin"});
  Add(argv, {"--symlink", "/proc/self/fd/1", "/dev/stdout"});
  Add(argv, {"--symlink", "/proc/self/fd/2", "/dev/stderr"});
  Add(argv, {"--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"});
}

void AppendVolume(std::vector<std::string>& argv, const Volume& volume,
                  std::int64_t output_limit_bytes) {
  const auto tmpfs = [&](std::int64_t size) {
    if (size > 0) Add(argv, {"--size", std::to_string(size)});
    Add(argv, {"--perms", "0755", "--tmpfs", volume.mount_path});
  };
  std::visit(Overloaded{[&](const BindReadOnly& bind) {
                          Add(argv, {"--ro-bind", bind.host_directory, volume.mount_path});
                        },
                        [&](const BindReadWrite& bind) {
                          Add(argv, {"--bind", bind.host_directory, volume.mount_path});
                        },
                        [&](const MemoryInput&) { tmpfs(0); },
                        [&](const MemoryOutput&) { tmpfs(output_limit_bytes); },
                        [&](const EmptyDir& dir) { tmpfs(dir.size_bytes); }},
             volume.kind);
}

bool IsPathCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' ||
         c == '/';
}

}  // namespace

Status CheckPodSpec(const PodSpec& spec) {
  const auto bad = [&](std::string_view why) {
    return Fail(Code::kInvalid, fmt::format("pod '{}': {}", spec.name, why));
  };
  if (spec.argv.empty() || spec.argv.front().empty())
    return bad("has no command; there are no images here, so spec.containers[0].command is needed");
  for (const std::string& word : spec.argv)
    if (word.find('\0') != std::string::npos) return bad("an argument holds a NUL byte");
  SPW_TRY(CheckEnv(spec));
  if (!spec.working_dir.empty() && spec.working_dir.front() != '/')
    return bad(fmt::format("workingDir '{}' must be absolute", spec.working_dir));
  if (spec.cpu_milli < 0 || spec.memory_bytes < 0 || spec.input_limit_bytes < 0 ||
      spec.output_limit_bytes < 0)
    return bad("a limit is negative; 0 means no limit");
  if (spec.hostname.empty() || spec.hostname.size() > 64)
    return bad(fmt::format("hostname '{}' must have 1 to 64 characters", spec.hostname));
  std::set<std::string_view> seen;
  for (const Volume& volume : spec.volumes) {
    SPW_TRY(CheckMountPath(volume));
    if (!seen.insert(volume.mount_path).second)
      return bad(fmt::format("two volumes have the mountPath '{}'", volume.mount_path));
    const auto* input = std::get_if<MemoryInput>(&volume.kind);
    if (input != nullptr && !input->source)
      return bad(fmt::format("memory volume '{}' has no source", volume.name));
  }
  return Ok();
}

std::vector<std::string> PodEnvironment(const PodSpec& spec) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", "/tmp"},
      {"HOSTNAME", spec.hostname}};
  const auto set = [&](const std::string& name, const std::string& value) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& pair) { return pair.first == name; });
    if (found == all.end())
      all.emplace_back(name, value);
    else
      found->second = value;
  };
  for (const auto& [name, value] : spec.env) set(name, value);
  const std::string gpus = fmt::format("{}", fmt::join(spec.gpu_ids, ","));
  set("NVIDIA_VISIBLE_DEVICES", gpus.empty() ? "void" : gpus);  // NVIDIA's word for none
  set("SPILLWAY_SIMULATED_GPUS", gpus);
  std::vector<std::string> env;
  for (const auto& [name, value] : all) env.push_back(name + "=" + value);
  return env;
}

void AppendIsolationArgs(std::vector<std::string>& argv, const IsolationOptions& options) {
  if (options.user_namespace) Add(argv, {"--unshare-user"});
  Add(argv, {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"});
  if (!options.share_network) Add(argv, {"--unshare-net"});
  Add(argv, {"--die-with-parent", "--new-session", "--as-pid-1", "--hostname", options.hostname});
  Add(argv, {"--cap-drop", "ALL"});
  if (options.setup_caps) Add(argv, {"--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"});
  AppendSystemRoot(argv);
  AppendEtc(argv, options.share_network);
  if (!options.hide_opt) Add(argv, {"--ro-bind-try", "/opt", "/opt"});
  Add(argv,
      {"--perms", "1777", "--tmpfs", "/tmp", "--tmpfs", "/run", "--symlink", "/tmp", "/var/tmp"});
  Add(argv, {"--proc", "/proc"});
  AppendDevices(argv);
}

std::vector<std::string> SandboxArgv(const PodSpec& spec, const std::string& bwrap_path,
                                     bool user_namespace, const std::string& pod_init_program) {
  std::vector<std::string> argv = {bwrap_path, "--info-fd", "4"};
  std::vector<const Volume*> volumes;  // outer mounts before inner ones
  IsolationOptions options = {.user_namespace = user_namespace,
                              .share_network = spec.share_network,
                              .hostname = spec.hostname};
  for (const Volume& volume : spec.volumes) {
    volumes.push_back(&volume);
    options.hide_opt |= IsBelow(volume.mount_path, "/opt");
    options.setup_caps |= std::holds_alternative<MemoryInput>(volume.kind);
  }
  std::sort(volumes.begin(), volumes.end(),
            [](const Volume* a, const Volume* b) { return a->mount_path < b->mount_path; });
  AppendIsolationArgs(argv, options);
  Add(argv, {"--ro-bind", pod_init_program, kPodInitInSandbox});
  for (const Volume* volume : volumes) AppendVolume(argv, *volume, spec.output_limit_bytes);
  const bool inside_volume = std::any_of(volumes.begin(), volumes.end(), [&](const Volume* volume) {
    return IsBelow(spec.working_dir, volume->mount_path);
  });
  // Kubernetes creates a missing working directory.
  if (spec.working_dir.size() > 1 && !inside_volume) Add(argv, {"--dir", spec.working_dir});
  Add(argv, {"--remount-ro", "/", "--chdir", "/", "--", kPodInitInSandbox, "pod-init"});
  return argv;
}

std::string RewriteForPlain(std::string_view text, const std::vector<PlainMount>& mounts) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const PlainMount* best = nullptr;
    const bool starts_path = i == 0 || !IsPathCharacter(text[i - 1]);
    for (const PlainMount& mount : mounts) {
      const std::size_t end = i + mount.mount_path.size();
      if (!starts_path || !text.substr(i).starts_with(mount.mount_path)) continue;
      if (end < text.size() && text[end] != '/' && IsPathCharacter(text[end])) continue;
      if (best == nullptr || mount.mount_path.size() > best->mount_path.size()) best = &mount;
    }
    if (best == nullptr) {
      out.push_back(text[i++]);
      continue;
    }
    out += best->real_directory;
    i += best->mount_path.size();
  }
  return out;
}

std::string PlainMountVariable(std::string_view volume_name) {
  std::string name = "SPILLWAY_MOUNT_";
  for (const char c : volume_name) {
    const auto byte = static_cast<unsigned char>(c);
    name.push_back(std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_');
  }
  return name;
}

}  // namespace spillway::runtime
