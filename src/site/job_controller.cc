#include "site/job_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/decode.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

constexpr Duration kBackoffFirst{10s};
constexpr Duration kBackoffMost{6min};
constexpr std::int64_t kMaxPodsPerJob = 1000;

struct JobView {
  store::ObjectPtr object;
  std::int64_t parallelism = 1, completions = 1, backoff_limit = 6;
  bool indexed = false, suspended = false;
  std::optional<Duration> active_deadline, ttl;
};

JobView ViewOf(const store::ObjectPtr& object) {
  JobView job{.object = object};
  const json::value& spec = SpecOf(object->body);
  job.parallelism = std::min(IntOr(spec, "parallelism", 1), kMaxPodsPerJob);
  job.completions = std::min(IntOr(spec, "completions", job.parallelism), kMaxPodsPerJob);
  job.backoff_limit = IntOr(spec, "backoffLimit", 6);
  job.indexed = StringOr(spec, "completionMode", "NonIndexed") == "Indexed";
  job.suspended = BoolOr(spec, "suspend", false);
  if (const auto s = IntOr(spec, "activeDeadlineSeconds", 0); s > 0)
    job.active_deadline = std::chrono::seconds(s);
  if (const auto s = IntOr(spec, "ttlSecondsAfterFinished", -1); s >= 0)
    job.ttl = std::chrono::seconds(s);
  return job;
}

// What the pods of one Job amount to.
struct Tally {
  std::vector<store::ObjectPtr> active;
  std::int64_t succeeded = 0, failed = 0;  // failed: the user's own, without disruptions
  std::set<std::int64_t> done_indexes, active_indexes;
  std::optional<Time> last_failure;
};

std::int64_t IndexOf(const json::value& pod) {
  const std::string text(AnnotationOf(pod, kIndexAnnotation));
  return text.empty() ? -1 : std::strtoll(text.c_str(), nullptr, 10);
}

Tally Count(const std::vector<store::ObjectPtr>& pods) {
  Tally t;
  for (const store::ObjectPtr& pod : pods) {
    const std::string_view phase = PodPhaseOf(pod->body);
    if (phase == "Succeeded") {
      ++t.succeeded;
      t.done_indexes.insert(IndexOf(pod->body));
    } else if (phase == "Failed") {
      if (Disrupted(pod->body)) continue;
      ++t.failed;
      if (const auto at = FinishedAt(pod->body); at && (!t.last_failure || *at > *t.last_failure))
        t.last_failure = at;
    } else {
      t.active.push_back(pod);
      t.active_indexes.insert(IndexOf(pod->body));
    }
  }
  return t;
}

json::value PodFromTemplate(const JobView& job, std::int64_t index, const std::string& name) {
  json::object pod{{"apiVersion", "v1"}, {"kind", "Pod"}};
  const json::value* pod_template = Find(SpecOf(job.object->body), "template");
  json::object metadata;
  if (const json::object* m =
          pod_template == nullptr ? nullptr : FindObject(*pod_template, "metadata"))
    metadata = *m;
  auto sub = [&](std::string_view key) -> json::object& {
    if (!metadata[key].is_object()) metadata[key] = json::object{};
    return metadata[key].get_object();
  };
  sub("labels")[kJobLabel] = job.object->key.name;
  if (index >= 0) sub("annotations")[kIndexAnnotation] = std::to_string(index);
  if (const std::string_view gang = AnnotationOf(job.object->body, kGangAnnotation); !gang.empty())
    sub("annotations")[kGangAnnotation] = gang;
  metadata["name"] = name;
  metadata["namespace"] = job.object->key.ns;
  metadata["ownerReferences"] = json::array{json::object{{"apiVersion", "batch/v1"},
                                                         {"kind", "Job"},
                                                         {"name", job.object->key.name},
                                                         {"uid", job.object->uid},
                                                         {"controller", true}}};
  pod["metadata"] = std::move(metadata);
  if (const json::value* spec = pod_template == nullptr ? nullptr : Find(*pod_template, "spec"))
    pod["spec"] = *spec;
  pod["status"] = json::object{{"phase", "Pending"}};
  return pod;
}

std::int64_t NextIndex(const JobView& job, const Tally& tally,
                       const std::set<std::int64_t>& planned) {
  for (std::int64_t i = 0; i < job.completions; ++i)
    if (!tally.done_indexes.contains(i) && !tally.active_indexes.contains(i) &&
        !planned.contains(i))
      return i;
  return -1;
}

class Pass {
 public:
  Pass(store::Store& store, Rng& rng, Time now) : store_(store), rng_(rng), now_(now) {}

  Status Reconcile(const JobView& job, const std::vector<store::ObjectPtr>& pods) {
    const json::value& body = job.object->body;
    if (Deleting(body)) return RemoveJob(job, pods);
    if (HasCondition(body, "Complete") || HasCondition(body, "Failed")) return ApplyTtl(job, pods);
    const Tally tally = Count(pods);
    std::optional<Time> started = StartTime(body);
    if (job.suspended) {
      SPW_TRY(StopPods(tally.active));
      return WriteStatus(job, tally, std::nullopt, [&](json::value& object) {
        return SetCondition(object, "Suspended", true, "JobSuspended", "Job suspended", now_);
      });
    }
    if (!started) started = now_;
    if (tally.failed > job.backoff_limit)
      return FailJob(job, tally, started, "BackoffLimitExceeded",
                     "Job has reached the specified backoff limit");
    if (job.active_deadline && now_ >= *started + *job.active_deadline)
      return FailJob(job, tally, started, "DeadlineExceeded",
                     "Job was active longer than specified deadline");
    if (job.active_deadline) LookAgain(*started + *job.active_deadline);
    if (tally.succeeded >= job.completions) {
      SPW_TRY(StopPods(tally.active));
      store_.AddEvent(job.object->key, false, "Completed", "Job completed");
      return WriteStatus(job, tally, started, [&](json::value& object) {
        object.at("status").get_object()["completionTime"] = FormatTime(now_);
        return SetCondition(object, "Complete", true, "CompletionsReached",
                            "Reached expected number of succeeded pods", now_);
      });
    }
    SPW_TRY(CreatePods(job, tally));
    return WriteStatus(job, tally, started, [&](json::value& object) {
      return HasCondition(object, "Suspended") &&
             SetCondition(object, "Suspended", false, "JobResumed", "Job resumed", now_);
    });
  }

  std::optional<Time> look_again() const { return look_again_; }

 private:
  void LookAgain(Time t) {
    if (!look_again_ || t < *look_again_) look_again_ = t;
  }

  static std::optional<Time> StartTime(const json::value& job) {
    const json::value* status = Find(job, "status");
    if (status == nullptr) return std::nullopt;
    const auto t = ParseTime(StringOr(*status, "startTime", ""));
    return t ? std::optional<Time>(*t) : std::nullopt;
  }

  Status CreatePods(const JobView& job, const Tally& tally) {
    const auto active = static_cast<std::int64_t>(tally.active.size());
    const std::int64_t wanted = std::min(job.parallelism, job.completions - tally.succeeded);
    if (active >= wanted) return Ok();
    if (tally.last_failure) {
      Duration wait = kBackoffFirst;
      for (std::int64_t i = 1; i < tally.failed && wait < kBackoffMost; ++i) wait *= 2;
      const Time retry = *tally.last_failure + std::min(wait, kBackoffMost);
      if (now_ < retry) {
        LookAgain(retry);
        return Ok();
      }
    }
    std::vector<store::Write> writes;
    std::set<std::int64_t> planned;
    for (std::int64_t i = active; i < wanted; ++i) {
      const std::int64_t index = job.indexed ? NextIndex(job, tally, planned) : -1;
      if (job.indexed && index < 0) break;
      planned.insert(index);
      const std::string name =
          job.indexed ? fmt::format("{}-{}-{}", job.object->key.name, index, rng_.Suffix(5))
                      : fmt::format("{}-{}", job.object->key.name, rng_.Suffix(5));
      json::value pod = PodFromTemplate(job, index, name);
      Status admitted = AdmitPod(store_, pod);
      if (admitted) admitted = CheckQuota(store_, job.object->key.ns, SpecOf(pod));
      if (!admitted) {
        store_.AddEvent(job.object->key, true, "FailedCreate", admitted.error().message);
        LookAgain(now_ + kBackoffFirst);
        break;
      }
      // One write per pod, so that the next quota check sees it.
      const auto created = store_.Apply({{{"Pod", job.object->key.ns, name}, std::move(pod), 0}});
      if (!created) return tl::unexpected(created.error());
      store_.AddEvent(job.object->key, false, "SuccessfulCreate",
                      fmt::format("Created pod: {}", name));
    }
    return Ok();
  }

  // Pods that never started vanish; running ones are asked to stop.
  Status StopPods(const std::vector<store::ObjectPtr>& pods) {
    for (const store::ObjectPtr& pod : pods) {
      const Status deleted = DeletePod(pod);
      if (!deleted && deleted.error().code != Code::kNotFound) return deleted;
    }
    return Ok();
  }

  Status DeletePod(const store::ObjectPtr& pod) {
    if (NodeOf(pod->body).empty() || Finished(pod->body)) {
      const auto removed = store_.Apply({{pod->key, {}, std::nullopt, true}});
      return removed ? Ok() : Status(tl::unexpected(removed.error()));
    }
    return store_.Update(pod->key, [&](json::value& body) {
      if (Deleting(body)) return false;
      body.at("metadata").get_object()["deletionTimestamp"] = FormatTime(now_);
      return true;
    });
  }

  Status RemoveJob(const JobView& job, const std::vector<store::ObjectPtr>& pods) {
    SPW_TRY(StopPods(pods));
    const bool left = std::any_of(pods.begin(), pods.end(), [&](const store::ObjectPtr& pod) {
      return store_.Get(pod->key) != nullptr;
    });
    if (left) return Ok();
    const auto removed = store_.Apply({{job.object->key, {}, std::nullopt, true}});
    return removed ? Ok() : Status(tl::unexpected(removed.error()));
  }

  Status ApplyTtl(const JobView& job, const std::vector<store::ObjectPtr>& pods) {
    if (!job.ttl) return Ok();
    const json::value* condition = ConditionOf(job.object->body, "Complete");
    if (condition == nullptr) condition = ConditionOf(job.object->body, "Failed");
    const auto finished = ParseTime(StringOr(*condition, "lastTransitionTime", ""));
    if (!finished) return Ok();
    if (now_ < *finished + *job.ttl) {
      LookAgain(*finished + *job.ttl);
      return Ok();
    }
    return RemoveJob(job, pods);
  }

  Status FailJob(const JobView& job, const Tally& tally, std::optional<Time> started,
                 std::string_view reason, std::string_view message) {
    SPW_TRY(StopPods(tally.active));
    store_.AddEvent(job.object->key, true, std::string(reason), std::string(message));
    return WriteStatus(job, tally, started, [&](json::value& object) {
      return SetCondition(object, "Failed", true, reason, message, now_);
    });
  }

  template <typename Change>
  Status WriteStatus(const JobView& job, const Tally& tally, std::optional<Time> started,
                     Change change) {
    const Status written = store_.Update(job.object->key, [&](json::value& body) {
      json::value& status = body.get_object()["status"];
      if (!status.is_object()) status = json::object{};
      json::object fresh = status.get_object();
      fresh["active"] = static_cast<std::int64_t>(tally.active.size());
      fresh["succeeded"] = tally.succeeded;
      fresh["failed"] = tally.failed;
      if (started) fresh["startTime"] = FormatTime(*started);
      const bool numbers = fresh != status.get_object();
      if (numbers) status = std::move(fresh);
      return change(body) || numbers;
    });
    if (!written && written.error().code == Code::kNotFound) return Ok();
    return written;
  }

  store::Store& store_;
  Rng& rng_;
  Time now_;
  std::optional<Time> look_again_;
};

std::int64_t Hard(const json::value& quota, std::string_view name) {
  const json::value* value = FindPath(quota, {"spec", "hard", name});
  if (value == nullptr) return -1;
  if (value->is_int64()) return value->get_int64();
  return value->is_string() ? std::strtoll(value->get_string().c_str(), nullptr, 10) : -1;
}

}  // namespace

Result<std::optional<Time>> ReconcileJobs(store::Store& store, Rng& rng, Time now) {
  std::map<std::string, std::vector<store::ObjectPtr>> by_owner;  // Job uid -> pods
  for (const store::ObjectPtr& pod : store.List("Pod")) {
    const std::string uid = OwnerJobUid(pod->body);
    if (!uid.empty()) by_owner[uid].push_back(pod);
  }
  Pass pass(store, rng, now);
  for (const store::ObjectPtr& job : store.List("Job")) {
    SPW_TRY(pass.Reconcile(ViewOf(job), by_owner[job->uid]));
    by_owner.erase(job->uid);
  }
  return pass.look_again();
}

Status CheckQuota(const store::Store& store, const std::string& ns, const json::value& pod_spec) {
  const auto quotas = store.List("ResourceQuota", ns);
  if (quotas.empty()) return Ok();
  SPW_ASSIGN(const Resources wanted, DecodePodRequests(pod_spec));
  std::int64_t gpus = 0, pods = 0;
  for (const store::ObjectPtr& pod : store.List("Pod", ns)) {
    if (Finished(pod->body)) continue;
    const auto requests = DecodePodRequests(SpecOf(pod->body));
    gpus += requests ? requests->gpus : 0;
    ++pods;
  }
  for (const store::ObjectPtr& quota : quotas) {
    auto exceeded = [&](std::string_view what, std::int64_t request, std::int64_t used,
                        std::int64_t hard) {
      return Fail(Code::kQuota,
                  fmt::format("exceeded quota: {}, requested: {}={}, used: {}={}, limited: {}={}",
                              quota->key.name, what, request, what, used, what, hard));
    };
    if (const auto hard = Hard(quota->body, "requests.nvidia.com/gpu");
        hard >= 0 && wanted.gpus > 0 && gpus + wanted.gpus > hard)
      return exceeded("requests.nvidia.com/gpu", wanted.gpus, gpus, hard);
    for (std::string_view name : {"pods", "count/pods"})
      if (const auto hard = Hard(quota->body, name); hard >= 0 && pods + 1 > hard)
        return exceeded(name, 1, pods, hard);
  }
  return Ok();
}

Status AdmitPod(const store::Store& store, json::value& pod) {
  json::value& spec = pod.get_object()["spec"];
  if (!spec.is_object()) return Fail(Code::kInvalid, "a pod needs a spec");
  const std::string name(StringOr(spec, "priorityClassName", ""));
  for (const store::ObjectPtr& c : store.List("PriorityClass")) {
    const bool chosen =
        name.empty() ? BoolOr(c->body, "globalDefault", false) : c->key.name == name;
    if (chosen) spec.get_object()["priority"] = IntOr(c->body, "value", 0);
  }
  if (!name.empty() && Find(spec, "priority") == nullptr)
    return Fail(Code::kInvalid, fmt::format("no PriorityClass with name {} was found", name));
  return Ok();
}

}  // namespace spillway::site
