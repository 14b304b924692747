// Whole lives of an agent against a door that seals for real. Nothing here waits for time to pass:
// tests wait for what the door has seen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <thread>

#include "base/log.h"
#include "node/agent.h"
#include "node/fake_door.h"

namespace spillway::node {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using State = FakeDoor::State;

const runtime::SandboxSupport& Support() {
  static const runtime::SandboxSupport support = [] {
    runtime::SandboxSupport found = runtime::Probe();
    if (!found.sandbox())
      std::cout << "[ NOTE     ] namespaces are forbidden here: pods run as plain processes\n";
    return found;
  }();
  return support;
}

class NodeTest : public ::testing::Test {
 protected:
  NodeTest() : door_(dir_.File("node.sock"), files_) {}
  ~NodeTest() override {
    if (!thread_.joinable()) return;
    agent_->RequestShutdown();
    thread_.join();
  }

  AgentOptions Options() {
    AgentOptions options;
    options.user_data = door_.UserData();
    options.disk = dir_.disk();
    options.hardware.resources.gpus = 2;
    options.support = Support();
    options.pod_init_program = std::string(SPILLWAY_BIN_DIR) + "/runtime_pod_init";
    options.retry_first = options.stage.retry_first = 1ms;
    options.retry_most = options.stage.retry_most = 10ms;
    options.stage.cache.results_area_bytes = 1 << 20;
    return options;
  }
  void Begin() { Begin(Options()); }
  void Begin(AgentOptions options) {
    agent_ = std::make_unique<Agent>(std::move(options));
    thread_ = std::thread([this] { end_ = agent_->Run(); });
  }
  End Finish() {
    thread_.join();
    return end_;
  }
  // Until every chunk is on the disk.
  void BeginStaged() {
    Begin();
    ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last() && s.Last()->staged; }));
  }
  void Want(door::Want want) {
    door_.Change([&](State& s) {
      s.desired.want = want;
      s.desired.overwrite = "used";
      s.desired.verify = "full";
    });
  }
  void Order(const std::string& script) {
    door_.Change([&](State& s) {
      s.desired.want = door::Want::kRun;
      door::PodOrder pod;
      pod.key = "vision/train-0";
      pod.uid = "u1";
      pod.argv = {"/bin/sh", "-c", script};
      pod.volumes = {{"in", "/data", "input", "digits"}, {"out", "/out", "results", "models"}};
      pod.gpus = 1;
      pod.grace_ms = 20'000;
      s.desired.pods = {pod};
    });
  }
  bool WaitForPhase(const std::string& phase) {
    return door_.WaitFor(
        [&](const State& s) { return s.Pod("u1") != nullptr && s.Pod("u1")->phase == phase; });
  }
  std::vector<std::string> Plaintext() const {
    std::vector<std::string> samples;
    for (const auto& [path, bytes] : files_) samples.push_back(bytes);
    return samples;
  }
  std::string CachePath() const { return dir_.disk() + "/cache.extent"; }

  const std::map<std::string, std::string> files_ = {
      {"digits/a.txt", Noise(1000, 1)},
      {"digits/sub/big.bin", Noise(200'000, 2)},
      {"digits/z", Noise(64 * 1024, 3)},
      {"other/secret.txt", Noise(5000, 4)},
  };
  TempDir dir_;
  FakeDoor door_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
  End end_ = End::kFailed;
};

TEST_F(NodeTest, StagesSealedRefusesACorruptChunkWipesAndPowersOff) {
  door_.Change([](State& s) { s.corrupt_once = {1}; });
  BeginStaged();
  door_.Change([&](State& s) {
    EXPECT_EQ(s.Last()->staged_chunks, std::ssize(door_.sealed()));
    EXPECT_EQ(s.chunk_gets[1], 2);
    EXPECT_EQ(s.chunk_gets[0], 1);
    EXPECT_EQ(s.registered.hardware.gpus, 2);
  });
  EXPECT_EQ(FoundOnDisk(dir_.disk(), Plaintext()), 0);
  EXPECT_GT(FoundOnDisk(dir_.disk(), door_.sealed()), 0) << "the sealed chunks are there";

  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  std::int64_t blocks = 0;
  for (const std::string& sealed : door_.sealed()) blocks += (std::ssize(sealed) + 4095) / 4096;
  door_.Change([&](State& s) {
    ASSERT_THAT(s.wiped, SizeIs(1));
    const door::WipeStatement& statement = s.wiped[0];
    EXPECT_EQ(statement.bytes_requested, blocks * 4096);
    EXPECT_EQ(statement.bytes_written, blocks * 4096);
    EXPECT_EQ(statement.bytes_read_back, blocks * 4096);
    EXPECT_EQ(statement.mismatched_bytes, 0);
    EXPECT_THAT(statement.used,
                ElementsAre(std::pair<std::int64_t, std::int64_t>(0, blocks * 4096)));
    EXPECT_EQ(statement.cache_bytes, blocks * 4096 + (1 << 20));
    EXPECT_THAT(statement.seed_commitment, SizeIs(64));
    EXPECT_GE(statement.started_ms_ago, statement.ended_ms_ago);
    EXPECT_FALSE(s.Last()->staged);
    EXPECT_EQ(s.Last()->wipe_progress, 1);
  });
  EXPECT_EQ(FoundOnDisk(dir_.disk(), door_.sealed()), 0);
  EXPECT_EQ(FoundOnDisk(dir_.disk(), Plaintext()), 0);
  std::ofstream(dir_.disk() + "/planted") << "x" << files_.at("digits/a.txt").substr(17, 32);
  EXPECT_EQ(FoundOnDisk(dir_.disk(), Plaintext()), 1) << "the scanner finds one planted window";

  Want(door::Want::kPowerOff);
  EXPECT_EQ(Finish(), End::kPowerOff);
  EXPECT_FALSE(fs::exists(CachePath()));
}

TEST_F(NodeTest, ATornStreamGoesOnWhereItStopped) {
  door_.Change([](State& s) { s.cut_once = {0, 1, 3}; });
  BeginStaged();
  door_.Change([&](State& s) {
    for (const int chunk : {0, 1, 3}) {
      EXPECT_EQ(s.chunk_gets[chunk], 2);
      EXPECT_EQ(s.chunk_bytes[chunk], std::ssize(door_.sealed()[static_cast<std::size_t>(chunk)]))
          << "no byte twice";
    }
    EXPECT_EQ(s.chunk_gets[2], 1);
  });
}

TEST_F(NodeTest, AStalledStreamIsGivenUpAndTriedAgain) {
  AgentOptions options = Options();
  options.stage.stall_timeout = 1s;
  door_.Change([](State& s) { s.stall_once = {2}; });
  Begin(options);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last() && s.Last()->staged; }));
  door_.Change([](State& s) { EXPECT_EQ(s.chunk_gets[2], 2); });
}

TEST_F(NodeTest, ShowsTheNewestCertificate) {
  Begin();
  ASSERT_TRUE(door_.WaitForBeats(1));
  std::string first, next;
  door_.Change([&](State& s) {
    first = s.certificate;
    next = s.desired.certificate = door_.Certificate(s.registered);
  });
  ASSERT_TRUE(door_.WaitFor(
      [&](const State& s) { return !s.certificate.empty() && s.certificate != first; }));
  door_.Change([&](State& s) { EXPECT_EQ(Hex(AsBytes(s.certificate)), next); });
}

// What is wrong with an answer is named, nothing of it is kept, and the truth is taken afterwards.
TEST_F(NodeTest, EveryLieOfTheSiteIsRefusedAndNamed) {
  const FakeDoor other(dir_.File("other.sock"), files_);
  const std::vector<std::string>& sealed = door_.sealed();
  const std::string stranger = door_.OtherManifest(kVersion, true);
  const std::string older = door_.OtherManifest("v0", false);
  struct Lie {
    std::string name, named;
    std::function<void(int, std::string&)> tell;
  };
  const auto of = [](int wanted, std::function<void(std::string&)> change) {
    return [wanted, change](int index, std::string& bytes) {
      if (index == wanted) change(bytes);
    };
  };
  const std::vector<Lie> lies = {
      {"flipped", "chunk 2:", of(2, [](std::string& b) { b[b.size() / 3] ^= 4; })},
      {"swapped", "chunk 0:", of(0, [&](std::string& b) { b = sealed[1]; })},
      {"reordered", "chunk 1:",
       [&](int index, std::string& b) {
         if (index >= 0) b = sealed[sealed.size() - 1 - static_cast<std::size_t>(index)];
       }},
      {"truncated", "chunk 1:", of(1, [](std::string& b) { b.pop_back(); })},
      {"longer", "chunk 1:", of(1, [](std::string& b) { b += 'x'; })},
      {"dropped", "chunk 3:", of(3, [](std::string& b) { b.clear(); })},
      {"of another run", "chunk 0:", of(0, [&](std::string& b) { b = other.sealed()[0]; })},
      {"manifest flipped", "the manifest:", of(-1, [](std::string& b) { b[b.size() / 2] ^= 1; })},
      {"manifest truncated", "the manifest:", of(-1, [](std::string& b) { b.resize(200); })},
      {"manifest dropped", "the manifest:", of(-1, [](std::string& b) { b.clear(); })},
      {"manifest of another run",
       "the manifest:", of(-1, [&](std::string& b) { b = other.sealed_manifest(); })},
      {"manifest by a stranger", "the manifest:", of(-1, [&](std::string& b) { b = stranger; })},
      {"manifest replayed", "the manifest:", of(-1, [&](std::string& b) { b = older; })},
  };
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.name);
    door_.Change([&](State& s) {
      s = {.desired = s.desired, .lie = lie.tell};
      s.desired.want = door::Want::kStage;
    });
    Begin();
    ASSERT_TRUE(door_.WaitFor([&](const State& s) {
      return s.Last() && s.Last()->problem.find(lie.named) != std::string::npos;
    }));
    door_.Change([](State& s) {
      EXPECT_FALSE(s.Last()->staged);
      s.lie = nullptr;
    });
    ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->staged; }));
    door_.Change([](State& s) { s.desired.want = door::Want::kPowerOff; });
    EXPECT_EQ(Finish(), End::kPowerOff);
  }
}

// Everything both ends log of a whole life, at the most talkative level.
TEST_F(NodeTest, NoSecretIsInAnyLog) {
  log::SetLevel(log::Level::kDebug);
  ::testing::internal::CaptureStderr();
  std::string certificate, wrapped;
  door_.Change([](State& s) {
    s.corrupt_once = {1};
    s.cut_once = {2};
  });
  BeginStaged();
  Order("echo ready; echo result > /out/r");
  ASSERT_TRUE(WaitForPhase("Succeeded"));
  door_.Change([&](State& s) {
    certificate = s.certificate;
    wrapped = s.wrapped_key;
    s.unauthorized = true;
  });
  EXPECT_EQ(Finish(), End::kLeaseOver);
  door_.Stop();
  log::SetLevel(log::Level::kInfo);
  const std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(logged, HasSubstr("/node/v1/register"));
  EXPECT_THAT(logged, HasSubstr("\"id\":"));
  for (const std::string& secret :
       {std::string(kToken), door_.run_key_hex(), wrapped, Hex(AsBytes(certificate))}) {
    ASSERT_GT(secret.size(), 8u);
    EXPECT_EQ(logged.find(secret), std::string::npos);
  }
  EXPECT_EQ(logged.find("PRIVATE KEY"), std::string::npos);
}

TEST_F(NodeTest, AnotherDoorLearnsNothing) {
  AgentOptions options = Options();
  options.user_data.door_key = data::NodeAuthority::Make(*data::TlsKey::Generate())->Pin();
  options.boot_lease = 200ms;
  Begin(options);
  EXPECT_EQ(Finish(), End::kNeverJoined);
  door_.Change([](State& s) { EXPECT_EQ(s.registrations, 0); });
}

TEST_F(NodeTest, TellsTheSiteWhyAChunkIsRefused) {
  // As long as the answers are wrong, staging does not end and the problem stands.
  AgentOptions options = Options();
  options.stage.retry_first = options.stage.retry_most = 1h;
  door_.Change([](State& s) { s.corrupt_once = {1}; });
  Begin(options);
  ASSERT_TRUE(door_.WaitFor([](const State& s) {
    return s.Last() && s.Last()->problem.find("chunk 1:") != std::string::npos;
  }));
  ASSERT_TRUE(door_.WaitFor(
      [&](const State& s) { return s.Last()->staged_chunks == std::ssize(door_.sealed()) - 1; }));
  door_.Change([](State& s) { EXPECT_FALSE(s.Last()->staged); });
  // Nothing of the refused chunk was kept.
  EXPECT_EQ(FoundOnDisk(dir_.disk(), {door_.sealed()[1]}), 0);
}

TEST_F(NodeTest, UsedTokenOverwritesWhatIsThereAndEndsWith3) {
  BeginStaged();
  const std::string kept = dir_.File("kept");  // another name of the same file
  fs::create_hard_link(CachePath(), kept);
  // The machine is started again, as after a crash of its agent.
  Agent second(Options());
  EXPECT_EQ(static_cast<int>(second.Run()), 3);
  EXPECT_FALSE(fs::exists(CachePath()));
  std::int64_t found = 0;
  const std::string bytes = ReadFile(kept);
  for (const std::string& sealed : door_.sealed())
    found += bytes.find(sealed.substr(0, 32)) != std::string::npos;
  EXPECT_EQ(found, 0);
  EXPECT_NE(bytes.substr(bytes.size() - 64), std::string(64, '\0')) << "the whole file";
}

TEST_F(NodeTest, EndOfTheLeaseDestroysKeysPodsAndCacheWithoutTheSite) {
  BeginStaged();
  Order("echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.logs.contains("u1"); }));
  door_.Change([](State& s) { s.desired.lease_ms = 300; });
  ASSERT_TRUE(door_.WaitForBeats(2));
  EXPECT_GT(FoundOnDisk(dir_.disk(), door_.sealed()), 0);
  door_.Stop();
  EXPECT_EQ(Finish(), End::kLeaseOver);
  ASSERT_TRUE(fs::exists(CachePath()));
  EXPECT_EQ(FoundOnDisk(dir_.disk(), door_.sealed()), 0);
}

TEST_F(NodeTest, RefusedCertificateEndsLikeTheLease) {
  BeginStaged();
  door_.Change([](State& s) { s.unauthorized = true; });
  EXPECT_EQ(Finish(), End::kLeaseOver);
  EXPECT_EQ(FoundOnDisk(dir_.disk(), door_.sealed()), 0);
}

TEST_F(NodeTest, ShutdownOverwritesTheCache) {
  BeginStaged();
  agent_->RequestShutdown();
  EXPECT_EQ(Finish(), End::kShutdown);
  EXPECT_EQ(FoundOnDisk(dir_.disk(), door_.sealed()), 0);
}

TEST_F(NodeTest, GivesUpWhenTheDoorNeverAnswers) {
  door_.Stop();
  AgentOptions options = Options();
  options.boot_lease = 20ms;
  Begin(options);
  EXPECT_EQ(Finish(), End::kNeverJoined);
}

TEST_F(NodeTest, PodEndsForTheSiteOnlyWhenItsResultsAreReceipted) {
  door_.Change([](State& s) {
    s.hold_receipts = true;
    s.lose_log_answers = 2;
  });
  Begin();
  Order(
      "echo hello; cp /data/a.txt /out/copy; mkdir /out/d; cat /data/sub/big.bin > /out/d/big;"
      "touch /out/none; ls /data; exit 3");
  ASSERT_TRUE(door_.WaitFor([](const State& s) {
    return s.Pod("u1") && s.Pod("u1")->reason == "ReturningResults" && s.results.size() > 0 &&
           s.Last()->results == 3;
  }));
  // The first one is tried again and again; the pod does not end meanwhile.
  ASSERT_TRUE(door_.WaitForBeats(3));
  door_.Change([](State& s) {
    EXPECT_EQ(s.Last()->results_pending, 3);
    for (const door::Heartbeat& beat : s.beats)
      for (const door::PodStatus& pod : beat.pods)
        EXPECT_THAT(pod.phase, AnyOf("Pending", "Running"));
    s.hold_receipts = false;
    s.receipts_by_another = 1;
  });
  EXPECT_EQ(FoundOnDisk(dir_.disk(), Plaintext()), 0);

  ASSERT_TRUE(WaitForPhase("Failed"));
  door_.Change([&](State& s) {
    EXPECT_EQ(s.Pod("u1")->exit_code, 3);
    EXPECT_EQ(s.Pod("u1")->reason, "Error");
    EXPECT_GE(s.Pod("u1")->started_ms_ago, s.Pod("u1")->ended_ms_ago);
    EXPECT_EQ(s.Last()->results_pending, 0);
    EXPECT_EQ(s.receipts_by_another, 0) << "a stranger's receipt was offered and did not count";
    EXPECT_EQ(s.results["models/copy"].bytes, files_.at("digits/a.txt"));
    EXPECT_EQ(s.results["models/d/big"].bytes, files_.at("digits/sub/big.bin"));
    EXPECT_EQ(s.results["models/none"].bytes, "");
    EXPECT_EQ(s.logs["u1"], "hello\na.txt\nsub\nz\n");
    EXPECT_FALSE(s.Last()->results_returned);
  });
  Want(door::Want::kReturn);
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_returned; }));
}

TEST_F(NodeTest, AFileGoesOnWhereTheSiteWasAway) {
  door_.Change([](State& s) { s.hold_receipts = true; });
  Begin();
  Order("head -c 9000000 /dev/zero > /out/big");
  ASSERT_TRUE(door_.WaitFor([](const State& s) {
    const auto big = s.results.find("models/big");
    return big != s.results.end() && big->second.puts.contains(2) && big->second.puts.at(2) >= 3;
  }));
  door_.Change([](State& s) {
    EXPECT_EQ(s.results["models/big"].puts[0], 1) << "what the site has is not sent again";
    // As a site that was killed: it knows nothing of the file any more.
    s.results.clear();
    s.hold_receipts = false;
  });
  ASSERT_TRUE(WaitForPhase("Succeeded"));
  door_.Change(
      [](State& s) { EXPECT_EQ(s.results["models/big"].bytes, std::string(9'000'000, '\0')); });
}

TEST_F(NodeTest, StopOrderTerminatesWithGraceAndTakesTheResults) {
  Begin();
  Order("trap 'echo saved > /out/last; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.logs.contains("u1"); }));
  door_.Change([](State& s) { s.desired.pods[0].stop = true; });
  ASSERT_TRUE(WaitForPhase("Failed"));
  door_.Change([](State& s) {
    EXPECT_EQ(s.Pod("u1")->exit_code, 7);
    EXPECT_EQ(s.results["models/last"].bytes, "saved\n");
  });
}

TEST_F(NodeTest, DeadlineStopsThePod) {
  Begin();
  Order("echo ready; exec sleep 1000");
  door_.Change([](State& s) { s.desired.pods[0].deadline_ms = 1; });
  ASSERT_TRUE(WaitForPhase("Failed"));
  door_.Change([](State& s) { EXPECT_EQ(s.Pod("u1")->reason, "DeadlineExceeded"); });
}

TEST_F(NodeTest, VanishedOrderIsStoppedAndForgotten) {
  Begin();
  Order("echo ready; exec sleep 1000");
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.logs.contains("u1"); }));
  door_.Change([](State& s) { s.desired.pods.clear(); });
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->pods.empty(); }));
  Want(door::Want::kReturn);
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_returned; }));
}

TEST_F(NodeTest, WhatCannotBeStartedHasFailedWithAReasonInItsLog) {
  Begin();
  Order("true");
  door_.Change([](State& s) { s.desired.pods[0].volumes[0].mount_path = "data"; });
  ASSERT_TRUE(WaitForPhase("Failed"));
  door_.Change([](State& s) {
    EXPECT_EQ(s.Pod("u1")->reason, "ContainerCannotRun");
    EXPECT_THAT(s.logs["u1"], HasSubstr("'data'"));
  });
}

TEST_F(NodeTest, ResultsBeyondTheMemoryWaitSealedOnTheDisk) {
  AgentOptions options = Options();
  options.results.memory_bytes = 1000;
  options.results.grow_bytes = 1 << 20;
  door_.Change([](State& s) { s.hold_receipts = true; });
  Begin(options);
  Order(
      "cat /data/sub/big.bin /data/z > /out/a; cp /data/sub/big.bin /out/b;"
      "dd if=/dev/zero of=/out/c bs=1000000 count=6 2>/dev/null");
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last() && s.Last()->results == 3; }));
  EXPECT_EQ(FoundOnDisk(dir_.disk(), Plaintext()), 0);
  EXPECT_GT(fs::file_size(CachePath()), 6'000'000u) << "the results area has grown";
  door_.Change([](State& s) { s.hold_receipts = false; });
  ASSERT_TRUE(WaitForPhase("Succeeded"));
  door_.Change([&](State& s) {
    EXPECT_EQ(s.results["models/b"].bytes, files_.at("digits/sub/big.bin"));
    EXPECT_EQ(s.results["models/c"].bytes, std::string(6'000'000, '\0'));
    EXPECT_THAT(s.results["models/c"].chunks, SizeIs(2));
  });
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  door_.Change([](State& s) { EXPECT_GT(s.wiped[0].bytes_written, 6'000'000); });
}

TEST_F(NodeTest, RunKeyOfAnotherNodeIsAProblemNotAKey) {
  door_.Change([](State& s) { s.desired.prepared = true; });
  AgentOptions options = Options();
  options.user_data.name = "bn-00002";
  Begin(options);
  ASSERT_TRUE(door_.WaitFor([](const State& s) {
    return s.Last() && s.Last()->problem.find("the run key does not open") != std::string::npos;
  }));
  EXPECT_FALSE(fs::exists(CachePath()));
}

TEST(HardwareTest, SimulatedHardwareIsAlwaysLabelled) {
  TempDir dir;
  std::ofstream(dir.File("hw.json")) << R"({"resources": {"cpuMilli": 8000, "memoryBytes": 1024,
      "ephemeralBytes": 0, "gpus": 4, "extended": {}},
      "labels": {"nvidia.com/gpu.product": "A100", "spillway.dev/simulated": "false"}})";
  const auto hardware = ReadSimulatedHardware(dir.File("hw.json"));
  ASSERT_TRUE(hardware) << hardware.error().message;
  EXPECT_EQ(hardware->resources.gpus, 4);
  EXPECT_EQ(hardware->labels.at("spillway.dev/simulated"), "true");
  std::ofstream(dir.File("bad.json")) << R"({"resources": {"gpus": "4"}, "labels": {}})";
  const auto bad = ReadSimulatedHardware(dir.File("bad.json"));
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("bad.json"));
}

}  // namespace
}  // namespace spillway::node
