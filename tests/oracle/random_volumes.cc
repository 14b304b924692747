#include "tests/oracle/random_cluster.h"

namespace spillway::oracle {
namespace {

constexpr const char* kDriver = "csi.example.com";

json::object Object(const char* version, const char* kind, const std::string& name) {
  return {{"apiVersion", version}, {"kind", kind}, {"metadata", json::object{{"name", name}}}};
}

json::object AffinityOf(Rng& rng) {
  json::object expression{{"key", kZoneLabel},
                          {"operator", Pick(rng, {"In", "In", "NotIn"})},
                          {"values", json::array{Pick(rng, {"a", "b", "c"})}}};
  if (rng.Chance(1, 3))
    expression = {{"key", kHostLabel},
                  {"operator", "In"},
                  {"values", json::array{Pick(rng, {"n0", "n1"}), "n2"}}};
  return {
      {"required", json::object{{"nodeSelectorTerms",
                                 json::array{json::object{
                                     {"matchExpressions", json::array{std::move(expression)}}}}}}}};
}

json::object Volume(Rng& rng, const std::string& name, const char* storage_class) {
  json::object volume = Object("v1", "PersistentVolume", name);
  json::object spec{{"capacity", json::object{{"storage", Pick(rng, {"1Gi", "5Gi"})}}},
                    {"accessModes", json::array{"ReadWriteOnce"}},
                    {"storageClassName", storage_class}};
  if (rng.Chance(1, 2))
    spec["csi"] = json::object{{"driver", kDriver}, {"volumeHandle", "h" + name}};
  else
    spec["local"] = json::object{{"path", "/x"}};
  if (rng.Chance(1, 2)) spec["nodeAffinity"] = AffinityOf(rng);
  json::object labels;
  if (rng.Chance(1, 4)) labels[kZoneLabel] = Pick(rng, {"a", "b", "a__c"});
  if (rng.Chance(1, 10)) labels["failure-domain.beta.kubernetes.io/zone"] = Pick(rng, {"a", "b"});
  if (!labels.empty()) volume["metadata"].get_object()["labels"] = std::move(labels);
  volume["spec"] = std::move(spec);
  volume["status"] = json::object{{"phase", "Available"}};
  return volume;
}

// Once per cluster: classes, node limits, and volumes that nobody has yet.
void AddCommon(Rng& rng, RandomCluster& cluster) {
  for (const char* name : {"now", "later", "topology", "local"}) {
    json::object item = Object("storage.k8s.io/v1", "StorageClass", name);
    const std::string_view which = name;
    item["provisioner"] = which == "local" ? "kubernetes.io/no-provisioner" : kDriver;
    item["volumeBindingMode"] = which == "now" ? "Immediate" : "WaitForFirstConsumer";
    if (which == "topology")
      item["allowedTopologies"] = json::array{json::object{
          {"matchLabelExpressions",
           json::array{json::object{{"key", kZoneLabel},
                                    {"values", json::array{Pick(rng, {"a", "b"})}}}}}}};
    cluster.objects.push_back(std::move(item));
  }
  for (std::int64_t i = 0, count = rng.Between(0, 2); i < count; ++i)
    cluster.objects.push_back(Volume(rng, "free" + std::to_string(i), "local"));
  if (rng.Chance(1, 10)) {
    json::object driver = Object("storage.k8s.io/v1", "CSIDriver", kDriver);
    driver["spec"] = json::object{{"storageCapacity", true}};
    cluster.objects.push_back(std::move(driver));
  }
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    if (!rng.Chance(1, 2)) continue;
    const std::string name = "n" + std::to_string(i);
    json::object item = Object("storage.k8s.io/v1", "CSINode", name);
    item["spec"] = json::object{
        {"drivers",
         json::array{json::object{{"name", kDriver},
                                  {"nodeID", name},
                                  {"allocatable", json::object{{"count", rng.Between(1, 2)}}}}}}};
    cluster.objects.push_back(std::move(item));
  }
}

json::object Bind(Rng& rng, const std::string& ns, json::object claim, RandomCluster& cluster) {
  const std::string claim_name(View(claim["metadata"].get_object()["name"].get_string()));
  const std::string name = ns + "-" + claim_name;
  claim["metadata"].get_object()["annotations"] =
      json::object{{"pv.kubernetes.io/bind-completed", "yes"}};
  claim["spec"].get_object()["volumeName"] = name;
  claim["status"] = json::object{{"phase", rng.Chance(1, 20) ? "Lost" : "Bound"}};
  if (rng.Chance(1, 20)) return claim;  // its volume is gone
  json::object volume = Volume(rng, name, "now");
  volume["spec"].get_object()["claimRef"] = json::object{{"namespace", ns}, {"name", claim_name}};
  volume["status"] = json::object{{"phase", "Bound"}};
  cluster.objects.push_back(std::move(volume));
  return claim;
}

}  // namespace

std::vector<std::string> AddVolumes(Rng& rng, const std::string& ns, RandomCluster& cluster) {
  if (ns == "default") AddCommon(rng, cluster);
  std::vector<std::string> names;
  for (std::int64_t i = 0, count = rng.Between(1, 4); i < count; ++i) {
    names.push_back("c" + std::to_string(i));
    json::object claim = Object("v1", "PersistentVolumeClaim", names.back());
    claim["metadata"].get_object()["namespace"] = ns;
    const char* storage_class = Pick(rng, {"later", "topology", "local"});
    claim["spec"] = json::object{
        {"accessModes", json::array{rng.Chance(1, 5) ? "ReadWriteOncePod" : "ReadWriteOnce"}},
        {"storageClassName", storage_class},
        {"resources",
         json::object{{"requests", json::object{{"storage", Pick(rng, {"1Gi", "3Gi"})}}}}}};
    if (rng.Chance(1, 2)) {
      claim = Bind(rng, ns, std::move(claim), cluster);
    } else if (rng.Chance(1, 10)) {
      claim["spec"].get_object()["storageClassName"] = "now";
    } else if (rng.Chance(1, 10)) {
      claim["metadata"].get_object()["annotations"] =
          json::object{{"volume.kubernetes.io/selected-node", Pick(rng, {"n0", "n1"})}};
    }
    if (rng.Chance(1, 25))
      claim["metadata"].get_object()["deletionTimestamp"] = "2026-11-24T12:00:00Z";
    cluster.objects.push_back(std::move(claim));
  }
  if (rng.Chance(1, 4)) names.emplace_back("absent");
  return names;
}

}  // namespace spillway::oracle
