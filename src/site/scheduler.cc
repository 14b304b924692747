#include "site/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/decode.h"
#include "plan/planner.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

struct Machine {
  Node node;
  Resources free;
};

struct Waiting {
  store::ObjectPtr pod;
  PodShape shape;
  std::int64_t priority = 0;
  std::string created, gang;  // gang: "namespace/job", empty when it may be bound alone
};

std::vector<Machine> Machines(const store::Store& store,
                              const std::vector<store::ObjectPtr>& pods) {
  std::vector<Machine> machines;
  for (const store::ObjectPtr& object : store.List("Node")) {
    Result<Node> node = DecodeNode(object->body);
    if (!node) continue;  // named by BuildSnapshot; it takes no pods
    Resources free = node->allocatable;
    machines.push_back({std::move(*node), std::move(free)});
  }
  for (const store::ObjectPtr& pod : pods) {
    const std::string_view name = NodeOf(pod->body);
    if (name.empty() || Finished(pod->body)) continue;
    const Result<Resources> requests = DecodePodRequests(SpecOf(pod->body));
    for (Machine& machine : machines)
      if (requests && machine.node.name == name) machine.free -= *requests;
  }
  return machines;
}

bool Gated(const json::value& pod) {
  const json::array* gates = FindArray(SpecOf(pod), "schedulingGates");
  return gates != nullptr && !gates->empty();
}

std::vector<Waiting> WaitingPods(const std::vector<store::ObjectPtr>& pods) {
  std::vector<Waiting> waiting;
  for (const store::ObjectPtr& pod : pods) {
    if (!NodeOf(pod->body).empty() || Finished(pod->body) || Deleting(pod->body) ||
        Gated(pod->body))
      continue;
    Waiting w{.pod = pod};
    Result<PodShape> shape = DecodePodShape(SpecOf(pod->body));
    if (!shape) continue;  // named by BuildSnapshot; it waits
    w.shape = std::move(*shape);
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

// Index of the machine to bind to, or -1 with kube-scheduler's kind of message.
int Choose(const Waiting& w, const std::vector<Machine>& machines, std::string& message) {
  int best = -1;
  std::map<std::string, int> reasons;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const Machine& m = machines[i];
    std::string why =
        m.node.ready ? plan::WhyNot(w.shape, m.node, m.free) : "node(s) were not ready";
    if (!why.empty()) {
      ++reasons[why];
      continue;
    }
    if (best < 0) {
      best = static_cast<int>(i);
      continue;
    }
    const Machine& b = machines[static_cast<std::size_t>(best)];
    if (m.node.rented != b.node.rented ? m.node.rented : m.free.gpus < b.free.gpus)
      best = static_cast<int>(i);
  }
  if (best < 0) {
    message = fmt::format("0/{} nodes are available:", machines.size());
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

// Every pod of the gang finds a machine at once, or none is bound.
Status ScheduleGang(store::Store& store, const std::vector<const Waiting*>& gang,
                    std::vector<Machine>& machines, Time now) {
  std::vector<Machine> trial = machines;
  std::vector<int> chosen;
  std::string message;
  for (const Waiting* w : gang) {
    const int i = Choose(*w, trial, message);
    if (i < 0) break;
    trial[static_cast<std::size_t>(i)].free -= w->shape.requests;
    chosen.push_back(i);
  }
  if (chosen.size() < gang.size()) {
    if (gang.size() > 1) message += fmt::format(" (a gang of {}: all or none)", gang.size());
    for (const Waiting* w : gang) SPW_TRY(MarkUnschedulable(store, *w, message, now));
    return Ok();
  }
  for (std::size_t i = 0; i < gang.size(); ++i)
    SPW_TRY(Bind(store, *gang[i], trial[static_cast<std::size_t>(chosen[i])].node.name, now));
  machines = std::move(trial);
  return Ok();
}

}  // namespace

Status Schedule(store::Store& store, Time now) {
  const std::vector<store::ObjectPtr> pods = store.List("Pod");
  const std::vector<Waiting> waiting = WaitingPods(pods);
  if (waiting.empty()) return Ok();
  std::vector<Machine> machines = Machines(store, pods);
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
    SPW_TRY(ScheduleGang(store, group, machines, now));
  }
  return Ok();
}

}  // namespace spillway::site
