#include "gateway/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/log.h"
#include "data/bytes.h"
#include "data/path.h"
#include "data/receipt.h"
#include "data/record.h"
#include "door/protocol.h"
#include "gateway/files.h"
#include "gateway/incoming_file.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

const std::string kTemporaryPrefix = ".spillway-";
constexpr std::size_t kMaxTextBytes = 512;
constexpr std::size_t kMaxNoteBytes = 8192;
// Nodes that wait for a bucket must not keep others, nor heartbeats, from the door's workers.
constexpr int kFarTurns = 3;
// Of parts that are on their way to buckets, held twice while they are sent.
constexpr std::int64_t kFarBytes = std::int64_t{64} << 20;
constexpr Duration kFarPause = 1s;

// Names the place of a result among those of its run, as part of a file name.
std::string PlaceId(const ResultChunk& chunk) {
  ByteBuffer bytes;
  for (const std::string* text : {&chunk.uid, &chunk.claim, &chunk.path})
    data::AppendField(bytes, *text);
  return Hex(Sha256(bytes)).substr(0, 32);
}

// An upload is one content of one place.
std::string UploadKey(const ResultChunk& chunk, const std::string& id) {
  return fmt::format("{}/{}-{}", chunk.run, id, Hex(chunk.sha256).substr(0, 16));
}

std::int64_t ChunksOf(std::int64_t size_bytes) {
  return std::max<std::int64_t>(1, size_bytes / door::kResultChunkBytes +
                                       (size_bytes % door::kResultChunkBytes != 0 ? 1 : 0));
}

std::int64_t PlainBytes(const ResultChunk& chunk) {
  return std::min(door::kResultChunkBytes,
                  chunk.size_bytes - chunk.chunk * door::kResultChunkBytes);
}

Status CheckChunk(const ResultChunk& chunk, ByteView sealed) {
  if (auto path = data::CheckRelativePath(chunk.path); !path)
    return Fail(path.error().In("result"));
  if (chunk.path.substr(chunk.path.rfind('/') + 1).starts_with(kTemporaryPrefix))
    return Fail(Code::kInvalid,
                fmt::format("result {}: names that begin with {} are the site's own", chunk.path,
                            kTemporaryPrefix));
  const auto bad_text = [](const std::string& text) {
    return text.empty() || text.size() > kMaxTextBytes;
  };
  if (bad_text(chunk.uid) || bad_text(chunk.claim) || bad_text(chunk.pod) ||
      std::count(chunk.pod.begin(), chunk.pod.end(), '/') != 1 ||
      chunk.claim.find('/') != std::string::npos)
    return Fail(Code::kInvalid, "result: pod must be namespace/name, uid and claim must be names");
  if (chunk.size_bytes < 0 || chunk.chunks != ChunksOf(chunk.size_bytes) || chunk.chunk < 0 ||
      chunk.chunk >= chunk.chunks)
    return Fail(Code::kInvalid,
                fmt::format("result {}: {} bytes are {} chunks, not {}; or there is "
                            "no chunk {}",
                            chunk.path, chunk.size_bytes,
                            ChunksOf(std::max<std::int64_t>(chunk.size_bytes, 0)), chunk.chunks,
                            chunk.chunk));
  if (static_cast<std::int64_t>(sealed.size()) != data::SealedSize(PlainBytes(chunk)))
    return Fail(Code::kInvalid,
                fmt::format("result {}: chunk {} has {} sealed bytes instead of {}", chunk.path,
                            chunk.chunk, sealed.size(), data::SealedSize(PlainBytes(chunk))));
  return Ok();
}

// The object of a result.
std::string KeyOf(const RunOutput& output, const std::string& path) {
  return output.s3->prefix + output.directory + "/" + path;
}

// Not synced: it serves a restart of this process.
Status WriteNote(const std::string& path, const std::string& text) {
  const net::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return Fail(FileError("open", path, errno));
  return WriteAt(fd.get(), path, 0, AsBytes(text));
}

}  // namespace

// A file that is not whole yet.
struct Results::Upload {
  std::mutex mutex;  // guards everything but `order`
  std::uint64_t order = 0;
  std::unique_ptr<IncomingFile> file;
  std::string note;  // file of the run that says what is left after a restart
  std::vector<bool> have;
  std::int64_t missing = 0;
  bool far = false;            // its place is a bucket
  std::int64_t far_bytes = 0;  // of what is sent there at a time
  bool closed = false;         // finished or dropped

  // What was begun in a bucket is ended by the note, once the run is.
  void Close(bool finished) {
    if (closed) return;
    closed = true;
    file->Drop();
    file.reset();
    if (finished || !far) unlink(note.c_str());
  }
};

// One of the few that may wait for a bucket at a time, with what it holds in memory.
class Results::FarTurn {
 public:
  FarTurn(Results& results, bool far, std::int64_t bytes) : results_(results), bytes_(bytes) {
    if (!far) return;
    const std::lock_guard lock(results_.mutex_);
    refused_ = results_.far_turns_ >= kFarTurns ||
               (results_.far_turns_ > 0 && results_.far_bytes_ + bytes_ > kFarBytes);
    if (refused_) return;
    ++results_.far_turns_;
    results_.far_bytes_ += bytes_;
    counted_ = true;
  }
  ~FarTurn() {
    if (!counted_) return;
    const std::lock_guard lock(results_.mutex_);
    --results_.far_turns_;
    results_.far_bytes_ -= bytes_;
  }
  FarTurn(const FarTurn&) = delete;
  FarTurn& operator=(const FarTurn&) = delete;
  bool taken() const { return !refused_; }

 private:
  Results& results_;
  const std::int64_t bytes_;
  bool refused_ = false, counted_ = false;
};

Results::Results(ResultsOptions options, Runs& runs, const data::SigningKey& site)
    : options_(std::move(options)), runs_(runs), site_(site) {}

Result<std::optional<std::string>> Results::Put(const ResultChunk& chunk, ByteView sealed,
                                                Time now) {
  SPW_TRY(CheckChunk(chunk, sealed));
  const std::shared_ptr<const RunRecord> record = runs_.Find(chunk.run);
  if (!record) return Fail(Code::kConflict, fmt::format("run {} is not prepared", chunk.run));
  const std::string claim = chunk.pod.substr(0, chunk.pod.find('/')) + "/" + chunk.claim;
  const auto output = std::find_if(record->outputs.begin(), record->outputs.end(),
                                   [&](const RunOutput& o) { return o.claim == claim; });
  if (output == record->outputs.end())
    return Fail(Code::kInvalid,
                fmt::format("claim {} is not a results place of run {}", claim, chunk.run));
  const std::string id = PlaceId(chunk);
  SPW_ASSIGN(const std::optional<std::string> known, runs_.Receipt(chunk.run, id));
  if (known) {
    const auto receipt = data::VerifyReceipt(*known, site_.public_key());
    if (receipt && receipt->size_bytes == chunk.size_bytes && receipt->sha256 == chunk.sha256)
      return known;
  }
  if (chunk.size_bytes > options_.bytes_per_run - runs_.Received(chunk.run))
    return Fail(Code::kQuota, fmt::format("run {} would send more than {} bytes of results",
                                          chunk.run, options_.bytes_per_run));
  const data::ChunkContext context{chunk.run,
                                   claim,
                                   record->dataset_version,
                                   data::Direction::kUp,
                                   "result/" + chunk.path,
                                   static_cast<std::uint32_t>(chunk.chunk)};
  ByteBuffer plain;
  SPW_TRY(runs_.keys().Use(chunk.run, [&](const data::Secret& key) -> Status {
    SPW_ASSIGN(plain, data::OpenChunk(key, context, sealed));
    return Ok();
  }));
  if (static_cast<std::int64_t>(plain.size()) != PlainBytes(chunk))
    return Fail(Code::kCorrupt, fmt::format("result {}: chunk {} is not as long as it should be",
                                            chunk.path, chunk.chunk));
  runs_.CountReceived(chunk.run, static_cast<std::int64_t>(sealed.size()));
  SPW_ASSIGN(const std::shared_ptr<Upload> upload, UploadFor(chunk, id, *output));
  const FarTurn turn(*this, upload->far, upload->far_bytes);
  if (!turn.taken())
    return Fail(Error{Code::kThrottled, "other results are on their way to a bucket", kFarPause});
  auto stored = Store(*upload, chunk, id, plain, now);
  // What is here waits for a bucket that is away.
  const bool wait = !stored && upload->far && stored.error().code == Code::kUnavailable;
  if ((!stored && !wait) || (stored && *stored))
    Drop(UploadKey(chunk, id), upload, stored && *stored);
  return stored;
}

// What is left of an upload after this process has ended, for Abandon() and CleanUp().
std::string Results::NoteOf(const ResultChunk& chunk, const RunOutput& output,
                            const std::string& name, const std::string& spool) const {
  if (!output.s3)
    return HiddenPath(options_.root, output.directory, kTemporaryPrefix + name, chunk.path);
  return json::serialize(json::object{
      {"spool", spool}, {"key", KeyOf(output, chunk.path)}, {"s3", EncodeS3Place(*output.s3)}});
}

Result<std::shared_ptr<Results::Upload>> Results::Begin(const ResultChunk& chunk,
                                                        const std::string& name,
                                                        const RunOutput& output) {
  auto upload = std::make_shared<Upload>();
  const std::string uploads = runs_.Directory(chunk.run) + "/uploads/";
  const std::string spool = uploads + name + ".spool";
  upload->note = uploads + name + ".path";
  upload->far = output.s3.has_value();
  upload->have.resize(static_cast<std::size_t>(chunk.chunks));
  upload->missing = chunk.chunks;
  IncomingResult about{
      chunk.path, chunk.mode, chunk.size_bytes, chunk.sha256, door::kResultChunkBytes, chunk.run};
  SPW_TRY(WriteNote(upload->note, NoteOf(chunk, output, name, spool)));
  if (!output.s3) {
    SPW_ASSIGN(upload->file, ReceiveIntoDirectory(options_.root, output.directory,
                                                  kTemporaryPrefix + name, std::move(about)));
    return upload;
  }
  SPW_ASSIGN(s3::Client client, OpenBucket(*output.s3));
  SPW_ASSIGN(upload->file, ReceiveIntoBucket(std::move(client), KeyOf(output, chunk.path), spool,
                                             std::move(about)));
  upload->far_bytes = upload->file->PartBytes();
  return upload;
}

Result<s3::Client> Results::OpenBucket(const S3Place& place) const {
  if (options_.open_bucket) return options_.open_bucket(place);
  return Fail(Code::kInvalid,
              fmt::format("{}: the site uses no buckets; start spillwayd with --s3-credentials",
                          place.Name()));
}

Result<std::shared_ptr<Results::Upload>> Results::UploadFor(const ResultChunk& chunk,
                                                            const std::string& id,
                                                            const RunOutput& output) {
  const std::string key = UploadKey(chunk, id);
  std::shared_ptr<Upload> victim, upload;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = uploads_.find(key); it != uploads_.end()) {
      it->second->order = ++next_order_;
      return it->second;
    }
    SPW_ASSIGN(upload, Begin(chunk, key.substr(key.find('/') + 1), output));
    upload->order = ++next_order_;
    if (uploads_.size() >= options_.open_uploads) {
      const auto oldest = std::min_element(
          uploads_.begin(), uploads_.end(),
          [](const auto& a, const auto& b) { return a.second->order < b.second->order; });
      victim = oldest->second;
      uploads_.erase(oldest);
    }
    uploads_.emplace(key, upload);
  }
  if (victim) {
    const std::lock_guard lock(victim->mutex);
    victim->Close(false);
  }
  return upload;
}

Result<std::optional<std::string>> Results::Store(Upload& upload, const ResultChunk& chunk,
                                                  const std::string& id, ByteView plain, Time now) {
  const std::lock_guard lock(upload.mutex);
  if (upload.closed)
    return Fail(Code::kUnavailable,
                "the upload was dropped; send the file from its first chunk on");
  const auto index = static_cast<std::size_t>(chunk.chunk);
  if (!upload.have[index]) {
    SPW_TRY(upload.file->Write(chunk.chunk * door::kResultChunkBytes, plain));
    upload.have[index] = true;
    --upload.missing;
    SPW_TRY(upload.file->HashAhead(upload.have));
  }
  if (upload.missing > 0) {
    SPW_TRY(FromHome(upload, upload.file->Advance(upload.have)));
    return std::nullopt;
  }
  return Finish(upload, chunk, id, now);
}

// A bucket that is away, refuses or is full is no fault of the node, and may be mended: the node
// tries again. Only what is wrong with the result itself is told as it is.
Status Results::FromHome(const Upload& upload, Status done) {
  if (done || !upload.far || done.error().code == Code::kInvalid) return done;
  return Fail(Error{Code::kUnavailable, done.error().message, done.error().retry_after});
}

Result<std::string> Results::Finish(Upload& upload, const ResultChunk& chunk, const std::string& id,
                                    Time now) {
  SPW_ASSIGN(const Digest digest, upload.file->Hash());
  if (digest != chunk.sha256)
    return Fail(Code::kCorrupt, fmt::format("result {}: the file is not the one whose SHA-256 was "
                                            "named; send it again",
                                            chunk.path));
  SPW_TRY(FromHome(upload, upload.file->Commit()));
  SPW_ASSIGN(
      const std::string receipt,
      data::SignReceipt({chunk.run, chunk.run, chunk.path, chunk.size_bytes, digest, now}, site_));
  SPW_TRY(runs_.KeepReceipt(chunk.run, id, receipt));
  return receipt;
}

void Results::Drop(const std::string& key, const std::shared_ptr<Upload>& upload, bool finished) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = uploads_.find(key);
    if (it != uploads_.end() && it->second == upload) uploads_.erase(it);
  }
  const std::lock_guard lock(upload->mutex);
  upload->Close(finished);
}

Status Results::Abandon(const std::string& run) {
  std::vector<std::shared_ptr<Upload>> dropped;
  {
    const std::lock_guard lock(mutex_);
    const std::string prefix = run + "/";
    for (auto it = uploads_.lower_bound(prefix);
         it != uploads_.end() && it->first.starts_with(prefix);) {
      dropped.push_back(it->second);
      it = uploads_.erase(it);
    }
  }
  for (const std::shared_ptr<Upload>& upload : dropped) {
    const std::lock_guard lock(upload->mutex);
    upload->Close(false);
  }
  return EndUploads(run);
}

Status Results::EndUploads(const std::string& run) {
  const std::string notes = runs_.Directory(run) + "/uploads";
  SPW_ASSIGN(const auto left, ListFiles(notes, ".path"));
  for (const std::string& name : left) {
    const std::string note = notes + "/" + name + ".path";
    const auto text = ReadFile(note, kMaxNoteBytes);
    if (text && !text->starts_with('{')) {
      SPW_TRY(Remove(*text));
    } else if (text) {
      // A store that is away keeps nobody from ending a run; the note stays for the next start.
      if (const Status ended = EndInBucket(*text); !ended) {
        log::Warn("an upload into a bucket is not ended yet",
                  {{"run", run}, {"why", ended.error().message}});
        continue;
      }
    }
    SPW_TRY(Remove(note));
  }
  return Ok();
}

Status Results::EndInBucket(const std::string& note) {
  SPW_ASSIGN(const json::value parsed, ParseJson(note));
  std::optional<Error> error;
  data::FieldReader reader(parsed, "", error);
  const std::string spool = reader.Text("spool", kMaxNoteBytes), key = reader.Text("key", 2048);
  const S3Place place = DecodeS3Place(reader.Object("s3"), error);
  if (error) return Fail(*error);
  SPW_TRY(Remove(spool));
  SPW_ASSIGN(const s3::Client client, OpenBucket(place));
  return AbortUploads(client, key);
}

Status Results::CleanUp() {
  SPW_ASSIGN(const std::vector<std::string> runs, runs_.Names());
  for (const std::string& run : runs) SPW_TRY(EndUploads(run));
  return Ok();
}

}  // namespace spillway::gateway
