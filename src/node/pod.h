// One pod of a rented node: the site's order, its process, and what the site is told about it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "door/protocol.h"
#include "node/input_mount.h"
#include "node/log_sender.h"
#include "node/result_sender.h"
#include "runtime/pod_process.h"

namespace spillway::node {

// What every pod uses; all of it outlives the pods.
struct PodServices {
  const RunKey* key = nullptr;
  RunNames names;
  std::shared_ptr<const StagedData> data;
  InputContent* content = nullptr;
  InputMount* mount = nullptr;  // null: inputs are copied into memory
  ResultSender* results = nullptr;
  LogSender* logs = nullptr;
  runtime::SandboxSupport support;
  std::string pod_init_program;  // empty: the running program
};

// Owned and called by the agent's main thread; the process reports from its own.
class Pod {
 public:
  Pod(door::PodOrder order, std::function<void()> on_change);
  // Kills the process if it still runs and waits for it.
  ~Pod();
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const door::PodOrder& order() const { return order_; }
  const std::vector<int>& gpus() const { return gpus_; }
  bool HasStarted() const { return services_ != nullptr; }

  // Once. What cannot be started has failed, and Report() says why. `services` outlives the pod.
  void Start(const PodServices& services, std::vector<int> gpus);
  // Terminates with the order's grace; one that was never started fails at once.
  void Stop();
  void Kill();
  // Stops it when its deadline is over.
  void Tick();

  // The process has ended, or never will be.
  bool Ended() const;
  // Ended, and every result is receipted and the log is at the site: nothing of it is left here.
  bool Settled() const;
  door::PodStatus Report() const;

 private:
  decltype(runtime::Volume::kind) InputOf(const std::string& claim) const;
  runtime::PodSpec SpecFor(const std::vector<int>& gpus) const;
  runtime::PodCallbacks Callbacks();
  void OnExit(const runtime::PodExit& exit);
  std::string ReasonOf(const runtime::PodExit& exit) const;

  const door::PodOrder order_;
  const std::function<void()> on_change_;
  const PodServices* services_ = nullptr;
  std::vector<int> gpus_;
  std::optional<ResultWriter> writer_;  // the pod's thread only
  std::optional<Duration> deadline_;    // steady
  bool stopping_ = false, too_late_ = false;
  mutable std::mutex mutex_;  // guards the three below
  bool running_ = false;
  Duration started_{0};  // steady
  std::optional<runtime::PodExit> exit_;
  std::unique_ptr<runtime::PodProcess> process_;  // last: its thread uses everything above
};

}  // namespace spillway::node
