// Brings the sealed data of the run onto the disk: manifest, then every chunk, verified.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "node/chunk_cache.h"
#include "node/door_client.h"
#include "node/rate_meter.h"
#include "node/run_files.h"
#include "node/run_key.h"
#include "node/stopper.h"

namespace spillway::node {

// Everything needed to read the inputs while the key is there.
struct StagedData {
  RunNames names;
  data::Manifest manifest;  // without its files
  RunFiles files;
  std::shared_ptr<ChunkCache> cache;
};

struct StagerOptions {
  // Streams at a time, each with a chunk in memory. On a link of 1 Gbit/s and 40 ms (5 MB on the
  // way at any moment) they keep more than twice as much asked for.
  int workers = 16;
  // Real time. Nothing came for so long, or one request took so long: it is given up, and the next
  // goes on where this one stopped.
  Duration stall_timeout = 10s, chunk_timeout = 10min;
  Duration retry_first = 100ms, retry_most = 5s;
  ChunkCacheOptions cache;
};

// Works on threads of its own from construction until everything is there and stays, or Stop().
// Goes on after every kind of error, because the site decides how long staging may take. Chunks
// come in the order of the manifest, those that a reader waits for first.
class Stager {
 public:
  // References outlive the stager. `on_change` is called from its threads at each step.
  // `places`: of the chunk cache that an earlier process of this machine left, or nothing.
  Stager(DoorAccess& access, RunKey& key, data::VerifyKey site, RunNames names, std::string disk,
         StagerOptions options, std::function<void()> on_change, Fd places = Fd());
  ~Stager();

  // Asks all threads to end; a request that runs ends within a second.
  void Stop();

  struct Progress {
    std::int64_t chunks = 0, bytes = 0;  // verified and on the disk
    std::int64_t bytes_per_s = 0;        // that arrived lately
    bool readable = false;               // the files are known; data() may be called
    bool staged = false;                 // all that fits is here
    std::string problem;
  };
  Progress Now() const;
  // The cache file, once it exists.
  std::shared_ptr<CacheFile> cache() const;
  // Valid once readable.
  std::shared_ptr<const StagedData> data() const;

 private:
  void Run();
  Status FetchManifest();
  void FetchChunks();
  void Arrived();
  // `sealed` holds what an earlier try of this chunk got, and at the end nothing.
  Status FetchChunk(DoorClient& client, std::uint32_t index, std::string& sealed);
  void Report(std::string problem);

  DoorAccess& access_;
  RunKey& key_;
  const data::VerifyKey site_;
  const std::string disk_;
  const StagerOptions options_;
  const std::function<void()> on_change_;
  Stopper stopper_;
  Fd places_;
  std::atomic<bool> stop_requests_ = false;
  RateMeter arrived_;
  std::shared_ptr<StagedData> data_;  // filled by the first thread before the others start
  mutable std::mutex mutex_;          // guards the two below
  Progress progress_;
  std::set<std::uint32_t> failing_;  // chunks whose last attempt failed
  std::thread thread_;               // last: it uses everything above
};

}  // namespace spillway::node
