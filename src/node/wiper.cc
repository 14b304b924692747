#include "node/wiper.h"

#include <algorithm>

#include "base/log.h"
#include "data/secret.h"

namespace spillway::node {
namespace {

constexpr int kAttempts = 2;

// The cache file until a moment; later accesses fail at once, so that a wipe ends in time.
class UntilFile final : public data::BlockFile {
 public:
  UntilFile(CacheFile& file, std::optional<Duration> until) : file_(file), until_(until) {}
  Result<std::int64_t> Size() override { return file_.Size(); }
  Status WriteAt(std::int64_t offset, ByteView bytes) override {
    SPW_TRY(InTime());
    return file_.WriteAt(offset, bytes);
  }
  Status ReadAt(std::int64_t offset, std::span<std::uint8_t> out) override {
    SPW_TRY(InTime());
    return file_.ReadAt(offset, out);
  }
  Status Flush() override { return file_.Flush(); }
  Status DropCache() override { return file_.DropCache(); }

 private:
  Status InTime() const {
    if (until_ && BootNow() >= *until_)
      return Fail(Code::kUnavailable, "the time given for the wipe is over");
    return Ok();
  }
  CacheFile& file_;
  const std::optional<Duration> until_;
};

void WipeOnce(CacheFile& cache, std::vector<data::ByteRange> ranges,
              const data::WipeProgress& progress, std::optional<Duration> until, CacheWipe& wipe) {
  const Result<data::Secret> seed = data::Secret::Generate();
  if (!seed) {
    wipe.failure = seed.error().message;
    return;
  }
  UntilFile file(cache, until);
  const auto report = data::WipeAndReadBack(file, std::move(ranges), *seed, progress);
  if (!report) {
    wipe.failure = report.error().message;
    return;
  }
  wipe.statement.bytes_requested = report->bytes_requested;
  wipe.statement.bytes_written = report->bytes_written;
  wipe.statement.bytes_read_back = report->bytes_read_back;
  wipe.statement.mismatched_bytes = report->mismatched_bytes;
  wipe.statement.seed_commitment = report->seed_commitment;
  wipe.complete = report->Complete();
  wipe.failure = report->failure ? report->failure->message : "";
}

door::WipeStatement EmptyStatement() {
  door::WipeStatement statement;
  statement.method = "AES-256-CTR keystream";
  statement.keys =
      "run key, node key and opened chunks were held in memory only and zeroised before the "
      "overwrite";
  return statement;
}

}  // namespace

CacheWipe WipeCache(CacheFile& cache, bool whole, const data::WipeProgress& progress,
                    std::optional<Duration> within) {
  cache.StopWrites();
  CacheWipe wipe;
  wipe.statement = EmptyStatement();
  wipe.statement.filesystem = cache.Filesystem();
  wipe.statement.device = cache.Device();
  wipe.statement.cache_bytes = cache.Size().value_or(0);
  // Too many to tell is the same as "not known": the site then takes the whole cache as used.
  if (const std::vector<data::ByteRange> used = cache.Used(); used.size() <= door::kMaxUsedRanges)
    for (const data::ByteRange& range : used)
      wipe.statement.used.emplace_back(range.offset, range.length);
  wipe.started = BootNow();
  const auto until = within ? std::optional(wipe.started + *within) : std::nullopt;
  // What the page cache still holds of the sealed data goes first, else it could come later and
  // win over the direct writes.
  if (const Status flushed = cache.Flush(); !flushed)
    log::Warn("the cache cannot be flushed", {{"why", flushed.error().message}});
  cache.PreferDirect();
  for (int i = 0; i < kAttempts && !wipe.complete; ++i)
    WipeOnce(cache, whole ? std::vector<data::ByteRange>{} : cache.Used(), progress, until, wipe);
  wipe.ended = BootNow();
  log::Write(wipe.complete ? log::Level::kInfo : log::Level::kError, "cache overwritten",
             {{"bytes", wipe.statement.bytes_written},
              {"read_back", wipe.statement.bytes_read_back},
              {"mismatched", wipe.statement.mismatched_bytes},
              {"failure", wipe.failure}});
  return wipe;
}

Wiper::Wiper(DoorAccess& access, std::shared_ptr<CacheFile> cache, bool whole, Duration retry_first,
             Duration retry_most, std::function<void()> on_change)
    : access_(access),
      cache_(std::move(cache)),
      retry_first_(retry_first),
      retry_most_(retry_most),
      on_change_(std::move(on_change)) {
  thread_ = std::thread([this, whole] { Run(whole); });
}

Wiper::~Wiper() {
  Stop();
  thread_.join();
}

void Wiper::Stop() {
  stopper_.Stop();
}

std::string Wiper::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void Wiper::Run(bool whole) {
  CacheWipe wipe;
  wipe.statement = EmptyStatement();
  wipe.started = wipe.ended = BootNow();
  wipe.complete = true;
  if (cache_) {
    wipe = WipeCache(
        *cache_, whole, [this](data::WipePhase phase, std::int64_t done, std::int64_t requested) {
          const double half = 0.5 * static_cast<double>(done) /
                              static_cast<double>(std::max<std::int64_t>(requested, 1));
          progress_ = phase == data::WipePhase::kOverwrite ? half : 0.5 + half;
        });
  }
  Deliver(std::move(wipe));
}

void Wiper::Deliver(CacheWipe wipe) {
  DoorClient client(access_);
  Backoff backoff(retry_first_, retry_most_);
  while (!stopper_.Stopped()) {
    const Duration now = BootNow();
    wipe.statement.started_ms_ago = (now - wipe.started).count();
    wipe.statement.ended_ms_ago = (now - wipe.ended).count();
    const auto certificate = client.PostWiped(wipe.statement);
    {
      const std::lock_guard lock(mutex_);
      problem_ = !certificate     ? "wipe statement: " + certificate.error().message
                 : !wipe.complete ? "wipe is not complete: " + wipe.failure
                                  : "";
    }
    if (certificate) {
      progress_ = 1;
      wiped_ = true;
      on_change_();
      return;
    }
    on_change_();
    backoff.Wait(stopper_);
  }
}

}  // namespace spillway::node
