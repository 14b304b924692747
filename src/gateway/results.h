// Results on their way home: sealed chunks in, whole files and signed receipts out. A receipt is
// only given for a file that is at its place under its name: on the disk below the results root, or
// in a bucket, as the bucket itself says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/encoding.h"
#include "base/result.h"
#include "base/time.h"
#include "data/sign.h"
#include "gateway/incoming_file.h"
#include "gateway/run_store.h"

namespace spillway::gateway {

// One sealed chunk of a result file, see door/protocol.h.
struct ResultChunk {
  std::string run;
  std::string pod, uid;  // "namespace/name"
  std::string claim;     // its name in the pod's namespace
  std::string path;      // below the claim
  std::uint32_t mode = 0644;
  std::int64_t size_bytes = 0;  // of the whole file, plaintext
  Digest sha256{};              // likewise
  std::int64_t chunk = 0, chunks = 1;
};

struct ResultsOptions {
  std::string root;                                    // results places are relative to it
  std::int64_t bytes_per_run = std::int64_t{4} << 40;  // sealed; more is kQuota
  std::size_t open_uploads = 256;  // unfinished files of all runs; the oldest gives way
  BucketOpener open_bucket = nullptr;
};

// Thread-safe.
class Results {
 public:
  // The referenced objects outlive it. The root must exist.
  Results(ResultsOptions options, Runs& runs, const data::SigningKey& site);

  // The signed receipt once no chunk of the file is missing, else nullopt. A file whose receipt
  // exists is answered with it at once; another content for the same place replaces the file and
  // the receipt. Errors: kInvalid (path, sizes, claim that is not an output of the run), kCorrupt
  // (not what was sealed for this place, or the whole is not `sha256`: send all chunks again),
  // kConflict (run not served any more), kQuota, kThrottled (too many wait for buckets),
  // kUnavailable (disk full and nothing was kept; or a bucket is away, refuses or is full, and what
  // came is kept until it is sent again).
  Result<std::optional<std::string>> Put(const ResultChunk& chunk, ByteView sealed, Time now);

  // Drops unfinished files of a run, also those of before a restart.
  Status Abandon(const std::string& run);
  // Drops what an earlier process left of all runs, also in buckets. Before the first Put().
  Status CleanUp();

 private:
  struct Upload;
  class FarTurn;

  Result<std::shared_ptr<Upload>> UploadFor(const ResultChunk& chunk, const std::string& id,
                                            const RunOutput& output);
  Result<std::shared_ptr<Upload>> Begin(const ResultChunk& chunk, const std::string& name,
                                        const RunOutput& output);
  std::string NoteOf(const ResultChunk& chunk, const RunOutput& output, const std::string& name,
                     const std::string& spool) const;
  Result<s3::Client> OpenBucket(const S3Place& place) const;
  static Status FromHome(const Upload& upload, Status done);
  Status EndUploads(const std::string& run);
  Status EndInBucket(const std::string& note);
  Result<std::optional<std::string>> Store(Upload& upload, const ResultChunk& chunk,
                                           const std::string& id, ByteView plain, Time now);
  Result<std::string> Finish(Upload& upload, const ResultChunk& chunk, const std::string& id,
                             Time now);
  void Drop(const std::string& key, const std::shared_ptr<Upload>& upload, bool finished);

  const ResultsOptions options_;
  Runs& runs_;
  const data::SigningKey& site_;
  std::mutex mutex_;  // guards the four below
  std::map<std::string, std::shared_ptr<Upload>> uploads_;
  std::uint64_t next_order_ = 0;
  int far_turns_ = 0;
  std::int64_t far_bytes_ = 0;
};

}  // namespace spillway::gateway
