// Runs: the data of each run, sealed at the site, ready to be fetched; and the evidence of it.
//
//   DIRECTORY/<run>/run.json   written last; its being there means "prepared"
//   DIRECTORY/<run>/chunks     sealed chunks, one after the other
//   DIRECTORY/<run>/manifest   signed and sealed
//   DIRECTORY/<run>/receipts/  one signed receipt per result
//   DIRECTORY/<run>/uploads/   results on their way (see results.h)
//   DIRECTORY/<run>/counters   bytes served and received
//
// Until run.json is there a crash leaves nothing that counts: the next attempt overwrites it, with
// the same key and fresh salts.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "control/observation.h"
#include "data/manifest.h"
#include "gateway/files.h"
#include "gateway/key_store.h"
#include "gateway/run_record.h"
#include "gateway/sealed_contents.h"
#include "gateway/source.h"

namespace spillway::gateway {

struct RunInput {
  std::string claim;    // "namespace/name"; its files are "<name>/..." in the manifest
  std::string dataset;  // "namespace/name" of the Dataset
  DataClass data_class = DataClass::kRestricted;
  std::string directory;                      // where the Dataset's files are
  std::vector<std::string> include, exclude;  // see data/selection.h
  std::vector<data::Narrowing> needs;         // what the run's pods take of it
  std::optional<S3Place> s3;                  // where they are instead, if it is a bucket
  std::shared_ptr<Source> source;             // where they are read from; nullptr: that directory
  std::optional<Error> unopened;     // why it could not be opened, which ends the run's preparation
  bool start_when_readable = false;  // see DatasetInfo
};

struct RunRequest {
  std::string run;  // name of the BurstNode
  std::vector<RunInput> inputs;
  std::vector<RunOutput> outputs;
};

class Runs;

// A part of a file of sealed bytes, read while it is sent. It counts as served from the beginning;
// what was never read is taken off again when the slice goes. One thread at a time.
class SealedSlice {
 public:
  SealedSlice(Runs& runs, std::string run, Fd fd, std::int64_t file_offset, std::int64_t first,
              std::int64_t bytes, std::int64_t total);
  ~SealedSlice();
  SealedSlice(const SealedSlice&) = delete;
  SealedSlice& operator=(const SealedSlice&) = delete;

  std::int64_t first() const { return first_; }  // of the chunk or manifest
  std::int64_t bytes() const { return bytes_; }
  std::int64_t total() const { return total_; }  // of the chunk or manifest
  // Fills `out` from `offset` of the slice on; the slice must have so much.
  Status Read(std::int64_t offset, std::span<char> out);

 private:
  Runs& runs_;
  const std::string run_;
  const Fd fd_;
  const std::int64_t file_offset_, first_, bytes_, total_;
  std::int64_t read_bytes_ = 0;
};

// What of it: from `first` on, to `last` (included) or the end.
struct SliceRequest {
  std::int64_t first = 0;
  std::optional<std::int64_t> last;
};

// Thread-safe.
class Runs {
 public:
  // The referenced objects outlive it. Makes the directory.
  static Result<std::unique_ptr<Runs>> Open(std::string directory, KeyStore& keys,
                                            const data::SigningKey& site);

  // So many runs are prepared at a time, with so many files in sum (a run alone may have as many as
  // a source): what that takes in memory is bounded, however many runs begin at once.
  static constexpr int kPreparing = 3;
  static constexpr std::int64_t kPreparingFiles = 1'000'000;

  // Selects, packs and seals everything the run reads. Blocks; two calls for one run follow each
  // other. Ok when it is prepared, also before. kUnavailable and kThrottled: the disk is full, a
  // store is away or busy, or enough other runs are being prepared, try again; kConflict: the key
  // is destroyed, which ends a running call too. Every other error is final and in Report().
  Status Prepare(const RunRequest& request, Time now);

  // Destroys the key, then deletes the sealed data. Idempotent. Prepare() does nothing afterwards.
  Status Destroy(const std::string& run, Time now);

  // Without `certificate`.
  control::RunReport Report(const std::string& run);

  // nullptr until prepared.
  std::shared_ptr<const RunRecord> Find(const std::string& run);
  // Prepared, and its key not destroyed.
  bool Served(const std::string& run);

  // Sealed bytes for the node; they are counted. kConflict unless Served(), kNotFound for an index
  // that is not there, kInvalid for a slice outside.
  Result<std::unique_ptr<SealedSlice>> Manifest(const std::string& run, const SliceRequest& slice);
  Result<std::unique_ptr<SealedSlice>> Chunk(const std::string& run, std::size_t index,
                                             const SliceRequest& slice);

  // For results: sealed bytes received, and receipts by a file name made of a-z and 0-9.
  void CountReceived(const std::string& run, std::int64_t bytes);
  std::int64_t Received(const std::string& run);
  Result<std::optional<std::string>> Receipt(const std::string& run, const std::string& id);
  Status KeepReceipt(const std::string& run, const std::string& id, const std::string& text);
  Result<std::vector<std::string>> Receipts(const std::string& run);

  // Of all runs that have a directory.
  Result<std::vector<std::string>> Names() const { return ListFiles(directory_, ""); }
  std::string Directory(const std::string& run) const { return directory_ + "/" + run; }
  KeyStore& keys() { return keys_; }

 private:
  // What is known in memory; everything of it can be read again.
  struct Entry {
    std::mutex prepare;  // held while preparing
    std::mutex mutex;    // guards the rest
    bool loaded = false;
    std::shared_ptr<const RunRecord> record;
    std::optional<Error> failed;
    std::int64_t served_bytes = 0, received_bytes = 0;
    int receipts = 0;
  };

  Runs(std::string directory, KeyStore& keys, const data::SigningKey& site)
      : directory_(std::move(directory)), keys_(keys), site_(site) {}

  class Turn;

  std::shared_ptr<Entry> EntryOf(const std::string& run);
  Status Load(const std::string& run, Entry& entry);
  Status PrepareNow(const RunRequest& request, Time now, Entry& entry);
  friend class SealedSlice;
  void Count(const std::string& run, std::int64_t served, std::int64_t received);
  Result<std::unique_ptr<SealedSlice>> Serve(const std::string& run, const std::string& file,
                                             std::int64_t offset, std::int64_t total,
                                             const SliceRequest& slice);

  const std::string directory_;
  KeyStore& keys_;
  const data::SigningKey& site_;
  SealedContents contents_;
  std::mutex mutex_;  // guards the three below
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  int preparing_ = 0;
  std::int64_t preparing_files_ = 0;
};

}  // namespace spillway::gateway
