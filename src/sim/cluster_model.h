// ClusterModel: the site as the rules see it. Jobs with their pods, a scheduler, Node objects of
// rented machines. Durable: a crash of the daemon changes nothing here.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/observation.h"
#include "model/snapshot.h"
#include "sim/scenario.h"

namespace spillway::sim {

struct SimPod {
  int job = 0;
  int index = 0;  // completion index within the job
  std::string key, uid;
  PodPhase phase = PodPhase::kPending;
  std::string node;      // bound to; empty: waits
  std::string admitted;  // BurstNode that it may run on besides the site
  bool exists = true;
  std::optional<Time> started, ended;
  std::optional<Time> taken;  // by a rented machine
};

struct SimJob {
  JobPlan plan;
  std::string key;  // "t/Job/w0"
  bool submitted = false;
  int failures = 0;
  bool failed = false;      // backoff limit exceeded
  std::vector<int> winner;  // by completion index: pod that succeeded, -1
  std::vector<int> owed;    // completion indexes whose pod has to be made again
  bool Done() const;
};

class ClusterModel {
 public:
  explicit ClusterModel(const Scenario& scenario);

  void Submit(int job, Time now);
  void FreeSite() { site_gpus_ = 64; }
  int site_gpus() const { return site_gpus_; }
  // Binds what can be bound; true if anything changed. A pod at the site runs at once.
  bool Schedule(Time now);
  // Site pods whose time is over end; true if one did. Next such time in `next`.
  bool EndSitePods(Time now, std::optional<Time>& next);
  // Makes the pods that evictions and failures left owed; true if any.
  bool Replace(Time now);

  // True once after anything happened that the site's controllers look at.
  bool TakeNews() { return std::exchange(news_, false); }

  // Commands of the rules. All idempotent.
  void Admit(const std::string& node, const std::vector<PodRef>& pods);
  void Evict(const std::string& node, const std::vector<PodRef>& pods);
  void RemoveNode(const std::string& node);

  // The rented machine registered: it has a Node object from now on.
  void AddNode(const std::string& node, int gpus);
  // Said by the node's kubelet about a pod; ignored unless the pod exists and is bound there.
  bool ReportStarted(int pod, const std::string& node, Time now);
  bool ReportEnded(int pod, const std::string& node, bool success, Time now);

  const std::vector<SimPod>& pods() const { return pods_; }
  const std::vector<SimJob>& jobs() const { return jobs_; }
  // Pods that are bound to the node and have not ended.
  std::vector<int> RunningOn(const std::string& node) const;
  std::vector<control::PodReport> Reports(const std::vector<PodRef>& pods) const;
  void Fill(Snapshot& snapshot) const;

 private:
  struct RentedNode {
    std::string name;
    int gpus = 0;
  };
  int AddPod(int job, int index);
  SimPod* Find(const PodRef& ref);
  int Used(const std::string& node) const;
  const RentedNode* FindNode(const std::string& name) const;
  void End(SimPod& pod, bool success, Time now);
  void Delete(SimPod& pod);

  std::vector<SimJob> jobs_;
  std::vector<SimPod> pods_;  // all that ever were; `exists` tells
  std::vector<RentedNode> nodes_;
  int site_gpus_ = 0;
  bool news_ = false;
  std::int64_t next_uid_ = 0;
};

}  // namespace spillway::sim
