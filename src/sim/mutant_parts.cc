#include "sim/mutant_parts.h"

#include <algorithm>
#include <set>

namespace spillway::sim {
namespace {

using control::Observation;
using control::World;

Observation* ObservationOf(World& world, const BurstNode& node) {
  const auto it = world.observations.find(node.name);
  return it == world.observations.end() ? nullptr : &it->second;
}

// "Accepted" is taken for "gone", and no listing is asked.
void TrustAccepted(const BurstNode& node, Observation& o, Time now) {
  if (node.phase != Phase::kDeleting) return;
  bool accepted = node.delete_accepted;
  if (o.deletion && !o.deletion->error && o.deletion->progress.accepted) {
    accepted = o.deletion->progress.instance_gone = true;
    o.deletion->progress.left.clear();
  }
  if (accepted) o.seen = control::Seen{now, {}, {}};
}

void ForgetSideObjects(World& world) {
  for (auto& [name, o] : world.observations) {
    if (o.deletion) o.deletion->progress.left.clear();
    if (!o.seen) continue;
    o.seen->stray.clear();
    for (ports::Instance& instance : o.seen->instances) instance.side_objects.clear();
  }
  for (auto& [name, inventory] : world.inventories) inventory.stray.clear();
}

// One listing without it counts as two, however fresh the request is.
void BelieveOneListing(BurstNode& node, Observation& o, Time now) {
  const bool looks_up = node.phase == Phase::kRequested && node.instance_id.empty();
  if (!looks_up || node.last_list_seen == Time{} || !o.seen || !o.seen->instances.empty()) return;
  for (auto& [phase, at] : node.history)
    if (phase == Phase::kRequested) at = std::min(at, now - control::kAbsenceGrace);
  node.absent_lists = 1;
  node.last_list_seen = o.seen->read_at - Duration{1};
}

void FalsifyNode(Mutant mutant, World& world, BurstNode& node, Observation& o) {
  const Time now = world.snapshot.now;
  switch (mutant) {
    case Mutant::kTrustAccepted:
      return TrustAccepted(node, o, now);
    case Mutant::kLeaseIgnored:
      if (o.node) o.node->last_heartbeat = now;
      return;
    case Mutant::kReceiptNotAwaited:
      if (node.phase != Phase::kReturning || !o.node || !o.run) return;
      o.node->results_returned = true;
      o.node->results = 0;
      o.node->last_heartbeat = now;
      return;
    case Mutant::kKeyKept:
      if (node.phase >= Phase::kWiping && o.run) o.run->key_destroyed = true;
      return;
    case Mutant::kKeyDebtForgotten:
      if (node.key_owed_since && o.run) o.run->key_destroyed = true;
      return;
    case Mutant::kOneListing:
      return BelieveOneListing(node, o, now);
    case Mutant::kWipeNotAwaited:
      if (node.phase == Phase::kWiping && o.node) o.node->wiped = o.node->wipe_verified = true;
      return;
    case Mutant::kCancelledCreateForgotten:
      if (node.phase == Phase::kDeleting && node.instance_id.empty())
        node.instance_may_exist = false;
      return;
    default:
      return;
  }
}

// Stores a round's state only when the next round commits.
class LateJournal final : public ports::Journal {
 public:
  explicit LateJournal(MemoryJournal& journal) : journal_(journal) {}
  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override {
    SPW_TRY(journal_.Commit(nodes_, entries_));
    nodes_ = nodes;
    entries_ = entries;
    for (BurstNode& node : nodes) ++node.resource_version;
    return Ok();
  }
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override {
    return journal_.Nodes(gone_since);
  }
  Result<std::int64_t> LastSerial() override { return journal_.LastSerial(); }

 private:
  MemoryJournal& journal_;
  std::vector<BurstNode> nodes_;
  std::vector<LedgerEntry> entries_;
};

// Forgets to release what a node reserved.
class KeepingJournal final : public ports::Journal {
 public:
  explicit KeepingJournal(MemoryJournal& journal) : journal_(journal) {}
  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override {
    std::vector<LedgerEntry> kept = entries;
    for (LedgerEntry& entry : kept)
      if (entry.step == "settled") entry.reserved = Money{};
    return journal_.Commit(nodes, kept);
  }
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override {
    return journal_.Nodes(gone_since);
  }
  Result<std::int64_t> LastSerial() override { return journal_.LastSerial(); }

 private:
  MemoryJournal& journal_;
};

// Writes entries although the transaction fails, so that its repetition writes them twice.
class TwiceJournal final : public ports::Journal {
 public:
  explicit TwiceJournal(MemoryJournal& journal) : journal_(journal) {}
  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override {
    const Status status = journal_.Commit(nodes, {});
    journal_.Smuggle(entries);
    return status;
  }
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override {
    return journal_.Nodes(gone_since);
  }
  Result<std::int64_t> LastSerial() override { return journal_.LastSerial(); }

 private:
  MemoryJournal& journal_;
};

class DroppingSink final : public control::CommandSink {
 public:
  DroppingSink(Mutant mutant, control::CommandSink& sink) : mutant_(mutant), sink_(sink) {}
  void Send(const control::Command& command) override {
    if (mutant_ == Mutant::kKeyKept && std::holds_alternative<control::DestroyRunKey>(command))
      return;
    if (mutant_ == Mutant::kDeleteOnce)
      if (const auto* del = std::get_if<control::DeleteInstance>(&command))
        if (!deleted_.insert(del->node).second) return;
    sink_.Send(command);
  }

 private:
  Mutant mutant_;
  control::CommandSink& sink_;
  std::set<std::string> deleted_;
};

}  // namespace

void Falsify(const Context& context, World& world) {
  switch (context.mutant) {
    case Mutant::kNone:
      return;
    case Mutant::kNoSweep:
      return world.inventories.clear();
    case Mutant::kSideObjectsForgotten:
      return ForgetSideObjects(world);
    case Mutant::kCapacityNotParked:
      std::erase_if(world.snapshot.burst_nodes, [](const BurstNode& node) { return !node.Live(); });
      return;
    case Mutant::kGangInParts:
      for (BurstNode& node : world.snapshot.burst_nodes) node.gang.clear();
      return;
    case Mutant::kBudgetIgnored:
      for (BudgetState& budget : world.snapshot.budgets) budget.amount = Money::Euro(1'000'000);
      return;
    default:
      break;
  }
  for (BurstNode& node : world.snapshot.burst_nodes)
    if (Observation* o = ObservationOf(world, node)) FalsifyNode(context.mutant, world, node, *o);
}

std::unique_ptr<ports::Journal> MutantJournal(Mutant mutant, MemoryJournal& journal) {
  switch (mutant) {
    case Mutant::kRecordAfterCall:
      return std::make_unique<LateJournal>(journal);
    case Mutant::kReservationKept:
      return std::make_unique<KeepingJournal>(journal);
    case Mutant::kLedgerTwice:
      return std::make_unique<TwiceJournal>(journal);
    default:
      return nullptr;
  }
}

std::unique_ptr<control::CommandSink> MutantSink(Mutant mutant, control::CommandSink& sink) {
  if (mutant != Mutant::kKeyKept && mutant != Mutant::kDeleteOnce) return nullptr;
  return std::make_unique<DroppingSink>(mutant, sink);
}

void SendMore(const Context& context, const World& world, control::CommandSink& sink) {
  if (context.mutant != Mutant::kSecondCreate) return;
  for (const BurstNode& node : world.snapshot.burst_nodes)
    if (node.phase == Phase::kRequested && node.instance_id.empty() &&
        world.snapshot.now - node.phase_since > 60s)
      sink.Send(control::CreateInstance{node.name});
}

}  // namespace spillway::sim
