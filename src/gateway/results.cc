#include "gateway/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/log.h"
#include "base/sha256_stream.h"
#include "data/bytes.h"
#include "data/path.h"
#include "data/receipt.h"
#include "door/protocol.h"
#include "gateway/files.h"

namespace spillway::gateway {
namespace {

const std::string kTemporaryPrefix = ".spillway-";
constexpr std::size_t kMaxTextBytes = 512;
constexpr std::size_t kMaxNoteBytes = 8192;

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

// Opens root/a/b/c, making what is missing, without following a link at any step.
Result<net::Fd> OpenPlace(const std::string& root, const std::string& relative) {
  net::Fd at(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return Fail(FileError("open", root, errno));
  for (std::size_t from = 0; from < relative.size();) {
    const std::size_t to = std::min(relative.find('/', from), relative.size());
    const std::string name = relative.substr(from, to - from);
    const std::string place = root + "/" + relative.substr(0, to);
    if (mkdirat(at.get(), name.c_str(), 0755) == 0) {
      if (fsync(at.get()) != 0) return Fail(FileError("fsync", place, errno));
    } else if (errno != EEXIST) {
      return Fail(FileError("create", place, errno));
    }
    net::Fd next(openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && (errno == ENOTDIR || errno == ELOOP))
      return Fail(
          Code::kInvalid,
          fmt::format("{}: is a file or a symbolic link where a directory of results should "
                      "be",
                      place));
    if (!next.valid()) return Fail(FileError("open", place, errno));
    at = std::move(next);
    from = to + 1;
  }
  return at;
}

// Not synced: it serves a restart of this process.
Status WriteNote(const std::string& path, const std::string& text) {
  const net::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return Fail(FileError("open", path, errno));
  return WriteAt(fd.get(), path, 0, AsBytes(text));
}

Result<Digest> HashFile(int fd, const std::string& path, std::int64_t size) {
  Sha256Stream hash;
  ByteBuffer buffer(1 << 20);
  for (std::int64_t at = 0; at < size;) {
    const auto part = std::span(buffer).first(static_cast<std::size_t>(
        std::min<std::int64_t>(size - at, static_cast<std::int64_t>(buffer.size()))));
    SPW_TRY(ReadAt(fd, path, at, part));
    hash.Add(part);
    at += static_cast<std::int64_t>(part.size());
  }
  return hash.Finish();
}

}  // namespace

// A file that is not whole yet: a hidden temporary in the directory of the final one.
struct Results::Upload {
  std::mutex mutex;  // guards everything but `order`
  std::uint64_t order = 0;
  net::Fd directory, file;
  std::string directory_path, temporary, name;
  std::string note;  // file of the run that names the temporary, for after a restart
  std::vector<bool> have;
  std::int64_t missing = 0;
  bool closed = false;  // finished or dropped

  void Close() {
    if (closed) return;
    closed = true;
    unlinkat(directory.get(), temporary.c_str(), 0);  // gone already if it was renamed
    unlink(note.c_str());
  }
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
  const std::size_t slash = chunk.path.rfind('/');
  const std::string directory =
      output->directory + (slash == std::string::npos ? "" : "/" + chunk.path.substr(0, slash));
  SPW_ASSIGN(const std::shared_ptr<Upload> upload, UploadFor(chunk, id, directory));
  auto stored = Store(*upload, chunk, id, plain, now);
  if (!stored || *stored) Drop(UploadKey(chunk, id), upload);
  return stored;
}

Result<std::shared_ptr<Results::Upload>> Results::UploadFor(const ResultChunk& chunk,
                                                            const std::string& id,
                                                            const std::string& directory) {
  const std::string key = UploadKey(chunk, id);
  const std::lock_guard lock(mutex_);
  if (const auto it = uploads_.find(key); it != uploads_.end()) {
    it->second->order = ++next_order_;
    return it->second;
  }
  auto upload = std::make_shared<Upload>();
  SPW_ASSIGN(upload->directory, OpenPlace(options_.root, directory));
  const std::string upload_name = key.substr(key.find('/') + 1);
  upload->directory_path = options_.root + "/" + directory;
  upload->temporary = kTemporaryPrefix + upload_name;
  upload->name = chunk.path.substr(chunk.path.rfind('/') + 1);
  upload->note = runs_.Directory(chunk.run) + "/uploads/" + upload_name + ".path";
  upload->have.resize(static_cast<std::size_t>(chunk.chunks));
  upload->missing = chunk.chunks;
  upload->order = ++next_order_;
  SPW_TRY(WriteNote(upload->note, upload->directory_path + "/" + upload->temporary));
  // What an earlier attempt left may have another owner's mode: it begins afresh.
  unlinkat(upload->directory.get(), upload->temporary.c_str(), 0);
  upload->file = net::Fd(openat(upload->directory.get(), upload->temporary.c_str(),
                                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!upload->file.valid())
    return Fail(FileError("create", upload->directory_path + "/" + upload->temporary, errno));
  if (uploads_.size() >= options_.open_uploads) {
    const auto oldest = std::min_element(
        uploads_.begin(), uploads_.end(),
        [](const auto& a, const auto& b) { return a.second->order < b.second->order; });
    const std::shared_ptr<Upload> victim = oldest->second;
    uploads_.erase(oldest);
    const std::lock_guard victim_lock(victim->mutex);
    victim->Close();
  }
  uploads_.emplace(key, upload);
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
    SPW_TRY(WriteAt(upload.file.get(), upload.directory_path + "/" + upload.temporary,
                    chunk.chunk * door::kResultChunkBytes, plain));
    upload.have[index] = true;
    --upload.missing;
  }
  if (upload.missing > 0) return std::nullopt;
  return Finish(upload, chunk, id, now);
}

Result<std::string> Results::Finish(Upload& upload, const ResultChunk& chunk, const std::string& id,
                                    Time now) {
  const std::string temporary = upload.directory_path + "/" + upload.temporary;
  const std::string path = upload.directory_path + "/" + upload.name;
  SPW_ASSIGN(const Digest digest, HashFile(upload.file.get(), temporary, chunk.size_bytes));
  if (digest != chunk.sha256)
    return Fail(Code::kCorrupt, fmt::format("result {}: the file is not the one whose SHA-256 was "
                                            "named; send it again",
                                            chunk.path));
  if (fchmod(upload.file.get(), (chunk.mode & 0777u) | 0600u) != 0 || fsync(upload.file.get()) != 0)
    return Fail(FileError("fsync", temporary, errno));
  if (renameat(upload.directory.get(), upload.temporary.c_str(), upload.directory.get(),
               upload.name.c_str()) != 0) {
    if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
      return Fail(Code::kInvalid,
                  fmt::format("{}: is a directory, a result cannot replace it", path));
    return Fail(FileError("rename to", path, errno));
  }
  if (fsync(upload.directory.get()) != 0) return Fail(FileError("fsync", path, errno));
  SPW_ASSIGN(
      const std::string receipt,
      data::SignReceipt({chunk.run, chunk.run, chunk.path, chunk.size_bytes, digest, now}, site_));
  SPW_TRY(runs_.KeepReceipt(chunk.run, id, receipt));
  return receipt;
}

void Results::Drop(const std::string& key, const std::shared_ptr<Upload>& upload) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = uploads_.find(key);
    if (it != uploads_.end() && it->second == upload) uploads_.erase(it);
  }
  const std::lock_guard lock(upload->mutex);
  upload->Close();
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
    upload->Close();
  }
  const std::string notes = runs_.Directory(run) + "/uploads";
  SPW_ASSIGN(const auto left, ListFiles(notes, ".path"));
  for (const std::string& name : left) {
    const std::string note = notes + "/" + name + ".path";
    if (const auto temporary = ReadFile(note, kMaxNoteBytes)) SPW_TRY(Remove(*temporary));
    SPW_TRY(Remove(note));
  }
  return Ok();
}

}  // namespace spillway::gateway
