// One pod container as a local process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/line_cutter.h"
#include "runtime/pod_spec.h"
#include "runtime/support.h"

namespace spillway::runtime {

enum class LogStream { kOut, kErr };

// One result: a regular file of a MemoryOutput volume. Checked: the path is relative and clean, the
// sums stay within the spec's limits. Its bytes follow in on_output_data until size_bytes are
// there.
struct OutputFile {
  std::size_t volume = 0;  // index in PodSpec::volumes
  std::string path;
  std::uint32_t mode = 0644;
  Time mtime{};
  std::int64_t size_bytes = 0;
};

struct PodExit {
  bool ran = false;      // false: the command was never started; `reason` says why, code is 128
  int code = 0;          // exactly the command's; 128 + n if signal n killed it
  int signal = 0;        // 0: it exited by itself
  bool oom = false;      // the kernel killed a process of the pod for lack of memory
  bool stopped = false;  // Terminate was called before it ended
  std::string reason;    // for people, empty after an exit with 0
  Duration started{0};   // of the machine's steady clock, real time; 0 if it never ran
  Duration ended{0};
  std::int64_t max_rss_bytes = 0;    // largest process of the pod; 0 if unknown
  bool outputs_complete = false;     // every output file was handed over (also: there are none)
  std::vector<std::string> skipped;  // outputs not handed over and why
  std::vector<std::string> notes;    // what this run did not isolate or limit
};

// All are called by the pod's own thread, one at a time, and may be empty. A callback that blocks
// holds up the pod's log and outputs, nothing else. Never destroy the PodProcess in one.
struct PodCallbacks {
  std::function<void()> on_started;
  std::function<void(LogStream, std::string_view line)> on_log;  // without the newline
  // An error ends the hand-over (outputs_complete = false), not the pod.
  std::function<Status(const OutputFile&)> on_output_file;
  std::function<Status(std::string_view bytes)> on_output_data;
  std::function<void(const PodExit&)> on_exit;  // last, exactly once
};

// A running pod with one thread. If this process dies, even by SIGKILL, the pod dies with it.
// The public functions may be called from any thread.
class PodProcess {
 public:
  // Returns once the process exists; the inputs, the command and everything else follow on the
  // pod's thread and are reported by the callbacks. kInvalid: the spec is wrong; kUnavailable or
  // kInternal: this machine cannot start it now. No callback is called if this fails.
  static Result<std::unique_ptr<PodProcess>> Start(const PodSpec& spec,
                                                   const SandboxSupport& support,
                                                   PodCallbacks callbacks);
  // Kills the pod at once if it still runs, and waits for its end.
  ~PodProcess();
  PodProcess(const PodProcess&) = delete;
  PodProcess& operator=(const PodProcess&) = delete;

  // SIGTERM to the command's process group, SIGKILL to everything after `grace` (real time). The
  // outputs are still handed over. Before the command runs: kills at once. Does not wait.
  void Terminate(Duration grace);
  // SIGKILL to everything now; outputs are lost. Does not wait.
  void Kill();

  // Waits for the end, on_exit included.
  const PodExit& Wait();
  // The end if it has come.
  std::optional<PodExit> Exit() const;

 private:
  class Loop;
  explicit PodProcess(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace spillway::runtime
