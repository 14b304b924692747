// An agent that serves volumes to a kubelet, asked over the plug-in's socket as a kubelet asks.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "csi.grpc.pb.h"
#include "node/agent.h"
#include "node/fake_door.h"
#include "node/mount_test_util.h"

namespace spillway::node {

namespace fs = std::filesystem;
namespace pb = ::csi::v1;
using grpc::StatusCode;
using State = FakeDoor::State;

class VolumesTest : public ::testing::Test {
 protected:
  explicit VolumesTest(std::map<std::string, std::string> files = SmallFiles())
      : files_(std::move(files)), door_(dir_.File("node.sock"), files_) {}
  static std::map<std::string, std::string> SmallFiles() {
    return {{"digits/a.txt", Noise(1000, 1)},
            {"digits/sub/big.bin", Noise(300'000, 2)},
            {"digits/none", ""},
            {"labels/l", Noise(500, 3)}};
  }
  void SetUp() override {
    if (const std::string why = PrivateMounts(); !why.empty()) GTEST_SKIP() << why;
  }
  ~VolumesTest() override { End(); }

  AgentOptions Options() {
    AgentOptions options;
    options.user_data = door_.UserData();
    options.disk = dir_.disk();
    options.kubelet_directory = dir_.File("k");
    options.volumes.longest_call = 20ms;
    options.volumes.retry = 5ms;
    options.retry_first = options.stage.retry_first = 1ms;
    options.retry_most = options.stage.retry_most = 10ms;
    options.stage.cache.results_area_bytes = 1 << 20;
    return options;
  }
  // Until every chunk is on the disk and the agent has seen `want`.
  void Begin(AgentOptions options, door::Want want = door::Want::kRun) {
    csi::PluginOptions plugin;
    plugin.kubelet_directory = options.kubelet_directory;
    for (const char* uid : {"u1", "u2"}) fs::create_directories(Parent(uid));
    agent_ = std::make_unique<Agent>(std::move(options));
    thread_ = std::thread([this] { end_ = agent_->Run(); });
    stub_ = pb::Node::NewStub(grpc::CreateChannel("unix:" + csi::Plugin::CsiSocket(plugin),
                                                  grpc::InsecureChannelCredentials()));
    ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last() && s.Last()->staged; }));
    Want(want);
  }
  void Want(door::Want want) {
    door_.Change([&](State& s) {
      s.desired.want = want;
      s.desired.overwrite = "used";
      s.desired.verify = "full";
    });
    ASSERT_TRUE(door_.WaitForBeats(2));
  }
  void End() {
    if (!thread_.joinable()) return;
    agent_->RequestShutdown();
    thread_.join();
    agent_.reset();
  }

  std::string Parent(const std::string& uid) const {
    return dir_.File("k/pods/" + uid + "/volumes/kubernetes.io~csi");
  }
  std::string Target(const std::string& claim, const std::string& uid = "u1") const {
    return Parent(uid) + "/" + claim;
  }
  pb::NodePublishVolumeRequest Message(const std::string& kind, const std::string& claim,
                                       const std::string& uid = "u1") const {
    pb::NodePublishVolumeRequest message;
    message.set_volume_id("vision/" + claim);
    message.set_target_path(Target(claim, uid));
    message.mutable_volume_capability()->mutable_mount();
    auto& context = *message.mutable_volume_context();
    context["kind"] = kind;
    context["claim"] = claim;
    context["namespace"] = "vision";
    context["directory"] = "vision/" + claim;
    context["csi.storage.k8s.io/pod.name"] = "train-" + uid;
    context["csi.storage.k8s.io/pod.namespace"] = "vision";
    context["csi.storage.k8s.io/pod.uid"] = uid;
    return message;
  }
  grpc::Status Publish(const pb::NodePublishVolumeRequest& message) {
    grpc::ClientContext context;
    pb::NodePublishVolumeResponse response;
    return stub_->NodePublishVolume(&context, message, &response);
  }
  grpc::Status Unpublish(const std::string& claim, const std::string& uid = "u1") {
    grpc::ClientContext context;
    pb::NodeUnpublishVolumeRequest message;
    message.set_volume_id("vision/" + claim);
    message.set_target_path(Target(claim, uid));
    pb::NodeUnpublishVolumeResponse response;
    return stub_->NodeUnpublishVolume(&context, message, &response);
  }
  // As the kubelet: again while it is answered UNAVAILABLE.
  static grpc::Status Patiently(const std::function<grpc::Status()>& call) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    grpc::Status status;
    do {
      status = call();
    } while (status.error_code() == StatusCode::UNAVAILABLE &&
             std::chrono::steady_clock::now() < give_up);
    return status;
  }
  grpc::Status PublishPatiently(const pb::NodePublishVolumeRequest& message) {
    return Patiently([&] { return Publish(message); });
  }
  grpc::Status UnpublishPatiently(const std::string& claim) {
    return Patiently([&] { return Unpublish(claim); });
  }
  // The claim "digits" is shown to u1 on a file system of this type: its files and nothing else,
  // read only, and nothing of it lies open on the disk.
  void ExpectDigitsShown(long type) {
    for (const auto& [path, bytes] : files_) {
      if (!path.starts_with("digits/")) continue;
      EXPECT_TRUE(ReadFile(Parent("u1") + "/" + path) == bytes) << path;
    }
    EXPECT_FALSE(fs::exists(Target("digits") + "/l")) << "another claim's file";
    struct statfs info{};
    ASSERT_EQ(::statfs(Target("digits").c_str(), &info), 0);
    EXPECT_EQ(info.f_type, type);
    EXPECT_FALSE(std::ofstream(Target("digits") + "/new").is_open());
    EXPECT_FALSE(std::ofstream(Target("digits") + "/a.txt").is_open());
    struct stat file{};
    ASSERT_EQ(::stat((Target("digits") + "/sub/big.bin").c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0444u);
    EXPECT_EQ(file.st_mtime, 1);
    std::vector<std::string> plaintext;
    for (const auto& [path, bytes] : files_) plaintext.push_back(bytes);
    EXPECT_EQ(FoundOnDisk(dir_.disk(), plaintext), 0);
  }
  // Where results volumes wait for their receipts.
  std::string Held() const { return dir_.File("k/plugins/data.spillway.dev/held"); }
  bool WaitForReleased(const std::vector<std::string>& uids) {
    return door_.WaitFor([&](const State& s) { return s.Last()->released == uids; });
  }

  TempDir dir_;
  const std::map<std::string, std::string> files_;
  FakeDoor door_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
  node::End end_ = node::End::kFailed;
  std::unique_ptr<pb::Node::Stub> stub_;
};

}  // namespace spillway::node
