#include "plan/law.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/fit.h"

namespace spillway::plan {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Where a class comes from, for people.
std::string Source(const Workload& workload) {
  return workload.data_class_source.empty() ? std::string("its data") : workload.data_class_source;
}

bool AdmitsClass(const Policy& policy, DataClass data_class) {
  if (policy.data_classes.empty()) return data_class == DataClass::kPublic;
  return std::find(policy.data_classes.begin(), policy.data_classes.end(), data_class) !=
         policy.data_classes.end();
}

// Every member of the EU is in the EEA, so a policy for the EEA admits the EU.
bool AdmitsArea(const Policy& policy, const Offer& offer) {
  const bool area = policy.areas.empty()
                        ? offer.area == "EU"
                        : Contains(policy.areas, offer.area) ||
                              (offer.area == "EU" && Contains(policy.areas, "EEA"));
  return area && (policy.countries.empty() || Contains(policy.countries, offer.country));
}

// Compared without division: price of the instance against the limit times its GPUs. An instance
// without GPUs has no price per GPU.
bool AboveGpuPrice(const Policy& policy, const Offer& offer) {
  return policy.max_per_gpu_hour && offer.allocatable.gpus > 0 &&
         offer.price_per_hour > *policy.max_per_gpu_hour * offer.allocatable.gpus;
}

std::string NexusDetail(const ProviderFacts& facts) {
  std::string detail(Name(facts.us_nexus));
  if (!facts.us_nexus_evidence.empty()) detail += ": " + facts.us_nexus_evidence;
  return detail;
}

}  // namespace

Refusal MayLeave(const Index& index, const Workload& workload, int policy) {
  if (workload.data_class == DataClass::kRestricted)
    return {Reason::kDataClass,
            fmt::format("{} is \"restricted\" and never leaves it", Source(workload))};
  if (policy < 0)
    return {Reason::kNoPolicy, fmt::format("no BurstPolicy names namespace {}", workload.ns)};
  const Policy& rules = index.snapshot.policies[static_cast<std::size_t>(policy)];
  if (!workload.inputs_known)
    return {Reason::kInputsUnknown,
            workload.inputs_problem.empty()
                ? "it mounts a claim that is neither Dataset nor results place"
                : workload.inputs_problem};
  if (!AdmitsClass(rules, workload.data_class))
    return {Reason::kDataClass,
            fmt::format("{} is \"{}\", a class that BurstPolicy {} does not admit",
                        Source(workload), Name(workload.data_class), rules.name)};
  if (workload.expected_duration && *workload.expected_duration > rules.lifetime)
    return {
        Reason::kNoOfferAllowed,
        fmt::format("it computes for {}, longer than the {} that BurstPolicy {} lets a node live",
                    HumanDuration(*workload.expected_duration), HumanDuration(rules.lifetime),
                    rules.name)};
  for (const std::int32_t pod : workload.pods) {
    const auto shape =
        static_cast<std::size_t>(index.snapshot.pods[static_cast<std::size_t>(pod)].shape);
    const PodShape& wants = index.snapshot.shapes[shape];
    if (!wants.not_understood.empty())
      return {Reason::kNotUnderstood, fmt::format("its pods use {}, which is not understood yet",
                                                  wants.not_understood.front())};
    if (!wants.nowhere.empty()) return {Reason::kInputsUnknown, wants.nowhere};
  }
  return {};
}

Objection ByLaw(const Index& index, const Policy& policy, std::int32_t offer_index) {
  const Offer& offer = index.snapshot.offers[static_cast<std::size_t>(offer_index)];
  const OfferInfo& info = index.offers[static_cast<std::size_t>(offer_index)];
  const ProviderAccount* account =
      info.account < 0 ? nullptr : &index.snapshot.accounts[static_cast<std::size_t>(info.account)];
  if (!policy.providers.empty() && !Contains(policy.providers, offer.provider))
    return {OfferReason::kProviderNotAllowed, offer.provider};
  if (account != nullptr && !account->regions.empty() && !Contains(account->regions, offer.region))
    return {OfferReason::kProviderNotAllowed, offer.region + " is not opened"};
  if (!AdmitsArea(policy, offer))
    return {OfferReason::kArea,
            offer.area.empty() ? offer.country : offer.country + " (" + offer.area + ")"};
  if (!policy.any_us_nexus && info.facts->us_nexus > policy.max_us_nexus)
    return {OfferReason::kUsNexus, NexusDetail(*info.facts)};
  for (const std::string& certificate : policy.certificates)
    if (!Contains(info.facts->certificates, certificate))
      return {OfferReason::kCertificate, certificate};
  if (offer.capacity == CapacityType::kSpot && !policy.allow_spot)
    return {OfferReason::kCapacityType, "spot"};
  if (account == nullptr) return {OfferReason::kProviderNotReady, "no CloudProvider"};
  if (!account->ready) return {OfferReason::kProviderNotReady, account->not_ready_reason};
  if (AboveGpuPrice(policy, offer))
    return {OfferReason::kTooExpensive,
            fmt::format("{}/h for {} GPU, limit {} each", HumanMoney(offer.price_per_hour),
                        offer.allocatable.gpus, HumanMoney(*policy.max_per_gpu_hour))};
  return {};
}

Objection ByFit(const Index& index, std::int32_t shape_index, std::int32_t offer) {
  const PodShape& shape = index.snapshot.shapes[static_cast<std::size_t>(shape_index)];
  const Node& node = index.offers[static_cast<std::size_t>(offer)].node;
  if (!node.allocatable.Covers(shape.requests))
    return {OfferReason::kTooSmall, node.allocatable.FirstShortage(shape.requests)};
  return ByLabels(index, shape_index, offer);
}

Objection ByLabels(const Index& index, std::int32_t shape_index, std::int32_t offer) {
  const PodShape& shape = index.snapshot.shapes[static_cast<std::size_t>(shape_index)];
  const Node& node = index.offers[static_cast<std::size_t>(offer)].node;
  // Its node name is not known before it is rented: an affinity to a name never matches.
  if (std::string key = FirstMismatch(shape, node.labels, ""); !key.empty())
    return {OfferReason::kLabels, std::move(key)};
  if (std::string why = WhyNeverOn(shape, node, Entry::kAdmitted); !why.empty())
    return {OfferReason::kLabels, std::move(why)};
  return {};
}

Objection ByPods(const Index& index, Placement& ground, std::int32_t shape, std::int32_t offer) {
  Node node = index.offers[static_cast<std::size_t>(offer)].node;
  const std::int32_t at = ground.AddNode(std::move(node));
  std::string why = ground.WhyNot(shape, at, Entry::kAdmitted);
  ground.DropLastNode();
  if (why.empty()) return {};
  return {OfferReason::kLabels, std::move(why)};
}

Objection ByState(const Index& index, std::int32_t offer) {
  if (index.snapshot.offers[static_cast<std::size_t>(offer)].stock == Stock::kNone)
    return {OfferReason::kNoStock, ""};
  if (const auto& until = index.offers[static_cast<std::size_t>(offer)].parked_until; until)
    return {OfferReason::kParked, "until " + FormatTime(*until)};
  return {};
}

}  // namespace spillway::plan
