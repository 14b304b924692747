#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "gateway/files.h"
#include "gateway/incoming_file.h"

namespace spillway::gateway {
namespace {

constexpr std::int64_t kPartBytes = std::int64_t{16} << 20;
// Parts are held in memory while they are sent; larger files would need larger ones.
constexpr std::int64_t kMostPartBytes = std::int64_t{64} << 20;
constexpr std::string_view kHashName = "spillway-sha256", kRunName = "spillway-run";

bool IsThis(const s3::ObjectHead& head, std::int64_t size_bytes, const Digest& sha256) {
  const auto hash = head.metadata.find(std::string(kHashName));
  return head.size_bytes == size_bytes && hash != head.metadata.end() &&
         hash->second == Hex(sha256);
}

class BucketFile final : public IncomingFile {
 public:
  BucketFile(s3::Client client, std::string key, Fd file, std::string spool, IncomingResult about,
             std::int64_t part_bytes)
      : IncomingFile(std::move(about), std::move(file), std::move(spool)),
        client_(std::move(client)),
        key_(std::move(key)),
        part_bytes_(part_bytes) {}

  void Drop() override { unlink(path_.c_str()); }
  bool IsFar() const override { return true; }
  std::int64_t PartBytes() const override { return std::min(part_bytes_, about_.size_bytes); }

  Status Advance(const std::vector<bool>& have) override {
    if (about_.size_bytes <= part_bytes_) return Ok();
    const auto chunks = static_cast<std::size_t>(part_bytes_ / about_.chunk_bytes);
    while (true) {
      const std::size_t first = parts_.size() * chunks;
      const std::size_t last = std::min(first + chunks, have.size());
      if (first >= last || std::find(have.begin() + static_cast<std::ptrdiff_t>(first),
                                     have.begin() + static_cast<std::ptrdiff_t>(last),
                                     false) != have.begin() + static_cast<std::ptrdiff_t>(last))
        return Ok();
      SPW_TRY(SendPart());
    }
  }

  Status Commit() override {
    if (about_.size_bytes <= part_bytes_) {
      SPW_ASSIGN(std::string body, Bytes(0, about_.size_bytes));
      SPW_ASSIGN(const std::string etag, client_.Put(key_, std::move(body), Marks()));
      return Confirm(etag);
    }
    while (static_cast<std::int64_t>(parts_.size()) * part_bytes_ < about_.size_bytes)
      SPW_TRY(SendPart());
    auto etag = client_.CompleteUpload(key_, upload_, parts_);
    // The answer to an earlier attempt may have been lost; the object says so.
    if (!etag && etag.error().code == Code::kNotFound) {
      if (Confirm("")) return Ok();
      upload_.clear();
      parts_.clear();
    }
    if (!etag) return Fail(etag.error());
    SPW_TRY(Confirm(*etag));
    // One that was begun twice, because the first answer was lost, has a twin.
    if (const Status ended = AbortUploads(client_, key_); !ended)
      log::Warn("parts of an upload may stay in a bucket", {{"why", ended.error().message}});
    return Ok();
  }

 private:
  s3::Metadata Marks() const {
    return {{std::string(kHashName), Hex(about_.sha256)}, {std::string(kRunName), about_.run}};
  }

  Result<std::string> Bytes(std::int64_t from, std::int64_t length) const {
    std::string bytes(static_cast<std::size_t>(length), '\0');
    SPW_TRY(ReadAt(file_.get(), path_, from,
                   {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
    return bytes;
  }

  Status SendPart() {
    if (upload_.empty()) {
      SPW_TRY(AbortUploads(client_, key_));  // of earlier attempts, also before a restart
      SPW_ASSIGN(upload_, client_.CreateUpload(key_, Marks()));
    }
    const std::int64_t from = static_cast<std::int64_t>(parts_.size()) * part_bytes_;
    SPW_ASSIGN(std::string body, Bytes(from, std::min(part_bytes_, about_.size_bytes - from)));
    auto part =
        client_.UploadPart(key_, upload_, static_cast<int>(parts_.size()) + 1, std::move(body));
    if (!part && part.error().code == Code::kNotFound) {  // somebody has aborted it
      upload_.clear();
      parts_.clear();
    }
    if (!part) return Fail(part.error());
    parts_.push_back(std::move(*part));
    return Ok();
  }

  // What the store has is what was sent. An empty `etag`: not known.
  Status Confirm(const std::string& etag) const {
    SPW_ASSIGN(const s3::ObjectHead head, client_.Head(key_));
    if (IsThis(head, about_.size_bytes, about_.sha256) && (etag.empty() || head.etag == etag))
      return Ok();
    return Fail(Code::kUnavailable,
                fmt::format("{}: the store does not have what was sent: {} bytes instead of {}, or "
                            "another ETag or hash; somebody else writes there",
                            client_.NameOf(key_), head.size_bytes, about_.size_bytes));
  }

  const s3::Client client_;
  const std::string key_;
  const std::int64_t part_bytes_;
  std::string upload_;  // its id, once it is begun
  std::vector<s3::PartTag> parts_;
};

}  // namespace

Result<std::unique_ptr<IncomingFile>> ReceiveIntoBucket(s3::Client client, std::string key,
                                                        const std::string& spool,
                                                        IncomingResult about) {
  constexpr std::size_t kMaxKeyBytes = 1024;
  if (key.size() > kMaxKeyBytes)
    return Fail(Code::kInvalid, fmt::format("result {}: its key would have more than {} bytes",
                                            client.NameOf(key.substr(0, 100)), kMaxKeyBytes));
  const std::int64_t chunks = std::max<std::int64_t>(1, kPartBytes / about.chunk_bytes);
  std::int64_t part_bytes = chunks * about.chunk_bytes;
  while (part_bytes < kMostPartBytes && part_bytes * s3::Client::kMaxParts < about.size_bytes)
    part_bytes *= 2;
  if (part_bytes * s3::Client::kMaxParts < about.size_bytes)
    return Fail(
        Code::kInvalid,
        fmt::format("result {}: has {} bytes; {} are the most for an object: write it in "
                    "several files",
                    client.NameOf(key), about.size_bytes, part_bytes * s3::Client::kMaxParts));
  unlink(spool.c_str());
  Fd file(open(spool.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return Fail(FileError("create", spool, errno));
  return std::make_unique<BucketFile>(std::move(client), std::move(key), std::move(file), spool,
                                      std::move(about), part_bytes);
}

Result<bool> IsInBucket(const s3::Client& client, const std::string& key, std::int64_t size_bytes,
                        const Digest& sha256) {
  const auto head = client.Head(key);
  // Who may not list a bucket is refused where others are told that there is no such object.
  if (!head && (head.error().code == Code::kNotFound || head.error().code == Code::kDenied))
    return false;
  if (!head) return Fail(head.error());
  return IsThis(*head, size_bytes, sha256);
}

Status AbortUploads(const s3::Client& client, const std::string& key) {
  SPW_ASSIGN(const std::vector<s3::UploadInfo> uploads, client.ListUploads(key));
  for (const s3::UploadInfo& upload : uploads)
    if (upload.key == key) SPW_TRY(client.AbortUpload(key, upload.id));
  return Ok();
}

}  // namespace spillway::gateway
