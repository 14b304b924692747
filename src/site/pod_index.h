// PodIndex: the pods of a store in the ways a round asks for them. A large cluster has very many
// pods, and a round must not look at each.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/resources.h"
#include "store/index.h"

namespace spillway::site {

// Whether an owner waits for the pod's end, it may be one of a gang or came for a request, or
// Spillway was told something about it.
bool IsOfInterest(const json::value& pod);

// Plain is a pod that runs, takes room where it is bound, and nothing else: nobody waits for it,
// and it has no claims, ports or rules that keep others away.
bool IsPlain(const store::StoredObject& pod);
// Of a plain pod: its requests. Valid as long as the object.
const Resources& RequestsOfPlain(const store::StoredObject& pod);

// To be had from Store::Look.
class PodIndex final : public store::Index {
 public:
  static constexpr const char* kKind = "Pod";

  // What is bound to one node.
  struct Room {
    Resources taken;  // by its plain pods
    std::int32_t plain = 0;
    std::vector<store::ObjectPtr> pods;  // all, in no order, and finished ones too
  };
  // Of one namespace.
  struct Space {
    std::int64_t gpus = 0, plain = 0;       // of its plain pods
    std::vector<store::ObjectPtr> passing;  // plain ones that nobody makes anew; in no order
  };
  struct ByKey {
    bool operator()(const store::ObjectPtr& a, const store::ObjectPtr& b) const {
      return a->key < b->key;
    }
  };

  void Add(const store::ObjectPtr& pod) override;
  void Remove(const store::ObjectPtr& pod) override;

  const std::map<std::string, Room, std::less<>>& rooms() const { return rooms_; }
  const std::map<std::string, Space, std::less<>>& spaces() const { return spaces_; }
  // Those that are neither plain nor finished where they are bound.
  const std::set<store::ObjectPtr, ByKey>& others() const { return others_; }

 private:
  std::map<std::string, Room, std::less<>> rooms_;
  std::map<std::string, Space, std::less<>> spaces_;
  std::set<store::ObjectPtr, ByKey> others_;
};

}  // namespace spillway::site
