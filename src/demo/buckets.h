// Results of the demonstration that are in buckets, as the bucket itself has them.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "demo/results.h"
#include "s3/client.h"

namespace spillway::demo {

struct BucketFiles {
  FileHashes files;            // by path below the prefix
  std::set<std::string> runs;  // who brought them: "site", or the BurstNode's name
};

// Reads every object below `prefix`, which ends with '/'. kCorrupt when the SHA-256 in an object's
// metadata is not that of its content; errors of the store.
Result<BucketFiles> ReadBucket(const s3::Client& client, const std::string& prefix);

}  // namespace spillway::demo
