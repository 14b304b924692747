// Site: where waiting pods would go on the site's own nodes, and what quotas leave.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plan/placement.h"

namespace spillway::plan {

// Puts pods on the site's nodes (rented ones are not part of it), by first fit in the order of node
// names. Room only ever shrinks, so a node that had none for a shape is not looked at again, unless
// the shape's rules about other pods may open it later.
class SiteRoom {
 public:
  // Places into `ground`, which must outlive it.
  SiteRoom(const Snapshot& snapshot, Placement& ground);

  // Takes room for one pod of the shape; false: no node has it.
  bool Place(std::int32_t shape);
  // Takes room for a pod of each of these shapes, or for none.
  bool PlaceAll(std::vector<std::int32_t> shapes);

  const Placement& ground() const { return ground_; }
  // Indexes of the nodes that a pod of the shape may ever run on, ascending.
  const std::vector<std::int32_t>& NodesFor(std::int32_t shape);

 private:
  struct ShapeState {
    bool known = false;
    std::vector<std::int32_t> nodes;
    std::size_t cursor = 0;                       // nodes before it have no room for this shape
    std::size_t failed_gang = ~std::size_t{0};    // this many at once did not fit
    std::uint64_t failed_at = ~std::uint64_t{0};  // Placement::version without room
  };
  // Index of the node that took it, -1: none.
  std::int32_t Take(std::int32_t shape);

  const Snapshot& snapshot_;
  Placement& ground_;
  std::vector<ShapeState> shapes_;
};

// What the ResourceQuotas leave for pods that are not bound yet. `used` of a quota counts bound
// pods.
class QuotaRoom {
 public:
  explicit QuotaRoom(const Snapshot& snapshot);
  bool Take(std::string_view ns, std::int64_t gpus, std::int64_t pods);

 private:
  struct Left {
    std::int64_t gpus, pods;
  };
  std::map<std::string, Left, std::less<>> left_;
};

}  // namespace spillway::plan
