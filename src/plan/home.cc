#include "plan/home.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace spillway::plan {
namespace {

bool Waits(const Pod& pod) {
  return pod.phase == PodPhase::kPending && pod.node.empty() && !pod.deleting && !pod.gated &&
         pod.nominated.empty();
}

// A gang is not whole while one of its pods is left alone.
bool LeftAlone(const Snapshot& snapshot, const Workload& workload) {
  return workload.gang &&
         std::any_of(workload.pods.begin(), workload.pods.end(), [&](std::int32_t index) {
           const Pod& pod = snapshot.pods[static_cast<std::size_t>(index)];
           return pod.gated || !pod.nominated.empty();
         });
}

// Whether a BurstNode still is or becomes a place for pods.
bool Useful(const BurstNode& node) {
  return !node.Failed() && node.phase < Phase::kReturning;
}

// The BurstNodes that pods may be waiting for.
class BurstRoom {
 public:
  BurstRoom(const Index& index, Placement& ground) : snapshot_(index.snapshot), ground_(ground) {
    for (std::size_t i = 0; i < snapshot_.burst_nodes.size(); ++i) {
      const BurstNode& node = snapshot_.burst_nodes[i];
      if (!Useful(node)) continue;
      for (const PodRef& pod : node.pods)
        held_.emplace(std::pair<std::string_view, std::string_view>(pod.key, pod.uid), i);
      if (node.phase == Phase::kRunning) running_[node.workload].push_back(i);
      AddToGround(i);
    }
    for (const Pod& pod : snapshot_.pods)
      if (Waits(pod)) Hold(pod);
  }

  // Index of the BurstNode that was rented for the pod, -1: none.
  std::int32_t Holder(const Pod& pod) const {
    const auto it = held_.find(std::pair<std::string_view, std::string_view>(pod.key, pod.uid));
    return it == held_.end() ? -1 : static_cast<std::int32_t>(it->second);
  }

  // Takes the pod's room on its BurstNode, if it has one, and gives it free again.
  void Hold(const Pod& pod) {
    if (const std::int32_t node = Holder(pod); node >= 0)
      ground_.Put(pod.shape, place_.at(static_cast<std::size_t>(node)));
  }
  void LetGo(const Pod& pod) {
    if (const std::int32_t node = Holder(pod); node >= 0)
      ground_.Remove(pod.shape, place_.at(static_cast<std::size_t>(node)));
  }

  // Takes free room of a running BurstNode of the pod's own workload that has the pod's data; -1:
  // there is none.
  std::int32_t Admit(const Pod& pod, const Workload& workload) {
    const auto it = running_.find(workload.key);
    if (it == running_.end()) return -1;
    for (const std::size_t node : it->second) {
      if (!snapshot_.burst_nodes[node].HasShards(pod.shards)) continue;
      if (!ground_.Fits(pod.shape, place_.at(node), Entry::kAdmitted)) continue;
      ground_.Put(pod.shape, place_.at(node));
      return static_cast<std::int32_t>(node);
    }
    return -1;
  }

 private:
  // A BurstNode that is no node yet becomes one, with the pods that are bound to it already.
  void AddToGround(std::size_t index) {
    const BurstNode& node = snapshot_.burst_nodes[index];
    std::int32_t at = ground_.Find(node.name);
    if (at < 0) {
      at = ground_.AddNode(NodeOf(node.offer, snapshot_.daemons, node.name));
      for (const Pod& pod : snapshot_.pods)
        if (pod.node == node.name) ground_.Put(pod.shape, at, !pod.deleting);
    }
    place_[index] = at;
  }

  const Snapshot& snapshot_;
  Placement& ground_;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> held_;
  std::map<std::string_view, std::vector<std::size_t>> running_;  // by workload key
  std::map<std::size_t, std::int32_t> place_;  // node of `ground` by BurstNode index
};

// One call of SettleAtHome.
class Settler {
 public:
  Settler(const Index& index, Placement& ground, SiteRoom& site, std::vector<Admission>& admissions)
      : index_(index),
        snapshot_(index.snapshot),
        site_(site),
        admissions_(admissions),
        quota_(snapshot_),
        burst_(index, ground) {}

  void Settle(Case& one) {
    const Workload& workload = snapshot_.workloads[static_cast<std::size_t>(one.workload)];
    one.policy = index_.PolicyFor(workload.ns);
    one.refusal = MayLeave(index_, workload, one.policy);
    std::vector<std::int32_t> waiting;
    for (const std::int32_t pod : workload.pods)
      if (Waits(PodAt(pod))) waiting.push_back(pod);
    if (workload.gang)
      SettleGang(one, workload, waiting);
    else
      for (const std::int32_t pod : waiting) SettlePod(one, workload, pod);
    for (const std::int32_t pod : one.homeless) one.judged &= PodAt(pod).unschedulable;
    std::sort(one.burst_nodes.begin(), one.burst_nodes.end());
    one.burst_nodes.erase(std::unique(one.burst_nodes.begin(), one.burst_nodes.end()),
                          one.burst_nodes.end());
  }

 private:
  const Pod& PodAt(std::int32_t pod) const { return snapshot_.pods[static_cast<std::size_t>(pod)]; }
  std::int64_t Gpus(std::int32_t pod) const {
    return snapshot_.shapes[static_cast<std::size_t>(PodAt(pod).shape)].requests.gpus;
  }

  bool Away(Case& one, const Workload& workload, std::int32_t pod) {
    std::int32_t node = burst_.Holder(PodAt(pod));
    if (node < 0 && one.refusal.reason == Reason::kNone) {
      node = burst_.Admit(PodAt(pod), workload);
      if (node >= 0)
        admissions_.push_back({pod, snapshot_.burst_nodes[static_cast<std::size_t>(node)].name});
    }
    if (node < 0) return false;
    one.away.push_back(pod);
    one.burst_nodes.push_back(node);
    return true;
  }

  void SettlePod(Case& one, const Workload& workload, std::int32_t pod) {
    const bool within_quota = quota_.Take(workload.ns, Gpus(pod), 1);
    burst_.LetGo(PodAt(pod));
    if (within_quota && site_.Place(PodAt(pod).shape)) {
      ++one.fits_site;
      return;
    }
    burst_.Hold(PodAt(pod));
    if (burst_.Holder(PodAt(pod)) < 0 && !within_quota)
      ++one.over_quota;
    else if (!Away(one, workload, pod))
      one.homeless.push_back(pod);
  }

  // All pods of a gang share one fate. With a BurstNode for one of them the others have theirs, or
  // the gang is about to fail as a whole and comes back.
  void SettleGang(Case& one, const Workload& workload, const std::vector<std::int32_t>& waiting) {
    std::int64_t gpus = 0;
    std::vector<std::int32_t> shapes;
    bool held = false;
    for (const std::int32_t pod : waiting) {
      gpus += Gpus(pod);
      shapes.push_back(PodAt(pod).shape);
      held |= burst_.Holder(PodAt(pod)) >= 0;
    }
    const int count = static_cast<int>(waiting.size());
    const bool within_quota = quota_.Take(workload.ns, gpus, count);
    for (const std::int32_t pod : waiting) burst_.LetGo(PodAt(pod));
    if (within_quota && site_.PlaceAll(shapes)) {
      one.fits_site = count;
      return;
    }
    for (const std::int32_t pod : waiting) burst_.Hold(PodAt(pod));
    if (!within_quota && !held) {
      one.over_quota = count;
      return;
    }
    for (const std::int32_t pod : waiting)
      if (!Away(one, workload, pod)) one.homeless.push_back(pod);
    if (!one.away.empty()) {
      one.away = waiting;
      one.homeless.clear();
    }
  }

  const Index& index_;
  const Snapshot& snapshot_;
  SiteRoom& site_;
  std::vector<Admission>& admissions_;
  QuotaRoom quota_;
  BurstRoom burst_;
};

}  // namespace

std::vector<Case> OrderCases(const Index& index) {
  const Snapshot& snapshot = index.snapshot;
  std::vector<Case> cases;
  for (std::size_t i = 0; i < snapshot.workloads.size(); ++i) {
    const Workload& workload = snapshot.workloads[i];
    if (LeftAlone(snapshot, workload)) continue;
    if (std::any_of(workload.pods.begin(), workload.pods.end(), [&](std::int32_t pod) {
          return Waits(snapshot.pods[static_cast<std::size_t>(pod)]);
        })) {
      cases.emplace_back();
      cases.back().workload = static_cast<std::int32_t>(i);
    }
  }
  // Workloads are sorted by key: a stable sort leaves equal ones in that order.
  auto rank = [&](const Case& one) {
    const Workload& workload = snapshot.workloads[static_cast<std::size_t>(one.workload)];
    return std::tuple(-workload.priority, workload.waiting_since.value_or(snapshot.now));
  };
  std::stable_sort(cases.begin(), cases.end(),
                   [&](const Case& a, const Case& b) { return rank(a) < rank(b); });
  return cases;
}

void SettleAtHome(const Index& index, Placement& ground, SiteRoom& site, std::vector<Case>& cases,
                  std::vector<Admission>& admissions) {
  Settler settler(index, ground, site, admissions);
  for (Case& one : cases) settler.Settle(one);
}

}  // namespace spillway::plan
