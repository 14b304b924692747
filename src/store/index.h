// Objects of a store, and what is worked out from all objects of one kind.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "base/json.h"
#include "store/memo.h"

namespace spillway::store {

struct ObjectKey {
  std::string kind, ns, name;  // ns is empty for cluster-scoped kinds
  auto operator<=>(const ObjectKey&) const = default;
};

struct StoredObject {
  ObjectKey key;
  std::string uid;
  std::int64_t resource_version = 0;
  json::value body;  // metadata.uid, .resourceVersion and .creationTimestamp are filled in
  Memo memo;         // of the snapshot's builder and its index
};
using ObjectPtr = std::shared_ptr<const StoredObject>;

// What somebody wants to know of all objects of one kind without looking at each. A class of his
// with `static constexpr const char* kKind`; Store::Look makes it and shows it. The store calls it
// with its lock held: it must not call the store, and needs no lock of its own.
class Index {
 public:
  Index() = default;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  virtual ~Index() = default;

  // An object that changes is removed as it was and added as it is.
  virtual void Add(const ObjectPtr& object) = 0;
  virtual void Remove(const ObjectPtr& object) = 0;
};

}  // namespace spillway::store
