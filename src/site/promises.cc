#include "site/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "model/decode.h"
#include "model/shards.h"
#include "site/job_controller.h"
#include "site/objects.h"
#include "site/shards.h"

namespace spillway::site {
namespace {

constexpr std::array<std::string_view, 2> kClasses = {"burst.spillway.dev", "spillway.dev/burst"};
constexpr std::array<std::string_view, 2> kConsume = {
    "autoscaling.x-k8s.io/consume-provisioning-request",
    "cluster-autoscaler.kubernetes.io/consume-provisioning-request"};
constexpr std::array<const char*, 3> kEnds = {"Failed", "BookingExpired", "CapacityRevoked"};
constexpr std::int64_t kMostPods = 1000;
// Not allowed in names of objects.
constexpr char kSeparator = ':';

// What admission gives to every pod.
json::object DefaultToleration(std::string_view key) {
  return {
      {"key", key}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}};
}

Result<json::value> BodyOf(const store::Store& store, const store::StoredObject& request,
                           const store::StoredObject& pod_template) {
  const json::value* form = Find(pod_template.body, "template");
  const json::value* spec = form == nullptr ? nullptr : Find(*form, "spec");
  if (spec == nullptr || !spec->is_object())
    return Fail(Code::kInvalid, fmt::format("PodTemplate {} has no template.spec; give it one",
                                            pod_template.key.name));
  json::object metadata{{"namespace", request.key.ns}};
  if (const json::value* made = FindPath(request.body, {"metadata", "creationTimestamp"}))
    metadata["creationTimestamp"] = *made;
  for (const char* map : {"labels", "annotations"})
    if (const json::value* entries = FindPath(*form, {"metadata", map})) metadata[map] = *entries;
  json::object pod{{"apiVersion", "v1"}, {"kind", "Pod"}};
  pod["metadata"] = std::move(metadata);
  pod["spec"] = *spec;
  json::value& tolerations = pod["spec"].get_object()["tolerations"];
  if (!tolerations.is_array()) tolerations = json::array{};
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
    tolerations.get_array().push_back(DefaultToleration(key));
  pod["status"] = json::object{
      {"phase", "Pending"},
      {"conditions",
       json::array{json::object{
           {"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}}}}};
  json::value body(std::move(pod));
  const Status admitted = AdmitPod(store, body);
  if (!admitted)
    return Fail(Code::kInvalid,
                fmt::format("PodTemplate {}: {}", pod_template.key.name, admitted.error().message));
  if (const auto requests = DecodePodRequests(SpecOf(body)); !requests)
    return Fail(Code::kInvalid,
                fmt::format("PodTemplate {}: {}", pod_template.key.name, requests.error().message));
  return body;
}

store::ObjectPtr Named(const store::StoredObject& request, std::size_t set, std::int64_t index,
                       const json::value& body) {
  auto pod = std::make_shared<store::StoredObject>();
  const std::string place = fmt::format("{}{}{}", set, kSeparator, index);
  pod->key = {"Pod", request.key.ns, fmt::format("{}{}{}", request.key.name, kSeparator, place)};
  pod->uid = fmt::format("{}/{}", request.uid, place);
  pod->body = body;
  json::object& metadata = pod->body.at("metadata").get_object();
  metadata["name"] = pod->key.name;
  metadata["uid"] = pod->uid;
  // A place for the pod of this index, as its data is prepared before the pod is there.
  if (!AnnotationOf(body, kShardAnnotation).empty())
    metadata["annotations"].get_object()[kIndexAnnotation] = std::to_string(index);
  return pod;
}

Resources RequestsOf(const store::StoredObject& pod) {
  return DecodePodRequests(SpecOf(pod.body)).value_or(Resources());
}

// Pods of one request and the places it asked for.
class Matching {
 public:
  Matching(const store::Store& store, Promises& out, std::string workload, Booking booking,
           const std::set<std::string>& held)
      : store_(store), out_(out), workload_(std::move(workload)), booking_(booking), held_(held) {}

  void Run(std::vector<store::ObjectPtr> places, const std::vector<store::ObjectPtr>& pods,
           bool nodes_live) {
    const std::vector<store::ObjectPtr> all = places;
    if (booking_ == Booking::kOver) places.clear();
    // What is booked is what BurstNodes hold; a place that somebody took is held by its pod.
    if (booking_ == Booking::kBooked)
      std::erase_if(places, [&](const auto& place) { return !held_.contains(place->uid); });
    for (const store::ObjectPtr& pod : pods) {
      const bool held = held_.contains(pod->uid);
      const bool settled = held || Finished(pod->body) || !NodeOf(pod->body).empty();
      const Resources wants = RequestsOf(*pod);
      if (!(settled && booking_ == Booking::kBooked)) {
        const auto place = Choose(places, *pod, wants, !settled);
        if (place != places.end()) {
          if (!settled && held_.contains((*place)->uid)) out_.takes[pod->uid] = (*place)->uid;
          out_.workloads[pod->uid] = workload_;
          places.erase(place);
          continue;
        }
      }
      // A replacement of one that had a place, for as long as there are nodes. A pod that is larger
      // than all that was asked for is an ordinary one.
      const bool fits = std::ranges::any_of(
          all, [&](const auto& place) { return RequestsOf(*place).Covers(wants); });
      if (held || (nodes_live && fits)) out_.workloads[pod->uid] = workload_;
    }
    for (store::ObjectPtr& place : places) {
      out_.workloads[place->uid] = workload_;
      out_.pods.push_back(std::move(place));
    }
  }

 private:
  // The tightest place that is large enough and has the pod's shards; of equals one that is held,
  // or is not, as wanted.
  std::vector<store::ObjectPtr>::iterator Choose(std::vector<store::ObjectPtr>& places,
                                                 const store::StoredObject& pod,
                                                 const Resources& wants, bool held) const {
    const std::string shards = Shards(pod);
    auto best = places.end();
    auto rank = [&](const store::ObjectPtr& place) {
      return std::pair(RequestsOf(*place) != wants, held_.contains(place->uid) != held);
    };
    for (auto it = places.begin(); it != places.end(); ++it)
      if (RequestsOf(**it).Covers(wants) && Shards(**it) == shards &&
          (best == places.end() || rank(*it) < rank(*best)))
        best = it;
    return best;
  }

  // Empty also when they cannot be known: then the snapshot refuses the pod and says why.
  std::string Shards(const store::StoredObject& pod) const {
    return ShardsOfPod(store_, pod).value_or(std::string());
  }

  const store::Store& store_;
  Promises& out_;
  const std::string workload_;
  const Booking booking_;
  const std::set<std::string>& held_;
};

bool Holds(const BurstNode& node) {
  return node.Live() && !node.Failed() && node.phase < Phase::kReturning;
}

std::set<std::string> HeldPods(const std::vector<BurstNode>& nodes) {
  std::set<std::string> held;
  for (const BurstNode& node : nodes)
    if (Holds(node))
      for (const PodRef& pod : node.pods) held.insert(pod.uid);
  return held;
}

}  // namespace

bool IsOurs(const json::value& request) {
  const std::string_view name = StringOr(SpecOf(request), "provisioningClassName", "");
  return std::ranges::find(kClasses, name) != kClasses.end();
}

Booking BookingOf(const json::value& request) {
  if (Deleting(request) ||
      std::ranges::any_of(kEnds, [&](const char* end) { return HasCondition(request, end); }))
    return Booking::kOver;
  if (!HasCondition(request, "Provisioned")) return Booking::kLooking;
  const json::value* provisioned = ConditionOf(request, "Provisioned");
  return StringOr(*provisioned, "reason", "") == kSiteHasRoom ? Booking::kOver : Booking::kBooked;
}

std::string WorkloadOfRequest(const store::ObjectKey& request) {
  return fmt::format("{}/{}/{}", request.ns, kProvisioningRequest, request.name);
}

std::string_view RequestOf(const json::value& pod) {
  for (const std::string_view key : kConsume)
    if (const std::string_view name = AnnotationOf(pod, key); !name.empty()) return name;
  return {};
}

Result<std::vector<store::ObjectPtr>> PromisedPods(const store::Store& store,
                                                   const store::StoredObject& request) {
  std::vector<store::ObjectPtr> pods;
  const json::array* sets = FindArray(SpecOf(request.body), "podSets");
  if (sets == nullptr || sets->empty())
    return Fail(Code::kInvalid, "spec.podSets is empty; name at least one PodTemplate");
  for (std::size_t set = 0; set < sets->size(); ++set) {
    const json::value* name = FindPath((*sets)[set], {"podTemplateRef", "name"});
    const std::string wanted(name != nullptr && name->is_string() ? View(name->get_string()) : "");
    const std::int64_t count = IntOr((*sets)[set], "count", 0);
    if (count < 1 || count > kMostPods - static_cast<std::int64_t>(pods.size()))
      return Fail(Code::kInvalid,
                  fmt::format("spec.podSets[{}].count: {} is not from 1 to {} for all sets "
                              "together; split the request",
                              set, count, kMostPods));
    const store::ObjectPtr form = store.Get({kPodTemplate, request.key.ns, wanted});
    if (form == nullptr)
      return Fail(Code::kNotFound, fmt::format("PodTemplate {} does not exist in namespace {}",
                                               wanted, request.key.ns));
    SPW_ASSIGN(const json::value body, BodyOf(store, request, *form));
    for (std::int64_t i = 0; i < count; ++i) pods.push_back(Named(request, set, i, body));
  }
  return pods;
}

std::optional<std::string> RequestOfPromised(std::string_view pod_name) {
  const std::size_t at = pod_name.find(kSeparator);
  return at == pod_name.npos ? std::nullopt : std::optional(std::string(pod_name.substr(0, at)));
}

bool StillPromised(const store::Store& store, const PodRef& ref) {
  const store::ObjectKey key = PodKey(ref.key);
  const auto name = RequestOfPromised(key.name);
  if (!name) return false;
  const store::ObjectPtr request = store.Get({kProvisioningRequest, key.ns, *name});
  return request != nullptr && ref.uid.starts_with(request->uid + "/") && IsOurs(request->body) &&
         BookingOf(request->body) != Booking::kOver;
}

store::ObjectPtr FindPod(const store::Store& store, const PodRef& ref) {
  const store::ObjectKey key = PodKey(ref.key);
  if (!RequestOfPromised(key.name)) return store.Get(key);
  if (!StillPromised(store, ref)) return nullptr;
  const store::ObjectPtr request =
      store.Get({kProvisioningRequest, key.ns, *RequestOfPromised(key.name)});
  if (request == nullptr) return nullptr;
  const auto pods = PromisedPods(store, *request);
  if (!pods) return nullptr;
  const auto it = std::ranges::find(*pods, ref.uid, [](const auto& pod) { return pod->uid; });
  return it == pods->end() ? nullptr : *it;
}

Promises FindPromises(const store::Store& store, const std::vector<BurstNode>& nodes) {
  Promises out;
  const std::vector<store::ObjectPtr> requests = store.List(kProvisioningRequest);
  if (requests.empty()) return out;
  std::map<store::ObjectKey, std::vector<store::ObjectPtr>> pods_of;
  for (store::ObjectPtr& pod : store.List("Pod"))
    if (const std::string_view name = RequestOf(pod->body); !name.empty() && !Deleting(pod->body))
      pods_of[{kProvisioningRequest, pod->key.ns, std::string(name)}].push_back(std::move(pod));
  const std::set<std::string> held = HeldPods(nodes);
  for (const store::ObjectPtr& request : requests) {
    if (!IsOurs(request->body)) continue;
    const std::string workload = WorkloadOfRequest(request->key);
    const Booking booking = BookingOf(request->body);
    const bool live = std::ranges::any_of(
        nodes, [&](const BurstNode& node) { return Holds(node) && node.workload == workload; });
    if (booking == Booking::kOver && !live) continue;
    auto places = PromisedPods(store, *request);
    if (!places) continue;
    Matching matching(store, out, workload, booking, held);
    matching.Run(std::move(*places), pods_of[request->key], live);
  }
  return out;
}

std::size_t PodsThatCame(const store::Store& store, const store::ObjectKey& request,
                         const std::vector<BurstNode>& nodes) {
  const std::set<std::string> held = HeldPods(nodes);
  std::size_t came = 0;
  for (const store::ObjectPtr& pod : store.List("Pod", request.ns))
    if (RequestOf(pod->body) == request.name && !Deleting(pod->body))
      came += Finished(pod->body) || !NodeOf(pod->body).empty() || held.contains(pod->uid);
  return came;
}

}  // namespace spillway::site
