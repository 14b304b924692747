#include "demo/daemon.h"

#include <fmt/format.h>

#include "demo/process.h"

namespace spillway::demo {
namespace {

constexpr const char* kNamespace = "spillway-system";
constexpr const char* kDeployment = "deployment/spillway";
constexpr const char* kPods = "app.kubernetes.io/component=daemon";

class ChildDaemon final : public DaemonHandle {
 public:
  explicit ChildDaemon(Child child) : child_(std::move(child)) {}
  bool Running() override { return child_.Running(); }
  Status Stop(Duration patience) override { return child_.Stop(patience); }
  std::string HowToStop() const override { return fmt::format("kill {}", child_.pid()); }

 private:
  Child child_;
};

class DeployedDaemon final : public DaemonHandle {
 public:
  explicit DeployedDaemon(std::string kubeconfig) : kubeconfig_(std::move(kubeconfig)) {}

  Result<std::string> Kubectl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"kubectl", "--kubeconfig", kubeconfig_});
    return RunCommand(arguments);
  }
  Status WaitUntilAvailable() const {
    SPW_TRY(Kubectl({"wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"}));
    SPW_TRY(Kubectl({"rollout", "status", "-n", kNamespace, kDeployment, "--timeout=120s"}));
    return Ok();
  }
  // The cluster starts it again when it ends; whether it answers is what tells.
  bool Running() override { return true; }
  Status Stop(Duration patience) override {
    SPW_TRY(Kubectl({"scale", "-n", kNamespace, kDeployment, "--replicas=0"}));
    SPW_TRY(Kubectl({"wait", "-n", kNamespace, "--for=delete", "pod", "-l", kPods,
                     fmt::format("--timeout={}s", patience.count() / 1000)}));
    return Ok();
  }
  std::string HowToStop() const override {
    return fmt::format("kubectl scale -n {} {} --replicas=0", kNamespace, kDeployment);
  }

 private:
  std::string kubeconfig_;
};

}  // namespace

Result<std::unique_ptr<DaemonHandle>> StartChild(const std::vector<std::string>& argv,
                                                 const std::string& log) {
  SPW_ASSIGN(Child child, Child::Start(argv, log));
  return std::make_unique<ChildDaemon>(std::move(child));
}

Result<std::unique_ptr<DaemonHandle>> Deploy(const std::string& kubeconfig,
                                             const std::string& kustomization) {
  auto daemon = std::make_unique<DeployedDaemon>(kubeconfig);
  SPW_TRY(daemon->Kubectl({"apply", "-k", kustomization}));
  SPW_TRY(daemon->WaitUntilAvailable());
  return daemon;
}

}  // namespace spillway::demo
