#include "kubernetes/volumes.h"

#include <fmt/format.h>

#include <algorithm>

#include "kubernetes/mirror.h"
#include "site/objects.h"

namespace spillway::kubernetes {

bool NamesOurs(const json::value& claim) {
  return StringOr(site::SpecOf(claim), "volumeName", "").empty() && !site::Deleting(claim) &&
         (!site::AnnotationOf(claim, site::kDatasetAnnotation).empty() ||
          !site::AnnotationOf(claim, site::kResultsAnnotation).empty());
}

bool WantsVolume(const json::value& claim) {
  return NamesOurs(claim) && StringOr(site::SpecOf(claim), "storageClassName", "") == kStorageClass;
}

std::string VolumeName(const json::value& claim) {
  return "spillway-" + MetadataText(claim, "uid");
}

json::value VolumeFor(const json::value& claim, const VolumePlace& place) {
  const std::string ns = MetadataText(claim, "namespace"), name = MetadataText(claim, "name");
  const json::value& spec = site::SpecOf(claim);
  json::array modes;
  if (const json::array* asked = FindArray(spec, "accessModes")) modes = *asked;
  json::object attributes{{"kind", place.results ? "results" : "dataset"},
                          {"namespace", ns},
                          {"claim", name},
                          {"directory", place.directory.empty() ? "." : place.directory}};
  if (!place.bucket.empty()) {
    attributes["bucket"] = place.bucket;
    attributes["dataset"] = place.dataset;
  }
  const json::value* storage = FindPath(spec, {"resources", "requests", "storage"});
  return json::object{
      {"apiVersion", "v1"},
      {"kind", "PersistentVolume"},
      {"metadata", json::object{{"name", VolumeName(claim)}}},
      {"spec",
       json::object{{"capacity",
                     json::object{{"storage", storage == nullptr ? json::value("1Gi") : *storage}}},
                    {"accessModes", std::move(modes)},
                    {"storageClassName", kStorageClass},
                    // The volume is a name for a directory; that stays when the claim goes.
                    {"persistentVolumeReclaimPolicy", "Retain"},
                    {"claimRef", json::object{{"apiVersion", "v1"},
                                              {"kind", "PersistentVolumeClaim"},
                                              {"namespace", ns},
                                              {"name", name},
                                              {"uid", MetadataText(claim, "uid")}}},
                    {"csi", json::object{{"driver", kDriver},
                                         {"volumeHandle", fmt::format("{}/{}", ns, name)},
                                         {"readOnly", !place.results},
                                         {"volumeAttributes", std::move(attributes)}}}}}};
}

bool IsOurVolume(const json::value& volume) {
  const json::value* driver = FindPath(volume, {"spec", "csi", "driver"});
  return driver != nullptr && driver->is_string() && View(driver->get_string()) == kDriver;
}

bool IsDaemonPod(const json::value& pod) {
  const json::value* metadata = Find(pod, "metadata");
  const json::array* owners =
      metadata == nullptr ? nullptr : FindArray(*metadata, "ownerReferences");
  return owners != nullptr && std::ranges::any_of(*owners, [](const json::value& owner) {
           return StringOr(owner, "kind", "") == "DaemonSet";
         });
}

}  // namespace spillway::kubernetes
