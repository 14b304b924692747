// Why one workload is where it is.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "server/view_parts.h"

namespace spillway::server {
namespace {

const Decision* FindDecision(const RoundView& round, std::string_view key) {
  for (const Decision& decision : round.plan.decisions)
    if (round.snapshot.workloads[static_cast<std::size_t>(decision.workload)].key == key)
      return &decision;
  return nullptr;
}

// Where the pods with a node are: "runs on gpu-1 (site) and bn-00001 (scaleway/...)".
std::string RunsWhere(const Snapshot& snapshot, const Workload& workload) {
  std::map<std::string, std::string> nodes;
  for (const std::int32_t index : workload.pods) {
    const Pod& pod = PodAt(snapshot, index);
    if (pod.node.empty()) continue;
    const BurstNode* rented = FindNode(snapshot.burst_nodes, pod.node);
    nodes[pod.node] = rented == nullptr
                          ? fmt::format("{} at the site", pod.node)
                          : fmt::format("BurstNode {} at {}", pod.node, PlaceOf(rented->offer));
  }
  std::string text;
  for (const auto& [name, place] : nodes) text += (text.empty() ? "runs on " : ", ") + place;
  return text;
}

// What the object says of itself, for a workload without unfinished pods.
std::string StateOf(const json::value& object) {
  const json::value* status = Find(object, "status");
  if (object.is_null()) return "its object is gone";
  if (status == nullptr) return "has no pods yet";
  if (const json::array* conditions = FindArray(*status, "conditions"))
    for (const json::value& condition : *conditions) {
      if (StringOr(condition, "status", "") != "True") continue;
      const std::string_view type = StringOr(condition, "type", "");
      if (type == "Complete") return "has completed";
      if (type == "Suspended") return "is suspended";
      if (type == "Failed")
        return fmt::format("has failed: {}", StringOr(condition, "message", "no message"));
    }
  const std::string_view phase = StringOr(*status, "phase", "");
  if (phase == "Succeeded") return "has completed";
  if (phase == "Failed") return "has failed";
  return "has no unfinished pods now";
}

std::string EvidenceOf(const Snapshot& snapshot, const Offer& offer, OfferReason reason) {
  if (reason == OfferReason::kUsNexus) {
    const ProviderFacts* facts = FactsOf(snapshot, offer);
    return facts == nullptr ? "nothing is known of this provider" : facts->us_nexus_evidence;
  }
  if (reason == OfferReason::kTooExpensive || reason == OfferReason::kCostsMore)
    return fmt::format("{}, read {}", offer.source, FormatTime(offer.read_at));
  return "";
}

json::object VerdictJson(const Snapshot& snapshot, const OfferVerdict& verdict,
                         std::string_view reason, std::string sentence) {
  const Offer& offer = snapshot.offers[static_cast<std::size_t>(verdict.offer)];
  return {{"provider", offer.provider},
          {"catalog", offer.catalog},
          {"region", offer.region},
          {"country", offer.country},
          {"area", offer.area},
          {"type", offer.instance_type},
          {"capacity", Name(offer.capacity)},
          {"gpus", offer.allocatable.gpus},
          {"perHour", MoneyJson(offer.price_per_hour)},
          {"reason", reason},
          {"detail", verdict.detail},
          {"sentence", std::move(sentence)},
          {"evidence", EvidenceOf(snapshot, offer, verdict.reason)},
          {"total", MoneyOrNull(verdict.total)}};
}

json::array PlannedOffers(const RoundView& round, const Decision& decision) {
  json::array out;
  const auto& explanation = round.plan.explanations[static_cast<std::size_t>(decision.explanation)];
  for (const OfferVerdict& verdict : explanation.offers)
    out.push_back(VerdictJson(round.snapshot, verdict, Name(verdict.reason),
                              VerdictSentence(verdict.reason, verdict.detail)));
  return out;
}

// Only the policy's rules and the market, for a workload the planner does not think about now.
json::array OffersByPolicy(const plan::Index& index, int policy) {
  const Snapshot& snapshot = index.snapshot;
  std::vector<OfferVerdict> verdicts;
  for (std::size_t i = 0; i < snapshot.offers.size(); ++i) {
    auto [reason, detail] = JudgeByPolicy(index, policy, static_cast<std::int32_t>(i));
    verdicts.push_back({static_cast<std::int32_t>(i), reason, std::move(detail), std::nullopt});
  }
  std::ranges::stable_sort(verdicts, {}, [&](const OfferVerdict& v) {
    return std::tuple(v.reason, snapshot.offers[static_cast<std::size_t>(v.offer)].price_per_hour);
  });
  json::array out;
  for (const OfferVerdict& verdict : verdicts)
    out.push_back(VerdictJson(snapshot, verdict, PolicyVerdictName(verdict.reason),
                              verdict.reason == OfferReason::kChosen
                                  ? "allowed"
                                  : VerdictSentence(verdict.reason, verdict.detail)));
  return out;
}

json::value WorkloadFacts(const plan::Index& index, const Workload* workload) {
  if (workload == nullptr) return nullptr;
  const int policy = index.PolicyFor(workload->ns);
  return json::object{
      {"policy", policy < 0
                     ? json::value(nullptr)
                     : json::value(index.snapshot.policies[static_cast<std::size_t>(policy)].name)},
      {"dataClass", Name(workload->data_class)},
      {"dataClassSource", workload->data_class_source},
      {"inputBytes", workload->input_bytes + workload->shard_bytes},
      {"gang", workload->gang},
      {"priority", workload->priority},
      {"pods", workload->pods.size()}};
}

std::optional<Time> FirstIn(const BurstNode& node, Phase phase) {
  for (const auto& [at_phase, at] : node.history)
    if (at_phase == phase) return at;
  return std::nullopt;
}

json::array HistoryJson(const BurstNode& node, Time now) {
  json::array out;
  for (std::size_t i = 0; i < node.history.size(); ++i) {
    const auto& [phase, at] = node.history[i];
    const Time end = i + 1 < node.history.size() ? node.history[i + 1].second : now;
    out.push_back(
        json::object{{"phase", Name(phase)},
                     {"at", FormatTime(at)},
                     {"seconds", phase == Phase::kGone ? json::value(nullptr)
                                                       : json::value(Seconds(end - at))}});
  }
  return out;
}

// Forecast and what happened, for the steps the planner prices.
json::array StepsJson(const BurstNode& node) {
  json::array out;
  const auto push = [&](std::string_view step, Duration forecast, std::optional<Duration> actual) {
    out.push_back(json::object{
        {"step", step},
        {"forecastSeconds", Seconds(forecast)},
        {"actualSeconds", actual ? json::value(Seconds(*actual)) : json::value(nullptr)}});
  };
  const auto add = [&](std::string_view step, Duration forecast, Phase from, Phase to) {
    const auto start = FirstIn(node, from), end = FirstIn(node, to);
    push(step, forecast, start && end ? std::optional(*end - *start) : std::nullopt);
  };
  add("boot", node.forecast.boot, Phase::kRequested, Phase::kJoined);
  add("stage", node.forecast.stage, Phase::kJoined, Phase::kStaged);
  push("start", node.forecast.start, node.start_took);
  add("run", node.forecast.run, Phase::kRunning, Phase::kReturning);
  add("giveBack", node.forecast.give_back, Phase::kReturning, Phase::kWiping);
  add("wipe", node.forecast.wipe, Phase::kWiping, Phase::kDeleting);
  return out;
}

json::object LifeJson(const BurstNode& node, Time now) {
  const Amounts amounts = AmountsOf(node, now);
  json::array pods;
  for (const PodRef& pod : node.pods) pods.emplace_back(pod.key);
  return {{"name", node.name},
          {"phase", Name(node.phase)},
          {"workload", node.workload},
          {"namespace", node.ns},
          {"why", node.why},
          {"provider", node.offer.provider},
          {"region", node.offer.region},
          {"type", node.offer.instance_type},
          {"policy", node.policy},
          {"budget", node.budget},
          {"pods", std::move(pods)},
          {"createdAt", FormatTime(node.created_at)},
          {"history", HistoryJson(node, now)},
          {"steps", StepsJson(node)},
          {"paid", json::object{{"forecastSeconds", Seconds(node.forecast.paid)},
                                {"actualSeconds", amounts.paid_ms / 1000}}},
          {"cost", json::object{{"forecast", MoneyJson(node.forecast.total)},
                                {"worstCase", MoneyJson(node.forecast.worst_case)},
                                {"actual", MoneyJson(amounts.Actual())}}},
          {"failure", node.Failed() ? json::value(Name(node.failure)) : json::value(nullptr)},
          {"failureDetail", node.failure_detail},
          {"bytesIn", node.bytes_in},
          {"bytesOut", node.bytes_out},
          {"neverLeft",
           json::object{{"objects", node.never_left_objects}, {"bytes", node.never_left_bytes}}},
          {"wipe", WipeJson(node)}};
}

bool RentedFor(const BurstNode& node, const std::string& workload, const Owners& owners) {
  if (node.workload == workload) return true;
  return std::ranges::any_of(node.pods, [&](const PodRef& pod) {
    const auto it = owners.find(pod.key);
    return it != owners.end() && it->second == workload;
  });
}

}  // namespace

json::value DecisionRecord(const RoundView& round, const Decision& decision, Time now) {
  if (decision.explanation < 0) return nullptr;
  return json::object{{"at", FormatTime(now)},
                      {"sentence", decision.sentence},
                      {"offers", PlannedOffers(round, decision)}};
}

Result<json::value> ExplainView(const RoundView& round, const std::string& workload,
                                const json::value& object, const json::value& record,
                                const std::vector<BurstNode>& nodes, const Owners& owners,
                                const ViewContext& context) {
  const Snapshot& snapshot = round.snapshot;
  const plan::Options options;
  const plan::Index index(snapshot, options);
  const Workload* known = WorkloadFor(snapshot, workload, owners);
  const Decision* decision = known == nullptr ? nullptr : FindDecision(round, known->key);
  json::array lives;
  for (const BurstNode& node : nodes)
    if (RentedFor(node, workload, owners)) lives.push_back(LifeJson(node, context.now));
  if (known == nullptr && object.is_null() && lives.empty())
    return Fail(Code::kNotFound, fmt::format("nothing is known of workload {}", workload));

  const std::string ns = workload.substr(0, workload.find('/'));
  const int policy = index.PolicyFor(ns);
  std::string_view judged = "none";
  json::array offers;
  json::value past(nullptr);
  if (decision != nullptr && decision->explanation >= 0) {
    judged = "workload";
    offers = PlannedOffers(round, *decision);
  } else if (record.is_object()) {
    judged = "past";
    past = json::object{{"at", StringOr(record, "at", "")},
                        {"sentence", StringOr(record, "sentence", "")}};
    if (const json::array* kept = FindArray(record, "offers")) offers = *kept;
  } else if (policy >= 0) {
    judged = "policy";
    offers = OffersByPolicy(index, policy);
  }
  std::string sentence = known == nullptr ? "" : RunsWhere(snapshot, *known);
  if (decision != nullptr) sentence = decision->sentence;
  if (sentence.empty()) sentence = StateOf(object);
  return json::object{
      {"now", FormatTime(context.now)},
      {"simulated", Simulated(context)},
      {"workload", workload},
      {"namespace", ns},
      {"sentence", std::move(sentence)},
      {"decision", decision == nullptr ? json::value(nullptr)
                                       : json::value(DecisionJson(*decision, round, context.now))},
      {"facts", WorkloadFacts(index, known)},
      {"judged", judged},
      {"past", std::move(past)},
      {"offers", std::move(offers)},
      {"burstNodes", std::move(lives)}};
}

}  // namespace spillway::server
