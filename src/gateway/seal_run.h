// Selecting, packing and sealing the inputs of one run.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gateway/run_store.h"

namespace spillway::gateway {

// Everything that leaves the site for a run, decided once.
struct RunPlan {
  struct Input {
    std::string prefix;  // "<claim name>/"
    std::shared_ptr<Source> source;
    data::Selection selection;
    SourceListing listing;
  };
  std::vector<Input> inputs;
  data::Layout layout;
  // Of layout.files[i]: which input, and which of its files.
  std::vector<std::pair<std::size_t, std::size_t>> origins;
  RunRecord record;  // everything but chunks, manifest and time
};

// Looks at every input. kInvalid names what is wrong with the request or a dataset: also restricted
// data, and a selection that selects nothing. Otherwise as Source::List().
Result<RunPlan> PlanRun(const RunRequest& request);

// Writes `directory`/chunks and `directory`/manifest, synced, and completes plan.record. The key is
// taken from `keys` for one chunk at a time, so destroying it ends this (kConflict). kCorrupt when
// a file changed since PlanRun().
Status SealRun(RunPlan& plan, const std::string& directory, KeyStore& keys,
               const data::SigningKey& site);

}  // namespace spillway::gateway
