#include "tests/oracle/random_cluster.h"

namespace spillway::oracle {
namespace {

const char* Word(Rng& rng, std::string_view label) {
  if (label == "app") return Pick(rng, {"web", "db", "cache"});
  return Pick(rng, {"1", "2"});
}

json::object Quantities(Rng& rng, bool limits) {
  json::object out;
  if (rng.Chance(2, 3)) out["cpu"] = Pick(rng, {"100m", "500m", "1", "1500m", "3", "0"});
  if (rng.Chance(1, 2)) out["memory"] = Pick(rng, {"256Mi", "1Gi", "3Gi", "0"});
  if (rng.Chance(1, 8)) out["ephemeral-storage"] = Pick(rng, {"1Gi", "8Gi"});
  if (!limits) return out;
  // Kubernetes has no requests of these without limits.
  if (rng.Chance(1, 6)) out["nvidia.com/gpu"] = Pick(rng, {"1", "2", "0"});
  if (rng.Chance(1, 10)) out["example.com/fpga"] = Pick(rng, {"1", "2"});
  if (rng.Chance(1, 16)) out["hugepages-2Mi"] = Pick(rng, {"2Mi", "8Mi"});
  return out;
}

json::object Container(Rng& rng, const std::string& name, int port) {
  json::object resources;
  if (rng.Chance(2, 3)) resources["requests"] = Quantities(rng, false);
  if (rng.Chance(1, 2)) resources["limits"] = Quantities(rng, true);
  json::object container{{"name", name}, {"image", "i"}, {"resources", std::move(resources)}};
  if (rng.Chance(1, 6)) {
    json::object item{{"containerPort", port}};
    if (rng.Chance(3, 4)) item["hostPort"] = rng.Between(8080, 8082);
    if (rng.Chance(1, 3)) item["protocol"] = Pick(rng, {"UDP", "TCP"});
    if (rng.Chance(1, 3)) item["hostIP"] = Pick(rng, {"127.0.0.1", "127.0.0.2", "0.0.0.0"});
    container["ports"] = json::array{std::move(item)};
  }
  return container;
}

void AddContainers(Rng& rng, json::object& spec) {
  json::array containers, init;
  for (std::int64_t i = 0, count = rng.Between(1, 2); i < count; ++i)
    containers.push_back(Container(rng, "c" + std::to_string(i), static_cast<int>(8090 + i)));
  spec["containers"] = std::move(containers);
  if (rng.Chance(1, 4)) {
    for (std::int64_t i = 0, count = rng.Between(1, 3); i < count; ++i) {
      json::object container = Container(rng, "i" + std::to_string(i), static_cast<int>(8095 + i));
      if (rng.Chance(1, 2)) container["restartPolicy"] = "Always";
      init.push_back(std::move(container));
    }
    spec["initContainers"] = std::move(init);
  }
  if (rng.Chance(1, 12)) spec["overhead"] = json::object{{"cpu", "250m"}, {"memory", "128Mi"}};
  if (rng.Chance(1, 16)) spec["hostNetwork"] = true;
  if (rng.Chance(1, 16)) {
    json::object resources;
    if (rng.Chance(2, 3)) resources["requests"] = json::object{{"cpu", Pick(rng, {"2", "4"})}};
    if (rng.Chance(2, 3)) resources["limits"] = json::object{{"cpu", "4"}, {"memory", "4Gi"}};
    spec["resources"] = std::move(resources);
  }
}

json::object NodeRequirement(Rng& rng) {
  switch (rng.Below(4)) {
    case 0:
      return {{"key", "rank"},
              {"operator", Pick(rng, {"Gt", "Lt"})},
              {"values", json::array{Pick(rng, {"2", "4", "-1", "x"})}}};
    case 1:
      return {{"key", Pick(rng, {"disk", "rack", kZoneLabel})},
              {"operator", Pick(rng, {"Exists", "DoesNotExist"})}};
    default:
      return {{"key", Pick(rng, {kZoneLabel, kZoneLabel, "disk"})},
              {"operator", Pick(rng, {"In", "In", "NotIn"})},
              {"values", json::array{Pick(rng, {"a", "b", "ssd"}), Pick(rng, {"c", "hdd"})}}};
  }
}

json::object NodeAffinity(Rng& rng) {
  json::array terms;
  for (std::int64_t i = 0, count = rng.Between(1, 2); i < count; ++i) {
    json::object term;
    if (rng.Chance(9, 10)) {
      json::array expressions{NodeRequirement(rng)};
      if (rng.Chance(1, 3)) expressions.push_back(NodeRequirement(rng));
      term["matchExpressions"] = std::move(expressions);
    }
    if (rng.Chance(1, 8))
      term["matchFields"] =
          json::array{json::object{{"key", "metadata.name"},
                                   {"operator", Pick(rng, {"In", "NotIn"})},
                                   {"values", json::array{Pick(rng, {"n0", "n1", "n2"})}}}};
    terms.push_back(std::move(term));
  }
  json::object out{{"preferredDuringSchedulingIgnoredDuringExecution",
                    json::array{json::object{
                        {"weight", 10},
                        {"preference",
                         json::object{{"matchExpressions", json::array{NodeRequirement(rng)}}}}}}}};
  if (rng.Chance(4, 5))
    out["requiredDuringSchedulingIgnoredDuringExecution"] =
        json::object{{"nodeSelectorTerms", std::move(terms)}};
  return out;
}

json::object Selector(Rng& rng) {
  json::object selector;
  if (rng.Chance(3, 4)) selector["matchLabels"] = json::object{{"app", Word(rng, "app")}};
  if (rng.Chance(1, 3)) {
    const char* key = Pick(rng, {"app", "ver", "absent"});
    const char* op = Pick(rng, {"In", "NotIn", "Exists", "DoesNotExist"});
    json::object expression{{"key", key}, {"operator", op}};
    if (std::string_view(op).ends_with("In"))
      expression["values"] = json::array{Word(rng, key), Word(rng, key)};
    selector["matchExpressions"] = json::array{std::move(expression)};
  }
  return selector;
}

// matchLabelKeys as the API server stores it: the key stays, and the pod's own value is in the
// selector.
void NarrowByOwnLabel(const char* list, const char* op, const json::object& labels,
                      json::object& rule) {
  rule[list] = json::array{"ver"};
  if (!labels.contains("ver")) return;
  json::object& selector = rule["labelSelector"].get_object();
  if (!selector.contains("matchExpressions")) selector["matchExpressions"] = json::array{};
  selector["matchExpressions"].get_array().push_back(
      json::object{{"key", "ver"}, {"operator", op}, {"values", json::array{labels.at("ver")}}});
}

json::object PodTerm(Rng& rng, const json::object& labels) {
  json::object term{{"topologyKey", Pick(rng, {kZoneLabel, kHostLabel, "rack"})}};
  if (rng.Chance(19, 20)) {
    term["labelSelector"] = Selector(rng);
    if (rng.Chance(1, 8))
      NarrowByOwnLabel("matchLabelKeys", "In", labels, term);
    else if (rng.Chance(1, 8))
      NarrowByOwnLabel("mismatchLabelKeys", "NotIn", labels, term);
  }
  if (rng.Chance(1, 4)) term["namespaces"] = json::array{Pick(rng, {"default", "blue"})};
  if (rng.Chance(1, 6))
    term["namespaceSelector"] =
        rng.Chance(1, 3)
            ? json::object{}
            : json::object{{"matchLabels", json::object{{"team", Pick(rng, {"x", "y"})}}}};
  return term;
}

void AddAffinity(Rng& rng, const json::object& labels, json::object& spec) {
  json::object affinity;
  if (rng.Chance(1, 5)) affinity["nodeAffinity"] = NodeAffinity(rng);
  for (const char* kind : {"podAffinity", "podAntiAffinity"}) {
    if (!rng.Chance(1, 5)) continue;
    json::array terms{PodTerm(rng, labels)};
    if (rng.Chance(1, 4)) terms.push_back(PodTerm(rng, labels));
    json::object rules{
        {"preferredDuringSchedulingIgnoredDuringExecution",
         json::array{json::object{{"weight", 1}, {"podAffinityTerm", PodTerm(rng, labels)}}}}};
    if (rng.Chance(5, 6))
      rules["requiredDuringSchedulingIgnoredDuringExecution"] = std::move(terms);
    affinity[kind] = std::move(rules);
  }
  if (!affinity.empty()) spec["affinity"] = std::move(affinity);
}

void AddSpread(Rng& rng, const json::object& labels, json::object& spec) {
  if (!rng.Chance(1, 4)) return;
  json::array rules;
  for (std::int64_t i = 0, count = rng.Between(1, 2); i < count; ++i) {
    const bool hard = rng.Chance(4, 5);
    json::object rule{{"maxSkew", rng.Between(1, 2)},
                      {"topologyKey", i == 0 ? kZoneLabel : Pick(rng, {kHostLabel, "rack"})},
                      {"whenUnsatisfiable", hard ? "DoNotSchedule" : "ScheduleAnyway"}};
    if (rng.Chance(19, 20)) {
      rule["labelSelector"] = Selector(rng);
      if (rng.Chance(1, 6)) NarrowByOwnLabel("matchLabelKeys", "In", labels, rule);
    }
    if (hard && rng.Chance(1, 4)) rule["minDomains"] = rng.Between(1, 4);
    if (rng.Chance(1, 4)) rule["nodeAffinityPolicy"] = Pick(rng, {"Honor", "Ignore"});
    if (rng.Chance(1, 4)) rule["nodeTaintsPolicy"] = Pick(rng, {"Honor", "Ignore"});
    rules.push_back(std::move(rule));
  }
  spec["topologySpreadConstraints"] = std::move(rules);
}

void AddTolerations(Rng& rng, json::object& spec) {
  json::array tolerations;
  for (std::int64_t i = 0, count = rng.Between(0, 2); i < count; ++i) {
    json::object toleration{
        {"key", Pick(rng, {"dedicated", "maintenance", "node.kubernetes.io/unschedulable"})}};
    if (rng.Chance(1, 2)) {
      toleration["operator"] = "Exists";
      if (rng.Chance(1, 5)) toleration.erase("key");
    } else {
      toleration["value"] = Pick(rng, {"a", "b", ""});
      if (rng.Chance(1, 2)) toleration["operator"] = "Equal";
    }
    if (rng.Chance(1, 2)) toleration["effect"] = Pick(rng, {"NoSchedule", "NoExecute"});
    tolerations.push_back(std::move(toleration));
  }
  if (!tolerations.empty()) spec["tolerations"] = std::move(tolerations);
}

}  // namespace

json::value MakePod(Rng& rng, const std::string& name, const std::string& ns,
                    const std::vector<std::string>& claims) {
  json::object labels, spec;
  if (rng.Chance(5, 6)) labels["app"] = Word(rng, "app");
  if (rng.Chance(1, 2)) labels["ver"] = Word(rng, "ver");
  AddContainers(rng, spec);
  if (rng.Chance(1, 8))
    spec["nodeSelector"] = rng.Chance(1, 2) ? json::object{{"disk", Pick(rng, {"ssd", "hdd"})}}
                                            : json::object{{kZoneLabel, Pick(rng, {"a", "b"})}};
  AddAffinity(rng, labels, spec);
  AddSpread(rng, labels, spec);
  AddTolerations(rng, spec);
  json::array volumes;
  for (std::int64_t i = 0, count = claims.empty() ? 0 : rng.Between(0, 2); i < count; ++i)
    volumes.push_back(json::object{
        {"name", "v" + std::to_string(i)},
        {"persistentVolumeClaim", json::object{{"claimName", claims[rng.Below(claims.size())]}}}});
  if (rng.Chance(1, 4))
    volumes.push_back(json::object{{"name", "scratch"}, {"emptyDir", json::object{}}});
  if (!volumes.empty()) spec["volumes"] = std::move(volumes);
  if (rng.Chance(1, 40))
    spec["resourceClaims"] =
        json::array{json::object{{"name", "g"}, {"resourceClaimName", "device"}}};
  return json::object{
      {"metadata", json::object{{"name", name}, {"namespace", ns}, {"labels", std::move(labels)}}},
      {"spec", std::move(spec)}};
}

}  // namespace spillway::oracle
