#include "node/stager.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace spillway::node {
namespace {

constexpr std::int64_t kMaxManifestBytes = std::int64_t{512} << 20;
// Beyond the body of the largest chunk: what an error's text may take.
constexpr std::int64_t kAnswerRoom = 64 * 1024;

}  // namespace

Stager::Stager(DoorAccess& access, RunKey& key, data::VerifyKey site, RunNames names,
               std::string disk, StagerOptions options, std::function<void()> on_change, Fd places)
    : access_(access),
      key_(key),
      site_(site),
      disk_(std::move(disk)),
      options_(options),
      on_change_(std::move(on_change)),
      places_(std::move(places)),
      data_(std::make_shared<StagedData>()) {
  data_->names = std::move(names);
  thread_ = std::thread([this] { Run(); });
}

Stager::~Stager() {
  Stop();
  thread_.join();
}

void Stager::Stop() {
  stop_requests_ = true;
  stopper_.Stop();
  const std::lock_guard lock(mutex_);
  if (progress_.readable) data_->cache->Close();
}

Stager::Progress Stager::Now() const {
  const std::lock_guard lock(mutex_);
  Progress now = progress_;
  if (!now.staged) now.bytes_per_s = arrived_.PerSecond(BootNow());
  if (!now.readable) return now;
  const ChunkCache::Progress here = data_->cache->Now();
  now.chunks = here.chunks;
  now.bytes = here.bytes;
  return now;
}

std::shared_ptr<CacheFile> Stager::cache() const {
  const std::lock_guard lock(mutex_);
  return progress_.readable ? data_->cache->file() : nullptr;
}

std::shared_ptr<const StagedData> Stager::data() const {
  const std::lock_guard lock(mutex_);
  SPW_CHECK(progress_.readable);
  return data_;
}

void Stager::Report(std::string problem) {
  if (stopper_.Stopped()) return;
  log::Warn("staging does not go on", {{"why", problem}});
  {
    const std::lock_guard lock(mutex_);
    progress_.problem = std::move(problem);
  }
  on_change_();
}

void Stager::Run() {
  Backoff backoff(options_.retry_first, options_.retry_most);
  while (true) {
    if (stopper_.Stopped()) return;
    const Status there = FetchManifest();
    if (there) break;
    Report("the manifest: " + there.error().message);
    if (!backoff.Wait(stopper_)) return;
  }
  on_change_();
  Arrived();
  std::vector<std::thread> more;
  for (int i = 1; i < options_.workers; ++i) more.emplace_back([this] { FetchChunks(); });
  FetchChunks();
  for (std::thread& thread : more) thread.join();
}

// Everything is staged once it is on the disk, and not in the machine's memory only.
void Stager::Arrived() {
  if (!data_->cache->Now().filled) return;
  {
    const std::lock_guard lock(mutex_);
    if (progress_.staged) return;
  }
  Backoff backoff(options_.retry_first, options_.retry_most);
  while (!stopper_.Stopped()) {
    const Status flushed = data_->cache->file()->Flush();
    if (flushed) break;
    Report(flushed.error().message);
    if (!backoff.Wait(stopper_)) return;
  }
  if (stopper_.Stopped()) return;
  {
    const std::lock_guard lock(mutex_);
    progress_.staged = true;
    progress_.problem.clear();
  }
  on_change_();
}

Status Stager::FetchManifest() {
  data::Manifest manifest;
  {
    DoorClient client(access_, kMaxManifestBytes);
    SPW_ASSIGN(const std::string sealed, client.SealedManifest());
    SPW_ASSIGN(manifest, key_.OpenManifest(data_->names.Manifest(site_), AsBytes(sealed)));
  }
  SPW_ASSIGN(data_->files, RunFiles::Make(manifest.files));
  manifest.files = {};
  data_->manifest = std::move(manifest);
  SPW_ASSIGN(data_->cache,
             ChunkCache::Open(disk_, data_->manifest.chunks, options_.cache, std::move(places_)));
  const std::lock_guard lock(mutex_);
  progress_.readable = true;
  progress_.problem.clear();
  if (stopper_.Stopped()) data_->cache->Close();
  return Ok();
}

// One worker: takes chunks until none is left. One that fails comes again after the others, so that
// it holds up nobody who waits for another. But while the site is away its beginning stays with the
// worker that has it: nothing else can be fetched either.
void Stager::FetchChunks() {
  std::int64_t longest = 0;
  for (const data::ManifestChunk& chunk : data_->manifest.chunks)
    longest = std::max(longest, chunk.sealed_bytes);
  DoorClient client(access_, longest + kAnswerRoom);
  Backoff backoff(options_.retry_first, options_.retry_most);
  std::string sealed;
  std::optional<std::uint32_t> begun;  // of which `sealed` is the beginning
  while (!stopper_.Stopped()) {
    const std::optional<std::uint32_t> index = begun ? begun : data_->cache->NextToFetch();
    if (!index) return;
    if (const Status there = FetchChunk(client, *index, sealed); !there) {
      {
        const std::lock_guard lock(mutex_);
        failing_.insert(*index);
      }
      Report(fmt::format("chunk {}: {}", *index, there.error().message));
      // Nobody else tries it meanwhile.
      if (!backoff.Wait(stopper_)) return;
      if (there.error().code == Code::kUnavailable && !sealed.empty()) {
        begun = index;
      } else {
        begun.reset();
        sealed.clear();
        data_->cache->Failed(*index);
      }
      continue;
    }
    begun.reset();
    backoff.Reset();
    {
      const std::lock_guard lock(mutex_);
      if (failing_.erase(*index) > 0 && failing_.empty()) progress_.problem.clear();
    }
    on_change_();
    Arrived();
  }
}

// The digest is the signed manifest's and the tags are checked, here and by every read: these are
// the bytes that the site sealed. Whatever is wrong with what came, no part of it is worth another
// try.
Status Stager::FetchChunk(DoorClient& client, std::uint32_t index, std::string& sealed) {
  const DoorClient::ChunkLimits limits{
      options_.chunk_timeout, options_.stall_timeout, &stop_requests_,
      [this](std::size_t bytes) { arrived_.Add(static_cast<std::int64_t>(bytes), BootNow()); }};
  SPW_TRY(client.SealedChunk(index, data_->manifest.chunks[index].sealed_bytes, limits, sealed));
  Status kept = key_.CheckChunk(data_->manifest, index, AsBytes(sealed));
  if (kept) kept = data_->cache->Store(index, AsBytes(sealed));
  sealed.clear();
  return kept;
}

}  // namespace spillway::node
