// The hub with real peers: two machines, each a network namespace with a WireGuard of its own,
// reach what they may and nothing else. Skipped where it cannot run (root, /dev/net/tun,
// WireGuard).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/encoding.h"
#include "net/http_server.h"
#include "tunnel/hub.h"
#include "tunnel/key.h"
#include "tunnel/tool.h"

namespace spillway::tunnel {
namespace {

namespace fs = std::filesystem;

constexpr int kPort = 51896, kDoorPort = 7466, kApiPort = 7467, kOtherPort = 7468;

Status Shell(const std::string& line, std::string_view input = "") {
  const auto done = RunTool({"sh", "-c", line}, input);
  return done ? Ok() : Status(tl::unexpected(done.error()));
}

// A server that answers "yes" to everybody on this address of the host.
std::unique_ptr<net::HttpServer> Answering(const std::string& address, int port) {
  net::Router router;
  router.Add("GET", "/", [](const net::Request&) { return net::Response::Text("yes"); });
  net::ServerOptions options;
  options.tcp_host = address;
  options.tcp_port = port;
  options.tcp_loopback_only = options.tcp_token_required = false;
  auto server = std::make_unique<net::HttpServer>(options, std::move(router));
  const Status started = server->Start();
  EXPECT_TRUE(started) << started.error().message;
  return server;
}

class TunnelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || ::access("/dev/net/tun", R_OK | W_OK) != 0)
      GTEST_SKIP() << "needs root and /dev/net/tun";
    for (const char* tool : {"wg", "ip", "iptables-restore", "wireguard-go", "curl"})
      if (!Shell(fmt::format("command -v {}", tool)))
        GTEST_SKIP() << tool << " is not installed: apt-get install wireguard-tools wireguard-go";
    std::string pattern = (fs::temp_directory_path() / "tunnel-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    // The site: an address for the API server and another that is nobody's business.
    CleanUp();
    ASSERT_TRUE(
        Shell("ip link add spwtsite type bridge && ip address add 198.18.7.1/32 dev spwtsite && "
              "ip link set spwtsite up"));
    const Network pods = ParseNetwork("10.97.0.0/20").value();
    options_.interface = "spwthub";
    options_.port = kPort;
    options_.key_file = (dir_ / "tunnel.key").string();
    options_.addresses = AddressPlan::Make(ParseNetwork("10.96.0.0/22").value(), &pods).value();
    options_.door_port = kDoorPort;
    options_.targets = {{ParseNetwork("198.18.7.1").value(), kApiPort}};
    auto hub = Hub::Open(options_);
    ASSERT_TRUE(hub) << hub.error().message;
    hub_ = std::move(*hub);
  }
  void TearDown() override {
    if (dir_.empty()) return;
    hub_.reset();
    EXPECT_TRUE(RemoveHub(options_));
    CleanUp();
    fs::remove_all(dir_);
  }
  static void CleanUp() {
    for (const char* name : {"spwt1", "spwt2"}) {
      Shell(fmt::format("ip netns pids {} 2>/dev/null | xargs -r kill", name));
      Shell(fmt::format("ip netns delete {}", name));
    }
    Shell("ip link delete spwtsite");
  }

  // A machine that reaches the host at 198.18.(8+i).1 and has one interface of the tunnel, with the
  // private key and the address. Namespaces of processes that end lose their interfaces.
  void Machine(int i, const std::string& private_key, std::uint32_t address) {
    const std::string ns = fmt::format("spwt{}", i), host = fmt::format("198.18.{}.1", 8 + i);
    ASSERT_TRUE(Shell(fmt::format(
        "ip netns add {0} && ip link add {0}v type veth peer name eth0 netns {0} && "
        "ip address add {1}/30 dev {0}v && ip link set {0}v up && "
        "ip -n {0} address add 198.18.{2}.2/30 dev eth0 && ip -n {0} link set eth0 up && "
        "ip -n {0} link set lo up",
        ns, host, 8 + i)));
    // The kernel's WireGuard where it has one.
    const std::string name = fmt::format("spwtwg{}", i);
    ASSERT_TRUE(
        Shell(fmt::format("ip -n {0} link add {1} type wireguard 2>/dev/null || "
                          "ip netns exec {0} setsid --wait wireguard-go {1}",
                          ns, name)));
    const Status up = Shell(
        fmt::format("ip netns exec {0} wg set {1} private-key /dev/stdin peer {2} endpoint {3}:{4} "
                    "allowed-ips 10.96.0.0/22,10.97.0.0/20,198.18.7.0/24 && "
                    "ip -n {0} address add {5}/32 dev {1} && ip -n {0} link set {1} mtu 1300 up && "
                    "for net in 10.96.0.0/22 10.97.0.0/20 198.18.7.0/24; do ip -n {0} route add "
                    "$net dev {1}; done",
                    ns, name, hub_->public_key(), host, kPort, AddressText(address)),
        private_key + "\n");
    ASSERT_TRUE(up) << up.error().message;
  }
  static bool Reaches(int i, const std::string& address, int port) {
    const auto answer =
        RunTool({"ip", "netns", "exec", fmt::format("spwt{}", i), "curl", "-s", "--noproxy", "*",
                 "-m", "3", fmt::format("http://{}:{}/", address, port)});
    return answer && *answer == "yes";
  }

  // A first handshake, or a server that begins, may take a while.
  static bool Answers(int i, const std::string& address, int port) {
    const SystemClock clock;
    const Duration end = clock.SteadyNow() + 30s;
    while (!Reaches(i, address, port)) {
      if (clock.SteadyNow() >= end) return false;
      std::this_thread::sleep_for(100ms);
    }
    return true;
  }

  fs::path dir_;
  HubOptions options_;
  std::unique_ptr<Hub> hub_;
};

TEST_F(TunnelTest, MachinesReachWhatTheyMayAndNeverEachOther) {
  const AddressPlan& plan = options_.addresses;
  const std::string hub = AddressText(plan.hub());
  const auto door = Answering(hub, kDoorPort), api = Answering("198.18.7.1", kApiPort),
             other = Answering("198.18.7.1", kOtherPort), shell = Answering(hub, kOtherPort);
  const KeyPair booting = NewKeyPair(), node = NewKeyPair();
  ASSERT_TRUE(hub_->Set({booting.public_key, {{plan.boot(0), 32}}}));
  ASSERT_TRUE(hub_->Set({node.public_key, {{plan.node(1), 32}, plan.pods_of(1)}}));
  Machine(1, booting.private_key, plan.boot(0));
  Machine(2, node.private_key, plan.node(1));
  if (HasFatalFailure()) return;
  EXPECT_TRUE(Answers(1, hub, kDoorPort));
  EXPECT_FALSE(Reaches(1, "198.18.7.1", kApiPort)) << "before it has registered";
  EXPECT_FALSE(Reaches(1, hub, kOtherPort));
  EXPECT_TRUE(Answers(2, hub, kDoorPort));
  EXPECT_TRUE(Answers(2, "198.18.7.1", kApiPort));
  EXPECT_FALSE(Reaches(2, "198.18.7.1", kOtherPort));
  EXPECT_FALSE(Reaches(2, hub, kOtherPort));

  // From machine to machine, in either direction, while somebody answers there: in a session that
  // is its own before the tool that starts it ends, and with it the tool's processes.
  ASSERT_TRUE(Shell("printf yes >" + (dir_ / "index.html").string()));
  for (const auto& [from, to, address] :
       {std::tuple{1, 2, plan.node(1)}, std::tuple{2, 1, plan.boot(0)}}) {
    ASSERT_TRUE(Shell(
        fmt::format("ip netns exec spwt{} setsid --wait bash -c 'python3 -m http.server -d {} {} "
                    ">/dev/null 2>&1 </dev/null &'",
                    to, dir_.string(), kOtherPort)));
    const std::string there = AddressText(address);
    EXPECT_TRUE(Answers(to, there, kOtherPort));
    EXPECT_FALSE(Reaches(from, there, kOtherPort));
  }

  // A key that was taken away opens nothing.
  ASSERT_TRUE(hub_->Remove(node.public_key));
  EXPECT_FALSE(Reaches(2, hub, kDoorPort));
}

TEST_F(TunnelTest, ASecondOpenTakesOverWhatIsThere) {
  const KeyPair node = NewKeyPair();
  ASSERT_TRUE(hub_->Set({node.public_key, {{options_.addresses.node(0), 32}}}));
  const std::string key = hub_->public_key();
  hub_.reset();
  auto again = Hub::Open(options_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->public_key(), key);
  EXPECT_EQ((*again)->Peers().value(), std::set<std::string>{node.public_key});
  ASSERT_TRUE((*again)->KeepOnly({}));
  EXPECT_TRUE((*again)->Peers()->empty());
}

}  // namespace
}  // namespace spillway::tunnel
