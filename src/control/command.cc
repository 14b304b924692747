#include "control/command.h"

namespace spillway::control {
namespace {

std::string Join(const std::vector<PodRef>& pods) {
  std::string out;
  for (const PodRef& pod : pods) {
    out += ' ';
    out += pod.key;
    out += '/';
    out += pod.uid;
  }
  return out;
}

struct Describer {
  std::string operator()(const CreateInstance& c) const { return "CreateInstance " + c.node; }
  std::string operator()(const ResumeInstance& c) const {
    return "ResumeInstance " + c.node + " " + c.instance_id;
  }
  std::string operator()(const DeleteInstance& c) const {
    return "DeleteInstance " + c.node + " " + c.instance_id;
  }
  std::string operator()(const DeleteOrphan& c) const {
    return "DeleteOrphan " + c.provider + " " + c.instance_id + " " + c.name;
  }
  std::string operator()(const PrepareRun& c) const { return "PrepareRun " + c.node; }
  std::string operator()(const DestroyRunKey& c) const { return "DestroyRunKey " + c.node; }
  std::string operator()(const CertifyLoss& c) const { return "CertifyLoss " + c.node; }
  std::string operator()(const AdmitPods& c) const { return "AdmitPods " + c.node + Join(c.pods); }
  std::string operator()(const EvictPods& c) const { return "EvictPods " + c.node + Join(c.pods); }
  std::string operator()(const RemoveNode& c) const { return "RemoveNode " + c.node; }
};

struct Subjecter {
  const std::string& operator()(const DeleteOrphan& c) const { return c.name; }
  template <typename T>
  const std::string& operator()(const T& c) const {
    return c.node;
  }
};

}  // namespace

std::string Describe(const Command& command) {
  return std::visit(Describer{}, command);
}

const std::string& Subject(const Command& command) {
  return std::visit(Subjecter{}, command);
}

}  // namespace spillway::control
