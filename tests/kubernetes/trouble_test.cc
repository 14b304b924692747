// Everything between the daemon and the API server that goes wrong without anybody dying: the
// network, the server's memory, other writers, time.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "kube/election.h"
#include "tests/kubernetes/fixture.h"
#include "tests/kubernetes/proxy.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::HasSubstr;

class TroubleTest : public KubernetesTest {
 protected:
  // host and port of "https://10.1.0.1:6443"
  std::pair<std::string, std::uint16_t> Server() const {
    const std::string server = k().server();
    const std::size_t slash = server.rfind('/'), colon = server.rfind(':');
    return {server.substr(slash + 1, colon - slash - 1),
            static_cast<std::uint16_t>(std::stoi(server.substr(colon + 1)))};
  }

  void StartBehindProxy(int time_scale) {
    const auto [host, port] = Server();
    proxy_ = std::make_unique<Proxy>(host, port);
    const std::string config = dir_ + "/proxied.kubeconfig";
    WriteFile(config, k().KubeconfigText(fmt::format("https://127.0.0.1:{}", proxy_->port())));
    StartDaemons(Daemons{.time_scale = time_scale, .kubeconfig = config});
  }

  void TearDown() override {
    KubernetesTest::TearDown();  // the daemons end before their way to the server
    proxy_.reset();
  }

  // At most so many machines: a node that heard nothing for its lease gives up, and its pod runs
  // once more.
  void ExpectAllRight(Duration most, int machines = 1) {
    EXPECT_TRUE(EventuallyRevived([&] { return OpenGates("hash"), JobComplete("hash"); }, most))
        << Story();
    const int rented = ExpectNothingLeft(180s);
    EXPECT_TRUE(rented >= 1 && rented <= machines) << rented;
    ExpectResults("hash");
  }

  std::unique_ptr<Proxy> proxy_;
};

// Watches, calls that are under way, and renewals of the Lease.
TEST_F(TroubleTest, EveryConnectionIsCutEverySecondForAMinute) {
  StartBehindProxy(kTimeScale);
  ApplyRules();
  if (HasFatalFailure()) return;
  std::atomic<bool> over = false;
  std::jthread scissors([&](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    for (int second = 0; second < 60 && !stop.stop_requested(); ++second) {
      std::unique_lock lock(mutex);
      never.wait_for(lock, stop, 1s, [] { return false; });
      proxy_->Cut();
    }
    over = true;
  });
  ApplyJob({.gated = true});
  AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  EXPECT_TRUE(EventuallyRevived([&] { return over.load(); }, 90s));
  ExpectAllRight(120s);
  EXPECT_GE(proxy_->cuts(), 60);
}

// 410: the daemon goes on at a server whose memory begins later than what it has seen, and the
// database has forgotten it too. A pod that it missed meanwhile must not stay in its mind.
TEST_F(TroubleTest, WhatItHasSeenIsTooOld) {
  StartBehindProxy(kTimeScale);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  const auto [host, port] = Server();
  const auto second_port = static_cast<std::uint16_t>(port + 1);
  const pid_t second = k().StartSecondServer(second_port);
  if (HasFailure()) return;
  k().Compact();
  proxy_->LeadTo(host, second_port);
  proxy_->Cut();
  EXPECT_TRUE(Eventually(
      [&] {
        return ReadFile(replicas_[0]->log()).find("too old resource version") != std::string::npos;
      },
      60s))
      << Story();
  EXPECT_TRUE(replicas_[0]->Alive());
  ExpectAllRight(120s);
  proxy_->LeadTo(host, port);
  proxy_->Cut();
  kill(second, SIGKILL);
  waitpid(second, nullptr, 0);
}

// Somebody else writes every object that Spillway writes, all the time.
TEST_F(TroubleTest, OthersWriteTheSameObjectsAllTheTime) {
  StartDaemons();
  ApplyRules();
  if (HasFatalFailure()) return;
  std::atomic<int> written = 0;
  const std::vector<std::pair<kube::Resource, std::string>> theirs = {
      {kBurstNodes, ""},
      {kPods, ns_},
      {kNodes, ""},
      {kRequests, ""},
      {{"", "v1", "persistentvolumeclaims", true}, ns_},
      {{"spillway.dev", "v1alpha1", "burstpolicies", false}, ""},
      {{"spillway.dev", "v1alpha1", "budgets", false}, ""},
      {{"spillway.dev", "v1alpha1", "cloudproviders", false}, ""},
      {kube::kLeases, "spillway-system"}};
  std::vector<std::jthread> writers;
  for (int i = 0; i < 2; ++i)
    writers.emplace_back([&, i](const std::stop_token& stop) {
      while (!stop.stop_requested())
        for (const auto& [resource, space] : theirs)
          for (const json::value& object : k().List(resource, space)) {
            if (stop.stop_requested()) return;
            const json::object annotations{
                {fmt::format("example.org/writer-{}", i), std::to_string(written.load())}};
            if (k().client().Patch(resource, {space, NameOf(object)}, kube::PatchKind::kMerge,
                                   json::object{{"metadata", {{"annotations", annotations}}}}))
              ++written;
          }
    });
  ApplyJob({});
  EXPECT_TRUE(EventuallyRevived([&] { return JobComplete("hash"); }, 240s)) << Story();
  EXPECT_TRUE(EventuallyRevived([&] { return AllGone(); }, 120s)) << Story();
  for (std::jthread& writer : writers) writer.request_stop();
  writers.clear();
  EXPECT_GE(written, 200);  // many for each write of ours
  ExpectAllRight(10s);
}

TEST_F(TroubleTest, EveryCallTakesTwoSeconds) {
  StartBehindProxy(2);
  ApplyRules();
  if (HasFatalFailure()) return;
  proxy_->Delay(2s);
  proxy_->Cut();
  ApplyJob({});
  ExpectAllRight(300s);
}

// The daemon's clock is seven minutes ahead of the cluster's; then it is killed, and comes back
// seven minutes behind it.
TEST_F(TroubleTest, ItsClockIsMinutesOff) {
  const auto off_by = [](const std::string& offset) {
    return Daemons{
        .time_scale = kTimeScale,
        .through = {"env", "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1", "FAKETIME=" + offset,
                    "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"}};
  };
  StartDaemons(off_by("+7m"));
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  replicas_[0]->End();
  replicas_.clear();
  StartDaemons(off_by("-7m"));
  if (HasFatalFailure()) return;
  ExpectAllRight(240s, 2);
}

// Joining is what has moments in it that two clocks must agree on.
TEST_F(TroubleTest, ItsClockIsMinutesBehindWhileAMachineJoins) {
  StartDaemons(
      Daemons{.time_scale = kTimeScale,
              .through = {"env", "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1", "FAKETIME=-7m",
                          "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"}});
  ApplyRules();
  ApplyJob({});
  if (HasFatalFailure()) return;
  ExpectAllRight(240s);
}

}  // namespace
}  // namespace spillway::kubernetes_test
