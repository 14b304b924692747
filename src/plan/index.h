// Index: what the planner looks up again and again, resolved once per plan from names to numbers.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/snapshot.h"
#include "plan/planner.h"

namespace spillway::plan {

// Stands for the name of a node that is not rented yet.
inline constexpr const char* kNewNode = "a new node";

// An offer with everything its names refer to.
struct OfferInfo {
  std::string key;                       // Offer::Key()
  int account = -1;                      // index into Snapshot::accounts; -1: none of that name
  const ProviderFacts* facts = nullptr;  // never null
  OfferTimes times;                      // learned, else the catalogue's and the options'
  Money side_per_hour;                   // all its side objects
  int place = 0;                         // equal for the offers of one provider and region
  std::optional<Time> parked_until;      // after now
  Node node;                             // what an instance of it would become; name kNewNode
};

// Refers to the snapshot and the options, which must outlive it.
class Index {
 public:
  Index(const Snapshot& snapshot, const Options& options);
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  const Snapshot& snapshot;
  const Options& options;
  std::vector<OfferInfo> offers;  // as Snapshot::offers
  int places = 0;
  // By shape: equal for shapes that want the same GPUs and make the same demands on labels and on
  // other pods. Their pods may share an instance.
  std::vector<int> demand;
  // By shape: equal for shapes that ask the same of a node alone, its room aside (NodeDemands).
  std::vector<std::int32_t> node_demand;
  // By shape: equal for shapes with equal requests, too. Their number is `footprints`.
  std::vector<int> footprint;
  int footprints = 0;

  // Of the policies that name the namespace the one with the highest priority, then the first
  // name; -1: none.
  int PolicyFor(std::string_view ns) const;

 private:
  void ResolveOffers();
  void ResolveDemands();
  void ResolvePolicies();

  ProviderFacts unknown_facts_;  // default: strongest US nexus, no certificate
  std::map<std::string, int, std::less<>> policy_by_ns_;
};

}  // namespace spillway::plan
