// What to run, and how that becomes a sandbox. Everything here except the look at the host's root
// directory is pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::runtime {

struct InputFile {
  std::string path;  // relative to the volume; see CheckRelativePath
  std::uint32_t mode = 0444;
  Time mtime{};
  std::int64_t size_bytes = 0;
};

// Provides the files of a memory volume, one after the other. Called by the pod's thread only, so a
// call that blocks delays the pod's stop; an error ends the pod before its command runs.
class InputSource {
 public:
  virtual ~InputSource() = default;
  // The next file, or nothing after the last.
  virtual Result<std::optional<InputFile>> Next() = 0;
  // Writes up to `size` bytes of the current file to `to` and says how many; 0 only if size is 0.
  // Never more than the file has left.
  virtual Result<std::size_t> Read(char* to, std::size_t size) = 0;
};

struct BindReadOnly {
  std::string host_directory;
};
struct BindReadWrite {
  std::string host_directory;
};
// A tmpfs filled before the command starts and then made read-only.
struct MemoryInput {
  std::shared_ptr<InputSource> source;  // shared because PodSpec is copied; used by one pod only
};
// A tmpfs whose regular files are handed to PodCallbacks after the command has ended.
struct MemoryOutput {};
// An empty tmpfs that nobody keeps.
struct EmptyDir {
  std::int64_t size_bytes = 0;  // 0: half of the machine's memory
};

struct Volume {
  std::string name;        // for people, and for SPILLWAY_MOUNT_<NAME>
  std::string mount_path;  // absolute and normal, for example /data
  std::variant<BindReadOnly, BindReadWrite, MemoryInput, MemoryOutput, EmptyDir> kind;
};

// One container of a pod. It runs as the user who calls; inside a sandbox without any capability.
struct PodSpec {
  std::string name;                                      // for messages
  std::vector<std::string> argv;                         // command, then args
  std::vector<std::pair<std::string, std::string>> env;  // later wins
  std::string working_dir;                               // empty: "/"
  std::vector<Volume> volumes;
  std::int64_t cpu_milli = 0;     // 1000 is one core; 0: no limit
  std::int64_t memory_bytes = 0;  // without memory inputs, which come on top; 0: no limit
  std::string hostname = "pod";
  std::vector<std::string> gpu_ids;  // into NVIDIA_VISIBLE_DEVICES and SPILLWAY_SIMULATED_GPUS
  bool share_network = false;        // false: loopback only
  std::int64_t input_limit_bytes = std::int64_t{64} << 30;  // all memory inputs together
  std::int64_t output_limit_bytes = std::int64_t{8} << 30;  // all memory outputs together
  // The program whose main() calls PodInitMain. Empty: the running program.
  std::string pod_init_program;
};

// kInvalid names the field, the value and the remedy: no command, a mount path that is relative,
// not normal, used twice or on the host's directories, an environment name with '=' or NUL, a
// negative limit, an input without source.
Status CheckPodSpec(const PodSpec& spec);

// The whole environment of the command, NAME=value, sorted by first appearance: defaults (PATH,
// HOME=/tmp, HOSTNAME), the spec's, then the GPU names, which the spec cannot override.
std::vector<std::string> PodEnvironment(const PodSpec& spec);

struct IsolationOptions {
  bool user_namespace = true;
  bool share_network = false;
  bool hide_opt = false;    // a volume is mounted below /opt
  bool setup_caps = false;  // pod-init needs CAP_SYS_ADMIN to make inputs read-only; drops it
  std::string hostname = "pod";
};

// bwrap's arguments that every pod has: new namespaces, a root made of a tmpfs with the host's
// programs read-only (/usr, the needed parts of /etc, /opt), private /tmp and /run, /proc, a
// minimal /dev; no /home, /root, /var, /sys.
void AppendIsolationArgs(std::vector<std::string>& argv, const IsolationOptions& options);

// Where pod-init is inside a sandbox.
inline constexpr const char* kPodInitInSandbox = "/run/spillway/pod-init";

// The complete bwrap command line.
std::vector<std::string> SandboxArgv(const PodSpec& spec, const std::string& bwrap_path,
                                     bool user_namespace, const std::string& pod_init_program);

// Plain mode cannot mount, so a pod's words are changed instead: in arguments, the working
// directory and values of the environment, each mount path that stands alone or before '/' is
// replaced by the real directory. "--in=/data/a" changes, "/database" and "/x/data" do not. A
// program that has the path built in will not find it; SPILLWAY_MOUNT_<NAME> tells it.
struct PlainMount {
  std::string mount_path;
  std::string real_directory;
};
std::string RewriteForPlain(std::string_view text, const std::vector<PlainMount>& mounts);

// "train-data" -> "SPILLWAY_MOUNT_TRAIN_DATA".
std::string PlainMountVariable(std::string_view volume_name);

}  // namespace spillway::runtime
