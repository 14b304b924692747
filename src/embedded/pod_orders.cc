#include "embedded/pod_orders.h"

#include <algorithm>

#include "base/log.h"
#include "model/decode.h"
#include "site/objects.h"

namespace spillway::embedded {
namespace {

std::string KeyOf(const store::StoredObject& pod) {
  return pod.key.ns + "/" + pod.key.name;
}

door::PodOrder OrderFor(const store::Store& store, const store::StoredObject& pod, int clock_scale,
                        Time now) {
  door::PodOrder order;
  order.key = KeyOf(pod);
  order.uid = pod.uid;
  const site::CommandLine command = site::CommandOf(pod.body);
  order.argv = command.argv;
  order.env = command.env;
  order.working_dir = command.working_dir;
  order.cpu_milli = site::LimitOf(pod.body, "cpu", true);
  order.memory_bytes = site::LimitOf(pod.body, "memory", false);
  if (const auto requests = DecodePodRequests(site::SpecOf(pod.body)))
    order.gpus = static_cast<int>(requests->gpus);
  order.grace_ms =
      IntOr(site::SpecOf(pod.body), "terminationGracePeriodSeconds", 30) * 1000 / clock_scale;
  order.stop = site::Deleting(pod.body);
  if (const auto limit = IntOr(site::SpecOf(pod.body), "activeDeadlineSeconds", 0); limit > 0) {
    const Time started = site::StartedAt(pod.body).value_or(now);
    const Duration left = std::chrono::seconds(limit) - (now - started);
    order.deadline_ms = std::max<std::int64_t>(left.count(), 1) / clock_scale;
  }
  const auto mounts = site::MountsOf(pod.body);
  if (!mounts) return order;
  for (const site::Mount& mount : *mounts) {
    door::PodVolume volume{mount.volume, mount.mount_path, "empty", mount.claim};
    if (!mount.claim.empty()) {
      const auto target = site::ResolveClaim(store, pod.key.ns, mount.claim);
      volume.kind = target && target->results ? "results" : "input";
    }
    order.volumes.push_back(std::move(volume));
  }
  return order;
}

// Applies one status; false if there is nothing to change.
bool Take(json::value& body, const door::PodStatus& status, int clock_scale, Time now) {
  if (site::Finished(body)) return false;
  auto moment = [&](std::int64_t ms_ago) {
    return now - Duration{std::max<std::int64_t>(ms_ago, 0) * clock_scale};
  };
  if (status.phase == "Running") {
    if (site::PodPhaseOf(body) == "Running") return false;
    site::MarkRunning(body, moment(status.started_ms_ago));
    return true;
  }
  if (status.phase != "Succeeded" && status.phase != "Failed") return false;
  const Time started = site::StartedAt(body).value_or(moment(status.started_ms_ago));
  const int code = status.phase == "Succeeded" ? 0 : (status.exit_code == 0 ? 1 : status.exit_code);
  const std::string reason =
      status.reason.empty() ? (code == 0 ? "Completed" : "Error") : status.reason;
  site::MarkEnded(body,
                  {code, reason, "", started, std::max(started, moment(status.ended_ms_ago))});
  return true;
}

}  // namespace

std::vector<door::PodOrder> OrdersFor(const store::Store& store, const std::string& node,
                                      int clock_scale, Time now) {
  std::vector<door::PodOrder> orders;
  for (const store::ObjectPtr& pod : store.List("Pod"))
    if (site::NodeOf(pod->body) == node && !site::Finished(pod->body))
      orders.push_back(OrderFor(store, *pod, clock_scale, now));
  return orders;
}

void TakeStatuses(store::Store& store, const std::string& node,
                  const std::vector<door::PodStatus>& statuses, int clock_scale, Time now) {
  for (const store::ObjectPtr& pod : store.List("Pod")) {
    if (site::NodeOf(pod->body) != node) continue;
    const auto it = std::find_if(statuses.begin(), statuses.end(),
                                 [&](const door::PodStatus& s) { return s.uid == pod->uid; });
    const bool known = it != statuses.end();
    const bool over = known && (it->phase == "Succeeded" || it->phase == "Failed");
    if (site::Deleting(pod->body) && (!known || over)) {
      const auto removed = store.Apply({{pod->key, {}, std::nullopt, true}});
      if (!removed)
        log::Warn("a deleted pod stays",
                  {{"pod", pod->key.name}, {"error", removed.error().message}});
      continue;
    }
    if (!known) continue;
    const Status status = store.Update(
        pod->key, [&](json::value& body) { return Take(body, *it, clock_scale, now); });
    if (!status && status.error().code != Code::kNotFound)
      log::Warn("pod status not written",
                {{"pod", pod->key.name}, {"error", status.error().message}});
  }
}

}  // namespace spillway::embedded
