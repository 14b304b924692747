#include "node/chunk_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "fuse/content.h"

namespace spillway::node {
namespace {

constexpr std::uint32_t kAheadChunks = 2;  // behind one that was wanted, if places are scarce

// All chunks of one read must be here at once, and some readers more must not push them out.
std::uint32_t FewestPlaces(std::int64_t place_bytes) {
  constexpr std::uint32_t kReaders = 4;
  const auto full = static_cast<std::int64_t>(fuse::kMaxReadBytes) / place_bytes;
  return kReaders * (static_cast<std::uint32_t>(full) + 2);
}

// The head of the memory that says which chunk is where.
struct Head {
  std::array<char, 8> magic{'S', 'P', 'W', 'P', 'L', 'A', 'C', '1'};
  std::uint64_t chunks = 0;
  std::uint64_t places = 0;  // 0: each chunk has its own
  std::uint64_t place_bytes = 0;
  bool operator==(const Head&) const = default;
};

std::int64_t WholeBlocks(std::int64_t bytes) {
  return (bytes + CacheFile::kBlock - 1) / CacheFile::kBlock * CacheFile::kBlock;
}

tl::unexpected<Error> Broken(std::string_view what) {
  return Fail(Code::kInternal, fmt::format("the cache: {}: {}", what, std::strerror(errno)));
}

}  // namespace

ChunkCache::ChunkCache(std::span<const data::ManifestChunk> chunks,
                       const ChunkCacheOptions& options)
    : options_(options), states_(chunks.size()) {
  for (const data::ManifestChunk& chunk : chunks) sizes_.push_back(chunk.sealed_bytes);
}

ChunkCache::~ChunkCache() {
  Close();
  if (place_of_ != nullptr)
    ::munmap(reinterpret_cast<std::uint8_t*>(place_of_) - sizeof(Head), memory_bytes_);
}

Result<std::unique_ptr<ChunkCache>> ChunkCache::Open(const std::string& directory,
                                                     std::span<const data::ManifestChunk> chunks,
                                                     ChunkCacheOptions options, Fd places) {
  std::unique_ptr<ChunkCache> cache(new ChunkCache(chunks, options));
  if (places) {
    SPW_TRY(cache->TakePlaces(directory, std::move(places)));
  } else {
    SPW_TRY(cache->MakeFile(directory));
    SPW_TRY(cache->MakePlaces());
  }
  return cache;
}

// `room` < 0: a place for each.
void ChunkCache::LayOut(std::int64_t room) {
  offsets_.clear();
  std::int64_t end = 0, longest = 0;
  for (const std::int64_t size : sizes_) {
    offsets_.push_back(end);
    end += WholeBlocks(size);
    longest = std::max(longest, WholeBlocks(size));
  }
  places_count_ = static_cast<std::uint32_t>(sizes_.size());
  evicts_ = room >= 0 && end > room;
  if (evicts_) {
    offsets_.clear();
    place_bytes_ = longest;
    places_count_ = static_cast<std::uint32_t>(room / longest);
    end = place_bytes_ * places_count_;
    slots_.resize(places_count_);
    for (std::uint32_t i = places_count_; i > 0; --i) free_.push_back(i - 1);
  }
  results_at_ = end;
}

Status ChunkCache::MakeFile(const std::string& directory) {
  LayOut(-1);
  auto made = options_.limit_bytes > 0 && results_at_ > options_.limit_bytes
                  ? Result<std::unique_ptr<CacheFile>>(
                        Fail(Code::kCapacity,
                             fmt::format("the chunks take {} bytes of disk, {} may be used: rent a "
                                         "machine with a larger disk",
                                         results_at_, options_.limit_bytes)))
                  : CacheFile::Create(directory, results_at_ + options_.results_area_bytes);
  if (!made && made.error().code == Code::kCapacity && options_.may_evict) {
    std::int64_t room = options_.limit_bytes;
    if (struct statvfs disk{}; room == 0 && ::statvfs(directory.c_str(), &disk) == 0)
      room = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize) / 10 * 9 -
             options_.results_area_bytes;
    LayOut(std::max<std::int64_t>(room, 0));
    if (evicts_ && places_count_ < FewestPlaces(place_bytes_))
      return Fail(Code::kCapacity,
                  fmt::format("{}: it has room for {} chunks, {} are needed at least: rent a "
                              "machine with a larger disk",
                              directory, places_count_, FewestPlaces(place_bytes_)));
    made = CacheFile::Create(directory, results_at_ + options_.results_area_bytes);
    log::Info("the disk is smaller than the data: chunks make room for each other",
              {{"places", static_cast<std::int64_t>(places_count_)}, {"chunks", sizes_.size()}});
  }
  if (!made) return Fail(made.error());
  file_ = std::move(*made);
  return Ok();
}

Status ChunkCache::MapPlaces() {
  memory_bytes_ = sizeof(Head) + sizes_.size() * sizeof(std::uint32_t);
  void* mapped =
      ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (mapped == MAP_FAILED) return Broken("map its places");
  place_of_ = reinterpret_cast<std::uint32_t*>(static_cast<std::uint8_t*>(mapped) + sizeof(Head));
  return Ok();
}

Status ChunkCache::MakePlaces() {
  memory_ = Fd(::memfd_create("spillway-places", MFD_CLOEXEC));
  const Head head{.chunks = sizes_.size(),
                  .places = evicts_ ? places_count_ : 0,
                  .place_bytes = static_cast<std::uint64_t>(place_bytes_)};
  const auto size = static_cast<off_t>(sizeof head + sizes_.size() * sizeof(std::uint32_t));
  if (!memory_ || ::ftruncate(memory_.get(), size) != 0 ||
      ::pwrite(memory_.get(), &head, sizeof head, 0) != sizeof head)
    return Broken("memory for its places");
  return MapPlaces();
}

Status ChunkCache::TakePlaces(const std::string& directory, Fd places) {
  Head head;
  if (::pread(places.get(), &head, sizeof head, 0) != sizeof head) return Broken("read its places");
  LayOut(head.places == 0 ? -1 : static_cast<std::int64_t>(head.places * head.place_bytes));
  const Head expected{.chunks = sizes_.size(),
                      .places = evicts_ ? places_count_ : 0,
                      .place_bytes = static_cast<std::uint64_t>(place_bytes_)};
  struct stat info{};
  if (head != expected || ::fstat(places.get(), &info) != 0 ||
      info.st_size != static_cast<off_t>(sizeof head + sizes_.size() * sizeof(std::uint32_t)))
    return Fail(Code::kInvalid, "the cache that was left is of another manifest");
  SPW_ASSIGN(file_, CacheFile::OpenLeft(directory));
  if (file_ == nullptr) return Fail(Code::kNotFound, "the cache that was left is gone");
  SPW_ASSIGN(const std::int64_t size, file_->Size());
  if (size < results_at_) return Fail(Code::kInvalid, "the cache that was left was truncated");
  memory_ = std::move(places);
  SPW_TRY(MapPlaces());
  for (std::uint32_t chunk = 0; chunk < sizes_.size(); ++chunk) {
    const std::uint32_t place = PlaceOf(chunk).load();
    if (place == 0 || place > places_count_ || (evicts_ && slots_[place - 1].used)) {
      PlaceOf(chunk).store(0);
      continue;
    }
    if (evicts_) slots_[place - 1] = {chunk, 0, true, order_.insert(order_.end(), place - 1)};
    states_[chunk] = State::kHere;
    ++here_;
    here_bytes_ += sizes_[chunk];
  }
  std::erase_if(free_, [this](std::uint32_t place) { return slots_[place].used; });
  return Ok();
}

std::int64_t ChunkCache::OffsetOf(std::uint32_t place) const {
  return evicts_ ? place * place_bytes_ : offsets_[place];
}

std::atomic_ref<std::uint32_t> ChunkCache::PlaceOf(std::uint32_t chunk) const {
  return std::atomic_ref(place_of_[chunk]);
}

// ---- reading

ChunkCache::Pin::Pin(Pin&& other) noexcept
    : cache_(std::exchange(other.cache_, nullptr)),
      place_(other.place_),
      offset_(other.offset_),
      length_(other.length_) {}

ChunkCache::Pin::~Pin() {
  if (cache_ != nullptr && cache_->evicts_) cache_->Unpin(place_);
}

// Read, not mapped: pages of a mapping count as this process's memory, the kernel maps more of them
// than are asked for, and an error of the disk would be a signal. Measured, it costs the same.
Status ChunkCache::Pin::Load(std::int64_t from, std::span<std::uint8_t> out) const {
  SPW_CHECK(from >= 0 && from <= length_ - std::ssize(out), "inside the chunk");
  if (Status loaded = cache_->file_->Load(offset_ + from, out); !loaded)
    return Fail(Code::kCorrupt, loaded.error().message);
  return Ok();
}

std::optional<ChunkCache::Pin> ChunkCache::Find(std::uint32_t chunk) {
  if (!evicts_) {
    const std::uint32_t place = PlaceOf(chunk).load(std::memory_order_acquire);
    if (place == 0) return std::nullopt;
    return Pin(this, place - 1, offsets_[place - 1], sizes_[chunk]);
  }
  const std::lock_guard lock(mutex_);
  const std::uint32_t place = PlaceOf(chunk).load();
  if (place == 0) return std::nullopt;
  Slot& slot = slots_[place - 1];
  ++slot.pins;
  order_.splice(order_.end(), order_, slot.order);
  return Pin(this, place - 1, OffsetOf(place - 1), sizes_[chunk]);
}

void ChunkCache::Unpin(std::uint32_t place) {
  const std::lock_guard lock(mutex_);
  if (--slots_[place].pins == 0) changed_.notify_all();
}

void ChunkCache::Want(std::uint32_t chunk) {
  const std::lock_guard lock(mutex_);
  const auto want = [this](std::uint32_t which, std::deque<std::uint32_t>& queue) {
    if (states_[which] == State::kFetching) states_[which] = State::kFetchingWanted;
    if (states_[which] != State::kAbsent) return;
    states_[which] = State::kWanted;
    queue.push_back(which);
  };
  want(chunk, wanted_);
  const auto end = std::min<std::size_t>(sizes_.size(), std::size_t{chunk} + 1 + kAheadChunks);
  for (std::uint32_t i = chunk + 1; evicts_ && i < end; ++i) want(i, ahead_);
  changed_.notify_all();
}

void ChunkCache::OnArrival(std::function<void()> arrived) {
  const std::lock_guard lock(mutex_);
  arrived_ = std::move(arrived);
}

// ---- fetching

std::optional<std::uint32_t> ChunkCache::NextToFetch() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    for (std::deque<std::uint32_t>* queue : {&wanted_, &ahead_}) {
      if (queue->empty()) continue;
      const std::uint32_t chunk = queue->front();
      queue->pop_front();
      states_[chunk] = queue == &wanted_ ? State::kFetchingWanted : State::kFetching;
      return chunk;
    }
    while (next_ < sizes_.size() && states_[next_] != State::kAbsent) ++next_;
    // Beyond what fits only what is wanted is fetched.
    if (next_ < sizes_.size() && (!evicts_ || next_ < places_count_)) {
      states_[next_] = State::kFetching;
      return next_++;
    }
    while (!again_.empty()) {
      const std::uint32_t chunk = again_.front();
      again_.pop_front();
      if (states_[chunk] != State::kAbsent) continue;  // wanted meanwhile
      states_[chunk] = State::kFetching;
      return chunk;
    }
    if (!evicts_ && next_ == sizes_.size()) return std::nullopt;
    changed_.wait(lock);
  }
  return std::nullopt;
}

// Called with mutex_ held.
Result<std::uint32_t> ChunkCache::TakePlace(std::uint32_t chunk) {
  if (!evicts_) return chunk;
  if (!free_.empty()) {
    const std::uint32_t place = free_.back();
    free_.pop_back();
    return place;
  }
  const auto oldest = std::find_if(order_.begin(), order_.end(),
                                   [this](std::uint32_t place) { return slots_[place].pins == 0; });
  if (oldest == order_.end())
    return Fail(Code::kUnavailable, "every chunk in the cache is being read");
  const std::uint32_t place = *oldest;
  const std::uint32_t gone = slots_[place].chunk;
  order_.erase(oldest);
  slots_[place].used = false;
  PlaceOf(gone).store(0);
  states_[gone] = State::kAbsent;
  --here_;
  here_bytes_ -= sizes_[gone];
  return place;
}

Status ChunkCache::Store(std::uint32_t chunk, ByteView sealed) {
  std::uint32_t place = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return Fail(Code::kUnavailable, "the cache is closed");
    SPW_ASSIGN(place, TakePlace(chunk));
  }
  const Status stored = file_->Store(OffsetOf(place), sealed);
  std::function<void()> arrived;
  {
    const std::lock_guard lock(mutex_);
    if (!stored) {
      if (evicts_) free_.push_back(place);
      return stored;
    }
    if (evicts_) slots_[place] = {chunk, 0, true, order_.insert(order_.end(), place)};
    states_[chunk] = State::kHere;
    PlaceOf(chunk).store(place + 1, std::memory_order_release);
    ++here_;
    here_bytes_ += sizes_[chunk];
    if (!closed_) arrived = arrived_;
  }
  if (arrived) arrived();
  return Ok();
}

void ChunkCache::Failed(std::uint32_t chunk) {
  const std::lock_guard lock(mutex_);
  const bool wanted = states_[chunk] == State::kFetchingWanted;
  states_[chunk] = wanted ? State::kWanted : State::kAbsent;
  (wanted ? wanted_ : again_).push_back(chunk);
  changed_.notify_all();
}

ChunkCache::Progress ChunkCache::Now() const {
  const std::lock_guard lock(mutex_);
  return {here_, here_bytes_,
          here_ == std::ssize(sizes_) || (evicts_ && here_ >= std::int64_t{places_count_})};
}

void ChunkCache::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  arrived_ = nullptr;
  changed_.notify_all();
}

}  // namespace spillway::node
