// Store: the embedded mode's API objects, events, BurstNodes and ledger in one SQLite file.
//
// Objects are JSON as kubectl knows it. Every write gets the next revision of the whole store as
// its resourceVersion. Reads come from memory; writes go through to the file before they return.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "ports/journal.h"
#include "store/index.h"
#include "store/ledger.h"
#include "store/memo.h"

namespace spillway::store {

// One write of a transaction.
struct Write {
  ObjectKey key;
  json::value body;
  // nullopt: create or replace. 0: must not exist. Otherwise: must still have this version.
  std::optional<std::int64_t> expected;
  bool remove = false;  // delete instead; kNotFound is not an error when expected is nullopt
};

// What a write survives. Waiting for the disk takes milliseconds.
enum class Survives : std::uint8_t { kPowerLoss, kEndOfProcess };

// An event about an object, as `kubectl describe` shows it. Repeated ones are counted, not stored
// again.
struct Event {
  Time first{}, last{};
  ObjectKey about;
  bool warning = false;
  std::string reason;  // "BurstPlanned"
  std::string message;
  std::int64_t count = 1;
};

struct StoreOptions {
  std::string path;
  const Clock* clock = nullptr;  // for creationTimestamp and events; must outlive the store
  Signer sign;                   // signs the ledger head
  std::string public_key;        // hex
};

class Store final : public ports::Journal {
 public:
  static constexpr int kMaxEvents = 5000;  // oldest are dropped

  static Result<std::unique_ptr<Store>> Open(StoreOptions options);

  // Replaces the clock, for a program whose clock depends on what the store holds (RuleClock).
  // Before other threads use the store.
  void UseClock(const Clock& clock) { options_.clock = &clock; }

  // A copy in memory of objects and events as they are now, without the ledger, for what-if
  // questions. Writing to it changes nothing here.
  Result<std::unique_ptr<Store>> Copy() const;

  // Objects of one kind, sorted by namespace and name; ns empty: all namespaces.
  std::vector<ObjectPtr> List(const std::string& kind, const std::string& ns = "") const;
  ObjectPtr Get(const ObjectKey& key) const;  // nullptr: not there
  // Shows the index T (see Index) to `look(const T&)`, which must not call the store. From the
  // first look on it is kept up to date. One index for each kind.
  template <typename T, typename F>
  auto Look(const F& look) const {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Index>& index = indexes_[T::kKind];
    if (index == nullptr) {
      index = std::make_unique<T>();
      for (auto it = objects_.lower_bound({T::kKind, "", ""});
           it != objects_.end() && it->first.kind == T::kKind; ++it)
        index->Add(it->second);
    }
    return look(static_cast<const T&>(*index));
  }

  // All writes or none. Returns the objects as stored (deleted ones as they were, nullptr for one
  // that was not there). kConflict names the first object whose version is not the expected one.
  Result<std::vector<ObjectPtr>> Apply(std::vector<Write> writes,
                                       Survives survives = Survives::kPowerLoss);

  // Reads, changes and writes one object; retried on kConflict a bounded number of times. `change`
  // returns false to leave it as it is. kNotFound if it does not exist.
  Status Update(const ObjectKey& key, const std::function<bool(json::value& body)>& change);

  // Objects whose home is another API server, as they are there: kept in memory only, with their
  // own uid. Nobody else writes their kinds. A null body: it is gone.
  struct Mirrored {
    ObjectKey key;
    json::value body;
  };
  void Mirror(std::vector<Mirrored> objects);
  // The same, and every other object of this kind is gone: after everything was listed anew.
  void MirrorAll(const std::string& kind, std::vector<Mirrored> objects);

  // Survives the end of the process.
  void AddEvent(const ObjectKey& about, bool warning, std::string reason, std::string message);
  std::vector<Event> Events(const ObjectKey& about) const;
  std::vector<Event> RecentEvents(std::size_t limit) const;

  // Called after every write that changed something, outside the lock, from the writing thread,
  // with what is there now or was there before. Set once, before other threads use the store.
  void OnChange(std::function<void(const std::vector<ObjectPtr>& changed, bool removed)> callback);
  std::int64_t Revision() const;

  Result<std::vector<LedgerRow>> Ledger() const;
  Result<std::int64_t> LedgerRecords() const;
  Result<std::string> LedgerExport() const;

  // ports::Journal. BurstNodes are objects of kind BurstNode.
  Status Commit(std::vector<BurstNode>& nodes, const std::vector<LedgerEntry>& entries) override;
  Result<std::vector<BurstNode>> Nodes(Time gone_since) override;
  Result<std::int64_t> LastSerial() override;

 private:
  Store(StoreOptions options, Database db);
  Status Load();
  Status Migrate();
  Result<ObjectPtr> WriteOne(Write& write);
  ObjectPtr MirrorOne(Mirrored object);  // locked; nullptr: nothing changed
  void Remember(const std::vector<ObjectPtr>& changed, const std::vector<bool>& removed);
  void Tell(std::vector<ObjectPtr> changed, bool removed) const;  // not locked
  // Locked. In place of the one with this key, which nullptr removes.
  void Put(const ObjectKey& key, ObjectPtr object);

  StoreOptions options_;
  mutable std::mutex mutex_;
  mutable Database db_;
  std::map<ObjectKey, ObjectPtr> objects_;
  mutable std::map<std::string, std::unique_ptr<Index>, std::less<>> indexes_;  // by kind
  std::map<std::string, std::pair<BurstNode, std::int64_t>>
      decoded_;  // by name, with the version decoded
  std::int64_t revision_ = 0;
  std::vector<Event> events_;
  std::function<void(const std::vector<ObjectPtr>&, bool)> on_change_;
};

}  // namespace spillway::store
