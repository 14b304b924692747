// What can be rented, and what the rules of a policy say about it.
#include <fmt/format.h>

#include <algorithm>

#include "server/view_parts.h"

namespace spillway::server {
namespace {

constexpr std::string_view kGpuProduct = "nvidia.com/gpu.product";

json::object FactsJson(const ProviderFacts& facts) {
  json::array leftovers;
  for (const SideObjectTerms& side : facts.side_objects)
    leftovers.push_back(json::object{{"kind", side.kind},
                                     {"perHour", MoneyJson(side.price_per_hour)},
                                     {"deletedWithInstance", side.deleted_with_instance}});
  return {{"name", facts.name},
          {"legalCountry", facts.legal_country},
          {"ownerCountry", facts.owner_country},
          {"usNexus", Name(facts.us_nexus)},
          {"usNexusEvidence", facts.us_nexus_evidence},
          {"certificates", Texts(facts.certificates)},
          {"billingStepSeconds", Seconds(facts.billing.step)},
          {"clockAligned", facts.billing.clock_aligned},
          {"egressPerGib", MoneyJson(facts.egress_per_gib)},
          {"leftovers", std::move(leftovers)}};
}

// Per GPU, rounded up as every price is.
std::optional<Money> PerGpuHour(const Offer& offer) {
  const std::int64_t gpus = offer.allocatable.gpus;
  if (gpus <= 0) return std::nullopt;
  return Money::Micro((offer.price_per_hour.micro() + gpus - 1) / gpus);
}

json::object TimeJson(const MeasuredTime& time) {
  return {{"medianSeconds", Seconds(time.median)},
          {"p90Seconds", Seconds(time.p90)},
          {"machines", time.machines}};
}

json::object RateJson(const MeasuredRate& rate) {
  return {{"medianBytesPerSecond", rate.median},
          {"p10BytesPerSecond", rate.p10},
          {"machines", rate.machines}};
}

json::object TriesJson(const FailedTries& tries) {
  return {{"failed", tries.failed},
          {"tried", tries.tried},
          {"tookSeconds", Seconds(tries.took)},
          {"paidSeconds", Seconds(tries.paid)}};
}

json::object OfferJson(const Offer& offer, const ProviderFacts& facts, const OfferTimes& times) {
  const auto product = offer.labels.find(kGpuProduct);
  return {{"provider", offer.provider},
          {"catalog", offer.catalog},
          {"region", offer.region},
          {"country", offer.country},
          {"area", offer.area},
          {"type", offer.instance_type},
          {"capacity", Name(offer.capacity)},
          {"gpus", offer.allocatable.gpus},
          {"gpuProduct", product == offer.labels.end() ? "" : product->second},
          {"memoryBytes", offer.allocatable.memory_bytes},
          {"cpuMilli", offer.allocatable.cpu_milli},
          {"perHour", MoneyJson(offer.price_per_hour)},
          {"perGpuHour", MoneyOrNull(PerGpuHour(offer))},
          {"stock", Name(offer.stock)},
          {"boot", TimeJson(times.boot)},
          {"join", TimeJson(times.join)},
          {"stage", TimeJson(times.stage)},
          {"stageRate", RateJson(times.stage_rate)},
          {"start", TimeJson(times.start)},
          {"tries", TriesJson(times.tries)},
          {"source", offer.source},
          {"readAt", FormatTime(offer.read_at)},
          {"usNexus", Name(facts.us_nexus)},
          {"certificates", Texts(facts.certificates)},
          {"verdict", nullptr}};
}

// The policy to judge by; -1: none admits the namespace, or nobody asked.
Result<int> PolicyFor(const plan::Index& index, const std::string& policy, const std::string& ns) {
  if (policy.empty()) return ns.empty() ? -1 : index.PolicyFor(ns);
  const auto& policies = index.snapshot.policies;
  const auto it = std::ranges::find(policies, policy, &Policy::name);
  if (it == policies.end())
    return Fail(Code::kNotFound, fmt::format("BurstPolicy {} does not exist", policy));
  return static_cast<int>(it - policies.begin());
}

}  // namespace

Result<json::value> OffersView(const RoundView& round, const std::string& policy,
                               const std::string& ns, const ViewContext& context) {
  const Snapshot& snapshot = round.snapshot;
  const plan::Options options;
  const plan::Index index(snapshot, options);
  SPW_ASSIGN(const int judge, PolicyFor(index, policy, ns));
  const ProviderFacts unknown;
  json::object providers;
  for (const ProviderFacts& facts : snapshot.facts) providers[facts.id] = FactsJson(facts);
  json::array items;
  int allowed = 0;
  for (std::size_t i = 0; i < snapshot.offers.size(); ++i) {
    const Offer& offer = snapshot.offers[i];
    const ProviderFacts* facts = FactsOf(snapshot, offer);
    json::object item =
        OfferJson(offer, facts == nullptr ? unknown : *facts, index.offers[i].times);
    if (judge >= 0) {
      const auto [reason, detail] = JudgeByPolicy(index, judge, static_cast<std::int32_t>(i));
      const bool passes = reason == OfferReason::kChosen;
      allowed += passes;
      item["verdict"] =
          json::object{{"reason", PolicyVerdictName(reason)},
                       {"detail", detail},
                       {"sentence", passes ? "allowed" : VerdictSentence(reason, detail)}};
    }
    items.push_back(std::move(item));
  }
  std::string sentence = "name a policy or a namespace to see what its rules say";
  json::value judged_by(nullptr);
  if (judge >= 0) {
    const std::string& name = snapshot.policies[static_cast<std::size_t>(judge)].name;
    judged_by = name;
    sentence =
        fmt::format("BurstPolicy {} allows {} of {} offers", name, allowed, snapshot.offers.size());
  } else if (!ns.empty()) {
    sentence = fmt::format("no BurstPolicy admits namespace {}: its work stays at the site", ns);
  }
  return json::object{{"now", FormatTime(context.now)},    {"simulated", Simulated(context)},
                      {"policy", std::move(judged_by)},    {"sentence", std::move(sentence)},
                      {"providers", std::move(providers)}, {"items", std::move(items)}};
}

}  // namespace spillway::server
