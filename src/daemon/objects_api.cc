#include "daemon/objects_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "site/job_controller.h"
#include "site/objects.h"

namespace spillway::daemon {
namespace {

json::object MetadataPart(const json::value& object, std::string_view key) {
  const json::value* metadata = Find(object, "metadata");
  const json::object* part = metadata == nullptr ? nullptr : FindObject(*metadata, key);
  return part == nullptr ? json::object{} : *part;
}

// Every member that `wanted` states has that value in `have`, which may have more (what the system
// added).
bool Within(const json::value& wanted, const json::value& have) {
  if (const json::object* object = wanted.if_object()) {
    return std::all_of(object->begin(), object->end(), [&](const auto& member) {
      const json::value* other =
          have.is_object() ? have.get_object().if_contains(member.key()) : nullptr;
      return other != nullptr && Within(member.value(), *other);
    });
  }
  return wanted == have;
}

// What a person wrote: everything but status and what the system keeps in metadata.
json::object Intent(const json::value& object) {
  json::object intent;
  for (const auto& member : object.get_object())
    if (member.key() != "status" && member.key() != "metadata")
      intent[member.key()] = member.value();
  intent["labels"] = MetadataPart(object, "labels");
  intent["annotations"] = MetadataPart(object, "annotations");
  return intent;
}

// Why an existing object cannot become the new one; empty if it can.
std::string Immutable(const std::string& kind, const json::value& old_object,
                      const json::value& new_object) {
  if (kind == "Pod") return "a pod cannot be changed; delete it and apply it again";
  if (kind != "Job") return "";
  for (std::string_view field : {"template", "completionMode", "completions"}) {
    const json::value* a = Find(site::SpecOf(old_object), field);
    const json::value* b = Find(site::SpecOf(new_object), field);
    if ((a == nullptr) != (b == nullptr) || (a != nullptr && *a != *b))
      return fmt::format("spec.{} of a Job cannot be changed; delete the Job and apply it again",
                         field);
  }
  return "";
}

// The object as it will be stored.
json::value Merge(const json::value& old_object, const json::value& new_object) {
  json::value merged = new_object;
  json::object& root = merged.get_object();
  if (const json::value* status = Find(old_object, "status");
      status != nullptr && old_object.at("kind") != "Node")
    root["status"] = *status;
  json::object metadata = old_object.at("metadata").get_object();
  metadata["labels"] = MetadataPart(new_object, "labels");
  metadata["annotations"] = MetadataPart(new_object, "annotations");
  root["metadata"] = std::move(metadata);
  return merged;
}

// Secret.stringData becomes data, as the API server does it.
void FoldStringData(json::value& object) {
  const json::object* strings = FindObject(object, "stringData");
  if (strings == nullptr) return;
  const json::object copy = *strings;
  json::object& root = object.get_object();
  if (!root["data"].is_object()) root["data"] = json::object{};
  for (const auto& member : copy)
    if (member.value().is_string())
      root["data"].get_object()[member.key()] = Base64(AsBytes(View(member.value().get_string())));
  root.erase("stringData");
}

schema::Problem ProblemAt(const schema::Manifest& m, std::string field, std::string wrong,
                          std::string right) {
  return {m.file, {}, std::move(field), std::move(wrong), std::move(right)};
}

class Applying {
 public:
  Applying(store::Store& store, Time now) : store_(store), now_(now) {}

  void Add(const schema::Manifest& m) {
    std::string name = m.name;
    json::value object = m.document.value;
    if (name.empty()) {
      const std::string prefix(StringOr(object.at("metadata"), "generateName", "x-"));
      name =
          prefix + Sha256Hex(fmt::format("{}{}", now_.time_since_epoch().count(), writes_.size()))
                       .substr(0, 5);
      object.at("metadata").get_object().erase("generateName");
    }
    const std::string& kind = m.kind->kind;
    const store::ObjectKey key{kind, m.ns, name};
    if (kind == "BurstNode") {
      problems_.push_back(ProblemAt(m, "kind", "BurstNodes are made by Spillway",
                                    "apply a BurstPolicy that admits the workload"));
      return;
    }
    if (kind == "Secret") FoldStringData(object);
    const store::ObjectPtr current = store_.Get(key);
    if (current == nullptr) {
      AddNew(m, key, std::move(object));
      return;
    }
    const bool same =
        kind == "Pod"
            ? Within(Find(object, "spec") ? *Find(object, "spec") : json::value(json::object{}),
                     site::SpecOf(current->body))
            : Intent(object) == Intent(current->body) && SameNodeStatus(object, current->body);
    if (same) {
      applied_.push_back({{kind, m.ns, name}, "unchanged"});
      return;
    }
    if (std::string why = Immutable(kind, current->body, object); !why.empty()) {
      problems_.push_back(ProblemAt(m, "spec", fmt::format("{} {} exists and differs", kind, name),
                                    std::move(why)));
      return;
    }
    writes_.push_back({key, Merge(current->body, object), current->resource_version});
    applied_.push_back({{kind, m.ns, name}, "configured"});
  }

  Result<server::Backend::ApplyOutcome> Finish(bool dry_run) {
    server::Backend::ApplyOutcome outcome;
    outcome.problems = std::move(problems_);
    if (!outcome.problems.empty()) return outcome;
    if (!dry_run && !writes_.empty()) {
      const auto written = store_.Apply(std::move(writes_));
      if (!written) return tl::unexpected(written.error());
    }
    outcome.applied = std::move(applied_);
    return outcome;
  }

 private:
  // A site machine's capacity is declared in its manifest's status.
  static bool SameNodeStatus(const json::value& wanted, const json::value& have) {
    if (StringOr(wanted, "kind", "") != "Node") return true;
    const json::value* status = Find(wanted, "status");
    const json::value* other = Find(have, "status");
    return status == nullptr || (other != nullptr && Within(*status, *other));
  }

  void AddNew(const schema::Manifest& m, const store::ObjectKey& key, json::value object) {
    if (key.kind == "Pod") {
      Status admitted = site::AdmitPod(store_, object);
      if (admitted) admitted = site::CheckQuota(store_, key.ns, site::SpecOf(object));
      if (!admitted) {
        problems_.push_back(ProblemAt(m, "spec", admitted.error().message,
                                      "ask for less, or raise the ResourceQuota"));
        return;
      }
      object.get_object()["status"] = json::object{{"phase", "Pending"}};
    }
    writes_.push_back({key, std::move(object), 0});
    applied_.push_back({{key.kind, key.ns, key.name}, "created"});
  }

  store::Store& store_;
  Time now_;
  std::vector<store::Write> writes_;
  std::vector<server::Applied> applied_;
  std::vector<schema::Problem> problems_;
};

bool ClusterScoped(const std::string& kind) {
  const schema::Kind* known = schema::Schemas::Embedded().FindResource(kind);
  return known != nullptr && !known->namespaced;
}

std::vector<const json::value*> Existing(const store::Store& store,
                                         std::vector<store::ObjectPtr>& keep) {
  std::vector<const json::value*> existing;
  std::set<std::string> kinds;
  for (const schema::Kind& kind : schema::Schemas::Embedded().kinds()) kinds.insert(kind.kind);
  for (const std::string& kind : kinds)
    for (store::ObjectPtr& object : store.List(kind)) {
      existing.push_back(&object->body);
      keep.push_back(std::move(object));
    }
  return existing;
}

Status MarkDeleting(store::Store& store, const store::ObjectKey& key, Time now) {
  return store.Update(key, [&](json::value& body) {
    if (site::Deleting(body)) return false;
    body.at("metadata").get_object()["deletionTimestamp"] = FormatTime(now);
    return true;
  });
}

// What stands in the way of deleting this; empty if nothing.
std::string InUse(const store::Store& store, const store::StoredObject& object) {
  const std::string& kind = object.key.kind;
  if (kind == "BurstNode") {
    const json::value* status = Find(object.body, "status");
    if (status == nullptr || StringOr(*status, "phase", "") != "Gone")
      return "it is live; delete its workload and it is wiped and returned at once, with its bill "
             "and certificate";
  }
  if (kind == "CloudProvider") {
    for (const store::ObjectPtr& node : store.List("BurstNode")) {
      const json::value* status = Find(node->body, "status");
      const json::value* offer = FindPath(node->body, {"spec", "offer"});
      if (status == nullptr || offer == nullptr || StringOr(*status, "phase", "") == "Gone")
        continue;
      if (StringOr(*offer, "provider", "") == object.key.name)
        return fmt::format("BurstNode {} still lives there; wait until it is Gone", node->key.name);
    }
  }
  if (kind == "Namespace")
    for (const char* inside : {"Job", "Pod", "Dataset", "PersistentVolumeClaim"})
      if (!store.List(inside, object.key.name).empty())
        return fmt::format("it still has a {}; delete what is in it first", inside);
  return "";
}

}  // namespace

Result<server::Backend::ApplyOutcome> ApplyManifests(
    store::Store& store, const std::vector<schema::CatalogProvider>& catalog,
    const std::string& file, const std::string& text, const std::string& default_namespace,
    bool dry_run, Time now) {
  const schema::Manifests manifests = schema::ReadManifests(file, text, default_namespace);
  server::Backend::ApplyOutcome outcome;
  outcome.problems = manifests.problems;
  if (!outcome.problems.empty()) return outcome;
  std::vector<store::ObjectPtr> keep;
  const std::vector<const json::value*> existing = Existing(store, keep);
  outcome.problems = schema::CheckTogether(manifests.objects, existing, catalog);
  if (!outcome.problems.empty()) return outcome;
  Applying applying(store, now);
  for (const schema::Manifest& manifest : manifests.objects) applying.Add(manifest);
  return applying.Finish(dry_run);
}

Status DeleteObject(store::Store& store, const server::ObjectRef& ref, bool dry_run, Time now) {
  const store::ObjectKey key{ref.kind, ClusterScoped(ref.kind) ? "" : ref.ns, ref.name};
  const store::ObjectPtr object = store.Get(key);
  if (object == nullptr)
    return Fail(Code::kNotFound, fmt::format("{} \"{}\" not found", ref.kind, ref.name));
  if (const std::string why = InUse(store, *object); !why.empty())
    return Fail(Code::kConflict,
                fmt::format("{} \"{}\" cannot be deleted: {}", ref.kind, ref.name, why));
  if (dry_run) return Ok();
  const bool ends_first =
      ref.kind == "Job" ||
      (ref.kind == "Pod" && !site::NodeOf(object->body).empty() && !site::Finished(object->body));
  if (ends_first) return MarkDeleting(store, key, now);
  const auto removed = store.Apply({{key, {}, std::nullopt, true}});
  return removed ? Ok() : Status(tl::unexpected(removed.error()));
}

}  // namespace spillway::daemon
