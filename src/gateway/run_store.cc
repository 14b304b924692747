#include "gateway/run_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "data/bytes.h"
#include "data/receipt.h"
#include "gateway/files.h"
#include "gateway/seal_run.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kMaxEntries = 1024;
constexpr std::size_t kCounterBytes = 16;

tl::unexpected<Error> NotServed(const std::string& run) {
  return Fail(Code::kConflict,
              fmt::format("the data of run {} is not prepared, or its key is destroyed", run));
}

}  // namespace

Result<std::unique_ptr<Runs>> Runs::Open(std::string directory, KeyStore& keys,
                                         const data::SigningKey& site) {
  SPW_TRY(MakeDirectory(directory));
  return std::unique_ptr<Runs>(new Runs(std::move(directory), keys, site));
}

std::shared_ptr<Runs::Entry> Runs::EntryOf(const std::string& run) {
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= kMaxEntries)
      std::erase_if(entries_, [](const auto& item) { return item.second.use_count() == 1; });
    std::shared_ptr<Entry>& slot = entries_[run];
    if (!slot) slot = std::make_shared<Entry>();
    entry = slot;
  }
  const std::lock_guard lock(entry->mutex);
  if (entry->loaded) return entry;
  if (const Status loaded = Load(run, *entry); !loaded) {
    log::Error("a run cannot be read", {{"run", run}, {"why", loaded.error().message}});
    entry->failed = loaded.error();
  }
  entry->loaded = true;
  return entry;
}

Status Runs::Load(const std::string& run, Entry& entry) {
  SPW_TRY(CheckName(run));
  const std::string path = Directory(run) + "/run.json";
  const auto text = ReadFile(path, RunRecord::kMaxBytes);
  if (!text && text.error().code == Code::kNotFound) return Ok();
  if (!text) return Fail(text.error());
  auto record = DecodeRunRecord(*text);
  if (!record) return Fail(record.error().In(path));
  entry.record = std::make_shared<const RunRecord>(std::move(*record));
  SPW_ASSIGN(const auto receipts, ListFiles(Directory(run) + "/receipts", ".json"));
  entry.receipts = static_cast<int>(receipts.size());
  if (const auto counters = ReadFile(Directory(run) + "/counters", kCounterBytes);
      counters && counters->size() == kCounterBytes) {
    const ByteView bytes = AsBytes(*counters);
    entry.served_bytes = static_cast<std::int64_t>(data::ReadBigEndian<std::uint64_t>(bytes));
    entry.received_bytes =
        static_cast<std::int64_t>(data::ReadBigEndian<std::uint64_t>(bytes.subspan(8)));
  }
  return Ok();
}

Status Runs::Prepare(const RunRequest& request, Time now) {
  SPW_TRY(CheckName(request.run));
  const std::shared_ptr<Entry> entry = EntryOf(request.run);
  const std::lock_guard preparing(entry->prepare);
  {
    const std::lock_guard lock(entry->mutex);
    if (entry->failed) return Fail(*entry->failed);
    if (entry->record) return Ok();
  }
  const Status done = PrepareNow(request, now, *entry);
  if (done) return done;
  // What was written is sealed, but there is no use for it.
  contents_.Drop(request.run);
  if (Status removed = Remove(Directory(request.run) + "/chunks"); !removed)
    log::Warn("sealed chunks stay on the disk",
              {{"run", request.run}, {"why", removed.error().message}});
  if (done.error().code != Code::kUnavailable && done.error().code != Code::kThrottled &&
      done.error().code != Code::kConflict) {
    const std::lock_guard lock(entry->mutex);
    entry->failed = done.error();
  }
  return done;
}

// One of the runs that are prepared at a time. Nobody waits for one: whoever asks has threads to
// spare for other things.
class Runs::Turn {
 public:
  explicit Turn(Runs& runs) : runs_(runs) {}
  ~Turn() {
    const std::lock_guard lock(runs_.mutex_);
    if (begun_) --runs_.preparing_;
    runs_.preparing_files_ -= files_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Status Begin() {
    const std::lock_guard lock(runs_.mutex_);
    if (runs_.preparing_ >= kPreparing)
      return Fail(Code::kThrottled, fmt::format("{} other runs are being prepared", kPreparing));
    ++runs_.preparing_;
    begun_ = true;
    return Ok();
  }
  // For a listing that grows. The only run that has files gets what it asks for.
  Status TakeFiles(std::int64_t files) {
    const std::lock_guard lock(runs_.mutex_);
    const std::int64_t others = runs_.preparing_files_ - files_;
    if (others > 0 && runs_.preparing_files_ + files > kPreparingFiles)
      return Fail(Code::kThrottled,
                  fmt::format("other runs with {} files are being prepared", others));
    runs_.preparing_files_ += files;
    files_ += files;
    return Ok();
  }

 private:
  Runs& runs_;
  bool begun_ = false;
  std::int64_t files_ = 0;
};

Status Runs::PrepareNow(const RunRequest& request, Time now, Entry& entry) {
  const std::string directory = Directory(request.run);
  Turn turn(*this);
  SPW_TRY(turn.Begin());
  SPW_TRY(keys_.Create(request.run, now));
  SPW_ASSIGN(RunPlan plan,
             PlanRun(request, [&](std::int64_t files) { return turn.TakeFiles(files); }));
  SPW_TRY(MakeDirectory(directory + "/receipts"));
  SPW_TRY(MakeDirectory(directory + "/uploads"));
  SPW_TRY(SealRun(plan, directory, keys_, site_, &contents_));
  plan.record.prepared_at = now;
  // While the key is in use nobody destroys it: either it is prepared before that, or never.
  SPW_TRY(keys_.Use(request.run, [&](const data::Secret&) {
    return WriteDurably(directory + "/run.json", AsBytes(EncodeRunRecord(plan.record)));
  }));
  SPW_TRY(SyncDirectory(directory_));
  const std::lock_guard lock(entry.mutex);
  entry.record = std::make_shared<const RunRecord>(std::move(plan.record));
  return Ok();
}

Status Runs::Destroy(const std::string& run, Time now) {
  contents_.Drop(run);
  SPW_TRY(keys_.Destroy(run, now));
  SPW_TRY(Remove(Directory(run) + "/chunks"));
  return Remove(Directory(run) + "/manifest");
}

control::RunReport Runs::Report(const std::string& run) {
  control::RunReport report;
  const std::shared_ptr<Entry> entry = EntryOf(run);
  const auto key = keys_.Look(run);
  if (key && *key && (*key)->destroyed) {
    report.key_destroyed = true;
    report.key_destroyed_at = *(*key)->destroyed;
  }
  const std::lock_guard lock(entry->mutex);
  report.failed = entry->failed;
  if (!entry->record) return report;
  report.prepared = true;
  report.bytes_in = entry->served_bytes;
  report.bytes_out = entry->received_bytes;
  report.never_left_objects = entry->record->never_left_objects;
  report.never_left_bytes = entry->record->never_left_bytes;
  report.results_receipted = entry->receipts;
  return report;
}

std::shared_ptr<const RunRecord> Runs::Find(const std::string& run) {
  const std::shared_ptr<Entry> entry = EntryOf(run);
  const std::lock_guard lock(entry->mutex);
  return entry->record;
}

bool Runs::Served(const std::string& run) {
  const auto key = keys_.Look(run);
  return key && *key && (*key)->usable && Find(run) != nullptr;
}

SealedSlice::SealedSlice(Runs& runs, std::string run, Fd fd, std::int64_t file_offset,
                         std::int64_t first, std::int64_t bytes, std::int64_t total)
    : runs_(runs),
      run_(std::move(run)),
      fd_(std::move(fd)),
      file_offset_(file_offset),
      first_(first),
      bytes_(bytes),
      total_(total) {
  runs_.Count(run_, bytes_, 0);
}

SealedSlice::~SealedSlice() {
  if (read_bytes_ < bytes_) runs_.Count(run_, read_bytes_ - bytes_, 0);
}

Status SealedSlice::Read(std::int64_t offset, std::span<char> out) {
  SPW_CHECK(offset >= 0 && offset + std::ssize(out) <= bytes_, "a read outside of the slice");
  SPW_TRY(ReadAt(fd_.get(), "sealed data of run " + run_, file_offset_ + first_ + offset,
                 {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}));
  read_bytes_ = std::max(read_bytes_, offset + std::ssize(out));
  return Ok();
}

Result<std::unique_ptr<SealedSlice>> Runs::Manifest(const std::string& run,
                                                    const SliceRequest& slice) {
  const std::shared_ptr<const RunRecord> record = Find(run);
  if (!record || !Served(run)) return NotServed(run);
  return Serve(run, "manifest", 0, record->manifest_bytes, slice);
}

Result<std::unique_ptr<SealedSlice>> Runs::Chunk(const std::string& run, std::size_t index,
                                                 const SliceRequest& slice) {
  const std::shared_ptr<const RunRecord> record = Find(run);
  if (!record || !Served(run)) return NotServed(run);
  if (index >= record->chunk_ends.size())
    return Fail(Code::kNotFound, fmt::format("run {} has {} chunks, there is no chunk {}", run,
                                             record->chunk_ends.size(), index));
  const std::int64_t offset = record->ChunkOffset(index);
  return Serve(run, "chunks", offset, record->chunk_ends[index] - offset, slice);
}

Result<std::unique_ptr<SealedSlice>> Runs::Serve(const std::string& run, const std::string& file,
                                                 std::int64_t offset, std::int64_t total,
                                                 const SliceRequest& slice) {
  const std::int64_t last = std::min(slice.last.value_or(total - 1), total - 1);
  if (slice.first < 0 || slice.first > last)
    return Fail(Code::kInvalid, fmt::format("the range is outside its {} bytes", total));
  const std::string path = Directory(run) + "/" + file;
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // Destroyed since it was looked at.
  if (!fd.valid() && errno == ENOENT) return NotServed(run);
  if (!fd.valid()) return Fail(FileError("open", path, errno));
  return std::make_unique<SealedSlice>(*this, run, std::move(fd), offset, slice.first,
                                       last - slice.first + 1, total);
}

// Written without a sync: the numbers survive the death of this process, and after a power failure
// they are a little low.
void Runs::Count(const std::string& run, std::int64_t served, std::int64_t received) {
  const std::shared_ptr<Entry> entry = EntryOf(run);
  const std::string path = Directory(run) + "/counters";
  const std::lock_guard lock(entry->mutex);
  entry->served_bytes += served;
  entry->received_bytes += received;
  ByteBuffer bytes;
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(entry->served_bytes));
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(entry->received_bytes));
  const net::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid() || !WriteAt(fd.get(), path, 0, bytes))
    log::Warn("byte counters of a run are not kept", {{"run", run}});
}

void Runs::CountReceived(const std::string& run, std::int64_t bytes) {
  Count(run, 0, bytes);
}

std::int64_t Runs::Received(const std::string& run) {
  const std::shared_ptr<Entry> entry = EntryOf(run);
  const std::lock_guard lock(entry->mutex);
  return entry->received_bytes;
}

Result<std::optional<std::string>> Runs::Receipt(const std::string& run, const std::string& id) {
  auto text = ReadFile(Directory(run) + "/receipts/" + id + ".json", data::kMaxReceiptBytes);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Code::kNotFound) return std::nullopt;
  return Fail(text.error());
}

Status Runs::KeepReceipt(const std::string& run, const std::string& id, const std::string& text) {
  SPW_ASSIGN(const std::optional<std::string> before, Receipt(run, id));
  SPW_TRY(WriteDurably(Directory(run) + "/receipts/" + id + ".json", AsBytes(text)));
  const std::shared_ptr<Entry> entry = EntryOf(run);
  const std::lock_guard lock(entry->mutex);
  if (!before) ++entry->receipts;
  return Ok();
}

Result<std::vector<std::string>> Runs::Receipts(const std::string& run) {
  SPW_ASSIGN(const auto ids, ListFiles(Directory(run) + "/receipts", ".json"));
  std::vector<std::string> texts;
  for (const std::string& id : ids) {
    SPW_ASSIGN(std::optional<std::string> text, Receipt(run, id));
    if (text) texts.push_back(std::move(*text));
  }
  return texts;
}

}  // namespace spillway::gateway
