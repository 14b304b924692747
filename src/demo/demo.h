// The demonstration, from an empty directory to report.json.
#pragma once

#include <atomic>
#include <ostream>
#include <string>
#include <vector>

#include "base/time.h"
#include "cli/text.h"

namespace spillway::demo {

struct DemoOptions {
  std::string repository;  // holds examples/ and catalog/
  std::string directory;   // build/demo: everything is made in it
  std::string programs;    // build/bin
  std::string data;        // what data/ stands for; empty: directory/data
  int time_scale = 30;
  // On a real Kubernetes: everything is applied with kubectl as this administrator. Empty: the
  // embedded mode.
  std::string kubeconfig;
  // There: the kustomization that installs Spillway. Its daemon keeps its state in
  // directory/state, brings results to directory/results, logs to directory/daemon.log, and runs
  // as daemon_user.
  std::string install;
  unsigned daemon_user = 65532;
  // Or this, instead of `install`: spillwayd runs on this machine with these arguments besides.
  std::vector<std::string> daemon_arguments;
  // What is shown: files of examples/jobs (all when empty), and a file in the place of
  // examples/providers.yaml.
  std::vector<std::string> jobs;
  std::string providers;
  // Files of examples/jobs that begin, one after the other, only when everything before them has
  // ended: where too few machines can be rented at once for all of them.
  std::vector<std::string> later;
  // "--hold-seconds=420": stands in the examples' jobs wherever that argument has another value.
  std::vector<std::string> adjust;
  // Directory in which somebody else puts what a look at the disks of rented machines found, as
  // *.json: {"node", "when", "windows", "bytes"}. Empty: the daemon looks itself.
  std::string scans;
  bool keep = false;      // leave the daemon running
  Duration limit = 5min;  // real time, for all of it
};

// Runs it and tells it on `out`. Returns the exit code: 0 only if every claim holds. `stop` ends it
// early, in good order.
int RunDemo(const DemoOptions& options, std::ostream& out, const cli::Terminal& terminal,
            const std::atomic<bool>& stop);

}  // namespace spillway::demo
