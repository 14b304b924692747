#include "site/groups.h"

#include <algorithm>
#include <array>
#include <map>

#include "site/objects.h"

namespace spillway::site {
namespace {

constexpr std::string_view kJobSetLabel = "jobset.sigs.k8s.io/jobset-name";
constexpr std::string_view kReplicatedJobLabel = "jobset.sigs.k8s.io/replicatedjob-name";
constexpr std::string_view kKubeflowLabel = "training.kubeflow.org/job-name";

// Kinds that own pods or their Jobs, and the label that says so before the Job is known.
struct OwningKind {
  const char* kind;
  std::string_view group;
  std::string_view label;
};
constexpr std::array kOwningKinds{OwningKind{kJobSet, "jobset.x-k8s.io/", kJobSetLabel},
                                  OwningKind{kPyTorchJob, "kubeflow.org/", kKubeflowLabel},
                                  OwningKind{kMpiJob, "kubeflow.org/", kKubeflowLabel}};

const json::value* ControllerOf(const json::value& object) {
  const json::value* metadata = Find(object, "metadata");
  const json::array* owners =
      metadata == nullptr ? nullptr : FindArray(*metadata, "ownerReferences");
  if (owners == nullptr) return nullptr;
  for (const json::value& owner : *owners)
    if (BoolOr(owner, "controller", false)) return &owner;
  return nullptr;
}

// Name of the object of this kind that controls `object`; empty: none does.
std::string_view ControlledBy(const json::value* controller, const OwningKind& kind) {
  const bool is = controller != nullptr && StringOr(*controller, "kind", "") == kind.kind &&
                  StringOr(*controller, "apiVersion", "").starts_with(kind.group);
  return is ? StringOr(*controller, "name", "") : std::string_view();
}

std::string Text(std::string_view text) {
  return std::string(text);
}

std::optional<store::ObjectKey> OwningGroup(const store::Store& store,
                                            const store::StoredObject& pod) {
  const json::value* controller = ControllerOf(pod.body);
  if (controller == nullptr) return std::nullopt;
  store::ObjectPtr job;
  if (StringOr(*controller, "kind", "") == "Job")
    job = store.Get({"Job", pod.key.ns, Text(StringOr(*controller, "name", ""))});
  const json::value* above = job == nullptr ? nullptr : ControllerOf(job->body);
  for (const OwningKind& kind : kOwningKinds) {
    std::string_view name = ControlledBy(controller, kind);
    if (name.empty()) name = ControlledBy(above, kind);
    if (!name.empty()) return store::ObjectKey{kind.kind, pod.key.ns, Text(name)};
    // The watch of pods may be ahead of the watch of Jobs.
    const std::string_view label = LabelOf(pod.body, kind.label);
    if (job != nullptr || label.empty()) continue;
    store::ObjectKey key{kind.kind, pod.key.ns, Text(label)};
    if (store.Get(key) != nullptr) return key;
  }
  return std::nullopt;
}

std::int64_t Member(const json::value& object, std::initializer_list<std::string_view> path,
                    std::int64_t fallback) {
  const json::value* found = FindPath(object, path);
  return found != nullptr && found->is_int64() ? found->get_int64() : fallback;
}

// Replicated jobs that wait for others have no pods before those are ready or done.
bool ComesLater(const json::value& job_set, const json::value& replicated) {
  const json::array* depends = FindArray(replicated, "dependsOn");
  if (depends != nullptr && !depends->empty()) return true;
  const json::value* order = FindPath(job_set, {"spec", "startupPolicy", "startupPolicyOrder"});
  return order != nullptr && order->is_string() && View(order->get_string()) == "InOrder";
}

// By Job where the Job is there: it may need fewer pods by now. The others count as they are
// promised, unless their turn comes later.
std::int64_t JobSetSize(const store::Store& store, const store::StoredObject& job_set) {
  std::map<std::string, std::int64_t, std::less<>> there;  // Jobs by replicated job
  std::int64_t size = 0;
  for (const store::ObjectPtr& job : store.List("Job", job_set.key.ns)) {
    if (ControlledBy(ControllerOf(job->body), kOwningKinds[0]) != job_set.key.name) continue;
    if (Deleting(job->body)) continue;  // it is made again
    ++there[Text(LabelOf(job->body, kReplicatedJobLabel))];
    size += PodsOfJob(job->body);
  }
  const json::array* replicated = FindArray(SpecOf(job_set.body), "replicatedJobs");
  if (replicated == nullptr) return size;
  for (const json::value& one : *replicated) {
    if (ComesLater(job_set.body, one) && &one != &replicated->front()) continue;
    const auto known = there.find(StringOr(one, "name", ""));
    const std::int64_t missing =
        IntOr(one, "replicas", 1) - (known == there.end() ? 0 : known->second);
    const std::int64_t parallelism = Member(one, {"template", "spec", "parallelism"}, 1);
    const std::int64_t completions = Member(one, {"template", "spec", "completions"}, parallelism);
    size += std::max<std::int64_t>(missing, 0) * std::min(parallelism, completions);
  }
  return size;
}

std::int64_t KubeflowSize(const store::StoredObject& job) {
  const json::value& spec = SpecOf(job.body);
  const bool mpi = job.key.kind == kMpiJob;
  const json::value* specs = Find(spec, mpi ? "mpiReplicaSpecs" : "pytorchReplicaSpecs");
  const bool launcher_later =
      mpi && StringOr(spec, "launcherCreationPolicy", "") == "WaitForWorkersReady";
  std::int64_t size = 0;
  if (specs != nullptr && specs->is_object())
    for (const auto& member : specs->get_object()) {
      if (launcher_later && member.key() == "Launcher") continue;
      const std::int64_t done =
          Member(job.body, {"status", "replicaStatuses", member.key(), "succeeded"}, 0);
      size += std::max<std::int64_t>(IntOr(member.value(), "replicas", 1) - done, 0);
    }
  const std::int64_t least = Member(spec, {"runPolicy", "schedulingPolicy", "minAvailable"}, size);
  return std::clamp<std::int64_t>(least, 0, size);
}

// Those of its pods that have ended are through with waiting for each other.
std::int64_t PodGroupSize(const store::Store& store, const store::StoredObject& group) {
  const bool plugins = group.key.kind == kPluginsPodGroup;
  const std::int64_t least =
      plugins ? IntOr(SpecOf(group.body), "minMember", 1)
              : Member(group.body, {"spec", "schedulingPolicy", "gang", "minCount"}, 1);
  std::int64_t ended = 0;
  for (const store::ObjectPtr& pod : store.List("Pod", group.key.ns))
    if (Finished(pod->body)) {
      const auto of = GroupOf(store, *pod);
      ended += of && *of == group.key;
    }
  return std::max<std::int64_t>(least - ended, 0);
}

}  // namespace

std::optional<store::ObjectKey> GroupOf(const store::Store& store, const store::StoredObject& pod) {
  if (const json::value* own = FindPath(pod.body, {"spec", "schedulingGroup", "podGroupName"});
      own != nullptr && own->is_string()) {
    store::ObjectKey key{kPodGroup, pod.key.ns, Text(View(own->get_string()))};
    const store::ObjectPtr group = store.Get(key);
    // The pods of a group with the basic policy are scheduled one by one.
    if (group == nullptr || FindPath(group->body, {"spec", "schedulingPolicy", "gang"}) != nullptr)
      return key;
  }
  if (const std::string_view name = LabelOf(pod.body, kPodGroupLabel); !name.empty()) {
    store::ObjectKey key{kPluginsPodGroup, pod.key.ns, Text(name)};
    if (store.Get(key) != nullptr) return key;
  }
  return OwningGroup(store, pod);
}

std::optional<std::int64_t> GroupSize(const store::Store& store, const store::ObjectKey& group) {
  const store::ObjectPtr object = store.Get(group);
  if (object == nullptr) return std::nullopt;
  if (group.kind == kJobSet) return JobSetSize(store, *object);
  if (group.kind == kPyTorchJob || group.kind == kMpiJob) return KubeflowSize(*object);
  return PodGroupSize(store, *object);
}

std::int64_t PodsOfJob(const json::value& job) {
  if (Deleting(job)) return 0;
  const json::value& spec = SpecOf(job);
  const std::int64_t parallelism = IntOr(spec, "parallelism", 1);
  const std::int64_t completions = IntOr(spec, "completions", parallelism);
  const json::value* status = Find(job, "status");
  const std::int64_t done = status == nullptr ? 0 : IntOr(*status, "succeeded", 0);
  return std::min(parallelism, std::max<std::int64_t>(completions - done, 0));
}

}  // namespace spillway::site
