// Commands: what the rules want done. Each one is idempotent, or is followed by a look-up; each
// may be lost or carried out twice (a crash between sending and answering), and the next round
// asks again if it is still needed.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "model/burst_node.h"

namespace spillway::control {

// Sent at most once in the life of a BurstNode: a second instance could otherwise come to be.
struct CreateInstance {
  std::string node;
};
struct ResumeInstance {
  std::string node, instance_id;
};
// One pass; asked again until complete. instance_id may be empty (never known).
struct DeleteInstance {
  std::string node, instance_id;
};
// An instance or stray side object that belongs to no live BurstNode. instance_id is empty for a
// side object. The name may be a live node's whose instance was created twice: the adapter takes
// only side objects of this instance, or of none.
struct DeleteOrphan {
  std::string provider, instance_id, name;
};

// Gateway: select, seal and offer the data of this node's run.
struct PrepareRun {
  std::string node;
};
// Gateway: destroy the run key for ever. From then on nothing of this run can be read anywhere, and
// PrepareRun for it does nothing: a command that was late must not make a new key.
struct DestroyRunKey {
  std::string node;
};
// Gateway: write the certificate of a node that could not be wiped ("crypto-erase only").
struct CertifyLoss {
  std::string node;
};

// Cluster: let these pods onto the node (tolerations now, startup taint removed).
struct AdmitPods {
  std::string node;
  std::vector<PodRef> pods;
};
// Cluster: stop these pods there and let their workload be queued again, with the reason as event.
// A pod that ended already is named only when its results are lost with the node: it must run again
// where the cluster can still make it.
struct EvictPods {
  std::string node;
  std::vector<PodRef> pods;
  std::string reason;
};
// Cluster: remove the Node object. Wanted while the snapshot shows one whose BurstNode is being
// deleted or gone.
struct RemoveNode {
  std::string node;
};

using Command =
    std::variant<CreateInstance, ResumeInstance, DeleteInstance, DeleteOrphan, PrepareRun,
                 DestroyRunKey, CertifyLoss, AdmitPods, EvictPods, RemoveNode>;

// "CreateInstance bn-00001": for logs and traces.
std::string Describe(const Command& command);
// BurstNode (or orphan) name the command is about; commands of one name are carried out in order.
const std::string& Subject(const Command& command);

}  // namespace spillway::control
