// Run keys at the site: what is known of them, and their use; a key service keeps them.
//
//   DIRECTORY/<run>.wrapped  how the key service calls the key, and the key as it wrapped it
//   DIRECTORY/<run>.gone     tombstone: destroyed, or to be
//
// Destroying a key writes the tombstone first, so that from then on the key is neither used nor
// made again whatever happens; then the key service destroys it, as often as it takes; then the
// wrapped key is removed; then the tombstone gets its times. A key that was used is kept in memory
// until it is destroyed, so a key service that is down stops no run that has begun.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "data/secret.h"
#include "data/sign.h"
#include "ports/key_service.h"

namespace spillway::gateway {

// What may be told of a run key.
struct KeyFacts {
  std::string key_id;             // names the key without telling it; "none" if there never was one
  std::optional<Time> created;    // by the site's clock; nullopt: there never was one
  std::optional<Time> destroyed;  // likewise; set once nothing is left of it
  bool usable = false;
  // As the key service states it, by its own clock.
  std::string service;
  std::int64_t version = 0;
  std::optional<Time> service_created, service_destroyed;
  std::string statement;  // on the destruction
};

// Thread-safe. No lock is held while the key service is asked.
class KeyStore {
 public:
  // Makes the directory if needed and finishes destructions that were interrupted, as far as the
  // service answers; `now` is the time these get. `service` outlives it.
  static Result<std::unique_ptr<KeyStore>> Open(std::string directory, ports::KeyService& service,
                                                Time now);

  // Ok when the run has a key, a new or an old one; kConflict once it was destroyed; else as
  // ports::KeyService::Create().
  Status Create(const std::string& run, Time now);

  // Calls `use` with the key. Nobody uses it after Destroy() began. kNotFound without a key,
  // kConflict once it was destroyed, an error of ports::KeyService::Unwrap(), else what `use`
  // returns.
  Status Use(const std::string& run, const std::function<Status(const data::Secret&)>& use);

  // Waits for running uses of this run. Ok when the service says that nothing is left of the key,
  // also when there never was one or it was destroyed before; the first time stays. After an error
  // nobody uses the key any more, but it is not destroyed yet: call again.
  Status Destroy(const std::string& run, Time now);

  // nullopt for a run that was never heard of. Asks files only.
  Result<std::optional<KeyFacts>> Look(const std::string& run) const;

  ports::KeyService& service() { return service_; }

 private:
  KeyStore(std::string directory, ports::KeyService& service)
      : directory_(std::move(directory)), service_(service) {}

  std::string WrappedPath(const std::string& run) const {
    return directory_ + "/" + run + ".wrapped";
  }
  std::string TombstonePath(const std::string& run) const {
    return directory_ + "/" + run + ".gone";
  }
  std::shared_mutex& LockOf(const std::string& run) const;
  bool IsGone(const std::string& run) const;
  Status TakeOver(Time now);
  Status FinishDestructions(Time now);
  // The key in memory, put there if it was not.
  Result<std::shared_ptr<const data::Secret>> Unwrapped(const std::string& run);
  void Keep(const std::string& run, std::shared_ptr<const data::Secret> key);

  const std::string directory_;
  ports::KeyService& service_;
  // Runs share locks by hash: the number is fixed whatever the number of runs. Shared while a key
  // is used, exclusive while files of a run change.
  mutable std::array<std::shared_mutex, 64> locks_;
  std::mutex kept_mutex_;
  std::map<std::string, std::shared_ptr<const data::Secret>> kept_;  // at most kMaxKept
};

// The site's long-lived Ed25519 key: directory/site.key (the seed, mode 0600), made once, and
// directory/site.pub (hex) for whoever verifies. kCorrupt when the file is not a key.
Result<data::SigningKey> OpenSigningKey(const std::string& directory);

}  // namespace spillway::gateway
