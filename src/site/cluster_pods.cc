#include "site/cluster_pods.h"

#include <algorithm>
#include <iterator>

#include "site/objects.h"

namespace spillway::site {

ClusterPods::ClusterPods(const store::Store& store, bool keep_burst_tolerations,
                         std::vector<store::ObjectPtr> pods)
    : pods_(std::move(pods)) {
  objects_.keep_burst_tolerations = keep_burst_tolerations;
  Add({});
  auto add = [&](const char* kind, PodObjects::List& list) {
    for (store::ObjectPtr& object : store.List(kind)) {
      list.push_back(&object->body);
      others_.push_back(std::move(object));
    }
  };
  add("DaemonSet", objects_.daemon_sets);
  add("Namespace", objects_.namespaces);
  add("PersistentVolumeClaim", objects_.claims);
  add("PersistentVolume", objects_.volumes);
  add("StorageClass", objects_.storage_classes);
  add("CSIDriver", objects_.csi_drivers);
}

void ClusterPods::Add(std::vector<store::ObjectPtr> pods) {
  if (!pods.empty()) {
    std::ranges::move(pods, std::back_inserter(pods_));
    std::ranges::sort(pods_, {}, [](const store::ObjectPtr& pod) { return pod->key; });
  }
  objects_.pods.clear();
  for (const store::ObjectPtr& pod : pods_) objects_.pods.push_back(&pod->body);
}

std::vector<store::ObjectPtr> UnfinishedPods(const store::Store& store) {
  std::vector<store::ObjectPtr> pods = store.List("Pod");
  std::erase_if(pods, [](const store::ObjectPtr& pod) { return Finished(pod->body); });
  return pods;
}

bool Gated(const json::value& pod) {
  const json::array* gates = FindArray(SpecOf(pod), "schedulingGates");
  return gates != nullptr && !gates->empty();
}

}  // namespace spillway::site
