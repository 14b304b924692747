// Parking: an offer that answered "no capacity", or a provider that refused us, rests for a while.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model/snapshot.h"

namespace spillway::plan {

// When the BurstNode failed: the first moment of its way out, or `now` while it has not taken it.
Time FailedAt(const BurstNode& node, Time now);

// Derived from the failures of the snapshot's BurstNodes; there is no other memory.
class Parking {
 public:
  Parking(const Snapshot& snapshot, Duration rest);
  // When the offer may be tried again; nullopt: now. A time that has come does not park.
  std::optional<Time> Until(const std::string& offer_key, const std::string& provider) const;

 private:
  Time now_;
  std::map<std::string, Time> offers_;     // capacity, boot timeout, wrong hardware
  std::map<std::string, Time> providers_;  // quota, refused: by CloudProvider name
};

}  // namespace spillway::plan
