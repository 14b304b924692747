#include "tunnel/firewall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::tunnel {
namespace {

using ::testing::HasSubstr;

FirewallPlan Plan() {
  const Network pods = ParseNetwork("10.99.0.0/16").value();
  return {"spw0",
          AddressPlan::Make(ParseNetwork("10.98.0.0/16").value(), &pods).value(),
          7443,
          {{ParseNetwork("192.0.2.1").value(), 6443}, {ParseNetwork("198.51.100.0/24").value(), 0}},
          {{ParseNetwork("203.0.113.0/24").value(), 8472}}};
}

std::size_t At(const std::string& rules, const std::string& rule) {
  const std::size_t at = rules.find(rule + "\n");
  EXPECT_NE(at, std::string::npos) << rule << "\n" << rules;
  return at;
}

TEST(Firewall, ABootingMachineReachesTheDoorOnly) {
  const std::string rules = FirewallRules(Plan());
  const std::size_t door = At(rules, "-A SPW-spw0-IN -d 10.98.0.1 -p tcp --dport 7443 -j ACCEPT");
  const std::size_t boots = At(rules, "-A SPW-spw0-IN -s 10.98.128.0/17 -j DROP");
  const std::size_t api = At(rules, "-A SPW-spw0-IN -d 192.0.2.1/32 -p tcp --dport 6443 -j ACCEPT");
  EXPECT_LT(door, boots);
  EXPECT_LT(boots, api);
  EXPECT_LT(At(rules, "-A SPW-spw0-FWD -s 10.98.128.0/17 -j DROP"),
            At(rules, "-A SPW-spw0-FWD -i spw0 -d 198.51.100.0/24 -j ACCEPT"));
}

TEST(Firewall, MachinesNeverReachOneAnotherAndTheEndIsAlwaysADrop) {
  const std::string rules = FirewallRules(Plan());
  EXPECT_LT(At(rules, "-A SPW-spw0-FWD -i spw0 -o spw0 -j DROP"),
            rules.find("-A SPW-spw0-FWD -m conntrack"));
  EXPECT_THAT(rules, HasSubstr("-A SPW-spw0-IN -j DROP\n-A SPW-spw0-FWD"));
  EXPECT_THAT(rules, HasSubstr("-A SPW-spw0-FWD -j DROP\nCOMMIT"));
}

TEST(Firewall, AnOverlayIsOnePortBetweenItsNodesAndMachinesThatRegistered) {
  const std::string rules = FirewallRules(Plan());
  EXPECT_LT(At(rules, "-A SPW-spw0-FWD -s 10.98.128.0/17 -j DROP"),
            At(rules, "-A SPW-spw0-FWD -i spw0 -d 203.0.113.0/24 -p udp --dport 8472 -j ACCEPT"));
  At(rules,
     "-A SPW-spw0-FWD -o spw0 -s 203.0.113.0/24 -d 10.98.0.0/16 -p udp --dport 8472 -j ACCEPT");
}

TEST(Firewall, JumpsNameTheInterface) {
  const std::vector<Jump> jumps = FirewallJumps(Plan());
  ASSERT_EQ(jumps.size(), 4u);
  EXPECT_EQ(jumps[0].rest, (std::vector<std::string>{"-i", "spw0", "-j", "SPW-spw0-IN"}));
}

}  // namespace
}  // namespace spillway::tunnel
