#include "site/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/number.h"
#include "model/shards.h"
#include "site/groups.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

constexpr std::string_view kJobIndex = "jobset.sigs.k8s.io/job-index";
constexpr std::string_view kReplicaIndex = "training.kubeflow.org/replica-index";
constexpr std::string_view kReplicaType = "training.kubeflow.org/replica-type";
// Whose value is the index as it stands. A LeaderWorkerSet makes its pods through StatefulSets, so
// its own index comes before theirs.
constexpr std::array<std::string_view, 3> kPlainIndexes = {
    kIndexAnnotation, "leaderworkerset.sigs.k8s.io/worker-index", "apps.kubernetes.io/pod-index"};
constexpr std::int64_t kMaxIndex = 1'000'000'000;
constexpr std::string_view kRemedy =
    "use a Job with completionMode: Indexed, a JobSet of such Jobs, a PyTorchJob, a StatefulSet or "
    "a LeaderWorkerSet, or give the pod the label apps.kubernetes.io/pod-index";

// As a label or an annotation.
Result<std::optional<std::int64_t>> Number(const json::value& pod, std::string_view key) {
  std::string_view text = LabelOf(pod, key);
  if (text.empty()) text = AnnotationOf(pod, key);
  if (text.empty()) return std::nullopt;
  const auto number = ParseCount(text);
  if (!number || *number > kMaxIndex)
    return Fail(Code::kInvalid,
                fmt::format("{} \"{}\" is no index: a whole number from 0 on", key, text));
  return number;
}

// Pods of one Job of a replicated job; there are as many in each.
Result<std::int64_t> PodsOfEachJob(const store::Store& store, const store::StoredObject& pod) {
  std::string name = OwnerJob(pod.body);
  if (name.empty()) name = LabelOf(pod.body, kJobLabel);
  const store::ObjectPtr job = store.Get({"Job", pod.key.ns, name});
  if (job == nullptr)
    return Fail(Code::kNotFound, fmt::format("Job {} of pod {} is not there", name, pod.key.name));
  const json::value& spec = SpecOf(job->body);
  return IntOr(spec, "completions", IntOr(spec, "parallelism", 1));
}

// Kubeflow counts the workers apart from the master, and ranks them behind it.
bool BehindMaster(const store::Store& store, const store::StoredObject& pod) {
  if (LabelOf(pod.body, kReplicaType) != "worker") return false;
  const auto group = GroupOf(store, pod);
  if (!group || group->kind != kPyTorchJob) return false;
  const store::ObjectPtr job = store.Get(*group);
  return job != nullptr &&
         FindPath(job->body, {"spec", "pytorchReplicaSpecs", "Master"}) != nullptr;
}

Error Wrong(std::string_view value, std::string_view what, std::string_view right) {
  return {Code::kInvalid,
          fmt::format("annotation {} \"{}\": {}: {}", kShardAnnotation, value.substr(0, 256), what,
                      right),
          {}};
}

Result<std::vector<ShardedClaim>> ShardedClaimsOf(const json::value& pod) {
  const json::value* text = FindPath(pod, {"metadata", "annotations", kShardAnnotation});
  if (text == nullptr) return std::vector<ShardedClaim>();
  const std::string_view value = AnnotationOf(pod, kShardAnnotation);
  auto claims = ParseShards(value);
  if (!claims) return tl::unexpected(Wrong(value, claims.error().message, kShardForm));
  return claims;
}

Result<data::Shard> ShardOf(const store::Store& store, const store::StoredObject& pod,
                            const ShardedClaim& claim) {
  const std::string_view value = AnnotationOf(pod.body, kShardAnnotation);
  const auto index = IndexOfPod(store, pod);
  if (!index)
    return tl::unexpected(Wrong(value, "the pod's index is not known", index.error().message));
  if (!*index)
    return tl::unexpected(
        Wrong(value,
              fmt::format("pod {} has no index, so none of the {} shards of claim {} is its",
                          pod.key.name, claim.shards, claim.claim),
              kRemedy));
  if (**index >= claim.shards)
    return tl::unexpected(
        Wrong(value,
              fmt::format("pod {} has index {}, and claim {} is cut into {} shards, from 0 on",
                          pod.key.name, **index, claim.claim, claim.shards),
              "as many shards as there are pods"));
  return data::Shard{static_cast<std::int32_t>(**index), claim.shards};
}

}  // namespace

Result<std::optional<std::int64_t>> IndexOfPod(const store::Store& store,
                                               const store::StoredObject& pod) {
  SPW_ASSIGN(const std::optional<std::int64_t> job, Number(pod.body, kJobIndex));
  if (job) {
    SPW_ASSIGN(const std::int64_t pods, PodsOfEachJob(store, pod));
    SPW_ASSIGN(const std::optional<std::int64_t> in_job, Number(pod.body, kIndexAnnotation));
    if (!in_job && pods > 1) return std::nullopt;
    return *job * pods + in_job.value_or(0);
  }
  SPW_ASSIGN(const std::optional<std::int64_t> replica, Number(pod.body, kReplicaIndex));
  if (replica) return *replica + (BehindMaster(store, pod) ? 1 : 0);
  for (const std::string_view key : kPlainIndexes) {
    SPW_ASSIGN(const std::optional<std::int64_t> index, Number(pod.body, key));
    if (index) return index;
  }
  return std::nullopt;
}

Result<data::Narrowing> NarrowingOf(const store::Store& store, const store::StoredObject& pod,
                                    std::string_view claim) {
  data::Narrowing narrowing{PatternsOf(pod.body, claim), {}};
  SPW_ASSIGN(const std::vector<ShardedClaim> claims, ShardedClaimsOf(pod.body));
  const auto sharded = std::ranges::find(claims, claim, &ShardedClaim::claim);
  if (sharded == claims.end()) return narrowing;
  SPW_ASSIGN(const data::Shard shard, ShardOf(store, pod, *sharded));
  narrowing.shards.push_back(shard);
  return narrowing;
}

Result<std::string> ShardsOfPod(const store::Store& store, const store::StoredObject& pod) {
  SPW_ASSIGN(const std::vector<ShardedClaim> claims, ShardedClaimsOf(pod.body));
  if (claims.empty()) return std::string();
  SPW_ASSIGN(const std::vector<Mount> mounts, MountsOf(pod.body));
  std::string text;
  for (const ShardedClaim& claim : claims) {
    if (std::ranges::find(mounts, claim.claim, &Mount::claim) == mounts.end())
      return tl::unexpected(Wrong(AnnotationOf(pod.body, kShardAnnotation),
                                  fmt::format("this pod mounts no claim {}", claim.claim),
                                  "a claim of its volumes that is an input"));
    SPW_ASSIGN(const data::Shard shard, ShardOf(store, pod, claim));
    text += fmt::format("{}{}={}/{}", text.empty() ? "" : ";", claim.claim, shard.index, shard.of);
  }
  return text;
}

}  // namespace spillway::site
