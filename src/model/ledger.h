// LedgerEntry: one fact in the append-only, hash-chained ledger. Bills, budgets, timelines and
// evidence are views of it.
#pragma once

#include <cstdint>
#include <string>

#include "base/money.h"
#include "base/time.h"

namespace spillway {

// What happened. One entry per transition; (node, step) is unique, so a replay after a crash
// writes nothing twice.
struct LedgerEntry {
  std::string node;  // BurstNode name, or "site" for entries that concern no node
  std::string step;  // unique per node: a phase name, "failed", "reserved", "settled",
                     // "key-destroyed", "orphan-<id>", ...
  Time at{};
  std::string ns;  // team, empty where none
  std::string budget;
  std::string workload;
  std::string provider;  // CloudProvider name
  Money reserved;        // positive: reserved now; negative: released
  Money spent;           // booked now
  std::int64_t bytes = 0;
  std::int64_t seconds_paid = 0;
  std::int64_t seconds_computed = 0;
  std::string text;  // a sentence: who, why
  bool operator==(const LedgerEntry&) const = default;
};

}  // namespace spillway
