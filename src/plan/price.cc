#include "plan/price.h"

#include <algorithm>

namespace spillway::plan {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30;
// Room between an estimate and the worst case of moving or wiping bytes.
constexpr int kSlowTransfer = 3;
constexpr int kSlowRun = 3;

// bytes at a rate, rounded up to the next millisecond.
Duration Moving(std::int64_t bytes, std::int64_t bytes_per_second) {
  const __int128 ms = (static_cast<__int128>(bytes) * 1000 + bytes_per_second - 1) /
                      std::max<std::int64_t>(bytes_per_second, 1);
  constexpr std::int64_t kMaxMs = 100LL * 366 * 24 * 3'600'000;
  return Duration{static_cast<std::int64_t>(std::min<__int128>(ms, kMaxMs))};
}

// Seconds of each part of a rental. `closing` is metered but has no phase of its own in the
// forecast: the time until a delete is done, where the meter runs that long.
struct Spans {
  Duration boot{0}, stage{0}, start{0}, run{0}, give_back{0}, wipe{0}, closing{0};
  Duration Sum() const { return boot + stage + start + run + give_back + wipe + closing; }
};

struct Costs {
  Duration paid{0};
  Money compute, side_objects, egress;
  Money Total() const { return compute + side_objects + egress; }
};

// Until the node joins, on a machine that takes long.
Duration SlowBoot(const OfferTimes& times) {
  return times.boot.p90 + times.join.p90;
}

Duration SlowStage(const OfferTimes& times, const Load& load) {
  return times.stage.p90 + Moving(load.stage_bytes, times.stage_rate.p10);
}

// Overwriting is one pass; reading everything back is a second one.
Duration WipeTime(const Index& index, const Policy& policy, const Offer& offer, const Load& load) {
  const std::int64_t bytes = policy.overwrite == Overwrite::kWhole
                                 ? std::max(offer.allocatable.ephemeral_bytes, load.stage_bytes)
                                 : load.stage_bytes + load.result_bytes;
  return Moving(bytes, index.options.wipe_bytes_per_second) *
         (policy.verify == WipeCheck::kFull ? 2 : 1);
}

Spans Expected(const Index& index, const Policy& policy, std::int32_t offer_index,
               const Load& load) {
  const Offer& offer = index.snapshot.offers[static_cast<std::size_t>(offer_index)];
  const OfferInfo& info = index.offers[static_cast<std::size_t>(offer_index)];
  Spans spans;
  spans.boot = info.times.boot.median + info.times.join.median;
  spans.stage = info.times.stage.median + Moving(load.stage_bytes, info.times.stage_rate.median);
  spans.start = info.times.start.median;
  spans.run = load.run;
  spans.give_back = Moving(load.result_bytes, index.options.wan_bytes_per_second);
  spans.wipe = WipeTime(index, policy, offer, load);
  if (info.facts->billing.meter_stops == BillingTerms::MeterStop::kGone)
    spans.closing = info.facts->times.delete_median;
  return spans;
}

Spans Worst(const Policy& policy, const OfferInfo& info, const Load& load, Spans spans) {
  spans.boot = std::max(spans.boot, SlowBoot(info.times) * 2);
  spans.stage = std::max(spans.stage * kSlowTransfer, SlowStage(info.times, load) * 2);
  spans.start = std::max(spans.start, info.times.start.p90 * 2);
  spans.run = std::max(spans.run, std::min(load.worst_run, policy.lifetime));
  spans.give_back *= kSlowTransfer;
  spans.wipe *= kSlowTransfer;
  if (info.facts->billing.meter_stops == BillingTerms::MeterStop::kGone)
    spans.closing = std::max(spans.closing, info.facts->times.delete_p90);
  return spans;
}

Costs Cost(const Index& index, std::int32_t offer_index, Duration span, std::int64_t result_bytes) {
  const Offer& offer = index.snapshot.offers[static_cast<std::size_t>(offer_index)];
  const OfferInfo& info = index.offers[static_cast<std::size_t>(offer_index)];
  const Time start = index.snapshot.now;
  const Metered metered = Meter(info.facts->billing, offer.price_per_hour, start, start + span);
  Costs costs{metered.paid, metered.cost, Money(), Money()};
  if (info.side_per_hour != Money()) costs.side_objects = CostCeil(info.side_per_hour, span);
  const Money per_gib = info.facts->egress_per_gib;
  if (per_gib != Money() && result_bytes > 0) {
    const __int128 micro = static_cast<__int128>(per_gib.micro()) * result_bytes + kGib - 1;
    costs.egress = Money::Micro(static_cast<std::int64_t>(micro / kGib));
  }
  return costs;
}

// What was paid for machines that failed, per one that came to run.
Money FailedTriesCost(const Offer& offer, const OfferInfo& info) {
  const Duration paid = info.times.tries.paid;
  if (paid == Duration{0}) return Money();
  return CostCeil(offer.price_per_hour + info.side_per_hour, paid);
}

}  // namespace

Duration StartsIn(const Forecast& forecast, const OfferInfo& offer) {
  return offer.times.tries.took + forecast.boot + forecast.stage + forecast.start;
}

Duration ExpectedRun(const Workload& workload, const Options& options) {
  if (workload.expected_duration && workload.hard_limit)
    return std::min(*workload.expected_duration, *workload.hard_limit);
  if (workload.expected_duration) return *workload.expected_duration;
  return workload.hard_limit.value_or(options.unknown_run);
}

Duration WorstRun(const Workload& workload, const Policy& policy) {
  if (workload.hard_limit) return std::min(*workload.hard_limit, policy.lifetime);
  if (workload.expected_duration)
    return std::min(*workload.expected_duration * kSlowRun, policy.lifetime);
  return policy.lifetime;
}

Money ExpectedTotal(const Index& index, const Policy& policy, std::int32_t offer,
                    const Load& load) {
  const Spans spans = Expected(index, policy, offer, load);
  return Cost(index, offer, spans.Sum(), load.result_bytes).Total() +
         FailedTriesCost(index.snapshot.offers[static_cast<std::size_t>(offer)],
                         index.offers[static_cast<std::size_t>(offer)]);
}

Forecast MakeForecast(const Index& index, const Policy& policy, std::int32_t offer_index,
                      const Load& load) {
  const OfferInfo& info = index.offers[static_cast<std::size_t>(offer_index)];
  const Spans spans = Expected(index, policy, offer_index, load);
  const Costs costs = Cost(index, offer_index, spans.Sum(), load.result_bytes);
  Forecast forecast;
  forecast.boot = spans.boot;
  forecast.stage = spans.stage;
  forecast.start = spans.start;
  forecast.run = spans.run;
  forecast.give_back = spans.give_back;
  forecast.wipe = spans.wipe;
  forecast.paid = costs.paid;
  forecast.compute = costs.compute;
  forecast.side_objects = costs.side_objects;
  forecast.egress = costs.egress;
  forecast.total = costs.Total();
  // A clock-aligned meter that starts later than assumed may touch one step more.
  Duration worst_span = Worst(policy, info, load, spans).Sum();
  if (info.facts->billing.clock_aligned) worst_span += info.facts->billing.step;
  const Costs worst = Cost(index, offer_index, worst_span, load.result_bytes * kSlowTransfer);
  forecast.worst_case = std::max(forecast.total, worst.Total());
  forecast.failed_tries =
      FailedTriesCost(index.snapshot.offers[static_cast<std::size_t>(offer_index)], info);
  return forecast;
}

Deadlines MakeDeadlines(const Index& index, const Policy& policy, std::int32_t offer_index,
                        const Load& load) {
  const Spans spans = Expected(index, policy, offer_index, load);
  const OfferTimes& times = index.offers[static_cast<std::size_t>(offer_index)].times;
  Deadlines deadlines;
  deadlines.boot = std::max<Duration>(5min, SlowBoot(times) * 3);
  if (times.join.machines > 0) deadlines.join = std::max<Duration>(5min, times.join.p90 * 3);
  deadlines.stage = std::max<Duration>(10min, SlowStage(times, load) * kSlowTransfer);
  // Images differ more than machines do: there is no haste.
  if (times.start.machines > 0) deadlines.start = std::max<Duration>(30min, times.start.p90 * 3);
  deadlines.give_back = std::max<Duration>(10min, spans.give_back * kSlowTransfer);
  deadlines.wipe = std::max<Duration>(10min, spans.wipe * kSlowTransfer);
  deadlines.key = policy.key_within;
  deadlines.lifetime = policy.lifetime;
  return deadlines;
}

}  // namespace spillway::plan
