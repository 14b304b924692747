// Which sealed chunks lie where in the cache file, and which is fetched next.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "data/manifest.h"
#include "node/cache_file.h"

namespace spillway::node {

struct ChunkCacheOptions {
  std::int64_t results_area_bytes = 16 << 20;  // of the file, behind the chunks
  // What chunks may take of the disk; 0: nine tenths of what is free. Only if not all of them fit.
  std::int64_t limit_bytes = 0;
  // If not all fit: chunks that were not read for the longest time make room, and are fetched again
  // when they are. Without it Open() fails with kCapacity.
  bool may_evict = false;
};

// Where all chunks fit, each has its own place and stays. Otherwise places are of equal size and
// the least recently read chunk makes room; one that is being read does not. Thread-safe.
class ChunkCache {
 public:
  // Makes the cache file. With `places`, of an earlier process of this machine: goes on with the
  // file that is there, and what it holds.
  static Result<std::unique_ptr<ChunkCache>> Open(const std::string& directory,
                                                  std::span<const data::ManifestChunk> chunks,
                                                  ChunkCacheOptions options, Fd places = Fd());
  ~ChunkCache();
  ChunkCache(const ChunkCache&) = delete;
  ChunkCache& operator=(const ChunkCache&) = delete;

  const std::shared_ptr<CacheFile>& file() const { return file_; }
  // The results area begins here.
  std::int64_t results_at() const { return results_at_; }
  // Not all chunks fit.
  bool evicts() const { return evicts_; }
  // A memfd: which chunk is where. Belongs to the cache.
  int places() const { return memory_.get(); }

  // ---- for who reads

  // Keeps a chunk in its place.
  class Pin {
   public:
    Pin(Pin&& other) noexcept;
    Pin& operator=(Pin&&) = delete;
    ~Pin();
    // Sealed bytes of the chunk. kCorrupt if the disk does not give them back.
    Status Load(std::int64_t from, std::span<std::uint8_t> out) const;
    std::int64_t sealed_bytes() const { return length_; }

   private:
    friend class ChunkCache;
    Pin(ChunkCache* cache, std::uint32_t place, std::int64_t offset, std::int64_t length)
        : cache_(cache), place_(place), offset_(offset), length_(length) {}
    ChunkCache* cache_;
    std::uint32_t place_;
    std::int64_t offset_, length_;
  };
  // Nothing if the chunk is not here.
  std::optional<Pin> Find(std::uint32_t chunk);
  // Somebody waits for the chunk: it is fetched next, and if places are scarce the ones behind it
  // after that.
  void Want(std::uint32_t chunk);
  // Called after each Store() by its thread.
  void OnArrival(std::function<void()> arrived);

  // ---- for who fetches

  // Waits for something to fetch; nothing once Close() was called, or all is there and stays.
  std::optional<std::uint32_t> NextToFetch();
  Status Store(std::uint32_t chunk, ByteView sealed);
  // It could not be fetched or stored: it comes again after all others, or if somebody waits for
  // it as soon as it can.
  void Failed(std::uint32_t chunk);

  struct Progress {
    std::int64_t chunks = 0, bytes = 0;  // here now
    bool filled = false;                 // all that fits is here
  };
  Progress Now() const;

  // Ends all waiting.
  void Close();

 private:
  ChunkCache(std::span<const data::ManifestChunk> chunks, const ChunkCacheOptions& options);
  Status MakeFile(const std::string& directory);
  Status MakePlaces();
  Status TakePlaces(const std::string& directory, Fd places);
  Status MapPlaces();
  void LayOut(std::int64_t room);
  std::int64_t OffsetOf(std::uint32_t place) const;
  std::atomic_ref<std::uint32_t> PlaceOf(std::uint32_t chunk) const;
  void Unpin(std::uint32_t place);
  Result<std::uint32_t> TakePlace(std::uint32_t chunk);

  const ChunkCacheOptions options_;
  std::vector<std::int64_t> sizes_;  // of the sealed chunks
  std::shared_ptr<CacheFile> file_;
  bool evicts_ = false;
  std::int64_t place_bytes_ = 0;       // if it evicts
  std::vector<std::int64_t> offsets_;  // else, of each chunk
  std::int64_t results_at_ = 0;
  std::uint32_t places_count_ = 0;
  Fd memory_;
  std::uint32_t* place_of_ = nullptr;  // in memory_: place + 1 of each chunk, 0: not here
  std::size_t memory_bytes_ = 0;

  enum class State : std::uint8_t { kAbsent, kWanted, kFetching, kFetchingWanted, kHere };
  struct Slot {  // if it evicts
    std::uint32_t chunk = 0;
    std::uint32_t pins = 0;
    bool used = false;
    std::list<std::uint32_t>::iterator order;
  };
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::vector<State> states_;
  std::deque<std::uint32_t> wanted_, ahead_, again_;
  std::uint32_t next_ = 0;  // in the order of the manifest
  std::int64_t here_ = 0, here_bytes_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::list<std::uint32_t> order_;  // least recently read first
  std::function<void()> arrived_;
  bool closed_ = false;
};

}  // namespace spillway::node
