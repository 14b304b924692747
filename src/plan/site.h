// Site: where waiting pods would go on the site's own nodes, and what quotas leave.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/snapshot.h"

namespace spillway::plan {

// Free room of the site's nodes (rented ones are not part of it), filled by first fit in the order
// of node names. Room only ever shrinks, so a shape that found none is not looked at again.
class SiteRoom {
 public:
  explicit SiteRoom(const Snapshot& snapshot);

  // Takes room for one pod of the shape; false: no node has it.
  bool Place(std::int32_t shape);
  // Takes room for a pod of each of these shapes, or for none.
  bool PlaceAll(std::vector<std::int32_t> shapes);

  // By node index; zero for rented nodes.
  const std::vector<Resources>& free() const { return free_; }
  // Indexes of the nodes that a pod of the shape may ever run on, ascending.
  const std::vector<std::int32_t>& NodesFor(std::int32_t shape);

 private:
  struct ShapeState {
    bool known = false;
    std::vector<std::int32_t> nodes;
    std::size_t cursor = 0;                     // nodes before it have no room for this shape
    std::size_t failed_gang = ~std::size_t{0};  // this many at once did not fit
  };
  // Index of the node that took it, -1: none.
  std::int32_t Take(std::int32_t shape);

  const Snapshot& snapshot_;
  std::vector<Resources> free_;
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
