// Looks for plaintext on simulated rented disks, which are directories of this machine: every
// 32-byte window of the site's data is searched for, before a wipe and after it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "data/scan.h"
#include "server/backend.h"

namespace spillway::daemon {

// Thread-safe. Keeps its findings in `state_file` (one JSON line each), so that a restart loses
// none.
class Inspector {
 public:
  // `sample_root`: files below it are the sample, up to 48 MiB together.
  Inspector(std::string sample_root, std::string state_file);

  // Scans every regular file below `disk` (what cannot be read counts as not scanned) and remembers
  // the result, once per node and moment.
  void Inspect(const std::string& burst_node, bool after_wipe, const std::string& disk);
  std::vector<server::Inspection> Results() const;

 private:
  const data::ScanIndex* Index();

  const std::string sample_root_, state_file_;
  std::once_flag built_;
  std::unique_ptr<data::ScanIndex> index_;
  mutable std::mutex mutex_;
  std::vector<server::Inspection> results_;
};

}  // namespace spillway::daemon
