#include "daemon/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/log.h"
#include "site/objects.h"

namespace spillway::daemon {
namespace {

constexpr const char* kCompared[] = {"CloudProvider", "BurstPolicy", "Budget"};

// An object as if it had just been applied. Its key stands for the file, so that a problem finds
// its object again.
schema::Manifest AsManifest(const store::StoredObject& object) {
  schema::Manifest manifest;
  manifest.file = object.key.kind + "/" + object.key.name;
  manifest.document.value = object.body;
  manifest.kind =
      schema::Schemas::Embedded().Find(StringOr(object.body, "apiVersion", ""), object.key.kind);
  manifest.name = object.key.name;
  return manifest;
}

}  // namespace

void Agreement::Tell(Cluster& cluster, const store::Store& store,
                     std::span<const schema::CatalogProvider> catalog, Time now) {
  std::vector<store::ObjectPtr> objects;
  for (const char* kind : kCompared)
    for (store::ObjectPtr& object : store.List(kind)) objects.push_back(std::move(object));
  const std::vector<store::ObjectPtr> spaces = store.List("Namespace");
  std::string seen;
  const auto see = [&](const store::ObjectPtr& object) {
    seen += fmt::format("{} {};", object->uid, object->resource_version);
  };
  std::ranges::for_each(objects, see);
  std::ranges::for_each(spaces, see);
  if (seen == seen_) return;
  // Of two that contradict each other the newer one is told.
  std::ranges::stable_sort(objects, {},
                           [](const auto& object) { return site::CreatedAt(object->body); });
  std::vector<schema::Manifest> declared;
  for (const store::ObjectPtr& object : objects)
    if (schema::Manifest manifest = AsManifest(*object); manifest.kind != nullptr)
      declared.push_back(std::move(manifest));
  std::vector<const json::value*> existing;
  for (const store::ObjectPtr& space : spaces) existing.push_back(&space->body);

  std::map<std::string, std::string> said;
  for (const schema::Problem& problem : schema::CheckTogether(declared, existing, catalog)) {
    std::string& text = said[problem.file];
    text += fmt::format("{}{}: {}: {}", text.empty() ? "" : "; ", problem.field, problem.wrong,
                        problem.right);
  }
  bool all = true;
  for (const store::ObjectPtr& object : objects) {
    const auto wrong = said.find(object->key.kind + "/" + object->key.name);
    const bool fits = wrong == said.end();
    const Status written = cluster.UpdateStatus(object->key, [&](json::value& body) {
      json::value& status = body.get_object()["status"];
      if (!status.is_object()) status = json::object{};
      return site::SetCondition(body, "Consistent", fits, fits ? "Consistent" : "Contradiction",
                                fits ? "fits to the other objects" : wrong->second, now);
    });
    if (written || written.error().code == Code::kNotFound) continue;
    log::Warn("a status was not written", {{"kind", object->key.kind},
                                           {"name", object->key.name},
                                           {"error", written.error().message}});
    all = false;
  }
  if (all) seen_ = std::move(seen);
}

}  // namespace spillway::daemon
