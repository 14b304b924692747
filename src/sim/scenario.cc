#include "sim/scenario.h"

#include <array>

namespace spillway::sim {
namespace {

using simulated::CloudFaults;
using simulated::CloudGoods;

constexpr std::int64_t kMib = std::int64_t{1} << 20;

Offer MakeOffer(const std::string& provider, std::string type, std::int64_t gpus, Money price) {
  Offer offer;
  offer.provider = offer.catalog = provider;
  offer.region = provider + "-1";
  offer.country = "FR";
  offer.area = "EU";
  offer.instance_type = std::move(type);
  offer.stock = Stock::kAvailable;
  offer.allocatable = Resources{4000 * gpus, 1024 * kMib * gpus, 0, gpus, {}};
  offer.labels = {{"gpu", "H100"}};
  offer.price_per_hour = price;
  return offer;
}

ProviderFacts MakeFacts(std::string name, BillingTerms billing, LifecycleTimes times) {
  ProviderFacts facts;
  facts.id = std::move(name);
  facts.us_nexus = UsNexus::kNone;
  facts.billing = billing;
  facts.times = times;
  return facts;
}

// Five providers that differ in everything the rules must cope with: billing step and meter, phases
// of create and delete, side objects that stay, speed. Shared by all runs.
const std::vector<std::shared_ptr<const CloudGoods>>& AllGoods() {
  using Start = BillingTerms::MeterStart;
  using Stop = BillingTerms::MeterStop;
  static const auto* const kGoods = [] {
    auto* goods = new std::vector<std::shared_ptr<const CloudGoods>>;
    const auto add = [&](ProviderFacts facts, std::int64_t cents) {
      auto one = std::make_shared<CloudGoods>();
      one->offers = {MakeOffer(facts.id, "g1", 1, Money::Cents(cents)),
                     MakeOffer(facts.id, "g4", 4, Money::Cents(cents * 7 / 2))};
      one->facts = std::move(facts);
      goods->push_back(std::move(one));
    };
    ProviderFacts alder =
        MakeFacts("alder", {1min, false, 0s, Start::kCreate, Stop::kGone}, {50s, 140s, 20s, 60s});
    alder.side_objects = {{"disk", Money::Cents(2), false}};
    add(std::move(alder), 250);
    ProviderFacts birch = MakeFacts(
        "birch", {1h, false, 0s, Start::kRunning, Stop::kDeleteAccepted}, {70s, 200s, 10s, 30s});
    birch.create_phases = 2;
    birch.side_objects = {{"address", Money::Cents(1), false}, {"disk", Money::Cents(1), true}};
    add(std::move(birch), 180);
    ProviderFacts cedar =
        MakeFacts("cedar", {1h, true, 0s, Start::kCreate, Stop::kGone}, {90s, 150s, 40s, 90s});
    cedar.delete_phases = 2;
    cedar.side_objects = {{"port", Money::Cents(1), true}};
    add(std::move(cedar), 200);
    ProviderFacts dogwood =
        MakeFacts("dogwood", {1s, false, 1min, Start::kRunning, Stop::kGone}, {40s, 90s, 5s, 20s});
    dogwood.delete_refused_while_creating = true;
    dogwood.egress_per_gib = Money::Cents(3);
    add(std::move(dogwood), 320);
    ProviderFacts elm = MakeFacts("elm", {10min, false, 0s, Start::kCreate, Stop::kDeleteAccepted},
                                  {120s, 300s, 30s, 120s});
    elm.delete_phases = 2;
    elm.create_phases = 2;
    elm.side_objects = {{"address", Money::Cents(1), false}};
    add(std::move(elm), 220);
    return goods;
  }();
  return *kGoods;
}

// One of the rates with which a fault is seen; most faults are absent in most runs, so that some
// runs are long and others show what a single fault does.
std::uint16_t Rate(Rng& rng, std::uint32_t one_in, std::uint16_t high) {
  if (!rng.Chance(1, one_in)) return 0;
  static constexpr std::array<int, 3> kParts = {20, 5, 1};
  return static_cast<std::uint16_t>(high / kParts[rng.Below(3)]);
}

CloudFaults DrawCloudFaults(Rng& rng) {
  CloudFaults faults;
  faults.throttled = Rate(rng, 8, 100);
  faults.unavailable = Rate(rng, 6, 200);
  faults.denied = Rate(rng, 20, 100);
  faults.create_lost_before = Rate(rng, 5, 400);
  faults.create_lost_after = Rate(rng, 4, 600);
  faults.create_late = Rate(rng, 5, 400);
  faults.create_doubled = Rate(rng, 6, 300);
  faults.capacity_refused = Rate(rng, 5, 600);
  faults.capacity_late = Rate(rng, 5, 600);
  faults.quota_refused = Rate(rng, 10, 200);
  faults.resume_lost = Rate(rng, 8, 500);
  faults.delete_lost_before = Rate(rng, 6, 300);
  faults.delete_lost_after = Rate(rng, 6, 300);
  faults.delete_ignored = Rate(rng, 4, 500);
  faults.error_locked = Rate(rng, 8, 300);
  faults.side_survives = Rate(rng, 6, 500);
  faults.side_refused = Rate(rng, 5, 500);
  faults.list_stale = Rate(rng, 3, 600);
  // A late effect plus twice the lag (shown late, and the listing is old) stays below
  // kAbsenceGrace.
  faults.list_lag = Duration{rng.Between(1000, 19'000)};
  faults.boot_stuck = Rate(rng, 12, 200);
  faults.boot_failed = Rate(rng, 8, 300);
  faults.dies = Rate(rng, 5, 600);
  faults.dies_within = 20min;
  faults.vanishes = 300;
  return faults;
}

void DrawProviders(Scenario& scenario, Rng& rng) {
  const auto& all = AllGoods();
  const bool harsh = rng.Chance(4, 5);
  const auto count = static_cast<std::size_t>(rng.Between(1, 3));
  const std::size_t first = rng.Below(all.size());
  for (std::size_t i = 0; i < count; ++i) {
    ProviderPlan provider;
    provider.goods = all[(first + i * 2) % all.size()];
    if (harsh) provider.faults = DrawCloudFaults(rng);
    // Never less than the largest gang needs: that would be a job that can never run.
    if (rng.Chance(1, 6)) provider.max_nodes = static_cast<int>(rng.Between(3, 4));
    if (rng.Chance(1, 8)) provider.quota = static_cast<int>(rng.Between(3, 4));
    provider.unique_names = rng.Chance(1, 3);
    scenario.providers.push_back(std::move(provider));
  }
}

void DrawJobs(Scenario& scenario, Rng& rng) {
  const int count = static_cast<int>(rng.Between(1, 3));
  for (int i = 0; i < count; ++i) {
    JobPlan job;
    job.name = "w" + std::to_string(i);
    job.gang = rng.Chance(1, 3);
    job.pods = static_cast<int>(rng.Between(1, job.gang ? 3 : 2));
    job.gpus = job.gang || rng.Chance(1, 4) ? static_cast<int>(rng.Between(2, 4)) : 1;
    job.restricted = scenario.site_frees_at && rng.Chance(1, 10);
    job.run = Duration{rng.Between(30'000, 360'000)};
    job.submitted = scenario.start + Duration{i == 0 ? 0 : rng.Between(0, 600'000)};
    scenario.jobs.push_back(std::move(job));
  }
}

void DrawRules(Scenario& scenario, Rng& rng) {
  Policy& policy = scenario.policy;
  policy.name = "burst";
  policy.namespaces = {"t"};
  policy.data_classes = {DataClass::kPublic};
  policy.max_nodes = static_cast<int>(rng.Between(3, 6));
  policy.lifetime = rng.Chance(1, 12) ? Duration{rng.Between(10, 20) * 60'000} : Duration{12h};
  if (rng.Chance(1, 8)) policy.wait_at_most = Duration{rng.Between(30'000, 300'000)};
  if (rng.Chance(2, 3))
    scenario.budget = Money::Cents(rng.Chance(1, 2) ? rng.Between(200, 1500) : 50'000);
}

void DrawTrouble(Scenario& scenario, Rng& rng) {
  const Duration span = scenario.calm_at - scenario.start;
  const auto moment = [&] { return scenario.start + Duration{rng.Between(0, span.count())}; };
  auto& rates = scenario.rates.per_thousand;
  const auto rate = [&](Fault fault, std::uint32_t one_in, std::uint16_t high) {
    rates[static_cast<std::size_t>(fault)] = Rate(rng, one_in, high);
  };
  rate(Fault::kCommandLost, 4, 300);
  rate(Fault::kCommandDuplicated, 4, 300);
  rate(Fault::kAnswerLost, 5, 300);
  rate(Fault::kAnswerDuplicated, 5, 300);
  rate(Fault::kListingLate, 5, 500);
  rate(Fault::kHeartbeatLost, 5, 400);
  rate(Fault::kHeartbeatUnanswered, 5, 400);
  rate(Fault::kHeartbeatStale, 5, 300);
  rate(Fault::kReceiptLost, 4, 500);
  rate(Fault::kPodsUnseen, 6, 300);
  rate(Fault::kRunUnseen, 6, 300);
  rate(Fault::kObserveFailed, 8, 200);
  rate(Fault::kPrepareFailed, 8, 200);
  rate(Fault::kWrongHardware, 8, 300);
  rate(Fault::kPodFailed, 5, 300);
  rate(Fault::kStagingStuck, 12, 300);
  rate(Fault::kReturnStuck, 12, 300);
  rate(Fault::kWipeStuck, 12, 300);
  if (rng.Chance(2, 3)) {
    scenario.rates.max_crashes = static_cast<int>(rng.Between(1, 4));
    for (auto& per_thousand : scenario.rates.crash_per_thousand)
      per_thousand = static_cast<std::uint16_t>(rng.Chance(1, 2) ? rng.Between(5, 60) : 0);
    while (rng.Chance(1, 2)) scenario.idle_crashes.push_back(moment());
  }
  if (rng.Chance(1, 5)) {
    const Time from = moment();
    scenario.disk_full.push_back({from, from + Duration{rng.Between(5'000, 600'000)}});
  }
  while (rng.Chance(1, 4)) {
    const Time from = moment();
    scenario.partitions.push_back({{from, from + Duration{rng.Between(20'000, 400'000)}},
                                   static_cast<int>(rng.Between(-1, 1))});
  }
  while (rng.Chance(1, 5)) {
    const std::int64_t most = rng.Chance(1, 2) ? 90'000 : 6 * 3'600'000;
    scenario.jumps.push_back({moment(), Duration{rng.Between(-most, most)}});
  }
  rate(Fault::kImageStuck, 12, 300);
  if (rng.Chance(1, 5)) {
    const Time from = moment();
    scenario.key_service_down.push_back({from, from + Duration{rng.Between(20'000, 3'600'000)}});
    scenario.policy.key_within = Duration{rng.Between(30'000, 1'800'000)};
  }
}

}  // namespace

Scenario DrawScenario(std::uint64_t seed) {
  Rng rng(seed * 0x9e3779b97f4a7c15ULL + 1);
  Scenario scenario;
  scenario.seed = seed;
  // Any minute of an hour, because some providers bill by the clock.
  scenario.start = Time{} + std::chrono::hours{24 * 365 * 56} + Duration{rng.Between(0, 3'599'999)};
  scenario.calm_at = scenario.start + Duration{rng.Between(10, 40) * 60'000};
  scenario.deadline = scenario.calm_at + 5h;
  if (rng.Chance(1, 4))
    scenario.site_frees_at = scenario.start + Duration{rng.Between(1, 60) * 60'000};
  scenario.keep_listings = rng.Chance(1, 2);
  DrawProviders(scenario, rng);
  DrawJobs(scenario, rng);
  DrawRules(scenario, rng);
  DrawTrouble(scenario, rng);
  return scenario;
}

}  // namespace spillway::sim
