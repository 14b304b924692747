#include "site/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "model/decode.h"
#include "model/decode_pods.h"
#include "plan/parking.h"
#include "site/cluster_pods.h"
#include "site/groups.h"
#include "site/objects.h"
#include "site/promises.h"
#include "site/shards.h"
#include "site/strangers.h"

namespace spillway::site {
namespace {

constexpr Duration kIncomplete{30s};
constexpr Duration kDataRest{10min};  // until data that could not be prepared is tried again

constexpr std::array<std::string_view, 7> kVolumesThatFollow = {"emptyDir",
                                                                "configMap",
                                                                "secret",
                                                                "downwardAPI",
                                                                "projected",
                                                                "image",
                                                                "persistentVolumeClaim"};

class Builder {
 public:
  Builder(const store::Store& store, SnapshotInputs inputs)
      : store_(store), inputs_(std::move(inputs)) {}

  SnapshotResult Build() {
    Snapshot& s = result_.snapshot;
    s.now = inputs_.now;
    AddNodes();
    AddVolumeLimits();
    DecodeAll("BurstPolicy", s.policies, DecodePolicy);
    SelectNamespaces();
    DecodeAll("CloudProvider", s.accounts, DecodeProvider);
    DecodeAll("Budget", s.budgets, DecodeBudget);
    std::vector<DatasetInfo> datasets;
    DecodeAll("Dataset", datasets, DecodeDataset);
    for (DatasetInfo& d : datasets) datasets_[d.key] = std::move(d);
    for (const store::ObjectPtr& object : store_.List("ResourceQuota"))
      s.quotas.push_back(DecodeQuota(object->body));
    AddAccountState();
    AddPods();
    s.facts = std::move(inputs_.facts);
    s.offers = std::move(inputs_.offers);
    s.burst_nodes = std::move(inputs_.burst_nodes);
    // A label that names another node says nothing; a machine that came in before it was believed
    // has none yet.
    for (Node& node : s.nodes) {
      const auto label = node.labels.find(kBurstKey);
      node.rented = label != node.labels.end() && label->second == node.name;
    }
    for (const BurstNode& rented : s.burst_nodes)
      if (const auto node = std::ranges::lower_bound(s.nodes, rented.name, {}, &Node::name);
          node != s.nodes.end() && node->name == rented.name)
        node->rented = true;
    return std::move(result_);
  }

 private:
  template <typename T, typename Decode>
  void DecodeAll(const std::string& kind, std::vector<T>& out, Decode decode) {
    for (const store::ObjectPtr& object : store_.List(kind)) {
      Result<T> value = decode(object->body);
      if (value)
        out.push_back(std::move(*value));
      else
        result_.problems.push_back(
            fmt::format("{} {}: {}", kind, object->key.name, value.error().message));
    }
  }

  struct DecodedNode final : store::Memo::Answer {
    explicit DecodedNode(Result<Node> decoded) : node(std::move(decoded)) {}
    const Result<Node> node;
  };

  void AddNodes() {
    for (const store::ObjectPtr& object : store_.List("Node")) {
      const auto& decoded = object->memo.Get<DecodedNode>(
          [&] { return std::make_unique<DecodedNode>(DecodeNode(object->body)); });
      if (decoded.node)
        result_.snapshot.nodes.push_back(*decoded.node);
      else
        result_.problems.push_back(
            fmt::format("Node {}: {}", object->key.name, decoded.node.error().message));
    }
  }

  // A policy that selects namespaces by label names those that match now.
  void SelectNamespaces() {
    for (Policy& policy : result_.snapshot.policies) {
      if (policy.namespace_selector.empty()) continue;
      for (const store::ObjectPtr& ns : store_.List("Namespace")) {
        const auto labels = DecodeLabels(FindPath(ns->body, {"metadata", "labels"}));
        const bool all =
            std::all_of(policy.namespace_selector.begin(), policy.namespace_selector.end(),
                        [&](const Requirement& r) { return Matches(r, labels); });
        const bool named = std::find(policy.namespaces.begin(), policy.namespaces.end(),
                                     ns->key.name) != policy.namespaces.end();
        if (all && !named) policy.namespaces.push_back(ns->key.name);
      }
      std::sort(policy.namespaces.begin(), policy.namespaces.end());
    }
  }

  void AddAccountState() {
    for (ProviderAccount& account : result_.snapshot.accounts) {
      for (const BurstNode& node : inputs_.burst_nodes)
        account.live_nodes += node.HoldsPlace() && node.offer.provider == account.name;
      if (const auto it = inputs_.not_ready.find(account.name); it != inputs_.not_ready.end()) {
        account.ready = false;
        account.not_ready_reason = it->second;
      }
    }
  }

  void AddVolumeLimits() {
    std::vector<Node>& nodes = result_.snapshot.nodes;
    for (const store::ObjectPtr& object : store_.List("CSINode"))
      if (const auto node = std::ranges::lower_bound(nodes, object->key.name, {}, &Node::name);
          node != nodes.end() && node->name == object->key.name)
        node->volume_limits = DecodeVolumeLimits(object->body);
  }

  // The pods of a Job come one after the other, and have the same answer.
  std::optional<store::ObjectKey> Group(const store::ObjectPtr& pod, const std::string& job) {
    if (job.empty()) return GroupOf(store_, *pod);
    if (last_job_ != std::pair(pod->key.ns, job)) {
      last_group_ = GroupOf(store_, *pod);
      last_job_ = {pod->key.ns, job};
    }
    return last_group_;
  }

  // Workload of a pod: what makes it one of a gang, its Job, or the pod itself. Created on first
  // sight.
  Workload& WorkloadOf(const store::ObjectPtr& pod) {
    const std::string job = OwnerJob(pod->body);
    const auto request = promises_.workloads.find(pod->uid);
    const bool asked_for = request != promises_.workloads.end();
    const std::optional<store::ObjectKey> group = asked_for ? std::nullopt : Group(pod, job);
    const std::string key = asked_for ? request->second
                            : group   ? fmt::format("{}/{}/{}", group->ns, group->kind, group->name)
                            : job.empty() ? fmt::format("{}/Pod/{}", pod->key.ns, pod->key.name)
                                          : fmt::format("{}/Job/{}", pod->key.ns, job);
    const auto [it, fresh] = workloads_.try_emplace(key);
    Workload& w = it->second;
    if (!fresh) {
      if (group || asked_for) AddInputsOfAnother(pod, job, w);
      return w;
    }
    w.key = key;
    w.ns = pod->key.ns;
    if (group) {
      group_of_.emplace(key, *group);
      jobs_seen_.emplace(key, job);
    }
    w.gang = group || asked_for || AnnotationOf(pod->body, kGangAnnotation) == "all-or-nothing";
    w.priority = static_cast<int>(IntOr(SpecOf(pod->body), "priority", 0));
    if (const auto d = ParseDuration(AnnotationOf(pod->body, kExpectedDuration));
        d && d->count() > 0)
      w.expected_duration = *d;
    std::int64_t limit = IntOr(SpecOf(pod->body), "activeDeadlineSeconds", 0);
    if (!job.empty())
      if (const store::ObjectPtr object = store_.Get({"Job", pod->key.ns, job})) {
        if (limit == 0) limit = IntOr(SpecOf(object->body), "activeDeadlineSeconds", 0);
        // Said on the Job; Kubernetes does not carry a Job's own annotations over to its pods.
        w.gang = w.gang || AnnotationOf(object->body, kGangAnnotation) == "all-or-nothing";
      }
    if (limit > 0) w.hard_limit = std::chrono::seconds(limit);
    AddInputs(pod, w);
    return w;
  }

  // The first volume that only the site has; it cannot follow the pod.
  static std::string VolumeOfTheSite(const json::value& pod) {
    const json::array* volumes = FindArray(SpecOf(pod), "volumes");
    if (volumes == nullptr) return {};
    for (const json::value& volume : *volumes) {
      if (!volume.is_object()) continue;
      for (const auto& member : volume.get_object()) {
        const std::string_view type = member.key();
        const bool follows = std::find(kVolumesThatFollow.begin(), kVolumesThatFollow.end(),
                                       type) != kVolumesThatFollow.end();
        if (type != "name" && !follows)
          return fmt::format("volume \"{}\" is of type {}, which only the site has",
                             StringOr(volume, "name", ""), type);
      }
    }
    return {};
  }

  void AddInputs(const store::ObjectPtr& pod, Workload& w) {
    if (std::string why = VolumeOfTheSite(pod->body); !why.empty()) {
      w.inputs_known = false;
      w.inputs_problem = std::move(why);
      return;
    }
    const auto mounts = MountsOf(pod->body);
    if (!mounts) {
      w.inputs_known = false;
      w.inputs_problem = mounts.error().message;
      return;
    }
    for (const Mount& mount : *mounts) {
      if (mount.claim.empty()) continue;
      const auto target = ResolveClaim(store_, pod->key.ns, mount.claim);
      if (!target) {
        w.inputs_known = false;
        w.inputs_problem = target.error().message;
        continue;
      }
      if (target->results) continue;
      const auto it = datasets_.find(target->dataset);
      if (it == datasets_.end()) continue;
      if (w.data_class_source.empty() || it->second.data_class > w.data_class) {
        w.data_class = it->second.data_class;
        w.data_class_source = "Dataset " + target->dataset;
      }
      AddInputBytes(pod, it->second, mount.claim, w);
    }
    RestAfterDataFailed(w);
  }

  // A shard counts as the N-th part of the bytes: which files it is, only its run knows. Without an
  // index there is none, and SetShards() refuses the pod.
  void AddInputBytes(const store::ObjectPtr& pod, const DatasetInfo& dataset,
                     const std::string& claim, Workload& w) const {
    const auto narrowing = NarrowingOf(store_, *pod, claim);
    if (!narrowing || !inputs_.selected_bytes) return;
    const std::int64_t bytes = inputs_.selected_bytes(dataset, narrowing->patterns);
    if (narrowing->shards.empty())
      w.input_bytes += bytes;
    else
      w.shard_bytes += (bytes + narrowing->shards[0].of - 1) / narrowing->shards[0].of;
  }

  // Pods of one Job differ in this, so each is asked. What reads no shard of its own for a mistake
  // must not leave with all of the data.
  void SetShards(const store::ObjectPtr& object, Pod& pod, Workload& w) const {
    auto shards = ShardsOfPod(store_, *object);
    if (shards) {
      pod.shards = *std::move(shards);
    } else if (w.inputs_known) {
      w.inputs_known = false;
      w.inputs_problem = std::move(shards.error().message);
    }
  }

  // What could not be read a moment ago would fail again, on a machine that is paid.
  void RestAfterDataFailed(Workload& w) const {
    for (const BurstNode& node : inputs_.burst_nodes) {
      if (node.failure != Failure::kDataFailed || node.workload != w.key) continue;
      const Time again = plan::FailedAt(node, inputs_.now) + kDataRest;
      if (again <= inputs_.now) continue;
      w.inputs_known = false;
      w.inputs_problem =
          fmt::format("{}; it is tried again at {}", node.failure_detail, FormatTime(again));
    }
  }

  // The pods of a group may differ; those of one Job do not.
  void AddInputsOfAnother(const store::ObjectPtr& pod, const std::string& job, Workload& w) {
    if (!job.empty() && !jobs_seen_.emplace(w.key, job).second) return;
    Workload other;
    AddInputs(pod, other);
    if (!other.inputs_known && w.inputs_known) {
      w.inputs_known = false;
      w.inputs_problem = std::move(other.inputs_problem);
    }
    if (other.data_class > w.data_class || w.data_class_source.empty()) {
      w.data_class = other.data_class;
      w.data_class_source = std::move(other.data_class_source);
    }
    w.input_bytes = std::max(w.input_bytes, other.input_bytes);
    w.shard_bytes = std::max(w.shard_bytes, other.shard_bytes);
  }

  void AddPods() {
    promises_ = FindPromises(store_, inputs_.burst_nodes);
    Strangers strangers(store_, inputs_.burst_nodes, result_.snapshot.policies, promises_.pods);
    ClusterPods pods(store_, false, strangers.others());
    pods.Add(promises_.pods);
    DecodedPods decoded = pods.Decode();
    if (auto named = strangers.NamedBy(decoded.groups); !named.empty()) {
      pods.Add(std::move(named));
      decoded = pods.Decode();
    }
    strangers.AddTo(result_.snapshot);
    result_.problems.insert(result_.problems.end(), decoded.problems.begin(),
                            decoded.problems.end());
    for (std::size_t i = 0; i < pods.pods().size(); ++i) {
      const store::ObjectPtr& object = pods.pods()[i];
      if (decoded.shape_of[i] < 0) continue;
      const PodShape& shape = decoded.shapes[static_cast<std::size_t>(decoded.shape_of[i])];
      // A pod that waits is counted by the planner when it places it.
      if (!NodeOf(object->body).empty()) CountQuota(object->key.ns, shape.requests.gpus);
      Workload& w = WorkloadOf(object);
      Pod pod;
      pod.key = object->key.ns + "/" + object->key.name;
      pod.uid = object->uid;
      pod.ns = object->key.ns;
      pod.shape = decoded.shape_of[i];
      pod.phase = PodPhaseOf(object->body) == "Running" ? PodPhase::kRunning : PodPhase::kPending;
      pod.node = NodeOf(object->body);
      pod.deleting = Deleting(object->body);
      pod.gated = Gated(object->body);
      SetShards(object, pod, w);
      if (const json::value* status = Find(object->body, "status"); status && pod.node.empty())
        pod.nominated = StringOr(*status, "nominatedNodeName", "");
      if (const auto takes = promises_.takes.find(pod.uid); takes != promises_.takes.end())
        pod.takes = takes->second;
      pod.started = StartedAt(object->body);
      const json::value* scheduled = ConditionOf(object->body, "PodScheduled");
      pod.unschedulable = pod.node.empty() && scheduled != nullptr &&
                          StringOr(*scheduled, "reason", "") == "Unschedulable";
      if (!pod.node.empty() && w.expected_duration)
        pod.expected_end = pod.started.value_or(inputs_.now) + *w.expected_duration;
      if (pod.node.empty() && !pod.deleting) {
        const auto created = CreatedAt(object->body).value_or(inputs_.now);
        if (!w.waiting_since || created < *w.waiting_since) w.waiting_since = created;
      }
      pods_of_[w.key].push_back(static_cast<std::int32_t>(result_.snapshot.pods.size()));
      result_.snapshot.pods.push_back(std::move(pod));
    }
    result_.snapshot.shapes = std::move(decoded.shapes);
    result_.snapshot.groups = std::move(decoded.groups);
    result_.snapshot.daemons = std::move(decoded.daemons);
    for (auto& [key, workload] : workloads_) {
      workload.pods = std::move(pods_of_[key]);
      HoldUntilComplete(workload);
      for (std::int32_t pod : workload.pods)
        result_.snapshot.pods[static_cast<std::size_t>(pod)].workload =
            static_cast<std::int32_t>(result_.snapshot.workloads.size());
      result_.snapshot.workloads.push_back(std::move(workload));
    }
  }

  // Pods that the workload has or will have at once; 0 for one that is a single pod, nullopt where
  // nobody knows.
  std::optional<std::int64_t> WantedPods(const Workload& w) const {
    if (const auto group = group_of_.find(w.key); group != group_of_.end())
      return GroupSize(store_, group->second);
    const std::string prefix = w.ns + "/Job/";
    if (!w.key.starts_with(prefix)) return 0;
    const store::ObjectPtr job = store_.Get({"Job", w.ns, w.key.substr(prefix.size())});
    return job == nullptr ? 0 : PodsOfJob(job->body);
  }

  // Pods come one after the other, and so do the scheduler's verdicts. Until all of them are there
  // it is not known what the workload needs, and renting for the first would be renting wrongly. A
  // quota may keep some from ever coming: what is no gang then goes on after a while.
  void HoldUntilComplete(Workload& w) {
    std::int64_t there = 0;
    for (const std::int32_t index : w.pods)
      there += !result_.snapshot.pods[static_cast<std::size_t>(index)].deleting;
    const std::optional<std::int64_t> wanted = WantedPods(w);
    if (wanted && there >= *wanted) return;
    if (!w.gang && w.waiting_since && inputs_.now - *w.waiting_since >= kIncomplete) return;
    if (!wanted) {
      const store::ObjectKey& group = group_of_.at(w.key);
      w.incomplete =
          fmt::format("for {} {}, which says how many pods the gang has and is not there",
                      group.kind, group.name);
    } else if (w.gang) {
      w.incomplete = fmt::format("for the other pods of the gang: {} of {} {} there", there,
                                 *wanted, there == 1 ? "is" : "are");
    }
    for (const std::int32_t index : w.pods)
      result_.snapshot.pods[static_cast<std::size_t>(index)].unschedulable = false;
  }

  void CountQuota(const std::string& ns, std::int64_t gpus) {
    for (QuotaState& quota : result_.snapshot.quotas) {
      if (quota.ns != ns) continue;
      quota.gpus_used += gpus;
      quota.pods_used += 1;
    }
  }

  const store::Store& store_;
  SnapshotInputs inputs_;
  SnapshotResult result_;
  std::map<std::string, DatasetInfo> datasets_;
  std::pair<std::string, std::string> last_job_;  // namespace, name; and its group
  std::optional<store::ObjectKey> last_group_;
  Promises promises_;
  std::map<std::string, Workload> workloads_;
  std::map<std::string, store::ObjectKey> group_of_;         // by workload
  std::set<std::pair<std::string, std::string>> jobs_seen_;  // (workload, Job) of groups
  std::map<std::string, std::vector<std::int32_t>> pods_of_;
};

}  // namespace

SnapshotResult BuildSnapshot(const store::Store& store, SnapshotInputs inputs) {
  return Builder(store, std::move(inputs)).Build();
}

}  // namespace spillway::site
