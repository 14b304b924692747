#include "node/stager.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace spillway::node {
namespace {

constexpr std::int64_t kMaxManifestBytes = std::int64_t{512} << 20;
// Beyond the body of the largest chunk: what an error's text may take.
constexpr std::int64_t kAnswerRoom = 64 * 1024;

std::int64_t WholeBlocks(std::int64_t bytes) {
  return (bytes + CacheFile::kBlock - 1) / CacheFile::kBlock * CacheFile::kBlock;
}

}  // namespace

Stager::Stager(DoorAccess& access, RunKey& key, data::VerifyKey site, RunNames names,
               std::string disk, StagerOptions options, std::function<void()> on_change)
    : access_(access),
      key_(key),
      site_(site),
      disk_(std::move(disk)),
      options_(options),
      on_change_(std::move(on_change)),
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
}

Stager::Progress Stager::Now() const {
  const std::lock_guard lock(mutex_);
  Progress now = progress_;
  if (!now.staged) now.bytes_per_s = arrived_.PerSecond(BootNow());
  return now;
}

std::shared_ptr<CacheFile> Stager::cache() const {
  const std::lock_guard lock(mutex_);
  return cache_;
}

std::shared_ptr<const StagedData> Stager::data() const {
  const std::lock_guard lock(mutex_);
  SPW_CHECK(progress_.staged);
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
  const std::size_t most = std::min<std::size_t>(static_cast<std::size_t>(options_.workers),
                                                 data_->manifest.chunks.size());
  std::vector<std::thread> more;
  for (std::size_t i = 1; i < most; ++i) more.emplace_back([this] { FetchChunks(); });
  FetchChunks();
  for (std::thread& thread : more) thread.join();
  while (!stopper_.Stopped()) {
    const Status flushed = cache()->Flush();
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
  DoorClient client(access_, kMaxManifestBytes);
  SPW_ASSIGN(const std::string sealed, client.SealedManifest());
  SPW_ASSIGN(data_->manifest, key_.OpenManifest(data_->names.Manifest(site_), AsBytes(sealed)));
  std::int64_t end = 0;
  data_->offsets.clear();
  for (const data::ManifestChunk& chunk : data_->manifest.chunks) {
    data_->offsets.push_back(end);
    end += WholeBlocks(chunk.sealed_bytes);
  }
  data_->results_at = end;
  SPW_ASSIGN(std::shared_ptr<CacheFile> cache,
             CacheFile::Create(disk_, end + options_.results_area_bytes));
  const std::lock_guard lock(mutex_);
  cache_ = std::move(cache);
  progress_.problem.clear();
  return Ok();
}

// One worker: takes chunks until none is left. A chunk that fails is tried again by the same
// worker, so a bad one occupies one worker and the others go on.
void Stager::FetchChunks() {
  std::int64_t longest = 0;
  for (const data::ManifestChunk& chunk : data_->manifest.chunks)
    longest = std::max(longest, chunk.sealed_bytes);
  DoorClient client(access_, longest + kAnswerRoom);
  Backoff backoff(options_.retry_first, options_.retry_most);
  std::string sealed;
  while (!stopper_.Stopped()) {
    std::size_t index = 0;
    {
      const std::lock_guard lock(mutex_);
      if (next_ == data_->manifest.chunks.size()) return;
      index = next_++;
    }
    bool failed = false;
    while (true) {
      const Status there = FetchChunk(client, index, sealed);
      if (there) break;
      failed = true;
      Report(fmt::format("chunk {}: {}", index, there.error().message));
      if (!backoff.Wait(stopper_)) return;
    }
    backoff.Reset();
    {
      const std::lock_guard lock(mutex_);
      if (failed) progress_.problem.clear();
      ++progress_.chunks;
      progress_.bytes += data_->manifest.chunks[index].sealed_bytes;
    }
    on_change_();
  }
}

Status Stager::FetchChunk(DoorClient& client, std::size_t index, std::string& sealed) {
  const DoorClient::ChunkLimits limits{
      options_.chunk_timeout, options_.stall_timeout, &stop_requests_,
      [this](std::size_t bytes) { arrived_.Add(static_cast<std::int64_t>(bytes), BootNow()); }};
  SPW_TRY(client.SealedChunk(index, data_->manifest.chunks[index].sealed_bytes, limits, sealed));
  // It is what the site has signed for this place, byte for byte; that it opens is proven by every
  // read. Whatever is wrong with it now, no part of it is worth another try.
  Status kept = data::CheckSealedChunk(data_->manifest, index, AsBytes(sealed));
  if (kept) kept = cache()->Store(data_->offsets[index], AsBytes(sealed));
  sealed.clear();
  return kept;
}

}  // namespace spillway::node
