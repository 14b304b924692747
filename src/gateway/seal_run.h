// Selecting, packing and sealing the inputs of one run.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "gateway/run_store.h"
#include "gateway/sealed_contents.h"

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
  // Over all files in their order, and so over every chunk: what another run with the same digest
  // has sealed has the same plaintext. nullopt: everything is near, and read again as fast.
  std::optional<Digest> content;
  RunRecord record;  // everything but chunks, manifest and time
};

// Looks at every input. kInvalid names what is wrong with the request or a dataset: also restricted
// data, and a selection that selects nothing. Otherwise as Source::List().
Result<RunPlan> PlanRun(const RunRequest& request, const Room& room = {});

// Writes `directory`/chunks and `directory`/manifest, synced, and completes plan.record. The key is
// taken from `keys` for one chunk at a time, so destroying it ends this (kConflict). kCorrupt when
// a file changed since PlanRun(). Uses the plan up. With `contents` what another run has sealed, or
// is sealing, is not read from its source; the caller drops this run there when it is of no use.
Status SealRun(RunPlan& plan, const std::string& directory, KeyStore& keys,
               const data::SigningKey& site, SealedContents* contents = nullptr);

}  // namespace spillway::gateway
