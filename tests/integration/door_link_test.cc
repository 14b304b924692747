// A real agent stages from a real gateway over TCP and TLS, and what is in between breaks, stalls
// and tampers.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/rng.h"
#include "gateway/gateway.h"
#include "node/agent.h"
#include "tests/integration/cut_relay.h"

namespace spillway::integration {
namespace {

constexpr const char* kNode = "bn-00001";

class Backend final : public gateway::DoorBackend {
 public:
  std::optional<gateway::DesiredState> DesiredFor(const std::string& node) override {
    gateway::DesiredState state;
    state.want = door::Want::kStage;
    state.node.name = node;
    state.node.phase = Phase::kJoined;
    return state;
  }
  void OnPodStatuses(const std::string&, const std::vector<door::PodStatus>&) override {}
  void OnLog(const std::string&, const std::string&, std::int64_t, std::string_view) override {}
  void OnChange(const std::string&) override {
    const std::lock_guard lock(mutex_);
    ++changes_;
    changed_.notify_all();
  }
  void BeforeWipe(const std::string&) override {}
  // False after 60 s.
  bool WaitFor(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < end) {
      std::unique_lock lock(mutex_);
      const int before = changes_;
      lock.unlock();
      if (condition()) return true;
      lock.lock();
      changed_.wait_for(lock, 1s, [&] { return changes_ != before; });
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int changes_ = 0;
};

class DoorLinkTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kBytes = 24 << 20;

  DoorLinkTest() {
    log::SetLevel(log::Level::kError);
    std::string name = "/tmp/spw-link-XXXXXX";
    dir_ = mkdtemp(name.data());
    for (const char* part : {"data/files", "results", "disk"})
      std::filesystem::create_directories(dir_ + "/" + part);
    Rng rng(7);
    std::string noise(kBytes, '\0');
    for (char& c : noise) c = static_cast<char>(rng.Below(256));
    std::ofstream(dir_ + "/data/files/noise", std::ios::binary) << noise;
  }
  ~DoorLinkTest() override {
    if (thread_.joinable()) {
      agent_->RequestShutdown();
      thread_.join();
    }
    agent_.reset();
    relay_.reset();
    gateway_.reset();
    std::filesystem::remove_all(dir_);
  }

  // `bytes_per_s`: how fast the gateway gives, so that something can happen meanwhile.
  void OpenSite(std::int64_t bytes_per_s) {
    gateway::GatewayOptions options;
    options.state_dir = dir_ + "/state";
    options.data_root = dir_ + "/data";
    options.results_root = dir_ + "/results";
    options.evidence_dir = dir_ + "/evidence";
    options.socket_path = dir_ + "/node.sock";
    options.address = "127.0.0.1";
    options.run_bytes_per_s = bytes_per_s;
    options.heartbeat = 100ms;
    auto opened = gateway::Gateway::Open(options, backend_);
    ASSERT_TRUE(opened) << opened.error().message;
    gateway_ = std::move(*opened);
    ASSERT_TRUE(gateway_->UseClock(clock_));
    ASSERT_TRUE(gateway_->Start());
    ASSERT_TRUE(gateway_->Prepare(
        {kNode, {{"v/in", "v/files", DataClass::kInternal, "files", {}, {}, {}}}, {}}));
    const std::string door = gateway_->NetworkDoor();
    relay_ = std::make_unique<CutRelay>(std::stoi(door.substr(door.rfind(':') + 1)));
  }
  void Begin() {
    auto user_data = gateway_->UserDataFor(kNode);
    ASSERT_TRUE(user_data);
    node::AgentOptions options;
    options.user_data = std::move(*user_data);
    options.user_data.door = "https://127.0.0.1:" + std::to_string(relay_->port());
    options.disk = dir_ + "/disk";
    options.stage.stall_timeout = 1s;
    options.stage.retry_first = options.retry_first = 1ms;
    options.stage.retry_most = options.retry_most = 50ms;
    options.request_timeout = 2s;
    agent_ = std::make_unique<node::Agent>(std::move(options));
    thread_ = std::thread([this] { agent_->Run(); });
  }
  bool Staged() const {
    const auto report = gateway_->NodeReport(kNode);
    return report && report->staged;
  }
  std::int64_t Served() const { return gateway_->RunReport(kNode).bytes_in; }
  std::int64_t Sealed() const { return gateway_->Progress(kNode).sealed_bytes; }

  std::string dir_;
  const SystemClock clock_;
  Backend backend_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<CutRelay> relay_;
  std::unique_ptr<node::Agent> agent_;
  std::thread thread_;
};

// A connection to "https://127.0.0.1:PORT".
Fd Reach(const std::string& door) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(door.substr(door.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

class CutTest : public DoorLinkTest, public ::testing::WithParamInterface<CutRelay::Way> {};

TEST_P(CutTest, AfterACutStagingGoesOnWhereItStopped) {
  OpenSite(16 << 20);
  Begin();
  ASSERT_TRUE(relay_->WaitForBytesDown(kBytes / 3));
  relay_->Set(GetParam());
  // Long enough for every stream to notice: each of them comes back at least once.
  ASSERT_TRUE(relay_->WaitForConnections(20));
  EXPECT_FALSE(Staged());
  relay_->Set(CutRelay::Way::kOpen);
  ASSERT_TRUE(backend_.WaitFor([&] { return Staged(); })) << gateway_->Progress(kNode).problem;
  EXPECT_GE(Served(), Sealed());
  // What went down before the cut did not go down again: from the beginning it were a third more.
  EXPECT_LT(relay_->bytes_down(), Sealed() + Sealed() / 5);
}

INSTANTIATE_TEST_SUITE_P(Ways, CutTest,
                         ::testing::Values(CutRelay::Way::kClosed, CutRelay::Way::kFrozen),
                         [](const auto& c) {
                           return c.param == CutRelay::Way::kClosed ? "Broken" : "Silent";
                         });

TEST_F(DoorLinkTest, AManInTheMiddleWhoFlipsBitsOnlySlowsItDown) {
  OpenSite(0);
  relay_->FlipEvery(3 << 20);
  Begin();
  ASSERT_TRUE(backend_.WaitFor([&] { return Staged(); })) << gateway_->Progress(kNode).problem;
  EXPECT_GE(relay_->flipped(), 5);
}

TEST_F(DoorLinkTest, WhatWasOverheardIsOfNoUse) {
  OpenSite(0);
  Begin();
  ASSERT_TRUE(backend_.WaitFor([&] { return Staged(); }));
  const std::string said = relay_->FirstSaid();
  ASSERT_GT(said.size(), 500u) << "a handshake and the registration";
  EXPECT_EQ(said.find("register"), std::string::npos) << "it was not encrypted";
  const std::int64_t served = Served();
  // Played again to the door it ends in the handshake, whatever the door says to it.
  const Fd again = Reach(gateway_->NetworkDoor());
  ASSERT_EQ(::send(again.get(), said.data(), said.size(), MSG_NOSIGNAL), std::ssize(said));
  std::array<char, 4096> bytes;
  while (::recv(again.get(), bytes.data(), bytes.size(), 0) > 0) continue;
  EXPECT_EQ(Served(), served);
}

}  // namespace
}  // namespace spillway::integration
