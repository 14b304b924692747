#include "site/objects.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "model/decode.h"

namespace spillway::site {
namespace {

const json::value kEmpty = json::object{};

std::string_view MapEntry(const json::value& object, std::string_view map, std::string_view key) {
  const json::value* metadata = Find(object, "metadata");
  const json::value* entries = metadata == nullptr ? nullptr : Find(*metadata, map);
  return entries == nullptr ? std::string_view() : StringOr(*entries, key, "");
}

json::object& StatusOf(json::value& object) {
  json::value& status = object.get_object()["status"];
  if (!status.is_object()) status = json::object{};
  return status.get_object();
}

const json::value* OwnerOf(const json::value& pod) {
  const json::value* metadata = Find(pod, "metadata");
  const json::array* owners =
      metadata == nullptr ? nullptr : FindArray(*metadata, "ownerReferences");
  if (owners == nullptr) return nullptr;
  for (const json::value& owner : *owners)
    if (StringOr(owner, "kind", "") == "Job") return &owner;
  return nullptr;
}

const json::value* ContainerState(const json::value& pod, std::string_view state) {
  const json::value* status = Find(pod, "status");
  const json::array* containers =
      status == nullptr ? nullptr : FindArray(*status, "containerStatuses");
  if (containers == nullptr || containers->empty()) return nullptr;
  return FindPath((*containers)[0], {"state", state});
}

std::optional<Time> TimeIn(const json::value* value, std::string_view key) {
  if (value == nullptr) return std::nullopt;
  const auto t = ParseTime(StringOr(*value, key, ""));
  return t ? std::optional<Time>(*t) : std::nullopt;
}

const json::value* Container(const json::value& pod) {
  const json::array* containers = FindArray(SpecOf(pod), "containers");
  return containers == nullptr || containers->empty() ? nullptr : &(*containers)[0];
}

std::string ContainerName(const json::value& pod) {
  const json::value* container = Container(pod);
  return container == nullptr ? "main" : std::string(StringOr(*container, "name", "main"));
}

std::string Expand(std::string_view text,
                   const std::vector<std::pair<std::string, std::string>>& env) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, 3) == "$$(") {
      out += "$(";
      i += 3;
      continue;
    }
    const std::size_t end = text.substr(i, 2) == "$(" ? text.find(')', i) : std::string_view::npos;
    if (end != std::string_view::npos) {
      const std::string_view name = text.substr(i + 2, end - i - 2);
      const auto it =
          std::find_if(env.begin(), env.end(), [&](const auto& e) { return e.first == name; });
      // An unknown reference stays as it is, as in Kubernetes.
      out += it == env.end() ? text.substr(i, end - i + 1) : std::string_view(it->second);
      i = end + 1;
      continue;
    }
    out += text[i++];
  }
  return out;
}

}  // namespace

const json::value& SpecOf(const json::value& object) {
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? kEmpty : *spec;
}

std::string_view AnnotationOf(const json::value& object, std::string_view key) {
  return MapEntry(object, "annotations", key);
}
std::string_view LabelOf(const json::value& object, std::string_view key) {
  return MapEntry(object, "labels", key);
}

bool Deleting(const json::value& object) {
  return FindPath(object, {"metadata", "deletionTimestamp"}) != nullptr;
}

std::optional<Time> CreatedAt(const json::value& object) {
  return TimeIn(Find(object, "metadata"), "creationTimestamp");
}

std::string_view PodPhaseOf(const json::value& pod) {
  const json::value* status = Find(pod, "status");
  return status == nullptr ? "Pending" : StringOr(*status, "phase", "Pending");
}

bool Finished(const json::value& pod) {
  const std::string_view phase = PodPhaseOf(pod);
  return phase == "Succeeded" || phase == "Failed";
}

std::string_view NodeOf(const json::value& pod) {
  return StringOr(SpecOf(pod), "nodeName", "");
}

bool ToleratesBurst(const json::value& pod, const std::string& node) {
  const json::array* tolerations = FindArray(SpecOf(pod), "tolerations");
  return tolerations != nullptr &&
         std::any_of(tolerations->begin(), tolerations->end(), [&](const json::value& t) {
           return StringOr(t, "key", "") == kBurstKey && StringOr(t, "value", "") == node;
         });
}

PodPhase PhaseOf(const json::value& pod) {
  for (PodPhase phase :
       {PodPhase::kPending, PodPhase::kRunning, PodPhase::kSucceeded, PodPhase::kFailed})
    if (Name(phase) == PodPhaseOf(pod)) return phase;
  return PodPhase::kPending;
}

json::object BurstToleration(const std::string& node) {
  return {{"key", kBurstKey}, {"operator", "Equal"}, {"value", node}, {"effect", "NoSchedule"}};
}

bool Disrupted(const json::value& pod) {
  return HasCondition(pod, "DisruptionTarget");
}

std::optional<Time> StartedAt(const json::value& pod) {
  if (const auto t = TimeIn(ContainerState(pod, "running"), "startedAt")) return t;
  return TimeIn(ContainerState(pod, "terminated"), "startedAt");
}

std::optional<Time> TakenAt(const json::value& pod) {
  return TimeIn(Find(pod, "status"), "startTime");
}

std::optional<Time> BeganAt(const json::value& pod) {
  std::optional<Time> first;
  const json::value* status = Find(pod, "status");
  if (status == nullptr) return first;
  for (const char* kind : {"initContainerStatuses", "containerStatuses"}) {
    const json::array* containers = FindArray(*status, kind);
    if (containers == nullptr) continue;
    for (const json::value& container : *containers)
      for (const auto& [when, what] :
           {std::pair("state", "running"), {"state", "terminated"}, {"lastState", "terminated"}})
        if (const auto t = TimeIn(FindPath(container, {when, what}), "startedAt"))
          first = std::min(first.value_or(*t), *t);
  }
  return first;
}

std::optional<Time> FinishedAt(const json::value& pod) {
  return TimeIn(ContainerState(pod, "terminated"), "finishedAt");
}

int ExitCodeOf(const json::value& pod) {
  const json::value* terminated = ContainerState(pod, "terminated");
  return terminated == nullptr ? -1 : static_cast<int>(IntOr(*terminated, "exitCode", -1));
}

std::string OwnerJob(const json::value& pod) {
  const json::value* owner = OwnerOf(pod);
  return owner == nullptr ? "" : std::string(StringOr(*owner, "name", ""));
}

std::string OwnerJobUid(const json::value& pod) {
  const json::value* owner = OwnerOf(pod);
  return owner == nullptr ? "" : std::string(StringOr(*owner, "uid", ""));
}

const json::value* ConditionOf(const json::value& object, std::string_view type) {
  const json::value* status = Find(object, "status");
  const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
  if (conditions == nullptr) return nullptr;
  for (const json::value& condition : *conditions)
    if (StringOr(condition, "type", "") == type) return &condition;
  return nullptr;
}

bool HasCondition(const json::value& object, std::string_view type) {
  const json::value* condition = ConditionOf(object, type);
  return condition != nullptr && StringOr(*condition, "status", "") == "True";
}

bool SetCondition(json::value& object, std::string_view type, bool status, std::string_view reason,
                  std::string_view message, Time now) {
  const json::value* metadata = Find(object, "metadata");
  const std::int64_t generation = metadata == nullptr ? 0 : IntOr(*metadata, "generation", 0);
  json::value& list = StatusOf(object)["conditions"];
  if (!list.is_array()) list = json::array{};
  const std::string_view text = status ? "True" : "False";
  for (json::value& condition : list.get_array()) {
    if (StringOr(condition, "type", "") != type) continue;
    if (StringOr(condition, "status", "") == text && StringOr(condition, "reason", "") == reason &&
        StringOr(condition, "message", "") == message &&
        IntOr(condition, "observedGeneration", 0) == generation)
      return false;
    json::object& c = condition.get_object();
    if (StringOr(condition, "status", "") != text) c["lastTransitionTime"] = FormatTime(now);
    c["status"] = text;
    c["reason"] = reason;
    c["message"] = message;
    if (generation > 0) c["observedGeneration"] = generation;
    return true;
  }
  json::object added{{"type", type},
                     {"status", text},
                     {"reason", reason},
                     {"message", message},
                     {"lastTransitionTime", FormatTime(now)}};
  if (generation > 0) added["observedGeneration"] = generation;
  list.get_array().push_back(std::move(added));
  return true;
}

void MarkRunning(json::value& pod, Time started) {
  json::object& status = StatusOf(pod);
  status["phase"] = "Running";
  status["startTime"] = FormatTime(started);
  status["containerStatuses"] = json::array{json::object{
      {"name", ContainerName(pod)},
      {"ready", true},
      {"state", json::object{{"running", json::object{{"startedAt", FormatTime(started)}}}}}}};
}

void MarkEnded(json::value& pod, const ContainerEnd& end) {
  json::object& status = StatusOf(pod);
  status["phase"] = end.exit_code == 0 ? "Succeeded" : "Failed";
  if (!end.message.empty()) status["message"] = end.message;
  status["containerStatuses"] = json::array{json::object{
      {"name", ContainerName(pod)},
      {"ready", false},
      {"state",
       json::object{{"terminated", json::object{{"exitCode", end.exit_code},
                                                {"reason", end.reason},
                                                {"message", end.message},
                                                {"startedAt", FormatTime(end.started)},
                                                {"finishedAt", FormatTime(end.ended)}}}}}}};
}

void MarkDisrupted(json::value& pod, std::string_view reason, std::string_view message, Time now) {
  json::object& status = StatusOf(pod);
  status["phase"] = "Failed";
  status["reason"] = reason;
  status["message"] = message;
  SetCondition(pod, "DisruptionTarget", true, reason, message, now);
}

Result<ClaimTarget> ResolveClaim(const store::Store& store, const std::string& ns,
                                 const std::string& claim) {
  const store::ObjectPtr object = store.Get({"PersistentVolumeClaim", ns, claim});
  if (object == nullptr)
    return Fail(Code::kNotFound,
                fmt::format("persistentvolumeclaim \"{}\" not found in namespace {}", claim, ns));
  ClaimTarget target;
  const std::string_view dataset = AnnotationOf(object->body, kDatasetAnnotation);
  const std::string_view results = AnnotationOf(object->body, kResultsAnnotation);
  if (!results.empty()) {
    target.results = true;
    target.directory = results;
    const std::string_view place = AnnotationOf(object->body, kResultsDatasetAnnotation);
    if (place.empty()) return target;
    target.dataset = fmt::format("{}/{}", ns, place);
    const store::ObjectPtr bucket = store.Get({"Dataset", ns, std::string(place)});
    if (bucket == nullptr)
      return Fail(Code::kNotFound,
                  fmt::format("claim {}/{}: its results go to Dataset \"{}\", which "
                              "does not exist in namespace {}",
                              ns, claim, place, ns));
    SPW_ASSIGN(const DatasetInfo info, DecodeDataset(bucket->body));
    if (info.s3) return target;
    return Fail(Code::kInvalid,
                fmt::format("claim {}/{}: its results go to Dataset \"{}\", which is no bucket", ns,
                            claim, place));
  }
  if (dataset.empty())
    return Fail(Code::kInvalid,
                fmt::format("claim {}/{} names neither a Dataset ({}) nor a results place ({})", ns,
                            claim, kDatasetAnnotation, kResultsAnnotation));
  if (store.Get({"Dataset", ns, std::string(dataset)}) == nullptr)
    return Fail(
        Code::kNotFound,
        fmt::format("claim {}/{} names Dataset \"{}\", which does not exist in namespace {}", ns,
                    claim, dataset, ns));
  target.dataset = fmt::format("{}/{}", ns, dataset);
  return target;
}

Result<std::vector<Mount>> MountsOf(const json::value& pod) {
  std::vector<Mount> mounts;
  const json::value* container = Container(pod);
  const json::array* volume_mounts =
      container == nullptr ? nullptr : FindArray(*container, "volumeMounts");
  if (volume_mounts == nullptr) return mounts;
  const json::array* volumes = FindArray(SpecOf(pod), "volumes");
  for (const json::value& m : *volume_mounts) {
    Mount mount{std::string(StringOr(m, "name", "")), std::string(StringOr(m, "mountPath", "")),
                ""};
    const json::value* volume = nullptr;
    if (volumes != nullptr)
      for (const json::value& v : *volumes)
        if (StringOr(v, "name", "") == mount.volume) volume = &v;
    if (volume == nullptr)
      return Fail(Code::kInvalid,
                  fmt::format("volumeMounts names volume \"{}\", which spec.volumes does not have",
                              mount.volume));
    if (const json::value* claim = Find(*volume, "persistentVolumeClaim"))
      mount.claim = StringOr(*claim, "claimName", "");
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::int64_t LimitOf(const json::value& pod, std::string_view resource, bool milli) {
  const json::value* container = Container(pod);
  const json::value* limit =
      container == nullptr ? nullptr : FindPath(*container, {"resources", "limits", resource});
  if (limit == nullptr) return 0;
  const std::string text =
      limit->is_string() ? std::string(View(limit->get_string())) : json::serialize(*limit);
  return (milli ? ParseMilli(text) : ParseWhole(text)).value_or(0);
}

store::ObjectKey PodKey(const std::string& key) {
  const std::size_t slash = key.find('/');
  return {"Pod", key.substr(0, slash), slash == std::string::npos ? "" : key.substr(slash + 1)};
}

std::vector<std::string> PatternsOf(const json::value& pod, std::string_view claim) {
  std::vector<std::string> globs;
  std::string_view text = AnnotationOf(pod, kSelectAnnotation);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    const std::size_t equal = part.find('=');
    if (equal == std::string_view::npos || part.substr(0, equal) != claim) continue;
    std::string_view list = part.substr(equal + 1);
    while (!list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      if (comma > 0) globs.emplace_back(list.substr(0, comma));
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return globs;
}

CommandLine CommandOf(const json::value& pod) {
  CommandLine out;
  const json::value* container = Container(pod);
  if (container == nullptr) return out;
  if (const json::array* env = FindArray(*container, "env"))
    for (const json::value& e : *env)
      out.env.emplace_back(StringOr(e, "name", ""), Expand(StringOr(e, "value", ""), out.env));
  const std::string_view index = AnnotationOf(pod, kIndexAnnotation);
  if (!index.empty()) out.env.emplace_back("JOB_COMPLETION_INDEX", index);
  for (std::string_view part : {"command", "args"})
    if (const json::array* list = FindArray(*container, part))
      for (const json::value& word : *list)
        if (word.is_string()) out.argv.push_back(Expand(View(word.get_string()), out.env));
  out.working_dir = StringOr(*container, "workingDir", "");
  return out;
}

}  // namespace spillway::site
