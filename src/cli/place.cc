#include "cli/place.h"

#include "client/kubectl_dialer.h"
#include "kube/kubeconfig.h"

namespace spillway::cli {
namespace {

bool InCluster(const PlaceFlags& flags, const Surroundings& around) {
  if (!flags.socket.empty()) return false;
  if (flags.NamesCluster()) return true;
  if (!around.variable("SPILLWAY_SOCKET").empty() || around.exists(DefaultSocket(around)))
    return false;
  return !around.variable("KUBECONFIG").empty() ||
         around.exists(around.variable("HOME") + "/.kube/config");
}

}  // namespace

Place FindPlace(const PlaceFlags& flags, const Surroundings& around,
                const std::atomic<bool>* stop) {
  Place place;
  if (!InCluster(flags, around)) {
    place.daemon.unix_path = flags.socket.empty() ? DefaultSocket(around) : flags.socket;
    return place;
  }
  client::KubectlOptions options;
  options.kubeconfig = flags.kubeconfig;
  options.context = flags.context;
  if (!flags.system_namespace.empty()) options.ns = flags.system_namespace;
  options.stop = stop;
  const auto dialer = std::make_shared<client::KubectlDialer>(options);
  place.kubectl = dialer->Kubectl({});
  place.daemon.dialer = dialer;
  kube::Surroundings files;
  files.kubeconfig = around.variable("KUBECONFIG");
  files.home = around.variable("HOME");
  // What is wrong with the file is for kubectl to say.
  if (const auto access = kube::FindAccess(flags.kubeconfig, flags.context, files))
    place.default_namespace = access->default_namespace;
  return place;
}

}  // namespace spillway::cli
