// The daemon of a demonstration: a child process, or a Deployment of a real cluster.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::demo {

class DaemonHandle {
 public:
  virtual ~DaemonHandle() = default;
  // Once false, it stays false.
  virtual bool Running() = 0;
  // Ok if it ended in good order within `patience`.
  virtual Status Stop(Duration patience) = 0;
  // The command that a person types.
  virtual std::string HowToStop() const = 0;
};

// argv[0] is a path; its output is appended to `log`.
Result<std::unique_ptr<DaemonHandle>> StartChild(const std::vector<std::string>& argv,
                                                 const std::string& log);

// `kubectl apply -k kustomization`, and waits for the definitions to be served and the daemon to be
// available. kInvalid with kubectl's words when it does not come to that within two minutes.
Result<std::unique_ptr<DaemonHandle>> Deploy(const std::string& kubeconfig,
                                             const std::string& kustomization);

}  // namespace spillway::demo
