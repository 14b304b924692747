#include "machine/texts.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/json.h"

namespace spillway::machine {
namespace {

constexpr std::string_view kBurstKey = "spillway.dev/burst", kStartingKey = "spillway.dev/starting";

// The value of `key = "value"` or `key = true` in TOML; the last one counts. Empty: none.
std::string TomlValue(std::string_view text, std::string_view key) {
  std::string value;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    const std::size_t equals = line.find_first_not_of(" \t");
    if (equals == std::string_view::npos || line[equals] != '=') continue;
    line.remove_prefix(equals + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('"')) line = line.substr(1, line.rfind('"') - 1);
    if (!line.empty()) value = line;
  }
  return value;
}

json::array Texts(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(json::string(text));
  return array;
}

}  // namespace

std::string BootstrapKubeconfig(const door::KubernetesJoin& join) {
  return json::serialize(json::object{
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters",
       {json::object{
           {"name", "site"},
           {"cluster", json::object{{"server", join.server},
                                    {"certificate-authority-data", Base64(AsBytes(join.ca))}}}}}},
      {"users",
       {json::object{{"name", "bootstrap"},
                     {"user", json::object{{"token", join.bootstrap_token}}}}}},
      {"contexts",
       {json::object{{"name", "site"},
                     {"context", json::object{{"cluster", "site"}, {"user", "bootstrap"}}}}}},
      {"current-context", "site"}});
}

std::string KubeletConfig(const KubeletPlan& plan) {
  const door::UserData& data = *plan.data;
  const auto taint = [&](std::string_view key) {
    return json::object{{"key", key}, {"value", data.name}, {"effect", "NoSchedule"}};
  };
  return json::serialize(json::object{
      {"apiVersion", "kubelet.config.k8s.io/v1beta1"},
      {"kind", "KubeletConfiguration"},
      {"authentication",
       json::object{{"anonymous", json::object{{"enabled", false}}},
                    {"webhook", json::object{{"enabled", true}}},
                    {"x509", json::object{{"clientCAFile", fmt::format("{}/ca.crt", kRun)}}}}},
      {"authorization", json::object{{"mode", "Webhook"}}},
      {"containerRuntimeEndpoint", "unix:///run/containerd/containerd.sock"},
      {"cgroupDriver", plan.systemd_cgroups ? "systemd" : "cgroupfs"},
      {"failSwapOn", true},
      {"rotateCertificates", true},
      {"serverTLSBootstrap", true},
      {"containerLogMaxSize", "16Mi"},
      {"containerLogMaxFiles", 3},
      {"clusterDNS", Texts(data.machine->cluster_dns)},
      {"clusterDomain", data.machine->cluster_domain},
      {"resolvConf", fmt::format("{}/resolv.conf", kRun)},
      {"providerID", data.machine->provider_id},
      {"registerWithTaints", {taint(kBurstKey), taint(kStartingKey)}}});
}

std::string KubeletUnit(const KubeletPlan& plan) {
  std::string labels;
  for (const auto& [key, value] : plan.labels)
    labels += fmt::format("{}{}={}", labels.empty() ? "" : ",", key, value);
  return fmt::format(
      "[Unit]\n"
      "Description=kubelet of the cluster this machine belongs to for a while\n"
      "[Service]\n"
      "ExecStart={} --config={}/kubelet.json --bootstrap-kubeconfig={}/bootstrap.json "
      "--kubeconfig={}/kubeconfig --hostname-override={} --node-ip={} --node-labels={}\n"
      "Restart=always\n"
      "RestartSec=1\n"
      "LimitCORE=0\n"
      "CPUAccounting=true\n"
      "MemoryAccounting=true\n",
      plan.program, kRun, kRun, kRun, plan.data->name, plan.data->tunnel->node_address, labels);
}

std::string CniConfig(std::string_view pod_network, int mtu) {
  return json::serialize(json::object{
      {"cniVersion", "1.0.0"},
      {"name", "spillway"},
      {"plugins",
       {json::object{
            {"type", "bridge"},
            {"bridge", kPodBridge},
            {"isGateway", true},
            {"ipMasq", false},
            {"hairpinMode", true},
            {"mtu", mtu},
            {"ipam", json::object{{"type", "host-local"},
                                  {"dataDir", fmt::format("{}/cni", kRun)},
                                  {"ranges", {json::array{json::object{{"subnet", pod_network}}}}},
                                  {"routes", {json::object{{"dst", "0.0.0.0/0"}}}}}}},
        json::object{{"type", "portmap"},
                     {"capabilities", json::object{{"portMappings", true}}}}}}});
}

ContainerdFacts ReadContainerdConfig(std::string_view dump) {
  ContainerdFacts facts;
  if (std::string value = TomlValue(dump, "bin_dir"); !value.empty()) facts.cni_programs = value;
  if (std::string value = TomlValue(dump, "conf_dir"); !value.empty()) facts.cni_configs = value;
  facts.systemd_cgroups = TomlValue(dump, "SystemdCgroup") == "true";
  return facts;
}

}  // namespace spillway::machine
