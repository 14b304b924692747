#include "tunnel/firewall.h"

#include <fmt/format.h>

namespace spillway::tunnel {
namespace {

constexpr int kKubeletPort = 10250;

std::string Chain(const FirewallPlan& plan, const char* what) {
  return fmt::format("SPW-{}-{}", plan.interface, what);
}

std::string AllowTarget(const std::string& chain, const Target& target) {
  const std::string port = target.port == 0 ? "" : fmt::format(" -p tcp --dport {}", target.port);
  return fmt::format("-A {} -d {}{} -j ACCEPT\n", chain, target.network.Text(), port);
}

constexpr const char* kEstablished = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";

// From machines to this host.
std::string Inward(const FirewallPlan& plan, const std::string& chain) {
  const std::string hub = AddressText(plan.addresses.hub());
  std::string rules = fmt::format("-A {} {}\n", chain, kEstablished);
  rules += fmt::format("-A {} -d {} -p tcp --dport {} -j ACCEPT\n", chain, hub, plan.door_port);
  rules += fmt::format("-A {} -d {} -p icmp --icmp-type echo-request -j ACCEPT\n", chain, hub);
  rules += fmt::format("-A {} -s {} -j DROP\n", chain, plan.addresses.boots().Text());
  for (const Target& target : plan.targets) rules += AllowTarget(chain, target);
  return rules + fmt::format("-A {} -j DROP\n", chain);
}

// From machines to others, and from others to machines.
std::string Through(const FirewallPlan& plan, const std::string& chain) {
  const std::string& interface = plan.interface;
  std::string rules = fmt::format("-A {} -i {} -o {} -j DROP\n", chain, interface, interface);
  rules += fmt::format("-A {} {}\n", chain, kEstablished);
  rules += fmt::format("-A {} -s {} -j DROP\n", chain, plan.addresses.boots().Text());
  for (const Target& target : plan.targets)
    rules += AllowTarget(chain + " -i " + interface, target);
  for (const Overlay& overlay : plan.overlays)
    rules += fmt::format("-A {} -i {} -d {} -p udp --dport {} -j ACCEPT\n", chain, interface,
                         overlay.network.Text(), overlay.port);
  rules += fmt::format("-A {} -i {} -j DROP\n", chain, interface);
  rules += fmt::format("-A {} -o {} -d {} -p tcp --dport {} -j ACCEPT\n", chain, interface,
                       plan.addresses.network().Text(), kKubeletPort);
  for (const Overlay& overlay : plan.overlays)
    rules += fmt::format("-A {} -o {} -s {} -d {} -p udp --dport {} -j ACCEPT\n", chain, interface,
                         overlay.network.Text(), plan.addresses.network().Text(), overlay.port);
  if (plan.addresses.has_pods())
    rules += fmt::format("-A {} -o {} -d {} -j ACCEPT\n", chain, interface,
                         plan.addresses.pods().Text());
  return rules + fmt::format("-A {} -j DROP\n", chain);
}

// The site needs no routes to machines to answer them.
std::string Masked(const FirewallPlan& plan, const std::string& chain) {
  std::string rules = fmt::format("-A {} -s {} ! -o {} -j MASQUERADE\n", chain,
                                  plan.addresses.network().Text(), plan.interface);
  if (plan.addresses.has_pods())
    rules += fmt::format("-A {} -s {} ! -o {} -j MASQUERADE\n", chain, plan.addresses.pods().Text(),
                         plan.interface);
  return rules;
}

}  // namespace

std::string FirewallRules(const FirewallPlan& plan) {
  const std::string in = Chain(plan, "IN"), forward = Chain(plan, "FWD"), nat = Chain(plan, "NAT");
  return fmt::format("*filter\n:{} - [0:0]\n:{} - [0:0]\n{}{}COMMIT\n*nat\n:{} - [0:0]\n{}COMMIT\n",
                     in, forward, Inward(plan, in), Through(plan, forward), nat, Masked(plan, nat));
}

std::vector<Jump> FirewallJumps(const FirewallPlan& plan) {
  const std::string in = Chain(plan, "IN"), forward = Chain(plan, "FWD"), nat = Chain(plan, "NAT");
  return {{"filter", "INPUT", {"-i", plan.interface, "-j", in}},
          {"filter", "FORWARD", {"-i", plan.interface, "-j", forward}},
          {"filter", "FORWARD", {"-o", plan.interface, "-j", forward}},
          {"nat", "POSTROUTING", {"-j", nat}}};
}

}  // namespace spillway::tunnel
