#include "site/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

// NotFound means that somebody deleted it: nothing to do.
Status UnlessGone(Status status) {
  if (!status && status.error().code == Code::kNotFound) return Ok();
  return status;
}

}  // namespace

Status AdmitPods(store::Store& store, const std::string& node, const std::vector<PodRef>& pods) {
  for (const PodRef& ref : pods) {
    SPW_TRY(UnlessGone(store.Update(PodKey(ref.key), [&](json::value& body) {
      if (StringOr(body.at("metadata"), "uid", "") != ref.uid || ToleratesBurst(body, node))
        return false;
      json::value& list = body.at("spec").get_object()["tolerations"];
      if (!list.is_array()) list = json::array{};
      list.get_array().push_back(BurstToleration(node));
      return true;
    })));
  }
  return UnlessGone(store.Update({"Node", "", node}, [](json::value& body) {
    json::value& taints = body.at("spec").get_object()["taints"];
    if (!taints.is_array()) return false;
    json::array& list = taints.get_array();
    const auto start = std::find_if(list.begin(), list.end(), [](const json::value& t) {
      return StringOr(t, "key", "") == kStartingKey;
    });
    if (start == list.end()) return false;
    list.erase(start);
    return true;
  }));
}

Status EvictPods(store::Store& store, const std::string& node, const std::vector<PodRef>& pods,
                 const std::string& reason, Time now) {
  for (const PodRef& ref : pods) {
    bool evicted = false;
    SPW_TRY(UnlessGone(store.Update(PodKey(ref.key), [&](json::value& body) {
      if (StringOr(body.at("metadata"), "uid", "") != ref.uid || Finished(body) ||
          NodeOf(body) != node)
        return false;
      MarkDisrupted(body, "Evicted", reason, now);
      evicted = true;
      return true;
    })));
    if (evicted)
      store.AddEvent(PodKey(ref.key), true, "Evicted",
                     fmt::format("{}; it is queued again", reason));
  }
  return Ok();
}

Status RegisterNode(store::Store& store, const BurstNode& burst_node,
                    const control::NodeReport& report, Time now) {
  json::object labels;
  for (const auto& [key, value] : report.labels) labels[key] = value;
  labels[kBurstKey] = burst_node.name;
  labels["spillway.dev/provider"] = burst_node.offer.provider;
  labels["topology.kubernetes.io/region"] = burst_node.offer.region;
  labels["node.kubernetes.io/instance-type"] = burst_node.offer.instance_type;
  labels["kubernetes.io/hostname"] = burst_node.name;
  json::object capacity{{"cpu", FormatMilli(report.hardware.cpu_milli)},
                        {"memory", FormatBytes(report.hardware.memory_bytes)},
                        {kGpuResource, std::to_string(report.hardware.gpus)}};
  if (report.hardware.ephemeral_bytes > 0)
    capacity["ephemeral-storage"] = FormatBytes(report.hardware.ephemeral_bytes);
  if (store.Get({"Node", "", burst_node.name}) != nullptr) return Ok();
  auto taint = [&](std::string_view key) {
    return json::object{{"key", key}, {"value", burst_node.name}, {"effect", "NoSchedule"}};
  };
  json::object node{
      {"apiVersion", "v1"},
      {"kind", "Node"},
      {"metadata", json::object{{"labels", std::move(labels)}}},
      {"spec", json::object{{"taints", json::array{taint(kBurstKey), taint(kStartingKey)}}}},
      {"status", json::object{{"capacity", capacity}, {"allocatable", capacity}}}};
  json::value object(std::move(node));
  SetCondition(object, "Ready", true, "BurstNodeJoined", "the rented node has joined", now);
  const auto written = store.Apply({{{"Node", "", burst_node.name}, std::move(object), 0}});
  return written || written.error().code == Code::kConflict
             ? Ok()
             : Status(tl::unexpected(written.error()));
}

Status RemoveNode(store::Store& store, const std::string& node, Time now) {
  // What was still bound there ends without blame; its Job queues it again.
  for (const store::ObjectPtr& pod : store.List("Pod")) {
    if (NodeOf(pod->body) != node) continue;
    if (Deleting(pod->body)) {
      const auto removed = store.Apply({{pod->key, {}, std::nullopt, true}});
      if (!removed) return tl::unexpected(removed.error());
    } else if (!Finished(pod->body)) {
      SPW_TRY(UnlessGone(store.Update(pod->key, [&](json::value& body) {
        if (Finished(body)) return false;
        MarkDisrupted(body, "NodeLost", fmt::format("node {} is gone", node), now);
        return true;
      })));
    }
  }
  const auto removed = store.Apply({{{"Node", "", node}, {}, std::nullopt, true}});
  return removed ? Ok() : Status(tl::unexpected(removed.error()));
}

// A rented node reports the end of a pod only when every result of it has its receipt, so an ended
// pod is released.
std::vector<control::PodReport> PodReports(const store::Store& store, const BurstNode& node) {
  std::vector<control::PodReport> reports;
  auto add = [&](const store::StoredObject& pod) {
    reports.push_back({pod.key.ns + "/" + pod.key.name, pod.uid, PhaseOf(pod.body),
                       std::string(NodeOf(pod.body)), StartedAt(pod.body), FinishedAt(pod.body),
                       Finished(pod.body), false, TakenAt(pod.body), BeganAt(pod.body)});
  };
  for (const PodRef& ref : node.pods) {
    const store::ObjectPtr pod = store.Get(PodKey(ref.key));
    if (pod != nullptr && pod->uid == ref.uid) add(*pod);
  }
  for (const store::ObjectPtr& pod : store.List("Pod", node.ns)) {
    const bool listed = std::any_of(reports.begin(), reports.end(),
                                    [&](const auto& r) { return r.uid == pod->uid; });
    if (!listed && (NodeOf(pod->body) == node.name ||
                    (ToleratesBurst(pod->body, node.name) && NodeOf(pod->body).empty())))
      add(*pod);
  }
  return reports;
}

}  // namespace spillway::site
