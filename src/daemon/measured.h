// Decorators that measure what a port does and change nothing of it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "ports/cloud.h"
#include "ports/journal.h"

namespace spillway::daemon {

// Counts and times every call to the account of this name.
std::shared_ptr<ports::Cloud> Measured(std::string provider, std::shared_ptr<ports::Cloud> cloud);

// Times commits and counts those that failed. Not thread-safe, like the conductor that uses it.
class MeasuredJournal final : public ports::Journal {
 public:
  explicit MeasuredJournal(ports::Journal& journal) : journal_(journal) {}

  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override;
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override;
  Result<std::int64_t> LastSerial() override;

  // Time spent in Commit() since the last call.
  std::chrono::nanoseconds TakeCommitTime();

 private:
  ports::Journal& journal_;
  std::chrono::nanoseconds commit_{0};
};

}  // namespace spillway::daemon
