// The whole life of a rented machine: it boots from what Spillway wrote, joins, computes, and
// vanishes with everything that belongs to it; what it knew is worthless, and nothing readable was
// on its disk.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include "base/encoding.h"
#include "data/node_certificate.h"
#include "door/user_data.h"
#include "machine/first_boot.h"
#include "net/http_client.h"
#include "tests/machines/fixture.h"

namespace spillway::machines_test {
namespace {

using kubernetes_test::kCsiNodes;
using kubernetes_test::kNodes;
using kubernetes_test::kSecrets;
using kubernetes_test::NameOf;
using kubernetes_test::ReadFile;
using kubernetes_test::RunProgram;
using kubernetes_test::Text;
using ::testing::HasSubstr;
using ::testing::Not;

class LifeTest : public MachinesTest {
 protected:
  // What the machine was given, read from its config drive as a thief would.
  door::UserData Stolen(const std::string& node) const {
    const std::string drive = fmt::format("{}/{}/config.iso", machines(), ServerOf(node));
    const Outcome read =
        RunProgram({"isoinfo", "-R", "-x", "/openstack/latest/user_data", "-i", drive});
    EXPECT_EQ(read.exit, 0) << read.err;
    script_ = read.out;
    const auto inside = machine::UserDataIn(read.out);
    EXPECT_TRUE(inside);
    const auto data = door::DecodeUserData(inside ? *inside : "");
    EXPECT_TRUE(data) << (data ? "" : data.error().message);
    return data ? *data : door::UserData{};
  }
  mutable std::string script_;
};

TEST_F(LifeTest, AJobRunsOnAMachineThatBootedFromOurUserData) {
  StartSpillway();
  ApplyCloud();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 60s)) << Story();
  const std::string node = NameOf(BurstNodes().front());
  const json::value pod = AwaitRunning("hash", kBoot);
  if (HasFailure()) return;
  EXPECT_EQ(Text(pod, {"spec", "nodeName"}), node);

  // What it was given is worthless now: the tokens are used, and no peer has the boot key.
  const door::UserData stolen = Stolen(node);
  EXPECT_LE(script_.size(), door::kMaxUserDataBytes);
  EXPECT_THAT(script_, Not(HasSubstr("password")));
  ASSERT_TRUE(stolen.kubernetes && stolen.tunnel);
  const std::string token_id = stolen.kubernetes->bootstrap_token.substr(0, 6);
  EXPECT_FALSE(k().Find(kSecrets, "kube-system", "bootstrap-token-" + token_id));
  net::Endpoint door;
  door.base_url = stolen.door;
  door.tunnelled = true;
  net::ClientOptions trusting;
  trusting.pinned_key = stolen.door_key;
  net::HttpClient thief(door, trusting);
  const auto second = thief.Do(
      net::HttpRequest::Json("POST", "/node/v1/register",
                             json::object{{"name", stolen.name},
                                          {"token", stolen.token},
                                          {"publicKey", std::string(64, '1')},
                                          {"tlsKey", Hex(data::TlsKey::Generate()->PublicKey())},
                                          {"hardware", json::object{{"cpuMilli", 1},
                                                                    {"memoryBytes", 1},
                                                                    {"ephemeralBytes", 1},
                                                                    {"gpus", 0},
                                                                    {"extended", json::object{}}}},
                                          {"labels", json::object{}}}));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->status, 403) << second->body;
  const Outcome peers = RunProgram({"wg", "show", interface(), "allowed-ips"});
  EXPECT_THAT(peers.out, Not(HasSubstr(stolen.tunnel->boot_address)));
  EXPECT_THAT(peers.out, HasSubstr(stolen.tunnel->node_address));

  // A daemon that dies costs nothing. What follows takes several heartbeats.
  Leader()->Signal(SIGKILL);
  ASSERT_TRUE(EventuallyRevived([&] { return Leader() != nullptr; }, 60s));

  // The pod reaches the API server through the tunnel, and nothing else of the site or the world.
  const std::string api = stolen.kubernetes->server.substr(8);
  const std::string host = api.substr(0, api.find(':'));
  EXPECT_THAT(InPod(NameOf(pod), Connect(host, std::stoi(api.substr(api.find(':') + 1)))).out,
              HasSubstr("open"));
  for (const auto& [other, port] :
       std::vector<std::pair<std::string, int>>{{host, 22},
                                                {host, 10257},
                                                {"100.64.0.1", 51897},
                                                {"10.0.2.2", 80},
                                                {stolen.tunnel->hub_address, 22},
                                                {"10.98.1.1", 10250}})
    EXPECT_THAT(InPod(NameOf(pod), Connect(other, port)).out, HasSubstr("closed"))
        << other << ":" << port;

  // Nothing of what it computes is written where it would outlive memory.
  const Outcome kernel = InPod(NameOf(pod),
                               "print(open('/proc/swaps').read().count(chr(10)))\n"
                               "print(open('/proc/sys/kernel/core_pattern').read().strip())\n");
  EXPECT_THAT(kernel.out, HasSubstr("1\n|/bin/false\n")) << kernel.out << kernel.err;

  // Nothing readable is on the disk while it computes.
  const Scan running = ScanDisk(node);
  EXPECT_EQ(running.windows, 0);
  EXPECT_GT(running.bytes, std::int64_t{1} << 30);

  // Half a minute without a network costs nothing.
  Cut(node, true);
  EXPECT_FALSE(Eventually([&] { return PhaseOf(node) != "Running"; }, 30s)) << Story();
  Cut(node, false);
  FinishJob();

  const std::string server = ServerOf(node);
  ExpectAllReturned(kRun);
  EXPECT_EQ(BurstNodes().size(), 1u) << Story();
  const Scan wiped = ScanKept(server);
  EXPECT_EQ(wiped.windows, 0);
  EXPECT_GT(wiped.bytes, std::int64_t{1} << 30);
}

}  // namespace
}  // namespace spillway::machines_test
