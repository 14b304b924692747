// Buckets: what pods of the site need of object stores, which they know as directories.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/rules.h"

namespace spillway::ports {

// Results that go into a bucket.
struct BucketResults {
  S3Place bucket;
  std::string directory;  // below its prefix

  std::string Name() const { return bucket.Name() + directory; }
};

// How many files, how large, and when the oldest of them was last written.
struct ResultFiles {
  std::int64_t count = 0, bytes = 0;
  std::optional<Time> oldest;
};

// How far an owner's results have come.
struct Homecoming {
  // An error says where the files are kept that are in no bucket. kInvalid: they can never be
  // objects, and all others are in their bucket.
  Status status = Ok();
  ResultFiles home, waiting;  // in a bucket; not there
};

// `owner` is who has the directories: a pod by its uid, or one volume of a pod. It is part of a
// path: letters, digits and '-'. Thread-safe, but one call at a time for an owner.
class Buckets {
 public:
  virtual ~Buckets() = default;
  // A directory with what the Dataset selects, for this owner alone. kUnavailable while it is being
  // fetched, after a wait of `patience`: ask again. After another error the next question begins
  // afresh.
  virtual Result<std::string> Fetch(const std::string& owner, const DatasetInfo& dataset,
                                    Duration patience) = 0;
  // A directory for results.
  virtual Result<std::string> ResultsOf(const std::string& owner, const BucketResults& place) = 0;
  // Puts what is in those directories into the buckets. Blocks, while a store is away for minutes.
  virtual Homecoming BringHome(const std::string& owner,
                               const std::vector<BucketResults>& places) = 0;
  // The owner is gone, and so are its directories.
  virtual void Drop(const std::string& owner) = 0;
};

}  // namespace spillway::ports
