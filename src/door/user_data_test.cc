#include "door/user_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace spillway::door {
namespace {

using ::testing::HasSubstr;

UserData Sample() {
  UserData data{"bn-00001", "https://10.98.0.1:7443", "t0k3n", std::string(64, 'c'),
                "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="};
  data.kubernetes = {"https://10.0.0.1:6443",
                     "-----BEGIN CERTIFICATE-----\n" + std::string(2000, 'A') + "\n",
                     "abcdef.0123"};
  data.tunnel = {"vpn.example.com:51820", "hub",       "10.98.0.1",    "secret",
                 "10.98.128.0",           "10.98.1.0", {"10.0.0.1/32"}};
  data.machine = {{{"kubelet", std::string(64, 'a'), 60'000'000}},
                  {{"node.kubernetes.io/instance-type", "gpu.1"}},
                  "openstack://lab/bn-00001",
                  "10.99.0.0/24",
                  {"10.0.0.1 api.example.com"},
                  {"10.0.128.10"},
                  "cluster.local"};
  return data;
}

TEST(UserData, EverythingComesBack) {
  const auto decoded = DecodeUserData(EncodeUserData(Sample()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(EncodeUserData(*decoded), EncodeUserData(Sample()));
  EXPECT_EQ(decoded->kubernetes->bootstrap_token, "abcdef.0123");
  EXPECT_EQ(decoded->tunnel->networks, Sample().tunnel->networks);
  EXPECT_EQ(decoded->machine->files[0].bytes, 60'000'000);
  EXPECT_EQ(decoded->machine->labels, Sample().machine->labels);
}

TEST(UserData, ItsPartsMayBeAbsent) {
  const UserData data{"bn-00001", "unix:/run/node.sock", "t0k3n", std::string(64, 'c'),
                      Sample().door_key};
  const auto decoded = DecodeUserData(EncodeUserData(data));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_FALSE(decoded->kubernetes || decoded->tunnel || decoded->machine);
}

TEST(UserData, TheDoorsKeyIsAHash) {
  for (const char* bad : {"", "k", "a2tr", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!="}) {
    UserData data = Sample();
    data.door_key = bad;
    const auto decoded = DecodeUserData(EncodeUserData(data));
    ASSERT_FALSE(decoded) << bad;
    EXPECT_THAT(decoded.error().message, HasSubstr("doorKey"));
  }
}

TEST(UserData, WhatIsMissingOrUnknownIsNamed) {
  const json::value good = *ParseJson(EncodeUserData(Sample()));
  for (const char* part : {"", "kubernetes", "tunnel", "machine"}) {
    const json::object& whole = good.get_object();
    const json::object& object = *part == 0 ? whole : whole.at(part).get_object();
    for (const auto& member : object) {
      const std::string name(member.key());
      if (*part == 0 && (name == "kubernetes" || name == "tunnel" || name == "machine")) continue;
      json::value without = good;
      json::object& there =
          *part == 0 ? without.get_object() : without.get_object()[part].get_object();
      there.erase(name);
      const auto decoded = DecodeUserData(json::serialize(without));
      ASSERT_FALSE(decoded) << part << "." << name;
      EXPECT_THAT(decoded.error().message, HasSubstr(name));
      there["surprise"] = 1;
      there[name] = member.value();
      const auto surprised = DecodeUserData(json::serialize(without));
      ASSERT_FALSE(surprised);
      EXPECT_THAT(surprised.error().message, HasSubstr("surprise"));
    }
  }
}

TEST(UserData, IsLimited) {
  EXPECT_FALSE(DecodeUserData("{}"));
  EXPECT_FALSE(DecodeUserData("not json"));
  EXPECT_FALSE(DecodeUserData(std::string(17 * 1024, ' ')));
}

}  // namespace
}  // namespace spillway::door
