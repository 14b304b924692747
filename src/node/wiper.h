// The end of the cache: overwritten with a fresh keystream, read back, and stated to the site.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "node/cache_file.h"
#include "node/door_client.h"
#include "node/stopper.h"

namespace spillway::node {

// What was overwritten and when, by BootNow().
struct CacheWipe {
  door::WipeStatement statement;  // without the two times
  Duration started{0}, ended{0};
  bool complete = false;
  std::string failure;
};

// Stops writes to the cache and overwrites what was used, or all of it. A pass that is not complete
// is repeated once with another seed. `within`: give up after this real time. Blocks.
CacheWipe WipeCache(CacheFile& cache, bool whole, const data::WipeProgress& progress = {},
                    std::optional<Duration> within = {});

// Wipes on a thread of its own and delivers the statement, again and again until the site has it.
// Thread-safe.
class Wiper {
 public:
  // `cache` may be null: a node that never got data states zero bytes.
  Wiper(DoorAccess& access, std::shared_ptr<CacheFile> cache, bool whole, Duration retry_first,
        Duration retry_most, std::function<void()> on_change);
  ~Wiper();
  // Ends the attempts to deliver; a wipe that runs is finished.
  void Stop();

  bool wiped() const { return wiped_; }          // and the site has the statement
  double progress() const { return progress_; }  // 0..1: one half writing, one half reading
  std::string problem() const;

 private:
  void Run(bool whole);
  void Deliver(CacheWipe wipe);

  DoorAccess& access_;
  const std::shared_ptr<CacheFile> cache_;
  const Duration retry_first_, retry_most_;
  const std::function<void()> on_change_;
  Stopper stopper_;
  std::atomic<bool> wiped_ = false;
  std::atomic<double> progress_ = 0;
  mutable std::mutex mutex_;  // guards problem_
  std::string problem_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace spillway::node
