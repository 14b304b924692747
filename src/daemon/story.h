// What people are told in Events while a burst goes on: each thing once, in one sentence. Pure, so
// that the whole story of a burst can be read in its test.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/door.h"
#include "model/burst_node.h"
#include "model/plan.h"
#include "model/snapshot.h"

namespace spillway::daemon {

struct Told {
  std::string kind, ns, name;  // of the object it is about
  bool warning = false;
  std::string reason, message;
  // It is progress: takes the place of what was told with this reason before.
  bool progress = false;

  bool operator==(const Told&) const = default;
};

// Remembers what was told. Not thread-safe: one round at a time.
class Story {
 public:
  // About nodes that were just stored: themselves, and the pods they are rented for.
  std::vector<Told> OfNodes(const std::vector<BurstNode>& changed);

  // How far the data of a node is staged, to the node and to its first pods, with rate and time
  // left in real time: every fifth, and what else has changed each kStagingEvery. Also while pods
  // run already, which may begin before all is there. At the end it says 100 %.
  std::vector<Told> OfStaging(const BurstNode& node, const gateway::NodeProgress& progress,
                              Time now);
  static constexpr Duration kStagingEvery{2min};

  // Told when the decision itself changes: its sentence has sums and times that move. `kept` gets
  // the decisions that are new, told or not.
  std::vector<Told> OfDecisions(const Snapshot& snapshot, const std::vector<Decision>& decisions,
                                std::vector<const Decision*>* kept);

 private:
  struct Node {
    Phase phase = Phase::kGone;
    bool failed = false;
    bool results_lost = false;
    int key_debt = 0;  // 1: the run key is owed, 2: it was, and is destroyed
    std::int64_t staged_fifths = -1;
    std::string staging;  // as it was told last, and when
    Time staging_told{};
  };

  std::map<std::string, Node> nodes_;             // that live
  std::map<std::string, std::string> decisions_;  // workload -> kind of decision
};

}  // namespace spillway::daemon
