#include "tunnel/network.h"

#include <gtest/gtest.h>

#include <set>

namespace spillway::tunnel {
namespace {

Network Net(std::string_view text) {
  return ParseNetwork(text).value();
}

TEST(Network, IsReadAndWritten) {
  EXPECT_EQ(Net("10.98.0.0/16").Text(), "10.98.0.0/16");
  EXPECT_EQ(Net("192.0.2.7").Text(), "192.0.2.7/32");
  EXPECT_TRUE(Net("10.98.0.0/16").Contains(ParseAddress("10.98.255.1").value()));
  EXPECT_FALSE(Net("10.98.0.0/16").Contains(ParseAddress("10.99.0.1").value()));
  EXPECT_TRUE(Net("10.0.0.0/8").Overlaps(Net("10.98.0.0/16")));
  EXPECT_TRUE(Net("10.98.0.0/16").Overlaps(Net("10.0.0.0/8")));
  EXPECT_FALSE(Net("10.97.0.0/16").Overlaps(Net("10.98.0.0/16")));
}

TEST(Network, AMistakeIsNamedWithItsRemedy) {
  for (const char* text : {"", "10.98/16", "10.98.0.0/33", "10.98.0.0/", "10.98.0.0/-1", "x/8"})
    EXPECT_FALSE(ParseNetwork(text).has_value()) << text;
  EXPECT_NE(ParseNetwork("10.98.1.0/16").error().message.find("10.98.0.0/16 would be right"),
            std::string::npos);
}

TEST(AddressPlan, NobodySharesAnAddress) {
  const Network pods = Net("10.99.0.0/16");
  const AddressPlan plan = AddressPlan::Make(Net("10.98.0.0/16"), &pods).value();
  EXPECT_EQ(AddressText(plan.hub()), "10.98.0.1");
  EXPECT_EQ(AddressText(plan.node(0)), "10.98.1.0");
  EXPECT_EQ(AddressText(plan.boot(0)), "10.98.128.0");
  EXPECT_EQ(plan.pods_of(3).Text(), "10.99.3.0/24");
  EXPECT_EQ(plan.most(), 256);  // as many /24 as the pods' network has
  std::set<std::uint32_t> seen{plan.hub()};
  for (int i = 0; i < plan.most(); ++i) {
    EXPECT_TRUE(seen.insert(plan.node(i)).second);
    EXPECT_TRUE(seen.insert(plan.boot(i)).second);
    EXPECT_TRUE(plan.boots().Contains(plan.boot(i)));
    EXPECT_FALSE(plan.boots().Contains(plan.node(i)));
    EXPECT_TRUE(plan.network().Contains(plan.node(i)));
  }
}

TEST(AddressPlan, LimitsHold) {
  EXPECT_EQ(AddressPlan::Make(Net("10.98.0.0/22"), nullptr).value().most(), 256);
  EXPECT_EQ(AddressPlan::Make(Net("10.96.0.0/12"), nullptr).value().most(),
            AddressPlan::kMostMachines);
  EXPECT_FALSE(AddressPlan::Make(Net("10.98.0.0/24"), nullptr).has_value());
  const Network overlapping = Net("10.98.0.0/16"), small = Net("10.99.0.0/24");
  EXPECT_FALSE(AddressPlan::Make(Net("10.98.0.0/16"), &overlapping).has_value());
  EXPECT_FALSE(AddressPlan::Make(Net("10.98.0.0/16"), &small).has_value());
}

}  // namespace
}  // namespace spillway::tunnel
