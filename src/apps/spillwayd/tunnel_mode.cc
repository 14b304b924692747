#include "tunnel_mode.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <charconv>
#include <memory>

#include "tunnel/hub.h"
#include "tunnel/tool.h"

namespace spillway {
namespace {

// Splits "HOST:PORT"; without a port it is 0.
Result<std::pair<std::string, int>> HostAndPort(std::string_view flag, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  int port = 0;
  if (colon != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc{} || at != end || port < 1 || port > 65535)
      return Fail(Code::kInvalid,
                  fmt::format("{} {}: after the colon stands a port from 1 to 65535", flag, text));
  }
  return std::pair{std::string(text.substr(0, colon)), port};
}

Result<std::uint32_t> AddressOf(const std::string& host) {
  if (auto address = tunnel::ParseAddress(host)) return address;
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  if (code != 0) return Fail(Code::kUnavailable, fmt::format("{}: {}", host, ::gai_strerror(code)));
  return ntohl(reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr.s_addr);
}

// The API server's address, and the line for /etc/hosts if it was a name.
Result<tunnel::Target> ApiServer(const std::string& url, std::vector<std::string>* hosts) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme))
    return Fail(Code::kInvalid,
                fmt::format("--node-api-server {}: it must begin with https://", url));
  SPW_ASSIGN(const auto server, HostAndPort("--node-api-server", url.substr(kScheme.size())));
  SPW_ASSIGN(const std::uint32_t address, AddressOf(server.first));
  const std::string text = tunnel::AddressText(address);
  if (text != server.first) hosts->push_back(fmt::format("{} {}", text, server.first));
  return tunnel::Target{{address, 32}, server.second == 0 ? 443 : server.second};
}

Result<tunnel::Target> Allowed(const std::string& text) {
  SPW_ASSIGN(const auto parts, HostAndPort("--tunnel-allow", text));
  auto network = tunnel::ParseNetwork(parts.first);
  if (!network) return Fail(network.error().In("--tunnel-allow"));
  return tunnel::Target{*network, parts.second};
}

Result<tunnel::Overlay> OverlayOf(const std::string& text) {
  SPW_ASSIGN(const auto parts, HostAndPort("--tunnel-overlay", text));
  auto network = tunnel::ParseNetwork(parts.first);
  if (!network) return Fail(network.error().In("--tunnel-overlay"));
  if (parts.second == 0)
    return Fail(Code::kInvalid,
                fmt::format("--tunnel-overlay {}: it must be NETWORK:PORT, for example "
                            "192.0.2.0/24:8472",
                            text));
  return tunnel::Overlay{*network, parts.second};
}

Result<tunnel::AddressPlan> PlanOf(const TunnelFlags& flags) {
  const auto network = tunnel::ParseNetwork(flags.network);
  if (!network) return Fail(network.error().In("--tunnel-network"));
  if (flags.pods.empty()) return tunnel::AddressPlan::Make(*network, nullptr);
  const auto pods = tunnel::ParseNetwork(flags.pods);
  if (!pods) return Fail(pods.error().In("--tunnel-pods"));
  auto plan = tunnel::AddressPlan::Make(*network, &*pods);
  if (!plan) return Fail(plan.error().In("--tunnel-network, --tunnel-pods"));
  return plan;
}

// What is wrong with the kubelet that machines get; empty: nothing.
std::string KubeletProblem(const std::string& files, const std::string& version) {
  const auto said = tunnel::RunTool({files + "/kubelet", "--version"});
  if (!said)
    return fmt::format("{}/kubelet cannot be run, so machines need an image that has one: {}",
                       files, said.error().message);
  std::string own = said->substr(said->rfind(' ') + 1);
  while (own.ends_with('\n')) own.pop_back();
  if (own == version) return "";
  return fmt::format(
      "the kubelet in {} is {}, the cluster is {}: make it anew with "
      "scripts/machine-files and the kubelet of one of the cluster's nodes",
      files, own, version);
}

}  // namespace

Status UseTunnel(const TunnelFlags& flags, const std::string& api_server,
                 const std::string& version, daemon::DaemonOptions& options) {
  SPW_ASSIGN(const auto endpoint, HostAndPort("--tunnel-endpoint", flags.endpoint));
  if (endpoint.first.empty() || endpoint.second == 0)
    return Fail(Code::kInvalid,
                fmt::format("--tunnel-endpoint {}: it must be HOST:PORT", flags.endpoint));
  if (flags.machine_files.empty())
    return Fail(Code::kInvalid,
                "--tunnel-endpoint needs --machine-files: what a bare machine gets "
                "from the site (scripts/machine-files makes the directory)");
  tunnel::HubOptions hub;
  SPW_ASSIGN(hub.addresses, PlanOf(flags));
  hub.interface = flags.interface;
  hub.port = flags.port == 0 ? endpoint.second : flags.port;
  hub.key_file = options.state_dir + "/tunnel.key";
  hub.door_port = flags.door_port;
  SPW_ASSIGN(const tunnel::Target api, ApiServer(api_server, &options.machine_hosts));
  hub.targets.push_back(api);
  for (const std::string& text : flags.allow) {
    SPW_ASSIGN(const tunnel::Target target, Allowed(text));
    hub.targets.push_back(target);
  }
  for (const std::string& text : flags.overlay) {
    SPW_ASSIGN(const tunnel::Overlay overlay, OverlayOf(text));
    hub.overlays.push_back(overlay);
  }
  options.door_address = tunnel::AddressText(hub.addresses.hub());
  options.door_port = flags.door_port;
  options.machine_files = flags.machine_files;
  options.machine_problem = KubeletProblem(flags.machine_files, version);
  options.cluster_dns = flags.cluster_dns;
  options.cluster_domain = flags.cluster_domain;
  options.open_tunnel = [hub, endpoint = flags.endpoint]() -> Result<daemon::TunnelOptions> {
    daemon::TunnelOptions tunnel{endpoint, hub.addresses, {}, nullptr};
    for (const tunnel::Target& target : hub.targets)
      tunnel.networks.push_back(target.network.Text());
    for (const tunnel::Overlay& overlay : hub.overlays)
      tunnel.networks.push_back(overlay.network.Text());
    SPW_ASSIGN(tunnel.hub, tunnel::Hub::Open(hub));
    return tunnel;
  };
  return Ok();
}

}  // namespace spillway
