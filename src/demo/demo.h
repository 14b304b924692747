// The demonstration, from an empty directory to report.json.
#pragma once

#include <atomic>
#include <ostream>
#include <string>

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
  bool keep = false;      // leave the daemon running
  Duration limit = 5min;  // real time, for all of it
};

// Runs it and tells it on `out`. Returns the exit code: 0 only if every claim holds. `stop` ends it
// early, in good order.
int RunDemo(const DemoOptions& options, std::ostream& out, const cli::Terminal& terminal,
            const std::atomic<bool>& stop);

}  // namespace spillway::demo
