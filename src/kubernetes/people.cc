// What people see in the cluster: events, status, the BurstNode objects; and what the spillway
// command asks to be applied or deleted.
#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "control/advance.h"
#include "kubernetes/kubernetes_cluster.h"
#include "kubernetes/mirror.h"
#include "model/decode.h"
#include "schema/manifest.h"
#include "site/objects.h"
#include "site/promises.h"

namespace spillway::kubernetes {
namespace {

constexpr std::string_view kComponent = "spillway";
constexpr std::size_t kMaxKnownEvents = 2'000;
// Costs of live nodes are shown this fresh.
constexpr Duration kShowCost{std::chrono::seconds(60)};

const Resource* ResourceOf(std::string_view kind) {
  for (const Resource* resource : kMirrored)
    if (resource->kind == kind) return resource;
  if (kind == kBurstNodes.kind) return &kBurstNodes;
  if (kind == kSecrets.kind) return &kSecrets;
  return OptionalKind(kind);
}

std::string ApiVersion(const Resource& resource) {
  return resource.group.empty() ? std::string(resource.version)
                                : fmt::format("{}/{}", resource.group, resource.version);
}

json::object EventFor(const store::ObjectKey& about, const std::string& uid, bool warning,
                      std::string_view reason, const std::string& message, Time first, Time now,
                      int count, const std::string& name) {
  const Resource* resource = ResourceOf(about.kind);
  const std::string ns = about.ns.empty() ? "default" : about.ns;
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", json::object{{"name", name}, {"namespace", ns}}},
          {"involvedObject",
           json::object{{"apiVersion", resource == nullptr ? "v1" : ApiVersion(*resource)},
                        {"kind", about.kind},
                        {"namespace", about.ns},
                        {"name", about.name},
                        {"uid", uid}}},
          {"reason", reason},
          {"message", message.substr(0, 1024)},
          {"type", warning ? "Warning" : "Normal"},
          {"source", json::object{{"component", kComponent}}},
          {"reportingComponent", kComponent},
          {"firstTimestamp", FormatTime(first)},
          {"lastTimestamp", FormatTime(now)},
          {"count", count}};
}

}  // namespace

void KubernetesCluster::AddEvent(const store::ObjectKey& about, bool warning,
                                 std::string_view reason, const std::string& message) {
  store_.AddEvent(about, warning, std::string(reason), message);
  // One Event object per sentence about one object, counted: repeats never flood.
  PostEvent(about, warning, reason, message, message);
}

// One Event object for all of the progress.
void KubernetesCluster::UpdateEvent(const store::ObjectKey& about, std::string_view reason,
                                    const std::string& message) {
  PostEvent(about, false, reason, message, "");
}

void KubernetesCluster::PostEvent(store::ObjectKey about, bool warning, std::string_view reason,
                                  const std::string& message, std::string_view topic) {
  // Nobody sees a pod that is only promised; they see the request that promises it.
  if (about.kind == "Pod")
    if (const auto request = site::RequestOfPromised(about.name))
      about = {site::kProvisioningRequest, about.ns, *request};
  std::string uid;
  if (const store::ObjectPtr object = store_.Get(about)) uid = object->uid;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = burst_nodes_.find(about.name);
        about.kind == kBurstNodes.kind && it != burst_nodes_.end())
      uid = StringOr(it->second.at("metadata"), "uid", "");
  }
  const std::string key =
      fmt::format("{}/{}/{}/{}/{}/{}", about.kind, about.ns, about.name, uid, reason, topic);
  const std::string name =
      fmt::format("{}.{}", about.name.substr(0, 200), Sha256Hex(key).substr(0, 16));
  const Time now = SystemClock().Now();  // kubectl shows how long ago by a real clock
  ToldEvent told;
  {
    const std::lock_guard lock(mutex_);
    if (events_.size() >= kMaxKnownEvents && !events_.contains(key)) events_.clear();
    ToldEvent& known = events_.try_emplace(key, ToldEvent{now, 0}).first->second;
    // Progress is not the same thing once more.
    if (!topic.empty() || known.count == 0) ++known.count;
    told = known;
  }
  json::object event =
      EventFor(about, uid, warning, reason, message, told.first, now, told.count, name);
  const std::string ns = about.ns.empty() ? "default" : about.ns;
  event_worker_.Do(
      "Event/" + ns + "/" + name, [this, event = std::move(event), ns, name]() -> Status {
        const auto made = options_.api->Create(kEvents, ns, event);
        if (made || made.error().code != Code::kConflict)
          return made ? Ok() : Status(tl::unexpected(made.error()));
        const auto again =
            options_.api->Patch(kEvents, ns, name, "", PatchKind::kMerge,
                                json::object{{"message", event.at("message")},
                                             {"count", event.at("count")},
                                             {"lastTimestamp", event.at("lastTimestamp")}});
        return again ? Ok() : Status(tl::unexpected(again.error()));
      });
}

Status KubernetesCluster::UpdateStatus(const store::ObjectKey& key,
                                       const std::function<bool(json::value& body)>& change) {
  const store::ObjectPtr object = store_.Get(key);
  const Resource* resource = ResourceOf(key.kind);
  if (object == nullptr || resource == nullptr)
    return Fail(Code::kNotFound, fmt::format("{} {} does not exist", key.kind, key.name));
  json::value body = object->body;
  {
    // What is on its way already counts as written.
    const std::lock_guard lock(mutex_);
    if (const auto it = statuses_.find(key); it != statuses_.end()) {
      const json::value* shown = Find(body, "status");
      if (shown != nullptr && *shown == it->second)
        statuses_.erase(it);  // the watch has brought it
      else
        body.get_object()["status"] = it->second;
    }
  }
  if (!change(body)) return Ok();
  json::value status = body.at("status");
  {
    const std::lock_guard lock(mutex_);
    statuses_[key] = status;
  }
  worker_.Do(fmt::format("{}/{}/{}/status", key.kind, key.ns, key.name),
             [this, key, resource, status = std::move(status)]() -> Status {
               const auto written =
                   options_.api->Patch(*resource, key.ns, key.name, "status", PatchKind::kMerge,
                                       json::object{{"status", status}});
               if (written) return Ok();
               const Code code = written.error().code;
               if (code == Code::kDenied || code == Code::kInvalid || code == Code::kNotFound) {
                 // Never written: the next round tries anew.
                 const std::lock_guard lock(mutex_);
                 statuses_.erase(key);
               }
               if (code != Code::kNotFound) return tl::unexpected(written.error());
               return Ok();
             });
  return Ok();
}

void KubernetesCluster::Project(const std::vector<BurstNode>& changed) {
  for (const BurstNode& node : changed) ProjectOne(node);
}

void KubernetesCluster::ProjectOne(const BurstNode& node) {
  const Time now = context_.clock->Now();
  BurstNode shown = node;
  if (node.Live()) shown.cost = control::CostAt(node, now).Total();
  json::value object = EncodeBurstNode(shown);
  {
    const std::lock_guard lock(mutex_);
    shown_[node.name] = {node.phase, now};
    // Asking for its deletion counts as a new generation of the object.
    if (const auto there = burst_nodes_.find(node.name); there != burst_nodes_.end())
      for (json::value& condition : object.at("status").at("conditions").as_array())
        condition.get_object()["observedGeneration"] =
            IntOr(there->second.at("metadata"), "generation", 1);
  }
  worker_.Do("BurstNode/" + node.name,
             [this, object = std::move(object), name = node.name, gone = !node.Live()]() -> Status {
               if (gone) SPW_TRY(joins_.Forget(name));
               return WriteBurstNode(object, gone);
             });
}

Status KubernetesCluster::WriteBurstNode(const json::value& object, bool gone) {
  const std::string name(StringOr(object.at("metadata"), "name", ""));
  if (gone) {
    // One that somebody deleted is not made again.
    const auto there = options_.api->Get(kBurstNodes, "", name);
    if (!there && there.error().code == Code::kNotFound) return Ok();
    if (!there) return tl::unexpected(there.error());
  }
  json::object metadata{{"name", name}};
  // The finalizer is ours alone: applying without it removes it.
  if (!gone) metadata["finalizers"] = json::array{kFinalizer};
  const auto spec = options_.api->Patch(kBurstNodes, "", name, "", PatchKind::kApply,
                                        json::object{{"apiVersion", "spillway.dev/v1alpha1"},
                                                     {"kind", "BurstNode"},
                                                     {"metadata", metadata},
                                                     {"spec", object.at("spec")}});
  if (!spec) return tl::unexpected(spec.error());
  const auto status = options_.api->Patch(kBurstNodes, "", name, "status", PatchKind::kMerge,
                                          json::object{{"status", object.at("status")}});
  // Without its finalizer a deleted object vanishes at once.
  if (!status && !(gone && status.error().code == Code::kNotFound))
    return tl::unexpected(status.error());
  return Ok();
}

// What the round did not change but the cluster does not show: after a restart, when somebody
// removed an object, and costs that go on.
void KubernetesCluster::SyncBurstNodes() {
  const Time now = context_.clock->Now();
  const auto nodes = store_.Nodes(Time{});
  if (!nodes) return;
  for (const BurstNode& node : *nodes) {
    bool project = false;
    {
      const std::lock_guard lock(mutex_);
      const auto there = burst_nodes_.find(node.name);
      const auto shown = shown_.find(node.name);
      const bool exists = there != burst_nodes_.end();
      if (node.Live())
        project = shown == shown_.end() || shown->second.phase != node.phase ||
                  now - shown->second.at >= kShowCost || !exists;
      else
        project = exists && (shown == shown_.end() || shown->second.phase != node.phase);
    }
    if (project && !worker_.Has("BurstNode/" + node.name)) ProjectOne(node);
  }
}

Result<server::Backend::ApplyOutcome> KubernetesCluster::Apply(
    const std::vector<schema::CatalogProvider>& catalog, const std::string& file_name,
    const std::string& text, const std::string& default_namespace, bool dry_run) {
  const schema::Manifests manifests = schema::ReadManifests(file_name, text, default_namespace);
  server::Backend::ApplyOutcome outcome;
  outcome.problems = manifests.problems;
  if (!outcome.problems.empty()) return outcome;
  std::vector<store::ObjectPtr> keep;
  std::vector<const json::value*> existing;
  for (const Resource* resource : kMirrored)
    for (store::ObjectPtr& object : store_.List(std::string(resource->kind))) {
      existing.push_back(&object->body);
      keep.push_back(std::move(object));
    }
  outcome.problems = schema::CheckTogether(manifests.objects, existing, catalog);
  if (!outcome.problems.empty()) return outcome;
  for (const schema::Manifest& manifest : manifests.objects) {
    const std::string& kind = manifest.kind->kind;
    const Resource* resource = ResourceOf(kind);
    if (resource == nullptr || kind == kBurstNodes.kind || manifest.name.empty()) {
      outcome.problems.push_back({manifest.file,
                                  {},
                                  "kind",
                                  fmt::format("a {} is not applied through Spillway", kind),
                                  "kubectl apply -f takes every kind"});
      return outcome;
    }
    const bool there = store_.Get({kind, manifest.ns, manifest.name}) != nullptr;
    outcome.applied.push_back(
        {{kind, manifest.ns, manifest.name}, there ? "configured" : "created"});
    if (dry_run) continue;
    const auto applied = options_.api->Patch(*resource, manifest.ns, manifest.name, "",
                                             PatchKind::kApply, manifest.document.value);
    if (!applied) return Fail(applied.error().In(fmt::format("{} {}", kind, manifest.name)));
  }
  return outcome;
}

Status KubernetesCluster::Delete(const server::ObjectRef& ref, bool dry_run) {
  const Resource* resource = ResourceOf(ref.kind);
  if (resource == nullptr)
    return Fail(Code::kInvalid,
                fmt::format("a {} is not deleted through Spillway: use kubectl", ref.kind));
  if (dry_run) {
    const auto there = options_.api->Get(*resource, ref.ns, ref.name);
    return there ? Ok() : Status(tl::unexpected(there.error()));
  }
  return options_.api->Delete(*resource, ref.ns, ref.name, "", -1);
}

}  // namespace spillway::kubernetes
