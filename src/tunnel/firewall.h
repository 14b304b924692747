// What machines may reach through the tunnel, as rules of iptables-restore(8).
#pragma once

#include <string>
#include <vector>

#include "tunnel/network.h"

namespace spillway::tunnel {

// Something of the site that registered machines and their pods may reach.
struct Target {
  Network network;
  int port = 0;  // TCP; 0: all ports and protocols
};

// Nodes of the site whose pod network (an overlay in UDP) reaches to rented machines.
struct Overlay {
  Network network;
  int port = 0;  // UDP, on both sides
};

struct FirewallPlan {
  std::string interface;  // of the hub
  AddressPlan addresses;
  int door_port = 0;
  std::vector<Target> targets;
  std::vector<Overlay> overlays;
};

// Text for `iptables-restore --noflush`: three chains of this interface, made anew, so that
// applying it twice is as good as once. Machines that have not registered reach the door; those
// that have, the targets and overlays besides; the site reaches their kubelets and their pods;
// machines never reach one another, and everything else is dropped. What is not about the interface
// is not touched.
std::string FirewallRules(const FirewallPlan& plan);

// A jump into one of the chains, as arguments of iptables(8) after -C, -I or -D: table, built-in
// chain, and the rest.
struct Jump {
  std::string table, chain;
  std::vector<std::string> rest;
};
std::vector<Jump> FirewallJumps(const FirewallPlan& plan);

}  // namespace spillway::tunnel
