#include "tests/oracle/our_view.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "model/decode.h"
#include "model/decode_pods.h"

namespace spillway::oracle {

OurView ViewOf(const RandomCluster& cluster, bool keep_burst_tolerations) {
  PodObjects objects;
  objects.keep_burst_tolerations = keep_burst_tolerations;
  for (const json::value& pod : cluster.bound)
    if (StringOr(pod.at("status"), "phase", "") != "Succeeded") objects.pods.push_back(&pod);
  const std::size_t bound = objects.pods.size();
  for (const json::value& pod : cluster.pending) objects.pods.push_back(&pod);
  std::map<std::string, std::map<std::string, std::int32_t>> limits;
  for (const json::value& object : cluster.objects) {
    const std::string kind(StringOr(object, "kind", ""));
    if (kind == "Namespace") objects.namespaces.push_back(&object);
    if (kind == "PersistentVolumeClaim") objects.claims.push_back(&object);
    if (kind == "PersistentVolume") objects.volumes.push_back(&object);
    if (kind == "StorageClass") objects.storage_classes.push_back(&object);
    if (kind == "CSIDriver") objects.csi_drivers.push_back(&object);
    if (kind == "CSINode")
      limits[std::string(StringOr(object.at("metadata"), "name", ""))] = DecodeVolumeLimits(object);
  }
  DecodedPods decoded = DecodePods(objects);
  SPW_CHECK(decoded.problems.empty(), "random pods can be read");
  OurView view;
  view.snapshot.shapes = std::move(decoded.shapes);
  view.snapshot.groups = std::move(decoded.groups);
  for (const json::value& object : cluster.nodes) {
    Result<Node> node = DecodeNode(object);
    SPW_CHECK(node.has_value(), "random nodes can be read");
    node->volume_limits = limits[node->name];
    view.snapshot.nodes.push_back(std::move(*node));
  }
  for (std::size_t i = 0; i < bound; ++i) {
    Pod& pod = view.snapshot.pods.emplace_back();
    pod.shape = decoded.shape_of[i];
    pod.node = StringOr(objects.pods[i]->at("spec"), "nodeName", "");
    pod.phase = PodPhase::kRunning;
    pod.deleting = FindPath(*objects.pods[i], {"metadata", "deletionTimestamp"}) != nullptr;
  }
  view.pending.assign(decoded.shape_of.begin() + static_cast<std::ptrdiff_t>(bound),
                      decoded.shape_of.end());
  return view;
}

json::value DocumentOf(const RandomCluster& cluster) {
  auto list = [](const std::vector<json::value>& values) {
    return json::array(values.begin(), values.end());
  };
  return json::object{{"nodes", list(cluster.nodes)},
                      {"pods", list(cluster.bound)},
                      {"pending", list(cluster.pending)},
                      {"objects", list(cluster.objects)}};
}

std::string Sentence(const json::array& rejections) {
  std::string out;
  for (const json::value& rejection : rejections)
    out += fmt::format("{}: {}; ", StringOr(rejection, "plugin", ""),
                       StringOr(rejection, "reason", ""));
  return out;
}

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace spillway::oracle
