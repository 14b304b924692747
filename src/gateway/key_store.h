// Run keys at the site, and the site's own signing key.
//
// A run key is one file per run, mode 0600. Destroying it writes a tombstone first, so that from
// then on the key is neither used nor made again whatever happens; then the file is overwritten,
// removed and the directory synced; then the tombstone gets its time. On a file system that copies
// on write, or a disk that remaps, the overwrite may miss the old block: keep the state directory
// on a disk of the site that is encrypted or destroyed in the end.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "data/secret.h"
#include "data/sign.h"

namespace spillway::gateway {

// What may be told of a run key.
struct KeyFacts {
  std::string key_id;             // names the key without telling it; "none" if there never was one
  std::optional<Time> created;    // nullopt: there never was one
  std::optional<Time> destroyed;  // set once nothing is left of it
  bool usable = false;
};

// Thread-safe.
class KeyStore {
 public:
  // Makes the directory if needed and finishes destructions that a crash interrupted; `now` is the
  // time these get.
  static Result<std::unique_ptr<KeyStore>> Open(std::string directory, Time now);

  // Ok when the run has a key, a new or an old one; kConflict once it was destroyed.
  Status Create(const std::string& run, Time now);

  // Calls `use` with the key; no copy outlives the call, so after Destroy() nobody holds it.
  // kNotFound without a key, kConflict once it was destroyed, else what `use` returns.
  Status Use(const std::string& run, const std::function<Status(const data::Secret&)>& use);

  // Waits for running uses of this run. Ok when nothing is left of the key, also when there never
  // was one or it was destroyed before; the first time stays.
  Status Destroy(const std::string& run, Time now);

  // nullopt for a run that was never heard of.
  Result<std::optional<KeyFacts>> Look(const std::string& run) const;

 private:
  struct Tombstone;
  explicit KeyStore(std::string directory) : directory_(std::move(directory)) {}

  std::string KeyPath(const std::string& run) const { return directory_ + "/" + run + ".key"; }
  std::string TombstonePath(const std::string& run) const {
    return directory_ + "/" + run + ".gone";
  }
  std::shared_mutex& LockOf(const std::string& run) const;
  Result<std::optional<Tombstone>> ReadTombstone(const std::string& run) const;
  Status WriteTombstone(const std::string& run, const Tombstone& tombstone);
  Status Shred(const std::string& run);

  const std::string directory_;
  // Runs share locks by hash: the number is fixed whatever the number of runs.
  mutable std::array<std::shared_mutex, 64> locks_;
};

// The site's long-lived Ed25519 key: directory/site.key (the seed, mode 0600), made once, and
// directory/site.pub (hex) for whoever verifies. kCorrupt when the file is not a key.
Result<data::SigningKey> OpenSigningKey(const std::string& directory);

}  // namespace spillway::gateway
