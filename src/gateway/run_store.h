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
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "control/observation.h"
#include "data/manifest.h"
#include "gateway/key_store.h"
#include "gateway/run_record.h"
#include "gateway/source.h"

namespace spillway::gateway {

struct RunInput {
  std::string claim;    // "namespace/name"; its files are "<name>/..." in the manifest
  std::string dataset;  // "namespace/name" of the Dataset
  DataClass data_class = DataClass::kRestricted;
  std::string directory;                              // where the Dataset's files are
  std::vector<std::string> include, exclude, narrow;  // see data/selection.h
  bool start_when_readable = false;                   // see DatasetInfo
};

struct RunRequest {
  std::string run;  // name of the BurstNode
  std::vector<RunInput> inputs;
  std::vector<RunOutput> outputs;
};

// A part of a file that is served.
struct ByteSlice {
  std::string bytes;
  std::int64_t offset = 0, total = 0;
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

  // Selects, packs and seals everything the run reads. Blocks; two calls for one run follow each
  // other. Ok when it is prepared, also before. kUnavailable: disk full, try again; kConflict: the
  // key is destroyed, which ends a running call too. Every other error is final and in Report().
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
  Result<ByteSlice> Manifest(const std::string& run, const SliceRequest& slice);
  Result<ByteSlice> Chunk(const std::string& run, std::size_t index, const SliceRequest& slice);

  // For results: sealed bytes received, and receipts by a file name made of a-z and 0-9.
  void CountReceived(const std::string& run, std::int64_t bytes);
  std::int64_t Received(const std::string& run);
  Result<std::optional<std::string>> Receipt(const std::string& run, const std::string& id);
  Status KeepReceipt(const std::string& run, const std::string& id, const std::string& text);
  Result<std::vector<std::string>> Receipts(const std::string& run);

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

  std::shared_ptr<Entry> EntryOf(const std::string& run);
  Status Load(const std::string& run, Entry& entry);
  Status PrepareNow(const RunRequest& request, Time now, Entry& entry);
  void Count(const std::string& run, std::int64_t served, std::int64_t received);
  Result<ByteSlice> Serve(const std::string& run, const std::string& file, std::int64_t offset,
                          std::int64_t total, const SliceRequest& slice);

  const std::string directory_;
  KeyStore& keys_;
  const data::SigningKey& site_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace spillway::gateway
