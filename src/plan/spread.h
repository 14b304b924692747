// SpreadCount: how many pods of a group each domain holds, and the fewest that a domain holds.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace spillway::plan {

// The state of one topology spread constraint of one shape.
class SpreadCount {
 public:
  SpreadCount(std::int32_t group, std::int32_t key) : group_(group), key_(key) {}

  std::int32_t group() const { return group_; }
  std::int32_t key() const { return key_; }

  // Nodes come and go in this order: the last one that came goes first. `domain` is the node's; a
  // node that is not counted has no part in anything.
  void AddNode(std::int32_t domain, bool counted);
  void DropLastNode(std::int32_t domain);
  // `change` more pods on the node.
  void Add(std::int32_t node, std::int32_t domain, int change);

  // Pods in a domain; a domain without a counted node has none.
  int In(std::int32_t domain) const;
  // The fewest in a domain; 0 while there are fewer than `min_domains`, and no limit where there is
  // no domain at all.
  int Fewest(std::int32_t min_domains) const;

 private:
  void Move(int from, int to);

  std::int32_t group_, key_;
  std::vector<bool> counted_;         // by node
  std::vector<int> pods_, nodes_of_;  // by domain: pods, counted nodes
  std::map<int, int> domains_with_;   // number of pods -> domains that have so many
  int domains_ = 0;
};

}  // namespace spillway::plan
