#include "machine/link.h"

#include <fmt/format.h>

#include <fstream>

#include "machine/texts.h"
#include "tunnel/tool.h"

namespace spillway::machine {
namespace {

using tunnel::RunTool;

std::string Text(std::string_view text) {
  return std::string(text);
}

Result<int> MtuOf(std::string_view link) {
  int mtu = 0;
  if (!(std::ifstream(fmt::format("/sys/class/net/{}/mtu", link)) >> mtu))
    return Fail(Code::kInternal, fmt::format("the interface {} has no MTU", link));
  return mtu;
}

// "KEY\tADDRESS:PORT" of the boot interface: the name in the user data was resolved there.
Result<std::string> EndpointOf(std::string_view link) {
  SPW_ASSIGN(const std::string line, RunTool({"wg", "show", Text(link), "endpoints"}));
  const std::size_t tab = line.find('\t'), end = line.find('\n');
  if (tab == std::string::npos) return Fail(Code::kInternal, "the boot interface has no endpoint");
  return line.substr(tab + 1, end - tab - 1);
}

}  // namespace

Status OpenNodeLink(const door::TunnelGrant& tunnel, const std::string& private_key) {
  const std::string boot = Text(kBootLink), node = Text(kNodeLink);
  SPW_ASSIGN(const std::string endpoint, EndpointOf(kBootLink));
  SPW_ASSIGN(const int mtu, MtuOf(kBootLink));
  std::string allowed = tunnel.hub_address + "/32";
  for (const std::string& network : tunnel.networks) allowed += "," + network;
  SPW_TRY(RunTool({"ip", "link", "add", node, "type", "wireguard"}));
  SPW_TRY(RunTool({"wg", "set", node, "private-key", "/dev/stdin", "peer", tunnel.hub_key,
                   "endpoint", endpoint, "allowed-ips", allowed, "persistent-keepalive", "15"},
                  private_key + "\n"));
  SPW_TRY(RunTool({"ip", "address", "add", tunnel.node_address + "/32", "dev", node}));
  SPW_TRY(RunTool({"ip", "link", "set", node, "mtu", fmt::format("{}", mtu), "up"}));
  SPW_TRY(RunTool({"ip", "route", "replace", tunnel.hub_address + "/32", "dev", node}));
  for (const std::string& network : tunnel.networks)
    SPW_TRY(RunTool({"ip", "route", "replace", network, "dev", node}));
  SPW_TRY(RunTool({"ip", "link", "delete", boot}));
  return Ok();
}

Result<int> NodeLinkMtu() {
  return MtuOf(kNodeLink);
}

}  // namespace spillway::machine
