#include "kubernetes/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "kubernetes/mirror.h"
#include "site/objects.h"
#include "site/promises.h"

namespace spillway::kubernetes {
namespace {

constexpr std::string_view kBookingSeconds = "BookingSeconds", kValidUntil = "ValidUntilSeconds";
constexpr std::size_t kMessageBytes = 1024;
constexpr std::int64_t kDefaultBooking = 600, kMostSeconds = 7 * 24 * 3600;

std::string_view ParameterOf(const json::value& request, std::string_view name) {
  const json::value* value = FindPath(request, {"spec", "parameters", name});
  return value != nullptr && value->is_string() ? View(value->get_string()) : std::string_view();
}

// nullopt: it is not a number of seconds that can be meant.
std::optional<std::int64_t> SecondsOf(const json::value& request, std::string_view name,
                                      std::int64_t fallback) {
  const std::string_view text = ParameterOf(request, name);
  if (text.empty()) return fallback;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && seconds >= 1 && seconds <= kMostSeconds ? std::optional(seconds) : std::nullopt;
}

std::optional<Time> Since(const json::value& request, std::string_view type) {
  const json::value* condition = site::ConditionOf(request, type);
  if (condition == nullptr) return std::nullopt;
  const auto time = ParseTime(StringOr(*condition, "lastTransitionTime", ""));
  return time ? std::optional(*time) : std::nullopt;
}

std::optional<Time> BookedUntil(const json::value& request) {
  const auto since = Since(request, "Provisioned");
  const auto seconds = SecondsOf(request, kBookingSeconds, kDefaultBooking);
  return since && seconds ? std::optional(*since + std::chrono::seconds(*seconds)) : std::nullopt;
}

std::optional<Time> ValidUntil(const json::value& request) {
  const auto made = site::CreatedAt(request);
  const auto seconds = SecondsOf(request, kValidUntil, 0);
  return made && seconds && *seconds > 0 ? std::optional(*made + std::chrono::seconds(*seconds))
                                         : std::nullopt;
}

// "no-offer-fits" -> "NoOfferFits"
std::string CamelCase(std::string_view words) {
  std::string text;
  bool upper = true;
  for (const char c : words) {
    if (c != '-') text += upper ? static_cast<char>(std::toupper(c)) : c;
    upper = c == '-';
  }
  return text;
}

std::string PodsText(std::size_t pods) {
  return fmt::format("{} pod{}", pods, pods == 1 ? "" : "s");
}

// Left Running other than by the end of its pods, after the request was told that it is there.
const BurstNode* LostNode(const RequestFacts& facts, Time provisioned) {
  for (const BurstNode* node : facts.nodes) {
    if (!node->Failed() || !node->pods_admitted) continue;
    for (const auto& [phase, at] : node->history)
      if (phase > Phase::kRunning) {
        if (at >= provisioned) return node;
        break;
      }
  }
  return nullptr;
}

bool AllRunning(const RequestFacts& facts) {
  bool some = false;
  for (const BurstNode* node : facts.nodes) {
    if (!node->Live() || node->Failed()) continue;
    if (node->phase != Phase::kRunning) return false;
    some = true;
  }
  return some;
}

std::string NamesOf(const RequestFacts& facts) {
  std::string names;
  for (const BurstNode* node : facts.nodes)
    if (node->Live() && !node->Failed())
      names += fmt::format("{}{}", names.empty() ? "" : ", ", node->name);
  return names;
}

std::vector<RequestCondition> WhileLooking(const json::value& request, const RequestFacts& facts) {
  if (const auto end = ValidUntil(request); end && facts.now >= *end)
    return {{"Failed", true, "NotInTime",
             fmt::format("no machines were found within the {} seconds of {}",
                         ParameterOf(request, kValidUntil), kValidUntil)}};
  const bool settled = facts.decision == nullptr || facts.decision->verdict == Verdict::kOnItsWay;
  if (settled && AllRunning(facts))
    return {{"Provisioned", true, "NodesReady",
             fmt::format("{} {} ready and kept for the {}", NamesOf(facts),
                         facts.nodes.size() == 1 ? "is" : "are", PodsText(facts.pods))}};
  if (facts.decision == nullptr) return {};
  switch (facts.decision->verdict) {
    case Verdict::kFitsSite:
      return {
          {"Provisioned", true, std::string(site::kSiteHasRoom),
           fmt::format("the site has room for the {}; nothing is rented", PodsText(facts.pods))}};
    case Verdict::kRefuse:
      return {{"Failed", true, CamelCase(Name(facts.decision->reason)), facts.decision->sentence}};
    case Verdict::kOnItsWay:
    case Verdict::kRent:
      return {{"Provisioned", false, "Renting", facts.decision->sentence}};
    case Verdict::kWait:
      break;
  }
  const std::string reason =
      facts.decision->reason == Reason::kNone ? "Waiting" : CamelCase(Name(facts.decision->reason));
  return {{"Provisioned", false, reason, facts.decision->sentence}};
}

std::vector<RequestCondition> OnceThere(const json::value& request, const RequestFacts& facts) {
  if (const BurstNode* lost = LostNode(facts, *Since(request, "Provisioned")))
    return {{"CapacityRevoked", true, std::string(Name(lost->failure)),
             fmt::format("BurstNode {} is gone: {}", lost->name, lost->failure_detail)}};
  if (site::HasCondition(request, "BookingExpired")) return {};
  if (facts.pods > 0 && facts.came >= facts.pods)
    return {{"BookingExpired", true, "AllPodsCame",
             fmt::format("the {} came; nothing more is kept", PodsText(facts.pods))}};
  const auto until = BookedUntil(request);
  if (!until || facts.now < *until) return {};
  return {
      {"BookingExpired", true, "TimeIsOver",
       fmt::format("{} of {} came within {}; what nobody uses goes back", facts.came,
                   PodsText(facts.pods), HumanDuration(*until - *Since(request, "Provisioned")))}};
}

// Those that hold, set already or not.
std::vector<RequestCondition> Wanted(const json::value& request, const RequestFacts& facts) {
  if (site::Deleting(request) || site::HasCondition(request, "Failed") ||
      site::HasCondition(request, "CapacityRevoked"))
    return {};
  if (site::HasCondition(request, "Provisioned") && Since(request, "Provisioned"))
    return OnceThere(request, facts);
  for (const std::string_view name : {kBookingSeconds, kValidUntil})
    if (!SecondsOf(request, name, 1))
      return {{"Failed", true, "InvalidParameter",
               fmt::format("spec.parameters.{}: \"{}\" is not a number of seconds from 1 to {}",
                           name, ParameterOf(request, name), kMostSeconds)}};
  if (facts.problem && facts.problem->code == Code::kNotFound)
    return {{"Accepted", false, "PodTemplateMissing", facts.problem->message}};
  if (facts.problem) return {{"Failed", true, "InvalidRequest", facts.problem->message}};
  std::vector<RequestCondition> wanted = WhileLooking(request, facts);
  wanted.insert(wanted.begin(),
                {"Accepted", true, "Accepted",
                 fmt::format("Spillway looks for room for {}", PodsText(facts.pods))});
  return wanted;
}

// It is there with this status and reason; its sentence may be older.
bool Stands(const json::value& request, const RequestCondition& wanted) {
  const json::value* have = site::ConditionOf(request, wanted.type);
  return have != nullptr && StringOr(*have, "status", "") == (wanted.holds ? "True" : "False") &&
         StringOr(*have, "reason", "") == wanted.reason;
}

}  // namespace

std::vector<RequestCondition> NextConditions(const json::value& request,
                                             const RequestFacts& facts) {
  std::vector<RequestCondition> next = Wanted(request, facts);
  std::erase_if(next, [&](const RequestCondition& wanted) { return Stands(request, wanted); });
  return next;
}

std::optional<Time> LookAgainAt(const json::value& request) {
  if (site::Deleting(request) || site::HasCondition(request, "Failed") ||
      site::HasCondition(request, "BookingExpired") ||
      site::HasCondition(request, "CapacityRevoked"))
    return std::nullopt;
  return site::HasCondition(request, "Provisioned") ? BookedUntil(request) : ValidUntil(request);
}

bool SetRequestConditions(json::value& request, const std::vector<RequestCondition>& conditions,
                          Time now) {
  bool changed = false;
  for (const RequestCondition& one : conditions)
    if (!Stands(request, one))
      changed = site::SetCondition(request, one.type, one.holds, one.reason,
                                   one.message.substr(0, kMessageBytes), now) ||
                changed;
  return changed;
}

RequestFacts Requests::FactsOf(const store::StoredObject& request, const Snapshot& snapshot,
                               const Plan& plan) const {
  RequestFacts facts;
  facts.now = snapshot.now;
  const std::string workload = site::WorkloadOfRequest(request.key);
  for (const BurstNode& node : snapshot.burst_nodes)
    if (node.workload == workload) facts.nodes.push_back(&node);
  if (site::HasCondition(request.body, "BookingExpired")) return facts;
  if (const auto pods = site::PromisedPods(store_, request))
    facts.pods = pods->size();
  else
    facts.problem = pods.error();
  for (const Decision& decision : plan.decisions)
    if (snapshot.workloads[static_cast<std::size_t>(decision.workload)].key == workload)
      facts.decision = &decision;
  if (site::HasCondition(request.body, "Provisioned"))
    facts.came = site::PodsThatCame(store_, request.key, snapshot.burst_nodes);
  return facts;
}

void Requests::Decided(const Snapshot& snapshot, const Plan& plan) {
  for (const store::ObjectPtr& request : store_.List(site::kProvisioningRequest)) {
    if (!site::IsOurs(request->body)) continue;
    const std::string key =
        fmt::format("ProvisioningRequest/{}/{}", request->key.ns, request->key.name);
    if (worker_.Has(key)) continue;
    std::vector<RequestCondition> next =
        NextConditions(request->body, FactsOf(*request, snapshot, plan));
    if (next.empty()) continue;
    worker_.Do(key, [this, request, next = std::move(next)] { return Write(*request, next); });
  }
}

// On the object as it is, so that what is there already stays with its time.
Status Requests::Write(const store::StoredObject& request,
                       const std::vector<RequestCondition>& conditions) {
  const std::string& ns = request.key.ns;
  const std::string& name = request.key.name;
  auto now = api_.Get(kProvisioningRequests, ns, name);
  if (!now && now.error().code == Code::kNotFound) return Ok();
  if (!now) return tl::unexpected(now.error());
  if (MetadataText(*now, "uid") != request.uid) return Ok();
  if (!SetRequestConditions(*now, conditions, SystemClock().Now())) return Ok();
  const auto written = api_.Patch(
      kProvisioningRequests, ns, name, "status", PatchKind::kMerge,
      json::object{
          {"metadata", json::object{{"resourceVersion", MetadataText(*now, "resourceVersion")}}},
          {"status", json::object{{"conditions", now->at("status").at("conditions")}}}});
  if (!written && written.error().code == Code::kNotFound) return Ok();
  if (!written) return tl::unexpected(written.error());
  for (const RequestCondition& one : conditions)
    if (one.holds)
      tell_(request.key,
            one.type == "Failed" || one.type == "CapacityRevoked" || one.reason == "TimeIsOver",
            one.type, one.message);
  return Ok();
}

std::optional<Time> Requests::LookAgain() const {
  std::optional<Time> next;
  for (const store::ObjectPtr& request : store_.List(site::kProvisioningRequest)) {
    if (!site::IsOurs(request->body)) continue;
    const auto at = LookAgainAt(request->body);
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

}  // namespace spillway::kubernetes
