#include "kubernetes/kubernetes_cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "kubernetes/mirror.h"
#include "kubernetes/volumes.h"
#include "model/decode.h"
#include "site/objects.h"
#include "site/pod_index.h"
#include "site/promises.h"

namespace spillway::kubernetes {
namespace {

constexpr std::size_t kMaxClaimsTold = 2'000;
constexpr int kLogTries = 5;

Status UnlessGone(Status status) {
  return !status && status.error().code == Code::kNotFound ? Ok() : status;
}
Status UnlessGone(const Result<json::value>& result) {
  return result ? Ok() : UnlessGone(Status(tl::unexpected(result.error())));
}

// Where in spec.taints; -1: nowhere.
int TaintAt(const json::value& node, std::string_view key) {
  const json::array* taints = FindArray(site::SpecOf(node), "taints");
  for (std::size_t i = 0; taints != nullptr && i < taints->size(); ++i)
    if (StringOr((*taints)[i], "key", "") == key) return static_cast<int>(i);
  return -1;
}

bool KnowsDriver(const store::Store& store, const std::string& node) {
  const store::ObjectPtr object = store.Get({"CSINode", "", node});
  const json::array* drivers =
      object == nullptr ? nullptr : FindArray(site::SpecOf(object->body), "drivers");
  return drivers != nullptr && std::ranges::any_of(*drivers, [](const json::value& driver) {
           return StringOr(driver, "name", "") == kDriver;
         });
}

std::string FirstContainer(const json::value& pod) {
  const json::array* containers = FindArray(site::SpecOf(pod), "containers");
  return containers == nullptr || containers->empty()
             ? ""
             : std::string(StringOr(containers->front(), "name", ""));
}

// Appends to a list of the object's spec that may not be there yet, as a JSON patch does it.
json::object Append(const json::value& object, std::string_view list, json::object item) {
  const std::string path = fmt::format("/spec/{}", list);
  if (FindArray(site::SpecOf(object), list) != nullptr)
    return {{"op", "add"}, {"path", path + "/-"}, {"value", std::move(item)}};
  return {{"op", "add"}, {"path", path}, {"value", json::array{std::move(item)}}};
}

// Adds the toleration to the pod with this uid, not to another of the same name. Admission gives
// most pods tolerations; without that plug-in a pod may have no list to add to.
json::array TolerationPatch(const store::StoredObject& pod, const std::string& node) {
  return {json::object{{"op", "test"}, {"path", "/metadata/uid"}, {"value", pod.uid}},
          Append(pod.body, "tolerations", site::BurstToleration(node))};
}

// Below a directory named like the namespace: no team writes into another's.
bool IsOwnPlace(const std::string& ns, const std::string& directory) {
  return directory == ns || directory.starts_with(ns + "/");
}

}  // namespace

KubernetesCluster::KubernetesCluster(daemon::ClusterContext context, KubernetesOptions options)
    : context_(std::move(context)),
      store_(*context_.store),
      options_(std::move(options)),
      joins_(store_, *options_.api, worker_, *context_.clock,
             [this](const std::string& node, bool warning, std::string_view reason,
                    const std::string& message) {
               AddEvent({"BurstNode", "", node}, warning, reason, message);
             }),
      requests_(store_, *options_.api, worker_,
                [this](const store::ObjectKey& about, bool warning, std::string_view reason,
                       const std::string& message) { AddEvent(about, warning, reason, message); }),
      logs_(context_.state_dir + "/logs"),
      event_worker_(options_.leads, 2'000, "events"),
      worker_(options_.leads, 20'000, "objects"),
      optional_(*options_.api, *options_.watches, *this) {}

KubernetesCluster::~KubernetesCluster() {
  Stop();
}

Result<std::unique_ptr<daemon::Cluster>> KubernetesCluster::Open(daemon::ClusterContext context,
                                                                 KubernetesOptions options) {
  for (const Resource* resource : kMirrored)
    if (!context.store->List(std::string(resource->kind)).empty())
      return Fail(Code::kConflict, fmt::format("{} was made by the embedded mode; choose another "
                                               "--state",
                                               context.state_dir));
  return std::unique_ptr<daemon::Cluster>(
      new KubernetesCluster(std::move(context), std::move(options)));
}

Status KubernetesCluster::Start() {
  started_ = true;
  std::vector<const Resource*> resources(kMirrored.begin(), kMirrored.end());
  resources.insert(resources.end(), {&kBurstNodes, &kRequests});
  SPW_TRY(options_.watches->Start(resources, *this));
  optional_.Start();
  return Ok();
}

void KubernetesCluster::Stop() {
  if (!started_.exchange(false)) return;
  optional_.Stop();
  options_.watches->Stop();
  worker_.Stop();
  event_worker_.Stop();
}

bool KubernetesCluster::Ready() const {
  return options_.leads() && optional_.Watched() && Unread().empty();
}

// Kinds that were not listed once, by the names of their resources.
std::vector<std::string_view> KubernetesCluster::Unread() const {
  const std::set<std::string> optional = optional_.Watched().value_or(std::set<std::string>());
  std::vector<std::string_view> unread;
  const std::lock_guard lock(mutex_);
  for (const Resource* resource : {&kBurstNodes, &kRequests})
    if (!listed_.contains(StoreKind(*resource))) unread.push_back(resource->plural);
  for (const Resource* resource : kMirrored)
    if (!listed_.contains(StoreKind(*resource))) unread.push_back(resource->plural);
  for (const std::string& kind : optional)
    if (!listed_.contains(kind)) unread.push_back(OptionalKind(kind)->plural);
  return unread;
}

json::value KubernetesCluster::Kept(const Resource& resource, json::value object) const {
  if (&resource == &kRequests) return object;
  return Trimmed(WithoutTemplates(resource, std::move(object)), context_.from_real);
}

void KubernetesCluster::Listed(const Resource& resource, std::vector<json::value> objects) {
  const std::string kind = StoreKind(resource);
  if (&resource == &kRequests) {
    for (const json::value& csr : objects) joins_.Consider(csr);
  } else if (&resource == &kBurstNodes) {
    const std::lock_guard lock(mutex_);
    burst_nodes_.clear();
    for (json::value& object : objects) {
      const std::string name = MetadataText(object, "name");
      burst_nodes_[name] = std::move(object);
    }
  } else {
    std::vector<store::Store::Mirrored> mirrored;
    for (json::value& object : objects) {
      if (&resource == &kNodes) RefuseReturned(object);
      store::ObjectKey key = KeyOf(resource, object);
      mirrored.push_back({std::move(key), std::move(object)});
    }
    store_.MirrorAll(kind, std::move(mirrored));
  }
  {
    const std::lock_guard lock(mutex_);
    listed_.insert(kind);
  }
  context_.wake();
}

// Where pods run that nobody rented for is news for the next round, whenever it comes. Takes no
// lock of ours: whoever writes to the store may hold it.
bool KubernetesCluster::Urgent(const store::StoredObject& object) const {
  if (!was_ready_) return false;  // Listed() wakes
  if (object.key.kind == kNodes.kind)
    return store_.Get({"BurstNode", "", object.key.name}) != nullptr;
  if (object.key.kind != kPods.kind) return true;
  const std::string_view node = site::NodeOf(object.body);
  if (!node.empty()) return store_.Get({"BurstNode", "", std::string(node)}) != nullptr;
  // What waits for the scheduler's verdict changes once more when that comes.
  const json::value* scheduled = site::ConditionOf(object.body, "PodScheduled");
  return scheduled != nullptr || site::Deleting(object.body);
}

void KubernetesCluster::Changed(const Resource& resource, json::value object, bool gone) {
  if (&resource == &kRequests) {
    if (!gone) joins_.Consider(object);
    return;
  }
  if (&resource == &kBurstNodes) {
    {
      const std::lock_guard lock(mutex_);
      const std::string name = MetadataText(object, "name");
      if (gone)
        burst_nodes_.erase(name);
      else
        burst_nodes_[name] = std::move(object);
    }
    context_.wake();
    return;
  }
  const bool node = &resource == &kNodes;
  if (node && !gone) RefuseReturned(object);
  store::ObjectKey key = KeyOf(resource, object);
  store_.Mirror({{key, gone ? json::value(nullptr) : std::move(object)}});
  if (node && !gone) joins_.NodeChanged(key.name);
}

// Kubernetes cannot revoke a kubelet's certificate: whoever kept the one of a machine that was
// given back could make its Node again.
void KubernetesCluster::RefuseReturned(const json::value& node) {
  const std::string name = MetadataText(node, "name");
  const store::ObjectPtr object = store_.Get({"BurstNode", "", name});
  const json::value* status = object == nullptr ? nullptr : Find(object->body, "status");
  if (status == nullptr || StringOr(*status, "phase", "") != Name(Phase::kGone)) return;
  const std::string uid(StringOr(node.at("metadata"), "uid", ""));
  AddEvent({"BurstNode", "", name}, true, "NodeReturned",
           "somebody made its Node again, with the certificate of the machine that was given "
           "back; the Node is deleted");
  worker_.Do("Node/" + name + "/returned", [this, name, uid] {
    return UnlessGone(options_.api->Delete(kNodes, "", name, uid, -1));
  });
}

std::optional<Time> KubernetesCluster::Pass() {
  if (!Ready()) return std::nullopt;
  was_ready_ = true;
  FindPods();
  ForgetLogs();
  SyncClaims();
  SyncBurstNodes();
  KeepLogs();
  ForgetPods();
  return requests_.LookAgain();
}

// Pods of each BurstNode: bound there, or admitted to it.
void KubernetesCluster::FindPods() {
  pods_of_.clear();
  const std::vector<store::ObjectPtr> nodes = store_.List("BurstNode");
  store_.Look<site::PodIndex>([&](const site::PodIndex& index) {
    for (const store::ObjectPtr& node : nodes)
      if (const auto room = index.rooms().find(node->key.name); room != index.rooms().end())
        pods_of_[node->key.name] = room->second.pods;
    for (const store::ObjectPtr& pod : index.others()) {
      const json::array* tolerations = FindArray(site::SpecOf(pod->body), "tolerations");
      if (tolerations == nullptr || !site::NodeOf(pod->body).empty()) continue;
      for (const json::value& t : *tolerations)
        if (StringOr(t, "key", "") == site::kBurstKey)
          pods_of_[std::string(StringOr(t, "value", ""))].push_back(pod);
    }
  });
  for (auto& [node, pods] : pods_of_) std::ranges::sort(pods, site::PodIndex::ByKey());
}

// Of pods that are gone.
void KubernetesCluster::ForgetLogs() {
  const std::lock_guard lock(mutex_);
  std::erase_if(logs_kept_, [&](const auto& kept) {
    const store::ObjectPtr pod = store_.Get(kept.second);
    return pod == nullptr || pod->uid != kept.first;
  });
}

// The log of a pod goes with its node. A rented node is kept until the logs of its ended pods are
// here, or cannot be had.
void KubernetesCluster::KeepLogs() {
  const auto nodes = store_.Nodes(context_.clock->Now());
  if (!nodes) return;
  for (const BurstNode& node : *nodes) {
    if (!node.Live() || node.phase < Phase::kRunning) continue;
    for (const store::ObjectPtr& pod : pods_of_[node.name]) {
      if (site::NodeOf(pod->body) != node.name || !site::Finished(pod->body)) continue;
      const std::string key = "Log/" + pod->uid;
      {
        const std::lock_guard lock(mutex_);
        if (logs_kept_.contains(pod->uid)) continue;
      }
      if (worker_.Has(key)) continue;
      worker_.Do(key,
                 [this, where = pod->key, uid = pod->uid,
                  container = FirstContainer(pod->body)]() -> Status {
                   const Result<std::string> text =
                       options_.api->Log(where.ns, where.name, container, site::PodLogs::kMaxBytes);
                   if (text) logs_.AppendAt(uid, 0, *text);
                   {
                     const std::lock_guard lock(mutex_);
                     // What the kubelet does not give soon it will not give at all.
                     const bool later = !text && text.error().code != Code::kNotFound;
                     if (later && ++log_tries_[uid] < kLogTries)
                       return Fail(Code::kUnavailable, text.error().message);
                   }
                   if (!text)
                     log::Warn(
                         "the log of a rented pod could not be kept",
                         {{"pod", where.ns + "/" + where.name}, {"error", text.error().message}});
                   KeepPod(where, uid);
                   {
                     const std::lock_guard lock(mutex_);
                     logs_kept_.emplace(uid, where);
                     log_tries_.erase(uid);
                   }
                   context_.wake();
                   return Ok();
                 });
    }
  }
}

// Told once: a pass looks at every claim again.
void KubernetesCluster::RefuseClaim(const store::StoredObject& claim, std::string_view reason,
                                    const std::string& message) {
  if (claims_told_.size() >= kMaxClaimsTold) claims_told_.clear();
  if (claims_told_.insert(claim.uid + message).second) AddEvent(claim.key, true, reason, message);
}

// Every claim that names a Dataset or a results place gets its volume.
void KubernetesCluster::SyncClaims() {
  for (const store::ObjectPtr& claim : store_.List("PersistentVolumeClaim")) {
    if (!NamesOurs(claim->body)) continue;
    const auto target = site::ResolveClaim(store_, claim->key.ns, claim->key.name);
    if (!target) {
      RefuseClaim(*claim, "DatasetUnknown", target.error().message);
      continue;
    }
    if (!WantsVolume(claim->body)) continue;
    const std::string name = VolumeName(claim->body);
    if (store_.Get({"PersistentVolume", "", name}) != nullptr) continue;
    const std::string key = "PersistentVolume/" + name;
    if (worker_.Has(key)) continue;
    VolumePlace place{target->results, target->directory, "", ""};
    if (!target->dataset.empty()) {
      const std::string called = target->dataset.substr(claim->key.ns.size() + 1);
      const auto dataset = store_.Get({"Dataset", claim->key.ns, called});
      const auto info = dataset == nullptr ? Result<DatasetInfo>(Fail(Code::kNotFound, ""))
                                           : DecodeDataset(dataset->body);
      if (!info) continue;
      if (!target->results) place.directory = info->directory;
      if (info->s3) {
        place.bucket = info->s3->Name();
        place.dataset = called;
      }
    } else if (!IsOwnPlace(claim->key.ns, place.directory)) {
      RefuseClaim(*claim, "ResultsRefused",
                  fmt::format("results of namespace {} go below {}/, not to {}", claim->key.ns,
                              claim->key.ns, place.directory));
      continue;
    }
    worker_.Do(key, [this, volume = VolumeFor(claim->body, place)]() -> Status {
      const auto made = options_.api->Create(kVolumes, "", volume);
      return !made && made.error().code != Code::kConflict ? Status(tl::unexpected(made.error()))
                                                           : Ok();
    });
  }
}

Status KubernetesCluster::AdmitPods(const std::string& node, const std::vector<PodRef>& pods) {
  Status first = Ok();  // trouble with one pod does not keep the others out
  for (const PodRef& ref : pods) {
    const store::ObjectKey key = site::PodKey(ref.key);
    const store::ObjectPtr pod = store_.Get(key);
    if (pod == nullptr || pod->uid != ref.uid || !site::NodeOf(pod->body).empty() ||
        site::Finished(pod->body) || site::ToleratesBurst(pod->body, node))
      continue;
    const Status patched = UnlessGone(options_.api->Patch(
        kPods, key.ns, key.name, "", PatchKind::kJson, TolerationPatch(*pod, node)));
    if (!patched && first)
      first = tl::unexpected(patched.error().In(fmt::format("Pod {}", ref.key)));
  }
  const store::ObjectPtr object = store_.Get({"Node", "", node});
  const int at = object == nullptr ? -1 : TaintAt(object->body, site::kStartingKey);
  if (at < 0) return first;
  // The test keeps the patch from removing another taint that came to be at this place.
  const std::string path = fmt::format("/spec/taints/{}", at);
  SPW_TRY(UnlessGone(options_.api->Patch(
      kNodes, "", node, "", PatchKind::kJson,
      json::array{
          json::object{{"op", "test"}, {"path", path + "/key"}, {"value", site::kStartingKey}},
          json::object{{"op", "remove"}, {"path", path}}})));
  return first;
}

Status KubernetesCluster::EvictPods(const std::string& node, const std::vector<PodRef>& pods,
                                    const std::string& reason) {
  const store::ObjectPtr object = store_.Get({"Node", "", node});
  // Where no kubelet answers nobody would ever confirm the end.
  const bool forced = object == nullptr || !site::HasCondition(object->body, "Ready");
  for (const PodRef& ref : pods) {
    const store::ObjectKey key = site::PodKey(ref.key);
    const store::ObjectPtr pod = store_.Get(key);
    if (pod == nullptr || pod->uid != ref.uid || site::NodeOf(pod->body) != node) continue;
    if (site::Deleting(pod->body) && !forced) continue;
    SPW_TRY(UnlessGone(options_.api->Delete(kPods, key.ns, key.name, ref.uid, forced ? 0 : -1)));
    AddEvent(key, true, "Evicted", reason);
  }
  return Ok();
}

Status KubernetesCluster::RemoveNode(const std::string& node) {
  // The Node object last: as long as it is there this is tried again.
  SPW_TRY(joins_.Forget(node));
  SPW_TRY(UnlessGone(options_.api->Delete(kNodes, "", node, "", -1)));
  const std::lock_guard lock(mutex_);
  released_.erase(node);
  return Ok();
}

Result<std::optional<door::KubernetesJoin>> KubernetesCluster::PrepareJoin(const BurstNode& node) {
  // As long as the machine may take to boot, by the real clock.
  const Duration life = std::clamp<Duration>(
      (node.deadlines.create + node.deadlines.boot) / context_.time_scale, kTokenLife, kTokenMost);
  SPW_ASSIGN(std::string token, joins_.NewToken(node.name, life));
  return door::KubernetesJoin{options_.node_server, options_.server_ca, std::move(token)};
}

Result<std::optional<control::NodeReport>> KubernetesCluster::Join(
    const BurstNode& node, const control::NodeReport& report) {
  if (node.phase > Phase::kProvisioned) {
    control::NodeReport heard = report;
    heard.results_returned = heard.results_returned && LogsKept(node.name);
    return std::optional(std::move(heard));
  }
  const store::ObjectPtr object = store_.Get({"Node", "", node.name});
  if (object == nullptr || !site::HasCondition(object->body, "Ready"))
    return std::optional<control::NodeReport>();
  // Without its taint any pod could land on it.
  if (TaintAt(object->body, site::kBurstKey) < 0) {
    worker_.Do("Node/" + node.name + "/taint", [this, body = object->body, name = node.name] {
      json::object taint{{"key", site::kBurstKey}, {"value", name}, {"effect", "NoSchedule"}};
      return UnlessGone(options_.api->Patch(kNodes, "", name, "", PatchKind::kJson,
                                            json::array{Append(body, "taints", std::move(taint))}));
    });
    return std::optional<control::NodeReport>();
  }
  SPW_ASSIGN(const Node seen, DecodeNode(object->body));
  // Until the device plug-in has registered, the kubelet offers no GPUs; the boot deadline decides
  // when that has taken too long.
  if (seen.allocatable.gpus < node.offer.allocatable.gpus)
    return std::optional<control::NodeReport>();
  // Nor has it the data: a kubelet that does not know the volume driver would keep every pod
  // waiting until the node's lifetime is over.
  if (!KnowsDriver(store_, node.name)) return std::optional<control::NodeReport>();
  control::NodeReport believed = report;
  // A simulated machine's processors and memory are this computer's, whatever the offer says.
  const bool simulated = report.labels.contains(kSimulatedLabel);
  if (simulated)
    believed.hardware.gpus = seen.allocatable.gpus;
  else
    believed.hardware = seen.allocatable;
  believed.labels = seen.labels;
  // The agent says it, and the Node does not repeat it.
  if (const auto scratch = report.labels.find(kScratchLabel); scratch != report.labels.end())
    believed.labels[kScratchLabel] = scratch->second;
  if (!seen.labels.contains(kTrustLabel)) {
    worker_.Do("Node/" + node.name + "/labels", [this, name = node.name, offer = node.offer] {
      return UnlessGone(options_.api->Patch(
          kNodes, "", name, "", PatchKind::kMerge,
          json::object{{"metadata", json::object{{"labels", json::object{{kTrustLabel, name},
                                                                         {site::kBurstKey, name},
                                                                         {"spillway.dev/provider",
                                                                          offer.provider}}}}}}));
    });
    return std::optional<control::NodeReport>();
  }
  return std::optional(std::move(believed));
}

// How it ended, for when the garbage collector has taken it with its node.
void KubernetesCluster::KeepPod(const store::ObjectKey& where, const std::string& uid) {
  const store::ObjectPtr pod = store_.Get(where);
  if (pod == nullptr || pod->uid != uid) return;
  const auto kept = store_.Apply({{{daemon::kEndedPod, where.ns, where.name},
                                   json::object{{"podUid", uid}, {"pod", pod->body}},
                                   std::nullopt}});
  if (!kept)
    log::Warn("how a pod ended is not kept",
              {{"pod", where.ns + "/" + where.name}, {"error", kept.error().message}});
}

// Those whose Job, or who themselves without one, are gone from the cluster.
void KubernetesCluster::ForgetPods() {
  for (const store::ObjectPtr& ended : store_.List(daemon::kEndedPod)) {
    const json::value* pod = Find(ended->body, "pod");
    const std::string job = pod == nullptr ? "" : site::OwnerJob(*pod);
    if (!job.empty() && store_.Get({"Job", ended->key.ns, job}) != nullptr) continue;
    if (job.empty() && store_.Get({"Pod", ended->key.ns, ended->key.name}) != nullptr) continue;
    const auto gone = store_.Apply({{ended->key, {}, std::nullopt, true}});
    if (!gone) log::Warn("an ended pod stays", {{"error", gone.error().message}});
  }
}

bool KubernetesCluster::LogsKept(const std::string& node) const {
  const auto mine = pods_of_.find(node);
  if (mine == pods_of_.end()) return true;
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(mine->second, [&](const store::ObjectPtr& pod) {
    return site::NodeOf(pod->body) != node || !site::Finished(pod->body) ||
           logs_kept_.contains(pod->uid);
  });
}

bool KubernetesCluster::HoldsResults(const store::StoredObject& pod) const {
  const auto mounts = site::MountsOf(pod.body);
  if (!mounts) return false;
  return std::ranges::any_of(*mounts, [&](const site::Mount& mount) {
    if (mount.claim.empty()) return false;
    const auto target = site::ResolveClaim(store_, pod.key.ns, mount.claim);
    return target && target->results;
  });
}

std::vector<control::PodReport> KubernetesCluster::PodReports(const BurstNode& node) const {
  std::set<std::string> released;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = released_.find(node.name); it != released_.end()) released = it->second;
  }
  const auto logged = [&](const std::string& uid) {
    const std::lock_guard lock(mutex_);
    return logs_kept_.contains(uid);
  };
  std::vector<control::PodReport> reports;
  auto add = [&](const store::StoredObject& pod) {
    const bool over = site::Finished(pod.body);
    const bool here = site::NodeOf(pod.body) == node.name;
    reports.push_back(
        {pod.key.ns + "/" + pod.key.name, pod.uid, site::PhaseOf(pod.body),
         std::string(site::NodeOf(pod.body)), site::StartedAt(pod.body), site::FinishedAt(pod.body),
         over && (!here || (logged(pod.uid) && (released.contains(pod.uid) || !HoldsResults(pod)))),
         false, site::TakenAt(pod.body), site::BeganAt(pod.body)});
  };
  for (const PodRef& ref : node.pods) {
    const store::ObjectPtr pod = store_.Get(site::PodKey(ref.key));
    if (pod != nullptr && pod->uid == ref.uid) add(*pod);
    if (pod == nullptr && site::StillPromised(store_, ref))
      reports.push_back({.key = ref.key, .uid = ref.uid, .promised = true});
  }
  const auto mine = pods_of_.find(node.name);
  if (mine == pods_of_.end()) return reports;
  for (const store::ObjectPtr& pod : mine->second) {
    const bool listed =
        std::ranges::any_of(reports, [&](const auto& r) { return r.uid == pod->uid; });
    const std::string_view where = site::NodeOf(pod->body);
    if (!listed && ((where == node.name && !IsDaemonPod(pod->body)) ||
                    (where.empty() && site::ToleratesBurst(pod->body, node.name))))
      add(*pod);
  }
  return reports;
}

void KubernetesCluster::TakeReleased(const std::string& node,
                                     const std::vector<std::string>& uids) {
  {
    const std::lock_guard lock(mutex_);
    const std::set<std::string> now(uids.begin(), uids.end());
    if (std::ranges::includes(released_[node], now)) return;
    // Merged: the node tells the newest of them only.
    released_[node].insert(now.begin(), now.end());
  }
  context_.wake();
}

bool KubernetesCluster::EndAsked(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto it = burst_nodes_.find(node);
  return it != burst_nodes_.end() && site::Deleting(it->second);
}

Result<server::Backend::LogChunk> KubernetesCluster::Logs(const std::string& ns,
                                                          const std::string& pod,
                                                          std::int64_t offset) {
  const store::ObjectPtr object = store_.Get({"Pod", ns, pod});
  if (object == nullptr)
    if (const store::ObjectPtr ended = store_.Get({daemon::kEndedPod, ns, pod}))
      return server::Backend::LogChunk{
          logs_.Read(std::string(StringOr(ended->body, "podUid", "")), offset), true};
  if (object == nullptr)
    return Fail(Code::kNotFound, fmt::format("Pod \"{}\" not found in namespace {}", pod, ns));
  const bool finished = site::Finished(object->body);
  {
    const std::unique_lock lock(mutex_);
    if (logs_kept_.contains(object->uid))
      return server::Backend::LogChunk{logs_.Read(object->uid, offset), finished};
  }
  SPW_ASSIGN(const std::string text, options_.api->Log(ns, pod, FirstContainer(object->body),
                                                       offset + server::Backend::kLogPiece));
  const std::size_t from = std::min(text.size(), static_cast<std::size_t>(offset));
  return server::Backend::LogChunk{text.substr(from), finished};
}

std::vector<std::string> KubernetesCluster::Simulated() const {
  for (const store::ObjectPtr& provider : store_.List("CloudProvider"))
    if (StringOr(site::SpecOf(provider->body), "type", "") == "simulated")
      return {
          "GPUs: those of the rented machines are numbers that a device plug-in hands out, "
          "nothing computes on them."};
  return {};
}

void KubernetesCluster::AddFindings(std::vector<server::Finding>& findings) const {
  std::string missing;
  for (const std::string_view plural : Unread())
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", plural);
  findings.push_back({"kubernetes", missing.empty(),
                      missing.empty() ? "the API server answers and every watch has synced"
                                      : "not read yet: " + missing +
                                            "; look at the log and at the rights of the daemon"});
  findings.push_back({"leader", options_.leads(),
                      options_.leads() ? "this replica leads" : "another replica leads"});
}

}  // namespace spillway::kubernetes
