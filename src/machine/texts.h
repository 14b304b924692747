// The configuration a machine's kubelet, containerd and network get, as texts. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "door/user_data.h"
#include "model/scheduling.h"

namespace spillway::machine {

// Where things are on the machine. Below kSealed is the volume whose key is in memory only.
inline constexpr std::string_view kRun = "/run/spillway", kSealed = "/run/spillway/sealed";
inline constexpr std::string_view kBootLink = "spwboot", kNodeLink = "spwnode",
                                  kPodBridge = "spwpods";

// kubeconfig with the bootstrap token, for --bootstrap-kubeconfig.
std::string BootstrapKubeconfig(const door::KubernetesJoin& join);

struct KubeletPlan {
  const door::UserData* data = nullptr;  // with kubernetes, tunnel and machine
  std::string program;                   // path of the kubelet
  Labels labels;                         // all to register with
  bool systemd_cgroups = true;           // as containerd has it
};
// kubelet.config.k8s.io/v1beta1: taints that keep others away until the node is checked, server
// certificate from the cluster, webhook authentication, no swap, small logs.
std::string KubeletConfig(const KubeletPlan& plan);
// A unit of systemd that runs it.
std::string KubeletUnit(const KubeletPlan& plan);

// A CNI configuration list for the pods of one machine: a bridge, addresses of `pod_network`,
// everything routed to the host, which routes it into the tunnel and nowhere else.
std::string CniConfig(std::string_view pod_network, int mtu);

// What containerd says of itself (`containerd config dump`).
struct ContainerdFacts {
  std::string cni_programs = "/opt/cni/bin", cni_configs = "/etc/cni/net.d";
  bool systemd_cgroups = false;
};
ContainerdFacts ReadContainerdConfig(std::string_view dump);

}  // namespace spillway::machine
