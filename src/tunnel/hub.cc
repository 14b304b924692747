#include "tunnel/hub.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/log.h"
#include "tunnel/key.h"
#include "tunnel/tool.h"

namespace spillway::tunnel {
namespace {

constexpr std::size_t kMostInterfaceName = 15;
// Of the interface; a machine behind a smaller one says so with its own (TCP's MSS).
constexpr int kMtu = 1420;

Status Tool(const std::vector<std::string>& argv, std::string_view input = "") {
  SPW_TRY(RunTool(argv, input));
  return Ok();
}

bool Works(const std::vector<std::string>& argv) {
  return RunTool(argv).has_value();
}

// Reads the private key, or makes one. Written under another name first: half a key is none.
Result<std::string> PrivateKey(const std::string& file) {
  std::ifstream stream(file);
  std::string text;
  if (stream && std::getline(stream, text)) {
    if (!IsKey(text)) return Fail(Code::kInvalid, file + ": holds no private key of WireGuard");
    return text;
  }
  text = NewKeyPair().private_key;
  const std::string part = file + ".new";
  const Fd fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string line = text + "\n";
  if (!fd.valid() || ::write(fd.get(), line.data(), line.size()) != std::ssize(line) ||
      ::fsync(fd.get()) != 0 || std::rename(part.c_str(), file.c_str()) != 0)
    return Fail(Code::kInvalid, file + ": the tunnel's private key cannot be written");
  return text;
}

Status Check(const HubOptions& options) {
  const std::string& name = options.interface;
  const bool letters = std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (name.empty() || name.size() > kMostInterfaceName || !letters)
    return Fail(Code::kInvalid, fmt::format("\"{}\" is no name for an interface: at most {} of "
                                            "small letters, digits and -",
                                            name, kMostInterfaceName));
  return Ok();
}

Status MakeInterface(const std::string& name) {
  if (Works({"wg", "show", name, "listen-port"})) return Ok();
  const Status kernel = Tool({"ip", "link", "add", name, "type", "wireguard"});
  if (kernel) return Ok();
  if (kernel.error().code == Code::kDenied || kernel.error().code == Code::kUnavailable)
    return kernel;
  // A kernel without WireGuard. The program goes on in a session of its own.
  const Status user = Tool({"setsid", "--wait", "wireguard-go", name});
  if (user) return Ok();
  return Fail(user.error().code,
              fmt::format("WireGuard is neither in the kernel ({}) nor as a program ({})",
                          kernel.error().message, user.error().message));
}

Status Configure(const HubOptions& options, const std::string& private_key) {
  const std::string& name = options.interface;
  SPW_TRY(Tool({"wg", "set", name, "listen-port", fmt::format("{}", options.port), "private-key",
                "/dev/stdin"},
               private_key));
  SPW_TRY(Tool(
      {"ip", "address", "replace", AddressText(options.addresses.hub()) + "/32", "dev", name}));
  SPW_TRY(Tool({"ip", "link", "set", name, "mtu", fmt::format("{}", kMtu), "up"}));
  std::vector<Network> routes{options.addresses.network()};
  if (options.addresses.has_pods()) routes.push_back(options.addresses.pods());
  for (const Network& route : routes)
    SPW_TRY(Tool({"ip", "route", "replace", route.Text(), "dev", name}));
  std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1\n";
  return Ok();
}

FirewallPlan PlanOf(const HubOptions& options) {
  return {options.interface, options.addresses, options.door_port, options.targets,
          options.overlays};
}

std::vector<std::string> Iptables(const Jump& jump, const char* what) {
  std::vector<std::string> argv{"iptables", "-w", "5", "-t", jump.table, what, jump.chain};
  argv.insert(argv.end(), jump.rest.begin(), jump.rest.end());
  return argv;
}

Status Protect(const HubOptions& options) {
  const FirewallPlan plan = PlanOf(options);
  SPW_TRY(Tool({"iptables-restore", "-w", "5", "--noflush"}, FirewallRules(plan)));
  for (const Jump& jump : FirewallJumps(plan))
    if (!Works(Iptables(jump, "-C"))) SPW_TRY(Tool(Iptables(jump, "-I")));
  return Ok();
}

}  // namespace

Result<std::unique_ptr<Hub>> Hub::Open(HubOptions options) {
  SPW_TRY(Check(options));
  SPW_ASSIGN(const std::string private_key, PrivateKey(options.key_file));
  SPW_ASSIGN(std::string public_key, PublicKeyOf(private_key));
  // Rules first: the interface never is up without them.
  SPW_TRY(Protect(options));
  SPW_TRY(MakeInterface(options.interface));
  SPW_TRY(Configure(options, private_key));
  log::Info("the tunnel is up", {{"interface", options.interface},
                                 {"port", options.port},
                                 {"network", options.addresses.network().Text()}});
  return std::unique_ptr<Hub>(new Hub(std::move(options), std::move(public_key)));
}

Status Hub::Set(const Peer& peer) {
  if (!IsKey(peer.public_key))
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is no public key of WireGuard", peer.public_key.substr(0, 64)));
  std::string networks;
  for (const Network& network : peer.networks)
    networks += fmt::format("{}{}", networks.empty() ? "" : ",", network.Text());
  const std::lock_guard lock(mutex_);
  return Tool({"wg", "set", options_.interface, "peer", peer.public_key, "allowed-ips", networks});
}

Status Hub::Remove(const std::string& public_key) {
  if (!IsKey(public_key)) return Ok();
  const std::lock_guard lock(mutex_);
  return Tool({"wg", "set", options_.interface, "peer", public_key, "remove"});
}

Result<std::set<std::string>> Hub::Peers() const {
  const std::lock_guard lock(mutex_);
  SPW_ASSIGN(const std::string text, RunTool({"wg", "show", options_.interface, "peers"}));
  std::istringstream lines(text);
  std::set<std::string> keys;
  for (std::string line; std::getline(lines, line);) keys.insert(line);
  return keys;
}

Status Hub::KeepOnly(const std::set<std::string>& public_keys) {
  SPW_ASSIGN(const std::set<std::string> there, Peers());
  for (const std::string& key : there)
    if (!public_keys.contains(key)) SPW_TRY(Remove(key));
  return Ok();
}

Status RemoveHub(const HubOptions& options) {
  const FirewallPlan plan = PlanOf(options);
  for (const Jump& jump : FirewallJumps(plan)) {
    Works(Iptables(jump, "-D"));
    for (const char* what : {"-F", "-X"})
      Works({"iptables", "-w", "5", "-t", jump.table, what, jump.rest.back()});
  }
  // wireguard-go ends when its interface goes.
  Works({"ip", "link", "delete", options.interface});
  return Works({"ip", "link", "show", options.interface})
             ? Fail(Code::kInternal, options.interface + " stays")
             : Ok();
}

}  // namespace spillway::tunnel
