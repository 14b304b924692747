// Journal: where BurstNodes and the ledger live. One Commit is one transaction: after it returns
// Ok both survive a crash of this process and of the machine; after an error neither was written.
#pragma once

#include <vector>

#include "base/result.h"
#include "model/burst_node.h"
#include "model/ledger.h"

namespace spillway::ports {

class Journal {
 public:
  virtual ~Journal() = default;

  // Writes all nodes (created or replaced; compared by resource_version, kConflict if one changed)
  // and appends all entries. An entry whose (node, step) exists already is skipped, not an error:
  // that makes a replay after a crash harmless. Updates resource_version in `nodes`.
  virtual Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) = 0;

  // Every BurstNode that is not Gone, and those Gone since `gone_since`, by name.
  virtual Result<std::vector<BurstNode>> Nodes(Time gone_since) = 0;

  // Largest serial ever given to a BurstNode.
  virtual Result<std::int64_t> LastSerial() = 0;
};

}  // namespace spillway::ports
