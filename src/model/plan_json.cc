// The plan as the API shows it.
#include "model/decode.h"

namespace spillway {
namespace {

json::value OptionalMoney(const std::optional<Money>& m) {
  return m ? json::value(m->micro()) : json::value(nullptr);
}

json::object EncodeVerdict(const OfferVerdict& v, const Snapshot& snapshot) {
  const Offer& o = snapshot.offers[static_cast<std::size_t>(v.offer)];
  return {{"provider", o.provider},
          {"region", o.region},
          {"type", o.instance_type},
          {"capacity", Name(o.capacity)},
          {"gpus", o.allocatable.gpus},
          {"pricePerHourMicroEuro", o.price_per_hour.micro()},
          {"reason", Name(v.reason)},
          {"detail", v.detail},
          {"totalMicroEuro", OptionalMoney(v.total)}};
}

json::object EncodeRental(const Rental& r, const Snapshot& snapshot) {
  const Offer& o = snapshot.offers[static_cast<std::size_t>(r.offer)];
  json::array pods;
  for (std::int32_t pod : r.pods)
    pods.emplace_back(snapshot.pods[static_cast<std::size_t>(pod)].key);
  return {{"provider", o.provider},
          {"region", o.region},
          {"type", o.instance_type},
          {"namespace", r.ns},
          {"policy", snapshot.policies[static_cast<std::size_t>(r.policy)].name},
          {"budget", r.budget < 0
                         ? json::value(nullptr)
                         : json::value(snapshot.budgets[static_cast<std::size_t>(r.budget)].name)},
          {"workload", r.workload},
          {"gang", r.gang},
          {"gangSize", r.gang_size},
          {"pods", std::move(pods)},
          {"forecast", EncodeForecast(r.forecast)},
          {"why", r.why}};
}

}  // namespace

json::value EncodePlan(const Plan& plan, const Snapshot& snapshot) {
  json::array decisions, rentals, explanations;
  for (const Decision& d : plan.decisions) {
    json::array indexes;
    for (std::int32_t r : d.rentals) indexes.emplace_back(r);
    decisions.push_back(
        json::object{{"workload", snapshot.workloads[static_cast<std::size_t>(d.workload)].key},
                     {"namespace", snapshot.workloads[static_cast<std::size_t>(d.workload)].ns},
                     {"verdict", Name(d.verdict)},
                     {"reason", Name(d.reason)},
                     {"sentence", d.sentence},
                     {"until", d.until ? json::value(FormatTime(*d.until)) : json::value(nullptr)},
                     {"estimateMicroEuro", OptionalMoney(d.estimate)},
                     {"missingMicroEuro", OptionalMoney(d.missing)},
                     {"burstNode", d.burst_node},
                     {"rentals", std::move(indexes)},
                     {"explanation", d.explanation}});
  }
  for (const Rental& r : plan.rentals) rentals.push_back(EncodeRental(r, snapshot));
  for (const Explanation& e : plan.explanations) {
    json::array offers;
    for (const OfferVerdict& v : e.offers) offers.push_back(EncodeVerdict(v, snapshot));
    explanations.push_back(json::object{{"offers", std::move(offers)}});
  }
  return json::object{{"decisions", std::move(decisions)},
                      {"rentals", std::move(rentals)},
                      {"explanations", std::move(explanations)}};
}

}  // namespace spillway
