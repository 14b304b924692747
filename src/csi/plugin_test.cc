// The plug-in as a kubelet sees it: a real gRPC client over the sockets.
#include "csi/plugin.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "csi.grpc.pb.h"
#include "pluginregistration.grpc.pb.h"

namespace spillway::csi {
namespace {

namespace fs = std::filesystem;
namespace pb = ::csi::v1;
using ::testing::HasSubstr;

class FakeHandler final : public VolumeHandler {
 public:
  Status Publish(const PublishRequest& request) override {
    std::unique_lock lock(mutex);
    published.push_back(request);
    changed.notify_all();
    changed.wait(lock, [this] { return !hold; });
    return answer;
  }
  Status Unpublish(const std::string& volume_id, const std::string& target_path) override {
    const std::lock_guard lock(mutex);
    unpublished.push_back(volume_id + " " + target_path);
    return answer;
  }
  void Hold(bool on) {
    const std::lock_guard lock(mutex);
    hold = on;
    changed.notify_all();
  }
  void WaitForPublished(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return published.size() >= count; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool hold = false;
  Status answer;
  std::vector<PublishRequest> published;
  std::vector<std::string> unpublished;
};

class PluginTest : public ::testing::Test {
 protected:
  PluginTest() {
    std::string name = "/tmp/spw-csi-XXXXXX";
    options_.kubelet_directory = mkdtemp(name.data());
    options_.node_id = "bn-00001";
    options_.max_calls = 2;
  }
  ~PluginTest() override {
    plugin_.reset();
    fs::remove_all(options_.kubelet_directory);
  }
  void Start() {
    auto plugin = Plugin::Start(options_, handler_);
    ASSERT_TRUE(plugin) << plugin.error().message;
    plugin_ = std::move(*plugin);
    channel_ = grpc::CreateChannel("unix:" + Plugin::CsiSocket(options_),
                                   grpc::InsecureChannelCredentials());
  }
  std::string Target(const std::string& name) const {
    return options_.kubelet_directory + "/pods/u-1/volumes/kubernetes.io~csi/" + name + "/mount";
  }
  pb::NodePublishVolumeRequest PublishMessage(const std::string& name = "pv") const {
    pb::NodePublishVolumeRequest message;
    message.set_volume_id("vision/digits");
    message.set_target_path(Target(name));
    message.mutable_volume_capability()->mutable_mount();
    message.set_readonly(true);
    (*message.mutable_volume_context())["csi.storage.k8s.io/pod.uid"] = "u-1";
    return message;
  }
  grpc::Status Publish(const pb::NodePublishVolumeRequest& message) {
    grpc::ClientContext context;
    pb::NodePublishVolumeResponse response;
    return pb::Node::NewStub(channel_)->NodePublishVolume(&context, message, &response);
  }
  grpc::Status Unpublish(const std::string& volume_id, const std::string& target) {
    grpc::ClientContext context;
    pb::NodeUnpublishVolumeRequest message;
    message.set_volume_id(volume_id);
    message.set_target_path(target);
    pb::NodeUnpublishVolumeResponse response;
    return pb::Node::NewStub(channel_)->NodeUnpublishVolume(&context, message, &response);
  }

  PluginOptions options_;
  FakeHandler handler_;
  std::unique_ptr<Plugin> plugin_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(PluginTest, TellsTheKubeletWhoItIs) {
  Start();
  const auto registry = ::pluginregistration::Registration::NewStub(grpc::CreateChannel(
      "unix:" + Plugin::RegistrationSocket(options_), grpc::InsecureChannelCredentials()));
  ::pluginregistration::PluginInfo info;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(registry->GetInfo(&context, {}, &info).ok());
  }
  EXPECT_EQ(info.type(), "CSIPlugin");
  EXPECT_EQ(info.name(), "data.spillway.dev");
  EXPECT_EQ(info.endpoint(), Plugin::CsiSocket(options_));
  ASSERT_EQ(info.supported_versions_size(), 1);
  EXPECT_EQ(info.supported_versions(0), "1.0.0");
  EXPECT_FALSE(plugin_->registered());
  for (const bool accepted : {true, false}) {
    grpc::ClientContext context;
    ::pluginregistration::RegistrationStatus said;
    said.set_plugin_registered(accepted);
    ::pluginregistration::RegistrationStatusResponse response;
    ASSERT_TRUE(registry->NotifyRegistrationStatus(&context, said, &response).ok());
    EXPECT_EQ(plugin_->registered(), accepted);
  }
}

TEST_F(PluginTest, AnswersIdentityAndNodeQuestions) {
  Start();
  const auto identity = pb::Identity::NewStub(channel_);
  {
    grpc::ClientContext context;
    pb::GetPluginInfoResponse response;
    ASSERT_TRUE(identity->GetPluginInfo(&context, {}, &response).ok());
    EXPECT_EQ(response.name(), "data.spillway.dev");
    EXPECT_FALSE(response.vendor_version().empty());
  }
  {
    grpc::ClientContext context;
    pb::ProbeResponse response;
    ASSERT_TRUE(identity->Probe(&context, {}, &response).ok());
    EXPECT_TRUE(response.ready().value());
  }
  {
    grpc::ClientContext context;
    pb::GetPluginCapabilitiesResponse response;
    EXPECT_TRUE(identity->GetPluginCapabilities(&context, {}, &response).ok());
  }
  const auto node = pb::Node::NewStub(channel_);
  {
    grpc::ClientContext context;
    pb::NodeGetCapabilitiesResponse response;
    EXPECT_TRUE(node->NodeGetCapabilities(&context, {}, &response).ok());
  }
  grpc::ClientContext context;
  pb::NodeGetInfoResponse response;
  ASSERT_TRUE(node->NodeGetInfo(&context, {}, &response).ok());
  EXPECT_EQ(response.node_id(), "bn-00001");
}

TEST_F(PluginTest, HandsVolumesToTheHandler) {
  Start();
  ASSERT_TRUE(Publish(PublishMessage()).ok());
  ASSERT_EQ(handler_.published.size(), 1u);
  const PublishRequest& request = handler_.published[0];
  EXPECT_EQ(request.volume_id, "vision/digits");
  EXPECT_EQ(request.target_path, Target("pv"));
  EXPECT_TRUE(request.read_only);
  EXPECT_EQ(request.context.at("csi.storage.k8s.io/pod.uid"), "u-1");
  ASSERT_TRUE(Unpublish("vision/digits", Target("pv")).ok());
  EXPECT_THAT(handler_.unpublished, ::testing::ElementsAre("vision/digits " + Target("pv")));
}

TEST_F(PluginTest, WrongRequestsNeverReachTheHandler) {
  Start();
  const auto refused = [&](const std::function<void(pb::NodePublishVolumeRequest&)>& spoil) {
    pb::NodePublishVolumeRequest message = PublishMessage();
    spoil(message);
    return Publish(message).error_code() == grpc::StatusCode::INVALID_ARGUMENT;
  };
  EXPECT_TRUE(refused([](auto& m) { m.set_volume_id(""); }));
  EXPECT_TRUE(refused([](auto& m) { m.set_volume_id(std::string(600, 'x')); }));
  EXPECT_TRUE(refused([](auto& m) { m.set_target_path("/etc"); }));
  EXPECT_TRUE(refused([](auto& m) { m.set_target_path(""); }));
  EXPECT_TRUE(refused([this](auto& m) { m.set_target_path(Target("a/../../..") + "/../x"); }));
  EXPECT_TRUE(refused([this](auto& m) { m.set_target_path(Target("a") + "/"); }));
  EXPECT_TRUE(refused([](auto& m) { m.mutable_volume_capability()->mutable_block(); }));
  EXPECT_TRUE(refused([](auto& m) { m.clear_volume_capability(); }));
  EXPECT_EQ(Unpublish("vision/digits", "/etc").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Unpublish("", Target("pv")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  pb::NodePublishVolumeRequest large = PublishMessage();
  (*large.mutable_volume_context())["k"] = std::string(100'000, 'v');
  EXPECT_EQ(Publish(large).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(handler_.published.empty());
  EXPECT_TRUE(handler_.unpublished.empty());
}

TEST_F(PluginTest, EveryErrorCodeHasItsGrpcCode) {
  Start();
  const std::vector<std::pair<Code, grpc::StatusCode>> codes = {
      {Code::kInvalid, grpc::StatusCode::INVALID_ARGUMENT},
      {Code::kNotFound, grpc::StatusCode::NOT_FOUND},
      {Code::kConflict, grpc::StatusCode::ALREADY_EXISTS},
      {Code::kCapacity, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {Code::kQuota, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {Code::kDenied, grpc::StatusCode::PERMISSION_DENIED},
      {Code::kThrottled, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {Code::kUnavailable, grpc::StatusCode::UNAVAILABLE},
      {Code::kMaybeApplied, grpc::StatusCode::UNKNOWN},
      {Code::kCorrupt, grpc::StatusCode::DATA_LOSS},
      {Code::kInternal, grpc::StatusCode::INTERNAL}};
  for (const auto& [code, expected] : codes) {
    handler_.answer = Fail(code, "the reason");
    const grpc::Status status = Unpublish("vision/digits", Target("pv"));
    EXPECT_EQ(status.error_code(), expected) << CodeName(code);
    EXPECT_THAT(status.error_message(), HasSubstr("the reason"));
  }
}

TEST_F(PluginTest, OneCallAtATimePerTargetAndNotTooManyInAll) {
  Start();
  handler_.Hold(true);
  std::vector<std::thread> calls;
  for (const char* name : {"a", "b"})
    calls.emplace_back([&, name] { EXPECT_TRUE(Publish(PublishMessage(name)).ok()); });
  handler_.WaitForPublished(2);
  EXPECT_EQ(Publish(PublishMessage("a")).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Unpublish("vision/digits", Target("b")).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Publish(PublishMessage("c")).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  handler_.Hold(false);
  for (std::thread& call : calls) call.join();
  EXPECT_TRUE(Publish(PublishMessage("a")).ok()) << "the target is free again";
}

TEST_F(PluginTest, SocketsAreRootsAloneAndGoWithThePlugin) {
  Start();
  for (const std::string& path :
       {Plugin::CsiSocket(options_), Plugin::RegistrationSocket(options_)}) {
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
  const auto second = Plugin::Start(options_, handler_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_TRUE(Plugin::Answers(options_));
  plugin_->Stop();
  EXPECT_FALSE(Plugin::Answers(options_));
  EXPECT_FALSE(fs::exists(Plugin::CsiSocket(options_)));
  EXPECT_FALSE(fs::exists(Plugin::RegistrationSocket(options_)));
}

TEST_F(PluginTest, ReplacesTheSocketsOfAPluginThatDied) {
  const std::string path = Plugin::CsiSocket(options_);
  fs::create_directories(fs::path(path).parent_path());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  ASSERT_TRUE(fs::exists(path));
  Start();
  EXPECT_TRUE(Publish(PublishMessage()).ok());
}

TEST_F(PluginTest, ADirectoryTooLongForASocketIsNamed) {
  PluginOptions options = options_;
  options.kubelet_directory += "/" + std::string(120, 'x');
  const auto plugin = Plugin::Start(options, handler_);
  ASSERT_FALSE(plugin);
  EXPECT_EQ(plugin.error().code, Code::kInvalid);
  EXPECT_THAT(plugin.error().message, HasSubstr("too long for a socket"));
}

}  // namespace
}  // namespace spillway::csi
