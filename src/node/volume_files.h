// The files of a memory volume: the inputs written into it, and the results read out of it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "node/result_sender.h"
#include "node/run_files.h"
#include "runtime/pod_spec.h"

namespace spillway::node {

// Room that the files of a claim take in a tmpfs.
struct InputSize {
  std::int64_t files = 0;
  std::int64_t bytes = 0;  // whole pages
};
InputSize SizeOfClaim(const RunFiles& files, const std::string& claim);

// Writes every file of `source` below `root`, readable for everybody, whose only way there is the
// pod's own volume. Plaintext on the way is zeroised.
Status WriteInputs(const std::string& root, runtime::InputSource& source);

// What one results volume is to hand over.
struct Collection {
  std::string root, claim;
  std::int64_t limit_bytes = 0;      // of all its files
  std::set<std::string> taken;       // files that were handed over whole
  std::vector<std::string> skipped;  // what is not taken and why, not all if there are many
};

// Hands every regular file of `collection` that is not taken yet to `writer`; the rules of what is
// a result are those of runtime::PodProcess. The volume must be at rest. After an error another
// call goes on.
Status CollectResults(Collection& collection, ResultWriter& writer);

}  // namespace spillway::node
