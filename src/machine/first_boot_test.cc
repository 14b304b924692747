#include "machine/first_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace spillway::machine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

door::UserData Sample() {
  door::UserData data{"bn-00001", "https://10.98.0.1:7443", "t0k3n", std::string(64, 'c'),
                      "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="};
  data.kubernetes = {"https://10.0.0.1:6443", "-----BEGIN CERTIFICATE-----\nA'A\n", "abcdef.0123"};
  data.tunnel = {"vpn.example.com:51820", "hubkey=",   "10.98.0.1",    "secret=",
                 "10.98.128.0",           "10.98.1.0", {"10.0.0.1/32"}};
  data.machine = {{{std::string(kAgentFile), std::string(64, 'a'), 12'000'000}},
                  {{"node.kubernetes.io/instance-type", "gpu.1"}},
                  "openstack://lab/bn-00001",
                  "10.99.0.0/24",
                  {},
                  {"10.0.128.10"},
                  "cluster.local"};
  return data;
}

TEST(FirstBoot, HoldsTheBootKeyOnceAndEverythingElseAsJson) {
  const auto script = FirstBoot(Sample());
  ASSERT_TRUE(script) << script.error().message;
  EXPECT_TRUE(script->starts_with("#!/bin/sh\n"));
  EXPECT_THAT(*script, HasSubstr("private_key='secret='\n"));
  EXPECT_THAT(*script, HasSubstr("door_key='a2tr"));
  EXPECT_THAT(*script, HasSubstr("--pinnedpubkey \"sha256//$door_key\""));
  EXPECT_THAT(*script, Not(HasSubstr("#VALUES#")));
  EXPECT_THAT(*script, Not(HasSubstr("#USER_DATA#")));
  const auto inside = UserDataIn(*script);
  ASSERT_TRUE(inside) << inside.error().message;
  const auto decoded = door::DecodeUserData(*inside);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->tunnel->private_key, "-");
  EXPECT_EQ(decoded->kubernetes->ca, Sample().kubernetes->ca);
  EXPECT_LE(script->size(), door::kMaxUserDataBytes);
}

TEST(FirstBoot, IsAScript) {
  const auto script = FirstBoot(Sample());
  ASSERT_TRUE(script);
  const std::string file = ::testing::TempDir() + "/first_boot_test.sh";
  std::ofstream(file) << *script;
  EXPECT_EQ(std::system(("sh -n " + file).c_str()), 0);
}

TEST(FirstBoot, NothingElseGetsIntoTheShell) {
  for (const char* endpoint : {"a'; reboot; '", "$(reboot):1", "", "a b:1", "`x`:1", "a\n:1"}) {
    door::UserData data = Sample();
    data.tunnel->endpoint = endpoint;
    EXPECT_FALSE(FirstBoot(data)) << endpoint;
  }
}

TEST(FirstBoot, WhatIsMissingIsNamed) {
  door::UserData data = Sample();
  data.machine->files.clear();
  EXPECT_THAT(FirstBoot(data).error().message, HasSubstr(kAgentFile));
  data = Sample();
  data.tunnel.reset();
  EXPECT_FALSE(FirstBoot(data));
  data = Sample();
  data.kubernetes->ca = std::string(16 * 1024, 'A');
  EXPECT_THAT(FirstBoot(data).error().message, HasSubstr("bytes"));
}

}  // namespace
}  // namespace spillway::machine
