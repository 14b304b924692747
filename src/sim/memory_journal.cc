#include "sim/memory_journal.h"

#include <algorithm>

namespace spillway::sim {

const BurstNode* MemoryJournal::Find(std::string_view name) const {
  for (const BurstNode& node : nodes_)
    if (node.name == name) return &node;
  return nullptr;
}

Status MemoryJournal::Check(const std::vector<BurstNode>& nodes) const {
  for (const BurstNode& node : nodes) {
    const BurstNode* stored = Find(node.name);
    const std::int64_t version = stored == nullptr ? 0 : stored->resource_version;
    if (node.resource_version != version)
      return Fail(Code::kConflict, node.name + " changed since it was read");
  }
  return Ok();
}

bool MemoryJournal::Written(const LedgerEntry& entry) const {
  return std::any_of(ledger_.begin(), ledger_.end(), [&](const LedgerEntry& e) {
    return e.node == entry.node && e.step == entry.step;
  });
}

Status MemoryJournal::Commit(std::vector<BurstNode>& nodes,
                             const std::vector<LedgerEntry>& entries) {
  if (context_.Crash(CrashPoint::kBeforeCommit)) return Fail(Code::kUnavailable, "crashed");
  if (context_.DiskFull()) {
    context_.dice.Count(Fault::kDiskFull);
    return Fail(Code::kUnavailable, "no space left on the site's disk");
  }
  SPW_TRY(Check(nodes));
  for (BurstNode& node : nodes) {
    ++node.resource_version;
    const BurstNode* stored = Find(node.name);
    if (watcher_ != nullptr) watcher_->Changing(stored, node);
    if (stored != nullptr) {
      nodes_[static_cast<std::size_t>(stored - nodes_.data())] = node;
      continue;
    }
    SPW_CHECK(node.serial == static_cast<std::int64_t>(nodes_.size()) + 1, "serials have no gap");
    nodes_.push_back(node);
  }
  for (const LedgerEntry& entry : entries)
    if (!Written(entry)) ledger_.push_back(entry);
  if (watcher_ != nullptr) watcher_->Stored();
  context_.Crash(CrashPoint::kAfterCommit);
  return Ok();
}

Result<std::vector<BurstNode>> MemoryJournal::Nodes(Time gone_since) {
  std::vector<BurstNode> out;
  for (const BurstNode& node : nodes_)
    if (node.Live() || node.phase_since >= gone_since) out.push_back(node);
  return out;
}

Result<std::int64_t> MemoryJournal::LastSerial() {
  return static_cast<std::int64_t>(nodes_.size());
}

}  // namespace spillway::sim
