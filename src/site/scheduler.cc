#include "site/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/decode.h"
#include "plan/placement.h"
#include "site/cluster_pods.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

struct Waiting {
  store::ObjectPtr pod;
  std::int32_t shape = 0;
  std::int64_t priority = 0;
  std::string created, gang;  // gang: "namespace/job", empty when it may be bound alone
};

// What the filters look at: the nodes, the shapes, and the pods that are bound.
Snapshot BoundPods(const store::Store& store, const ClusterPods& pods, DecodedPods& decoded) {
  Snapshot snapshot;
  for (const store::ObjectPtr& object : store.List("Node"))
    if (Result<Node> node = DecodeNode(object->body)) snapshot.nodes.push_back(std::move(*node));
  snapshot.shapes = std::move(decoded.shapes);
  snapshot.groups = std::move(decoded.groups);
  for (std::size_t i = 0; i < pods.pods().size(); ++i) {
    const json::value& body = pods.pods()[i]->body;
    if (NodeOf(body).empty() || decoded.shape_of[i] < 0) continue;
    Pod& pod = snapshot.pods.emplace_back();
    pod.shape = decoded.shape_of[i];
    pod.node = NodeOf(body);
    pod.deleting = Deleting(body);
  }
  return snapshot;
}

// By priority, then age. Objects that cannot be read are named by BuildSnapshot; they wait.
std::vector<Waiting> WaitingPods(const ClusterPods& pods, const DecodedPods& decoded) {
  std::vector<Waiting> waiting;
  for (std::size_t i = 0; i < pods.pods().size(); ++i) {
    const store::ObjectPtr& pod = pods.pods()[i];
    if (!NodeOf(pod->body).empty() || Deleting(pod->body) || Gated(pod->body) ||
        decoded.shape_of[i] < 0)
      continue;
    Waiting w{.pod = pod, .shape = decoded.shape_of[i]};
    w.priority = IntOr(SpecOf(pod->body), "priority", 0);
    w.created = StringOr(pod->body.at("metadata"), "creationTimestamp", "");
    if (AnnotationOf(pod->body, kGangAnnotation) == "all-or-nothing")
      w.gang = pod->key.ns + "/" + OwnerJob(pod->body);
    waiting.push_back(std::move(w));
  }
  std::stable_sort(waiting.begin(), waiting.end(), [](const Waiting& a, const Waiting& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    if (a.created != b.created) return a.created < b.created;
    return a.pod->key < b.pod->key;
  });
  return waiting;
}

// Index of the node to bind to, or -1 with kube-scheduler's kind of message.
int Choose(const Waiting& w, const plan::Placement& placement, std::string& message) {
  int best = -1;
  std::map<std::string, int> reasons;
  for (std::int32_t i = 0; i < placement.size(); ++i) {
    const std::string why =
        placement.node(i).ready ? placement.WhyNot(w.shape, i) : "node(s) were not ready";
    if (!why.empty()) {
      ++reasons[why];
      continue;
    }
    if (best < 0) {
      best = i;
      continue;
    }
    const bool rented = placement.node(i).rented, best_rented = placement.node(best).rented;
    if (rented != best_rented ? rented : placement.free(i).gpus < placement.free(best).gpus)
      best = i;
  }
  if (best < 0) {
    message = fmt::format("0/{} nodes are available:", placement.size());
    for (const auto& [why, count] : reasons) message += fmt::format(" {} {},", count, why);
    message.back() = '.';
  }
  return best;
}

Status Bind(store::Store& store, const Waiting& w, const std::string& node, Time now) {
  const Status bound = store.Update(w.pod->key, [&](json::value& body) {
    if (!NodeOf(body).empty() || Deleting(body)) return false;
    body.at("spec").get_object()["nodeName"] = node;
    SetCondition(body, "PodScheduled", true, "Scheduled", "", now);
    return true;
  });
  if (bound)
    store.AddEvent(
        w.pod->key, false, "Scheduled",
        fmt::format("Successfully assigned {}/{} to {}", w.pod->key.ns, w.pod->key.name, node));
  if (!bound && bound.error().code == Code::kNotFound) return Ok();
  return bound;
}

Status MarkUnschedulable(store::Store& store, const Waiting& w, const std::string& message,
                         Time now) {
  bool changed = false;
  const Status marked = store.Update(w.pod->key, [&](json::value& body) {
    changed = SetCondition(body, "PodScheduled", false, "Unschedulable", message, now);
    return changed;
  });
  if (marked && changed) store.AddEvent(w.pod->key, true, "FailedScheduling", message);
  if (!marked && marked.error().code == Code::kNotFound) return Ok();
  return marked;
}

// Every pod of the gang finds a node at once, or none is bound.
Status ScheduleGang(store::Store& store, const std::vector<const Waiting*>& gang,
                    plan::Placement& placement, Time now) {
  std::vector<int> chosen;
  std::string message;
  for (const Waiting* w : gang) {
    const int i = Choose(*w, placement, message);
    if (i < 0) break;
    placement.Put(w->shape, i);
    chosen.push_back(i);
  }
  if (chosen.size() < gang.size()) {
    for (std::size_t i = 0; i < chosen.size(); ++i) placement.Remove(gang[i]->shape, chosen[i]);
    if (gang.size() > 1) message += fmt::format(" (a gang of {}: all or none)", gang.size());
    for (const Waiting* w : gang) SPW_TRY(MarkUnschedulable(store, *w, message, now));
    return Ok();
  }
  for (std::size_t i = 0; i < gang.size(); ++i)
    SPW_TRY(Bind(store, *gang[i], placement.node(chosen[i]).name, now));
  return Ok();
}

}  // namespace

Status Schedule(store::Store& store, Time now) {
  const ClusterPods pods(store, true, UnfinishedPods(store));
  DecodedPods decoded = pods.Decode();
  const std::vector<Waiting> waiting = WaitingPods(pods, decoded);
  if (waiting.empty()) return Ok();
  const Snapshot snapshot = BoundPods(store, pods, decoded);
  plan::Placement placement(snapshot);
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const Waiting& w = waiting[i];
    std::vector<const Waiting*> group = {&w};
    if (!w.gang.empty()) {
      const bool handled =
          std::any_of(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(i),
                      [&](const Waiting& other) { return other.gang == w.gang; });
      if (handled) continue;
      for (std::size_t k = i + 1; k < waiting.size(); ++k)
        if (waiting[k].gang == w.gang) group.push_back(&waiting[k]);
    }
    SPW_TRY(ScheduleGang(store, group, placement, now));
  }
  return Ok();
}

}  // namespace spillway::site
