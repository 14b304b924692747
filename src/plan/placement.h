// Placement: which pods are on which nodes, and with that where one more pod fits. The one place
// where "does it fit" is decided, for the planner and for the embedded scheduler; its answers are
// those of kube-scheduler's filters (tests/integration/planner_oracle_test.cc compares them).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "plan/fit.h"
#include "plan/spread.h"

namespace spillway::plan {

// What stands against a pod on a node; in the order in which it is looked for.
enum class Obstruction : std::uint8_t {
  kNothing,
  kNever,  // WhyNeverOn
  kResources,
  kPods,
  kPorts,
  kVolumeCount,
  kExclusiveClaim,
  kAffinity,
  kAntiAffinity,
  kTheirAntiAffinity,
  kSpread,
};

// Copies are independent. Refers to the snapshot, which must outlive it.
class Placement {
 public:
  // The snapshot's nodes with the pods that are bound to them, and those that the scheduler makes
  // room for.
  explicit Placement(const Snapshot& snapshot);

  std::int32_t size() const { return static_cast<std::int32_t>(nodes_.size()); }
  const Node& node(std::int32_t node) const { return *At(node).node; }
  const Resources& free(std::int32_t node) const { return free_[static_cast<std::size_t>(node)]; }
  // Index of the node of this name; -1: there is none.
  std::int32_t Find(std::string_view name) const;
  // Counts changes: as long as it is the same, so are the answers.
  std::uint64_t version() const { return version_; }

  // `shape` is an index into Snapshot::shapes.
  Obstruction Check(std::int32_t shape, std::int32_t node, Entry entry = Entry::kAsItIs) const;
  bool Fits(std::int32_t shape, std::int32_t node, Entry entry = Entry::kAsItIs) const {
    return Check(shape, node, entry) == Obstruction::kNothing;
  }
  // The same, room and number of pods aside.
  bool MayJoin(std::int32_t shape, std::int32_t node, Entry entry) const {
    return MayEver(shape, node, entry) &&
           (Info(shape).simple || CheckPods(shape, node, entry) == Obstruction::kNothing);
  }
  // In kube-scheduler's words; empty: it fits.
  std::string WhyNot(std::int32_t shape, std::int32_t node, Entry entry = Entry::kAsItIs) const;

  // Whether pods can stand against a pod of the shape in another way than by the room they take.
  bool Related(std::int32_t shape) const { return Info(shape).related; }

  // `spreads`: it counts for topology spread constraints, as pods do that are not being deleted.
  void Put(std::int32_t shape, std::int32_t node, bool spreads = true);
  void Remove(std::int32_t shape, std::int32_t node, bool spreads = true);

  // A node that is not there yet; its index. The last one can be taken away again when no pod is on
  // it.
  std::int32_t AddNode(Node node);
  void DropLastNode();
  // A larger or smaller node in the place of one of AddNode, with the pods that are on it. The
  // labels that rules between pods name have the same values on both.
  void Exchange(std::int32_t node, Node by);
  // Equal for nodes that have the same values of these labels, their host names aside.
  std::vector<std::string> Domains(const Node& node) const;

  // Equal for constraints that count the same pods on the same nodes.
  std::int32_t SpreadIndex(std::int32_t shape, std::size_t rule, Entry entry) const {
    return SpreadsOf(shape, entry)[rule];
  }
  // A spread constraint of a shape, seen from a node.
  struct SpreadView {
    std::int32_t domain = -1;
    int pods = 0;    // in the node's domain
    int fewest = 0;  // that any domain has
  };
  SpreadView ViewSpread(std::int32_t shape, std::size_t rule, std::int32_t node, Entry entry) const;

 private:
  struct NodeState {
    std::shared_ptr<const Node> owned;  // of AddNode
    const Node* node = nullptr;
    std::int32_t pods = 0;
    std::vector<std::int32_t> domains;  // by key: number of its value, -1: it has none
    std::vector<HostPort> ports;
    std::map<AttachedVolume, int> attached;
    std::vector<std::int32_t> counted;  // shapes of its pods that belong to a group and spread
  };
  // A group and a label that a rule between pods names together.
  struct Pair {
    std::int32_t group = 0, key = 0;
    std::vector<std::int32_t> members, owners;  // by domain: pods in it; pods that keep them off
    std::int32_t all_members = 0;
  };
  struct ShapeInfo {
    bool related = false;  // other pods decide, too
    bool simple = true;    // neither do they, nor do limits of volumes
    std::vector<std::int32_t> affinity, anti, spread_keys;  // pairs, pairs, keys
    std::vector<std::int32_t> met;  // pairs of the groups that it belongs to
    bool meets_anti = false;        // some shape keeps one of its groups off
  };
  // A spread constraint, shared by all shapes for which the same nodes and the same pods count.
  struct SharedSpread {
    SpreadCount count;
    std::int32_t shape = 0;  // one of them
    std::size_t rule = 0;    // of its PodShape::spread
  };

  const NodeState& At(std::int32_t node) const { return nodes_[static_cast<std::size_t>(node)]; }
  const PodShape& Shape(std::int32_t shape) const {
    return snapshot_->shapes[static_cast<std::size_t>(shape)];
  }
  const ShapeInfo& Info(std::int32_t shape) const {
    return shapes_[static_cast<std::size_t>(shape)];
  }
  void ResolveShapes();
  std::int32_t KeyIndex(const std::string& key);
  std::int32_t PairIndex(std::int32_t group, const std::string& key);
  void Enter(NodeState state);
  bool MayEver(std::int32_t shape, std::int32_t node, Entry entry) const;
  Obstruction CheckPods(std::int32_t shape, std::int32_t node, Entry entry) const;
  bool HasAffinity(const ShapeInfo& info, const PodShape& shape, const NodeState& state) const;
  bool TooManyVolumes(const PodShape& shape, const NodeState& state) const;
  const std::vector<std::int32_t>& SpreadsOf(std::int32_t shape, Entry entry) const;
  std::int32_t ShareSpread(std::int32_t shape, std::size_t rule, Entry entry) const;
  void Count(std::int32_t shape, std::int32_t node, bool spreads, int sign);

  const Snapshot* snapshot_;
  std::vector<NodeState> nodes_;
  std::vector<Resources> free_;  // by node
  std::map<std::string, std::int32_t, std::less<>> node_by_name_;
  std::vector<std::string> keys_;
  std::map<std::string, std::int32_t> key_index_;
  std::vector<std::map<std::string, std::int32_t>> values_;  // by key: number of each value
  std::vector<Pair> pairs_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> pair_index_;
  std::vector<std::vector<std::int32_t>> pairs_of_group_;
  std::vector<ShapeInfo> shapes_;
  std::map<std::string, int, std::less<>> claims_in_use_;  // ReadWriteOncePod ones
  std::uint64_t version_ = 0;
  // Answers that are kept, by entry. Shapes of one class ask the same of a node alone.
  std::vector<std::int32_t> class_of_;                      // by shape
  mutable std::vector<std::vector<std::uint8_t>> ever_[2];  // by class, node: 0 not asked, 1 no, 2
                                                            // yes; empty: nobody asked
  // What makes constraints share: group, key, policies, class (-1: any node counts), all keys of
  // the shape's constraints.
  using SpreadKey =
      std::tuple<std::int32_t, std::int32_t, bool, bool, std::int32_t, std::vector<std::int32_t>>;
  mutable std::vector<SharedSpread> spreads_[2];
  mutable std::map<SpreadKey, std::int32_t> spread_index_[2];
  mutable std::vector<std::optional<std::vector<std::int32_t>>> spreads_of_[2];  // by shape, rule
};

}  // namespace spillway::plan
