#include "server/view_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/advance.h"

namespace spillway::server {
namespace {

// Part of `whole` for the pods from..to of `pods`; the parts of all add up to the whole. 128 bits,
// because micro-euro times pods may exceed 64.
std::int64_t Part(std::int64_t whole, std::int64_t from, std::int64_t to, std::int64_t pods) {
  const auto up_to = [&](std::int64_t n) {
    return static_cast<std::int64_t>(static_cast<__int128>(whole) * n / pods);
  };
  return up_to(to) - up_to(from);
}

Amounts PartOf(const Amounts& whole, std::int64_t from, std::int64_t to, std::int64_t pods) {
  const auto part = [&](Money money) { return Money::Micro(Part(money.micro(), from, to, pods)); };
  return {Part(whole.paid_ms, from, to, pods),
          Part(whole.computed_ms, from, to, pods),
          part(whole.estimate),
          part(whole.compute),
          part(whole.side_objects),
          part(whole.egress)};
}

std::string With(std::string_view text, std::string_view detail) {
  return detail.empty() ? std::string(text) : fmt::format("{} ({})", text, detail);
}

}  // namespace

json::object MoneyJson(Money money) {
  return {{"microEuro", money.micro()}, {"text", HumanMoney(money)}};
}
json::value MoneyOrNull(const std::optional<Money>& money) {
  return money ? json::value(MoneyJson(*money)) : json::value(nullptr);
}
json::value TimeOrNull(const std::optional<Time>& time) {
  return time && *time != Time{} ? json::value(FormatTime(*time)) : json::value(nullptr);
}
json::value TextOrNull(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}
json::array Texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}
std::int64_t Seconds(Duration duration) {
  return std::chrono::floor<std::chrono::seconds>(duration).count();
}
json::array Simulated(const ViewContext& context) {
  return Texts(context.simulated);
}

std::string PlaceOf(const Offer& offer) {
  return fmt::format("{}/{}/{}", offer.provider, offer.region, offer.instance_type);
}

const BurstNode* FindNode(const std::vector<BurstNode>& nodes, std::string_view name) {
  const auto it = std::ranges::find(nodes, name, &BurstNode::name);
  return it == nodes.end() ? nullptr : &*it;
}

const Pod& PodAt(const Snapshot& snapshot, std::int32_t index) {
  return snapshot.pods[static_cast<std::size_t>(index)];
}

std::int64_t GpusOf(const Snapshot& snapshot, const Pod& pod) {
  return snapshot.shapes[static_cast<std::size_t>(pod.shape)].requests.gpus;
}

json::object DecisionJson(const Decision& decision, const RoundView& round, Time now) {
  const Snapshot& snapshot = round.snapshot;
  const Workload& workload = snapshot.workloads[static_cast<std::size_t>(decision.workload)];
  std::int64_t pods = 0, gpus = 0;
  for (const std::int32_t index : workload.pods) {
    const Pod& pod = PodAt(snapshot, index);
    if (!pod.node.empty() || pod.deleting) continue;
    ++pods;
    gpus += GpusOf(snapshot, pod);
  }
  return {
      {"workload", workload.key},
      {"namespace", workload.ns},
      {"pods", pods},
      {"gpus", gpus},
      {"since", TimeOrNull(workload.waiting_since)},
      {"waitedSeconds", workload.waiting_since ? json::value(Seconds(now - *workload.waiting_since))
                                               : json::value(nullptr)},
      {"verdict", Name(decision.verdict)},
      {"reason", Name(decision.reason)},
      {"sentence", decision.sentence},
      {"until", TimeOrNull(decision.until)},
      {"estimate", MoneyOrNull(decision.estimate)},
      {"missing", MoneyOrNull(decision.missing)},
      {"burstNode", TextOrNull(decision.burst_node)}};
}

json::object TransferJson(const TransferView& transfer) {
  const std::int64_t staged =
      transfer.total_bytes <= 0
          ? 0
          : Part(100, 0, std::clamp<std::int64_t>(transfer.staged_bytes, 0, transfer.total_bytes),
                 transfer.total_bytes);
  const std::optional<Duration> left = transfer.Left();
  const double wiped = std::clamp(transfer.wipe_progress, 0.0, 1.0);
  return {{"burstNode", transfer.burst_node},
          {"stagedBytes", transfer.staged_bytes},
          {"totalBytes", transfer.total_bytes},
          {"stagedPercent", staged},
          {"stagedBytesPerSecond", transfer.stage_bytes_per_s},
          {"stagedSecondsLeft", left ? json::value(*left / 1s) : json::value(nullptr)},
          {"wipePercent", static_cast<std::int64_t>(wiped * 100)},
          {"resultsPending", transfer.results_pending},
          {"problem", transfer.problem}};
}

json::object WipeJson(const BurstNode& node) {
  return {{"class", Name(node.wipe_class)},
          {"verified", node.wipe_verified},
          {"certificate", node.certificate}};
}

plan::Objection JudgeByPolicy(const plan::Index& index, int policy, std::int32_t offer) {
  plan::Objection law =
      plan::ByLaw(index, index.snapshot.policies[static_cast<std::size_t>(policy)], offer);
  return law.reason == OfferReason::kChosen ? plan::ByState(index, offer) : law;
}

std::string_view PolicyVerdictName(OfferReason reason) {
  return reason == OfferReason::kChosen ? "allowed" : Name(reason);
}

std::string VerdictSentence(OfferReason reason, std::string_view detail) {
  switch (reason) {
    case OfferReason::kChosen:
      return With("chosen", detail);
    case OfferReason::kProviderNotAllowed:
      return With("refused: the policy does not admit this provider or region", detail);
    case OfferReason::kArea:
      return With("refused: outside the regions of the policy", detail);
    case OfferReason::kUsNexus:
      return With("refused: nexus to the United States", detail);
    case OfferReason::kCertificate:
      return fmt::format("refused: lacks certificate {}", detail);
    case OfferReason::kCapacityType:
      return With("refused: the policy does not admit this kind of capacity", detail);
    case OfferReason::kProviderNotReady:
      return With("the account at the provider cannot be used", detail);
    case OfferReason::kTooExpensive:
      return With("refused: above the price limit of the policy", detail);
    case OfferReason::kTooSmall:
      return With("too small", detail);
    case OfferReason::kLabels:
      return With("does not match what the pods select", detail);
    case OfferReason::kNoStock:
      return With("no stock", detail);
    case OfferReason::kParked:
      return With("rests after a failure", detail);
    case OfferReason::kProviderFull:
      return With("the node limit of the account is reached", detail);
    case OfferReason::kCostsMore:
      return With("allowed, but the whole rental costs more", detail);
    case OfferReason::kNotRented:
      return With("nothing is rented now", detail);
  }
  return std::string(detail);
}

const ProviderFacts* FactsOf(const Snapshot& snapshot, const Offer& offer) {
  const auto it = std::ranges::find(snapshot.facts, offer.catalog, &ProviderFacts::id);
  return it == snapshot.facts.end() ? nullptr : &*it;
}

Owners OwnersOf(const std::vector<json::value>& pods) {
  Owners owners;
  for (const json::value& pod : pods) {
    const json::value* metadata = Find(pod, "metadata");
    if (metadata == nullptr) continue;
    const std::string ns(StringOr(*metadata, "namespace", ""));
    const std::string name(StringOr(*metadata, "name", ""));
    std::string workload = fmt::format("{}/Pod/{}", ns, name);
    if (const json::array* references = FindArray(*metadata, "ownerReferences"))
      for (const json::value& reference : *references)
        if (StringOr(reference, "kind", "") == "Job")
          workload = fmt::format("{}/Job/{}", ns, StringOr(reference, "name", ""));
    owners[ns + "/" + name] = std::move(workload);
  }
  return owners;
}

// From when on its machine may be deleted: the run key comes first, up to a deadline of its own.
// nullopt: only the key is waited for, before that or after.
std::optional<Time> DeletionBegan(const BurstNode& node) {
  if (node.instance_id.empty()) return node.phase_since;  // without a machine there is no key
  if (node.key_owed_since && node.instance_may_exist)
    return std::max(node.phase_since, *node.key_owed_since);
  if (!node.key_destroyed) return std::nullopt;
  return std::max(node.phase_since, node.key_destroyed_at);
}

bool Overdue(const BurstNode& node, Time now) {
  const auto limit = [&]() -> Duration {
    const Deadlines& most = node.deadlines;
    switch (node.phase) {
      case Phase::kPlanned:
        return most.create;
      case Phase::kRequested:
        return most.create + most.boot;
      case Phase::kProvisioned:
        return most.boot;
      case Phase::kJoined:
        return most.stage;
      case Phase::kStaged:  // the gang's other nodes
        return most.create + most.boot + most.stage;
      case Phase::kRunning:
        return most.lifetime;
      case Phase::kReturning:
        return most.give_back;
      case Phase::kWiping:
        return most.wipe;
      case Phase::kDeleting:
        return kDeletingTooLong;
      case Phase::kGone:
        return Duration::max();
    }
    return Duration::max();
  };
  if (node.phase == Phase::kDeleting) {
    const auto began = DeletionBegan(node);
    return began && now - *began > limit();
  }
  const Time since = node.phase == Phase::kRunning ? node.created_at : node.phase_since;
  return now - since > limit();
}

Money PerHour(const BurstNode& node) {
  Money sum;
  if (node.meter_start && !node.meter_stop) sum += node.offer.price_per_hour;
  for (const SideObject& object : node.side_objects)
    if (!object.gone) sum += object.price_per_hour;
  return sum;
}

std::string_view Name(WipeOutcome outcome) {
  switch (outcome) {
    case WipeOutcome::kFull:
      return "full";
    case WipeOutcome::kCryptoErase:
      return "crypto-erase only";
    case WipeOutcome::kUnproven:
      return "unproven";
    case WipeOutcome::kNotNeeded:
      return "not needed";
  }
  return "unproven";
}

WipeOutcome WipeOutcomeOf(const BurstNode& node) {
  if (node.wipe_class == WipeClass::kCryptoEraseOnly) return WipeOutcome::kCryptoErase;
  if (node.wipe_class == WipeClass::kFull)
    return node.wipe_verified ? WipeOutcome::kFull : WipeOutcome::kUnproven;
  // Data goes to a machine from the moment it has joined.
  const bool joined = std::ranges::any_of(
      node.history, [](const auto& step) { return step.first == Phase::kJoined; });
  return joined ? WipeOutcome::kUnproven : WipeOutcome::kNotNeeded;
}

const Workload* WorkloadFor(const Snapshot& snapshot, std::string_view key, const Owners& owners) {
  const auto named = std::ranges::find(snapshot.workloads, key, &Workload::key);
  if (named != snapshot.workloads.end()) return &*named;
  for (const Pod& pod : snapshot.pods) {
    const auto owner = owners.find(pod.key);
    if (owner != owners.end() && owner->second == key && pod.workload >= 0)
      return &snapshot.workloads[static_cast<std::size_t>(pod.workload)];
  }
  return nullptr;
}

Amounts& Amounts::operator+=(const Amounts& other) {
  paid_ms += other.paid_ms;
  computed_ms += other.computed_ms;
  estimate += other.estimate;
  compute += other.compute;
  side_objects += other.side_objects;
  egress += other.egress;
  return *this;
}

Amounts AmountsOf(const BurstNode& node, Time now) {
  Amounts amounts;
  if (node.settled) {
    amounts = {node.paid.count(), node.computed.count(),  {},
               node.cost_compute, node.cost_side_objects, node.cost_egress};
  } else {
    const control::CostNow cost = control::CostAt(node, now);
    amounts.paid_ms = cost.paid.count();
    amounts.compute = cost.compute;
    amounts.side_objects = cost.side_objects;
    amounts.egress = cost.egress;
    if (node.running_since)
      amounts.computed_ms =
          std::max(node.computed, node.computed_until.value_or(now) - *node.running_since).count();
  }
  if (node.Live() || node.meter_start) amounts.estimate = node.forecast.total;
  return amounts;
}

std::vector<std::pair<std::string, Amounts>> SharesOf(const BurstNode& node, const Owners& owners,
                                                      Time now) {
  std::map<std::string, std::int64_t> pods;
  for (const PodRef& pod : node.pods) {
    const auto it = owners.find(pod.key);
    // A pod that is gone was most likely one of the workload the node was rented for first.
    ++pods[it == owners.end() ? node.workload : it->second];
  }
  if (pods.empty()) pods[node.workload] = 1;
  std::int64_t all = 0;
  for (const auto& [key, count] : pods) all += count;
  const Amounts whole = AmountsOf(node, now);
  std::vector<std::pair<std::string, Amounts>> shares;
  std::int64_t from = 0;
  for (const auto& [key, count] : pods) {
    shares.emplace_back(key, PartOf(whole, from, from + count, all));
    from += count;
  }
  return shares;
}

}  // namespace spillway::server
