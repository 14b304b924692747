#include "sim/cluster_model.h"

#include <algorithm>

namespace spillway::sim {
namespace {

const std::string kSiteNode = "site-1";

std::size_t At(int index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

bool SimJob::Done() const {
  return submitted &&
         (failed || std::none_of(winner.begin(), winner.end(), [](int pod) { return pod < 0; }));
}

ClusterModel::ClusterModel(const Scenario& scenario) {
  for (const JobPlan& plan : scenario.jobs) {
    SimJob& job = jobs_.emplace_back();
    job.plan = plan;
    job.key = "t/Job/" + plan.name;
    job.winner.assign(At(plan.pods), -1);
  }
}

int ClusterModel::AddPod(int job, int index) {
  SimPod& pod = pods_.emplace_back();
  pod.job = job;
  pod.index = index;
  pod.uid = "u" + std::to_string(next_uid_++);
  pod.key = "t/" + jobs_[At(job)].plan.name + "-" + std::to_string(index);
  return static_cast<int>(pods_.size()) - 1;
}

void ClusterModel::Submit(int job, Time) {
  jobs_[At(job)].submitted = true;
  for (int i = 0; i < jobs_[At(job)].plan.pods; ++i) AddPod(job, i);
}

SimPod* ClusterModel::Find(const PodRef& ref) {
  for (SimPod& pod : pods_)
    if (pod.exists && pod.uid == ref.uid) return &pod;
  return nullptr;
}

const ClusterModel::RentedNode* ClusterModel::FindNode(const std::string& name) const {
  for (const RentedNode& node : nodes_)
    if (node.name == name) return &node;
  return nullptr;
}

int ClusterModel::Used(const std::string& node) const {
  int used = 0;
  for (const SimPod& pod : pods_)
    if (pod.exists && pod.phase <= PodPhase::kRunning && pod.node == node)
      used += jobs_[At(pod.job)].plan.gpus;
  return used;
}

bool ClusterModel::Schedule(Time now) {
  bool changed = false;
  for (SimPod& pod : pods_) {
    if (!pod.exists || pod.phase != PodPhase::kPending || !pod.node.empty()) continue;
    const int gpus = jobs_[At(pod.job)].plan.gpus;
    if (gpus <= site_gpus_ - Used(kSiteNode)) {
      pod.node = kSiteNode;
      pod.phase = PodPhase::kRunning;
      pod.started = now;
      changed = true;
    } else if (const RentedNode* node = FindNode(pod.admitted);
               node != nullptr && gpus <= node->gpus - Used(node->name)) {
      pod.node = node->name;
      pod.taken = now;
      changed = true;
    }
  }
  return changed;
}

bool ClusterModel::EndSitePods(Time now, std::optional<Time>& next) {
  bool changed = false;
  for (SimPod& pod : pods_) {
    if (!pod.exists || pod.phase != PodPhase::kRunning || pod.node != kSiteNode) continue;
    const Time end = *pod.started + jobs_[At(pod.job)].plan.run;
    if (end <= now) {
      End(pod, true, now);
      changed = true;
    } else if (!next || end < *next) {
      next = end;
    }
  }
  return changed;
}

void ClusterModel::End(SimPod& pod, bool success, Time now) {
  SimJob& job = jobs_[At(pod.job)];
  pod.phase = success ? PodPhase::kSucceeded : PodPhase::kFailed;
  pod.ended = now;
  news_ = true;
  if (success) {
    job.winner[At(pod.index)] = static_cast<int>(&pod - pods_.data());
  } else if (++job.failures > job.plan.backoff_limit) {
    job.failed = true;
    for (SimPod& other : pods_)
      if (other.job == pod.job && other.phase <= PodPhase::kRunning) other.exists = false;
  } else {
    job.owed.push_back(pod.index);
  }
}

void ClusterModel::Delete(SimPod& pod) {
  SimJob& job = jobs_[At(pod.job)];
  pod.exists = false;
  int& winner = job.winner[At(pod.index)];
  if (winner == static_cast<int>(&pod - pods_.data())) winner = -1;
  const bool replaced = std::any_of(pods_.begin(), pods_.end(), [&](const SimPod& other) {
    return other.exists && other.job == pod.job && other.index == pod.index &&
           other.phase <= PodPhase::kRunning;
  });
  if (!job.failed && winner < 0 && !replaced) job.owed.push_back(pod.index);
}

bool ClusterModel::Replace(Time) {
  bool changed = false;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    std::vector<int> owed;
    owed.swap(jobs_[j].owed);
    if (jobs_[j].failed) continue;
    for (const int index : owed) {
      AddPod(static_cast<int>(j), index);
      changed = true;
    }
  }
  return changed;
}

void ClusterModel::Admit(const std::string& node, const std::vector<PodRef>& pods) {
  for (const PodRef& ref : pods)
    if (SimPod* pod = Find(ref); pod != nullptr && pod->node.empty()) pod->admitted = node;
}

void ClusterModel::Evict(const std::string& node, const std::vector<PodRef>& pods) {
  for (const PodRef& ref : pods)
    if (SimPod* pod = Find(ref); pod != nullptr && pod->node == node) Delete(*pod);
}

void ClusterModel::RemoveNode(const std::string& node) {
  std::erase_if(nodes_, [&](const RentedNode& n) { return n.name == node; });
}

void ClusterModel::AddNode(const std::string& node, int gpus) {
  if (FindNode(node) != nullptr) return;
  nodes_.push_back({node, gpus});
  news_ = true;
}

bool ClusterModel::ReportStarted(int index, const std::string& node, Time now) {
  SimPod& pod = pods_[At(index)];
  if (!pod.exists || pod.node != node || pod.phase != PodPhase::kPending) return false;
  pod.phase = PodPhase::kRunning;
  pod.started = now;
  return true;
}

bool ClusterModel::ReportEnded(int index, const std::string& node, bool success, Time now) {
  SimPod& pod = pods_[At(index)];
  if (!pod.exists || pod.node != node || pod.phase > PodPhase::kRunning) return false;
  if (!pod.started) pod.started = now;
  End(pod, success, now);
  return true;
}

std::vector<int> ClusterModel::RunningOn(const std::string& node) const {
  std::vector<int> out;
  for (std::size_t i = 0; i < pods_.size(); ++i)
    if (pods_[i].exists && pods_[i].node == node && pods_[i].phase <= PodPhase::kRunning)
      out.push_back(static_cast<int>(i));
  return out;
}

std::vector<control::PodReport> ClusterModel::Reports(const std::vector<PodRef>& refs) const {
  std::vector<control::PodReport> out;
  out.reserve(refs.size());
  for (const PodRef& ref : refs)
    for (const SimPod& pod : pods_)
      if (pod.exists && pod.uid == ref.uid)
        out.push_back({.key = pod.key,
                       .uid = pod.uid,
                       .phase = pod.phase,
                       .node = pod.node,
                       .started = pod.started,
                       .ended = pod.ended,
                       .taken = pod.taken});
  return out;
}

void ClusterModel::Fill(Snapshot& snapshot) const {
  Node& site = snapshot.nodes.emplace_back();
  site.name = kSiteNode;
  site.labels = {{"gpu", "A100"}};
  site.allocatable =
      Resources{1000 * site_gpus_, (std::int64_t{1} << 30) * site_gpus_, 0, site_gpus_, {}};
  for (const RentedNode& rented : nodes_) {
    Node& node = snapshot.nodes.emplace_back();
    node.name = rented.name;
    node.rented = true;
    node.allocatable.gpus = rented.gpus;
  }
  std::sort(snapshot.nodes.begin(), snapshot.nodes.end(),
            [](const Node& a, const Node& b) { return a.name < b.name; });
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const SimJob& job = jobs_[j];
    if (!job.submitted || job.Done()) continue;
    const auto workload_index = static_cast<std::int32_t>(snapshot.workloads.size());
    Workload& workload = snapshot.workloads.emplace_back();
    workload.key = job.key;
    workload.ns = "t";
    workload.gang = job.plan.gang;
    workload.waiting_since = job.plan.submitted;
    workload.expected_duration = job.plan.run;
    workload.data_class = job.plan.restricted ? DataClass::kRestricted : DataClass::kPublic;
    workload.input_bytes = 1 << 20;
    PodShape shape;
    shape.requests.gpus = job.plan.gpus;
    const auto same = std::find(snapshot.shapes.begin(), snapshot.shapes.end(), shape);
    const auto shape_index = static_cast<std::int32_t>(same - snapshot.shapes.begin());
    if (same == snapshot.shapes.end()) snapshot.shapes.push_back(std::move(shape));
    for (const SimPod& sim_pod : pods_) {
      if (!sim_pod.exists || sim_pod.job != static_cast<int>(j) ||
          sim_pod.phase > PodPhase::kRunning)
        continue;
      Pod& pod = snapshot.pods.emplace_back();
      pod.key = sim_pod.key;
      pod.uid = sim_pod.uid;
      pod.ns = "t";
      pod.shape = shape_index;
      pod.workload = workload_index;
      pod.phase = sim_pod.phase;
      pod.node = sim_pod.node;
      pod.unschedulable = sim_pod.node.empty();
      pod.started = sim_pod.started;
      workload.pods.push_back(static_cast<std::int32_t>(snapshot.pods.size()) - 1);
    }
  }
}

}  // namespace spillway::sim
