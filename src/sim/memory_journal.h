// MemoryJournal: the disk. Survives every crash; may be full.
#pragma once

#include <string_view>
#include <vector>

#include "ports/journal.h"
#include "sim/context.h"

namespace spillway::sim {

// Looks over the journal's shoulder.
class JournalWatcher {
 public:
  virtual ~JournalWatcher() = default;
  // `before` is what is stored, nullptr for a new node; `after` is about to replace it.
  virtual void Changing(const BurstNode* before, const BurstNode& after) = 0;
  // The whole commit is stored.
  virtual void Stored() = 0;
};

class MemoryJournal final : public ports::Journal {
 public:
  explicit MemoryJournal(Context& context) : context_(context) {}
  void Watch(JournalWatcher* watcher) { watcher_ = watcher; }

  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override;
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override;
  Result<std::int64_t> LastSerial() override;

  // Every node ever, by serial; serials are 1, 2, 3, ...
  const std::vector<BurstNode>& all() const { return nodes_; }
  const BurstNode* Find(std::string_view name) const;
  const std::vector<LedgerEntry>& ledger() const { return ledger_; }
  // Writes entries outside any transaction, as no correct program does.
  void Smuggle(const std::vector<LedgerEntry>& entries) {
    ledger_.insert(ledger_.end(), entries.begin(), entries.end());
  }

 private:
  Status Check(const std::vector<BurstNode>& nodes) const;
  bool Written(const LedgerEntry& entry) const;

  Context& context_;
  JournalWatcher* watcher_ = nullptr;
  std::vector<BurstNode> nodes_;
  std::vector<LedgerEntry> ledger_;
};

}  // namespace spillway::sim
