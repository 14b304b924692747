// A result on its way to its place at home, whatever that is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/sha256_stream.h"
#include "model/rules.h"
#include "s3/client.h"

namespace spillway::gateway {

// What is known of it when its first chunk comes.
struct IncomingResult {
  std::string path;  // relative to the place: directories and name
  std::uint32_t mode = 0644;
  std::int64_t size_bytes = 0;
  Digest sha256{};
  std::int64_t chunk_bytes = 0;  // of all chunks but the last
  std::string run;
};

// Nobody sees it at its place before Commit(), and all of it after. What came so far is a file of
// this machine, readable by us alone, until Drop(). Not thread-safe.
class IncomingFile {
 public:
  virtual ~IncomingFile() = default;
  IncomingFile(const IncomingFile&) = delete;
  IncomingFile& operator=(const IncomingFile&) = delete;

  // A chunk. One of zeros takes no room on the disk. kUnavailable: the disk is full.
  Status Write(std::int64_t offset, ByteView plain);
  // `have` says which chunks are there. Hashes what follows what it has hashed, so that little is
  // left to do when the last one comes, for which a node waits.
  Status HashAhead(const std::vector<bool>& have);
  // Of all that was written; every chunk must be there.
  Result<Digest> Hash();

  // A chunk has come: `have` says which. Passes on what can go on its way; nothing depends on it.
  // Tried again with the next chunk after an error.
  virtual Status Advance(const std::vector<bool>& /*have*/) { return Ok(); }
  // Puts the whole file into its place, durably. Once it is ok; after an error it may be tried
  // again if IsFar().
  virtual Status Commit() = 0;
  // Removes what is on this machine and not at its place.
  virtual void Drop() = 0;
  // It takes requests to another machine, which may be away for a while.
  virtual bool IsFar() const { return false; }
  // The most of it that is in memory while it is sent there.
  virtual std::int64_t PartBytes() const { return 0; }

 protected:
  IncomingFile(IncomingResult about, Fd file, std::string path)
      : about_(std::move(about)), file_(std::move(file)), path_(std::move(path)) {}

  const IncomingResult about_;
  const Fd file_;
  const std::string path_;  // of file_, for messages

 private:
  Status HashTo(std::int64_t end);

  bool sized_ = false;  // the file is as long as it will be
  Sha256Stream hash_;   // of its first hashed_bytes_
  std::int64_t hashed_bytes_ = 0;
  std::optional<Digest> digest_;
};

// Makes clients of buckets; nullptr: the site uses none.
using BucketOpener = std::function<Result<s3::Client>(const S3Place&)>;

// Below `root`: `directory`/<about.path>, whose missing directories are made. No link is followed.
// `name` is the hidden name beside it until Commit(). kInvalid when a file or a link is in the way.
Result<std::unique_ptr<IncomingFile>> ReceiveIntoDirectory(const std::string& root,
                                                           const std::string& directory,
                                                           const std::string& name,
                                                           IncomingResult about);
// Where that hidden file is.
std::string HiddenPath(const std::string& root, const std::string& directory,
                       const std::string& name, const std::string& path);

// The object `key`: in one piece, or in parts on the way while chunks still come. `spool` is the
// file here. The object has its SHA-256 as metadata "spillway-sha256".
Result<std::unique_ptr<IncomingFile>> ReceiveIntoBucket(s3::Client client, std::string key,
                                                        const std::string& spool,
                                                        IncomingResult about);
// Whether such an object, as ReceiveIntoBucket() puts it, is there already.
Result<bool> IsInBucket(const s3::Client& client, const std::string& key, std::int64_t size_bytes,
                        const Digest& sha256);
// Ends the uploads of parts for this object that nobody will complete.
Status AbortUploads(const s3::Client& client, const std::string& key);

}  // namespace spillway::gateway
