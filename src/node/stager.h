// Brings the sealed data of the run onto the disk: manifest, then every chunk, verified.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "node/cache_file.h"
#include "node/door_client.h"
#include "node/run_key.h"
#include "node/stopper.h"

namespace spillway::node {

// What staging leaves behind: everything needed to read the inputs while the key is there.
struct StagedData {
  RunNames names;
  data::Manifest manifest;
  std::vector<std::int64_t> offsets;  // of chunk i in the cache file
  std::int64_t results_at = 0;        // the results area begins here
};

struct StagerOptions {
  int workers = 4;
  Duration chunk_timeout = 30s;  // for one chunk, real time
  Duration retry_first = 100ms, retry_most = 5s;
  std::int64_t results_area_bytes = 16 << 20;
};

// Works on threads of its own from construction until everything is there or Stop(). Goes on after
// every kind of error, because the site decides how long staging may take.
class Stager {
 public:
  // References outlive the stager. `on_change` is called from its threads at each step.
  Stager(DoorAccess& access, RunKey& key, data::VerifyKey site, RunNames names, std::string disk,
         StagerOptions options, std::function<void()> on_change);
  ~Stager();

  // Asks all threads to end; a request that runs may take its timeout.
  void Stop();

  struct Progress {
    std::int64_t chunks = 0, bytes = 0;  // verified and on the disk
    bool staged = false;
    std::string problem;
  };
  Progress Now() const;
  // The cache file, once it exists.
  std::shared_ptr<CacheFile> cache() const;
  // Valid once staged.
  std::shared_ptr<const StagedData> data() const;

 private:
  void Run();
  Status FetchManifest();
  void FetchChunks();
  Status FetchChunk(DoorClient& client, std::size_t index);
  void Report(std::string problem);

  DoorAccess& access_;
  RunKey& key_;
  const data::VerifyKey site_;
  const std::string disk_;
  const StagerOptions options_;
  const std::function<void()> on_change_;
  Stopper stopper_;
  std::shared_ptr<StagedData> data_;  // filled by the first thread before the others start
  mutable std::mutex mutex_;          // guards the three below
  Progress progress_;
  std::shared_ptr<CacheFile> cache_;
  std::size_t next_ = 0;  // chunk that the next free worker takes
  std::thread thread_;    // last: it uses everything above
};

}  // namespace spillway::node
