#include "tests/oracle/random_cluster.h"

namespace spillway::oracle {
namespace {

std::string Number(std::int64_t n) {
  return std::to_string(n);
}

json::array Taints(Rng& rng) {
  json::array taints;
  for (const char* key : {"dedicated", "maintenance", "spillway.dev/burst"})
    if (rng.Chance(1, 9))
      taints.push_back(
          json::object{{"key", key},
                       {"value", Pick(rng, {"a", "b", ""})},
                       {"effect", Pick(rng, {"NoSchedule", "NoExecute", "PreferNoSchedule"})}});
  return taints;
}

json::value MakeNode(Rng& rng, const std::string& name) {
  json::object labels{{kHostLabel, name}};
  if (rng.Chance(9, 10)) labels[kZoneLabel] = Pick(rng, {"a", "b", "c"});
  if (rng.Chance(9, 10)) labels["topology.kubernetes.io/region"] = Pick(rng, {"r1", "r2"});
  if (rng.Chance(1, 12)) labels["failure-domain.beta.kubernetes.io/zone"] = Pick(rng, {"a", "b"});
  if (rng.Chance(2, 3)) labels["disk"] = Pick(rng, {"ssd", "hdd"});
  if (rng.Chance(2, 3)) labels["rank"] = Pick(rng, {"1", "3", "5", "07", "x"});
  if (rng.Chance(1, 3)) labels["rack"] = Pick(rng, {"1", "2"});
  json::object capacity{{"cpu", Number(rng.Between(1, 8))},
                        {"memory", Number(rng.Between(1, 8)) + "Gi"},
                        {"ephemeral-storage", Number(rng.Between(5, 20)) + "Gi"},
                        {"pods", Number(rng.Chance(1, 4) ? rng.Between(1, 4) : 110)}};
  if (rng.Chance(1, 2)) capacity["nvidia.com/gpu"] = Number(rng.Between(0, 4));
  if (rng.Chance(1, 3)) capacity["example.com/fpga"] = Number(rng.Between(1, 3));
  if (rng.Chance(1, 4)) capacity["hugepages-2Mi"] = Number(rng.Between(1, 8) * 2) + "Mi";
  json::object spec;
  if (json::array taints = Taints(rng); !taints.empty()) spec["taints"] = std::move(taints);
  if (rng.Chance(1, 10)) spec["unschedulable"] = true;
  return json::object{{"metadata", json::object{{"name", name}, {"labels", std::move(labels)}}},
                      {"spec", std::move(spec)},
                      {"status", json::object{{"capacity", std::move(capacity)}}}};
}

// A pod that is there already, perhaps on its way out or done.
json::value BoundPod(Rng& rng, json::value pod, const std::string& node) {
  json::object& root = pod.get_object();
  root["spec"].get_object()["nodeName"] = node;
  if (rng.Chance(1, 9)) root["metadata"].get_object()["deletionTimestamp"] = "2026-11-24T12:00:00Z";
  json::object status{{"phase", rng.Chance(1, 12) ? "Succeeded" : "Running"}};
  if (rng.Chance(1, 8))
    status["containerStatuses"] = json::array{json::object{
        {"name", "c0"},
        {"resources", json::object{{"requests", json::object{{"cpu", Pick(rng, {"100m", "2"})}}}}},
        {"allocatedResources", json::object{{"cpu", Pick(rng, {"100m", "3"})}}}}};
  root["status"] = std::move(status);
  return pod;
}

}  // namespace

RandomCluster MakeCluster(Rng& rng) {
  RandomCluster cluster;
  const std::vector<std::string> namespaces = {"default", "blue", "green"};
  std::vector<std::vector<std::string>> claims(namespaces.size());
  const bool volumes = rng.Chance(1, 3);
  for (std::int64_t i = 0, count = rng.Between(2, 7); i < count; ++i)
    cluster.nodes.push_back(MakeNode(rng, "n" + Number(i)));
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    json::object labels{{"kubernetes.io/metadata.name", namespaces[i]}};
    if (rng.Chance(2, 3)) labels["team"] = Pick(rng, {"x", "y"});
    cluster.objects.push_back(json::object{
        {"apiVersion", "v1"},
        {"kind", "Namespace"},
        {"metadata", json::object{{"name", namespaces[i]}, {"labels", std::move(labels)}}}});
    if (volumes) claims[i] = AddVolumes(rng, namespaces[i], cluster);
  }
  auto pod = [&](const std::string& name) {
    const std::size_t ns = rng.Chance(2, 3) ? 0 : rng.Below(namespaces.size());
    return MakePod(rng, name, namespaces[ns], claims[ns]);
  };
  for (std::int64_t i = 0, count = rng.Between(0, 12); i < count; ++i)
    cluster.bound.push_back(
        BoundPod(rng, pod("b" + Number(i)),
                 "n" + Number(static_cast<std::int64_t>(rng.Below(cluster.nodes.size())))));
  for (std::int64_t i = 0, count = rng.Between(3, 7); i < count; ++i)
    cluster.pending.push_back(pod("p" + Number(i)));
  return cluster;
}

}  // namespace spillway::oracle
