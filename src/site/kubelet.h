// The kubelet of the site's own machines: pods bound to them become sandboxed processes of this
// process. Machines are Node objects without the rented label; all of them are this computer, and
// their GPUs are simulated.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/time.h"
#include "model/rules.h"
#include "ports/buckets.h"
#include "runtime/pod_process.h"
#include "site/objects.h"
#include "store/store.h"

namespace spillway::site {

// Pod logs of site and rented pods alike: files below one directory, cut at 16 MiB. Thread-safe.
class PodLogs {
 public:
  static constexpr std::int64_t kMaxBytes = 16 << 20;
  explicit PodLogs(std::string directory);
  void AppendLine(const std::string& uid, std::string_view line);
  // Bytes of a rented node's log, which may be sent again: what lies before `offset` is known.
  void AppendAt(const std::string& uid, std::int64_t offset, std::string_view bytes);
  // From `offset` on, at most 1 MiB; empty if there is none.
  std::string Read(const std::string& uid, std::int64_t offset) const;

 private:
  std::string directory_;
  mutable std::mutex mutex_;
};

struct KubeletOptions {
  std::string data_root;     // Dataset directories are relative to it
  std::string results_root;  // results places are relative to it
  runtime::SandboxSupport support;
  std::string pod_init_program;       // empty: the running program itself
  ports::Buckets* buckets = nullptr;  // nullptr: pods of the site reach none. Outlives the kubelet
};

class Kubelet {
 public:
  // All must outlive the kubelet. `clock` stamps the pods' times.
  Kubelet(store::Store& store, PodLogs& logs, const Clock& clock, KubeletOptions options);
  // Kills every pod of this process; they end without blame and are queued again.
  ~Kubelet();

  // Pods that an earlier process of this daemon left Running: their processes died with it, so they
  // end without blame. Call once, before the first Sync.
  Status Recover();

  // Starts what is bound and not running, stops what is being deleted, forgets what ended. Fast;
  // the pods run on threads of their own.
  Status Sync();

  // Processes running now.
  int Running() const;

 private:
  struct Pod {
    std::unique_ptr<runtime::PodProcess> process;
    std::set<int> gpus;
    std::string node;
    bool stopping = false;
  };
  Status StartPod(const store::ObjectPtr& pod);
  // `results`: what is to be brought into buckets when the pod has ended.
  Result<runtime::PodSpec> SpecFor(const store::ObjectPtr& pod, const std::set<int>& gpus,
                                   std::vector<ports::BucketResults>& results) const;
  Result<runtime::Volume> VolumeOf(const store::ObjectPtr& pod, const Mount& mount,
                                   std::vector<ports::BucketResults>& results) const;
  Result<DatasetInfo> DatasetOf(const store::ObjectPtr& pod, const ClaimTarget& target) const;
  void OnExit(const store::ObjectKey& key, const std::string& uid, const runtime::PodExit& exit,
              const std::vector<ports::BucketResults>& results);

  store::Store& store_;
  PodLogs& logs_;
  const Clock& clock_;
  KubeletOptions options_;
  std::atomic<bool> stopping_{false};  // ends that follow are ours, not the pods'
  mutable std::mutex mutex_;           // guards pods_; never held while a pod is destroyed
  std::map<std::string, Pod> pods_;    // by uid
};

}  // namespace spillway::site
