// Agents that serve volumes to a kubelet, asked over the plug-in's socket as a kubelet asks.
#include "node/volumes.h"

#include <gmock/gmock.h>

#include <future>

#include "node/volumes_fixture.h"

namespace spillway::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(VolumesTest, InputsAreOpenedIntoMemoryOnceTheSiteWantsPods) {
  Begin(Options(), door::Want::kStage);
  const auto message = Message("dataset", "digits");
  EXPECT_EQ(Publish(message).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_FALSE(fs::exists(Target("digits")));
  Want(door::Want::kRun);
  for (int i = 0; i < 2; ++i) {
    const grpc::Status status = Publish(message);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  constexpr long kTmpfs = 0x01021994;
  ExpectDigitsShown(kTmpfs);
  // A second pod sees the same memory, also when the first is gone.
  ASSERT_TRUE(Publish(Message("dataset", "digits", "u2")).ok());
  EXPECT_EQ(*IdentityOf(Target("digits")), *IdentityOf(Target("digits", "u2")));
  ASSERT_TRUE(Unpublish("digits").ok());
  ASSERT_TRUE(Unpublish("digits").ok()) << "again";
  EXPECT_FALSE(fs::exists(Target("digits")));
  EXPECT_EQ(ReadFile(Target("digits", "u2") + "/a.txt"), files_.at("digits/a.txt"));
  EXPECT_FALSE(std::ofstream(Target("digits", "u2") + "/new").is_open());
  EXPECT_TRUE(WaitForReleased({"u1"}));
  ASSERT_TRUE(Unpublish("digits", "u2").ok());
  EXPECT_TRUE(WaitForReleased({"u1", "u2"}));
}

TEST_F(VolumesTest, PodsThatBeginAtOnceShareOneCopy) {
  Begin(Options());
  // Which of the two comes first, and how far it is when the other comes, is different each time.
  for (int i = 0; i < 20; ++i) {
    auto other = std::async(std::launch::async, [this] {
      return PublishPatiently(Message("dataset", "digits", "u2"));
    });
    const grpc::Status one = PublishPatiently(Message("dataset", "digits"));
    const grpc::Status two = other.get();
    ASSERT_TRUE(one.ok()) << one.error_message();
    ASSERT_TRUE(two.ok()) << two.error_message();
    ASSERT_EQ(*IdentityOf(Target("digits")), *IdentityOf(Target("digits", "u2")));
    for (const char* uid : {"u1", "u2"}) ASSERT_TRUE(Unpublish("digits", uid).ok());
  }
}

TEST_F(VolumesTest, APodLeavesItsResultsAndTheMachineWaitsForTheirReceipts) {
  Begin(Options());
  door_.Change([](State& s) { s.hold_receipts = true; });
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  const std::string out = Target("models");
  fs::create_directory(out + "/d");
  const std::string big = Noise(5'000'000, 9);
  Put(out + "/d/big", big);
  Put(out + "/copy", files_.at("digits/a.txt"));
  Put(out + "/none", "");
  Put(out + "/bad\nname", "x");
  fs::permissions(out + "/copy", fs::perms::none);
  fs::create_symlink("/etc/passwd", out + "/link");
  ASSERT_TRUE(Unpublish("digits").ok());
  Want(door::Want::kReturn);
  const grpc::Status done = Unpublish("models");
  ASSERT_TRUE(done.ok()) << done.error_message() << ": the pod's end waits for no receipt";
  EXPECT_FALSE(fs::exists(out));
  ASSERT_TRUE(Unpublish("models").ok()) << "again";
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_pending == 3; }));
  ASSERT_TRUE(door_.WaitForBeats(2));
  door_.Change([](State& s) {
    EXPECT_FALSE(s.Last()->results_returned) << "but the machine does";
    EXPECT_THAT(s.Last()->released, IsEmpty());
    s.hold_receipts = false;
    s.receipts_by_another = 1;
  });
  EXPECT_TRUE(WaitForReleased({"u1"}));
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_returned; }));
  door_.Change([&](State& s) {
    EXPECT_EQ(s.Last()->results, 3) << "none was handed over twice";
    EXPECT_EQ(s.results["models/d/big"].bytes, big);
    EXPECT_EQ(s.results["models/copy"].bytes, files_.at("digits/a.txt"));
    EXPECT_EQ(s.results["models/none"].bytes, "");
    EXPECT_EQ(s.results.size(), 3u);
    EXPECT_THAT(s.logs["u1"], HasSubstr("link: is a symbolic link"));
    EXPECT_THAT(s.logs["u1"], HasSubstr("not taken as a result: bad"));
  });
  EXPECT_EQ(FoundOnDisk(dir_.disk(), {big}), 0);
  EXPECT_TRUE(fs::is_empty(Held())) << "its memory is free";
}

TEST_F(VolumesTest, AWipeTakesWhatIsHeldToo) {
  Begin(Options());
  door_.Change([](State& s) { s.hold_receipts = true; });
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  Put(Target("models") + "/model", "weights");
  ASSERT_TRUE(Unpublish("models").ok());
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_pending == 1; }));
  ASSERT_FALSE(fs::is_empty(Held()));
  std::ifstream held(fs::directory_iterator(Held())->path() / "model");
  ASSERT_TRUE(held.is_open());
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  EXPECT_EQ(held.peek(), EOF);
  EXPECT_TRUE(fs::is_empty(Held()));
}

TEST_F(VolumesTest, OnlySoManyVolumesAreHeld) {
  AgentOptions options = Options();
  options.volumes.held = 1;
  Begin(options);
  door_.Change([](State& s) { s.hold_receipts = true; });
  for (const char* uid : {"u1", "u2"}) {
    ASSERT_TRUE(Publish(Message("results", "models", uid)).ok());
    Put(Target("models", uid) + "/" + uid, uid);
  }
  ASSERT_TRUE(Unpublish("models").ok());
  const grpc::Status status = Unpublish("models", "u2");
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("wait for the site's receipts"));
  door_.Change([](State& s) { s.hold_receipts = false; });
  ASSERT_TRUE(Patiently([&] { return Unpublish("models", "u2"); }).ok());
  EXPECT_TRUE(WaitForReleased({"u1", "u2"}));
}

TEST_F(VolumesTest, ResultsWaitForTheLastWriter) {
  Begin(Options());
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  std::ofstream writer(Target("models") + "/model");
  writer << "half" << std::flush;
  const grpc::Status status = Unpublish("models");
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("open for writing"));
  writer << " and half";
  writer.close();
  ASSERT_TRUE(UnpublishPatiently("models").ok());
  EXPECT_TRUE(WaitForReleased({"u1"}));
  door_.Change([](State& s) { EXPECT_EQ(s.results["models/model"].bytes, "half and half"); });
}

TEST_F(VolumesTest, ResultsOfAMachineWithASealedVolumeTakeNoMemory) {
  AgentOptions options = Options();
  options.volumes.output_bytes = 1 << 20;
  options.volumes.sealed_directory = dir_.File("sealed");
  Begin(options);
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  struct statfs info{}, below{};
  ASSERT_EQ(::statfs(Target("models").c_str(), &info), 0);
  ASSERT_EQ(::statfs(dir_.File("sealed").c_str(), &below), 0);
  EXPECT_EQ(info.f_type, below.f_type);
  const std::string big = Noise(5'000'000, 9);
  Put(Target("models") + "/big", big);
  {
    const std::ofstream writer(Target("models") + "/late");
    const grpc::Status status = Unpublish("models");
    EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_THAT(status.error_message(), HasSubstr("open for writing"));
  }
  const grpc::Status done = UnpublishPatiently("models");
  ASSERT_TRUE(done.ok()) << done.error_message();
  EXPECT_TRUE(WaitForReleased({"u1"}));
  door_.Change([&](State& s) { EXPECT_TRUE(s.results["models/big"].bytes == big); });
  EXPECT_TRUE(fs::is_empty(dir_.File("sealed")));

  ASSERT_TRUE(Publish(Message("results", "models", "u2")).ok());
  Put(Target("models", "u2") + "/model", "weights");
  std::ifstream open(Target("models", "u2") + "/model");
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  EXPECT_EQ(open.peek(), EOF);
  EXPECT_TRUE(fs::is_empty(dir_.File("sealed")));
}

TEST_F(VolumesTest, ResultsThatFindNoRoomGoOnWhereTheyStopped) {
  AgentOptions options = Options();
  options.results.memory_bytes = 3'000'000;
  options.results.disk_bytes = 0;
  Begin(options);
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  Put(Target("models") + "/a", Noise(1000, 1));
  Put(Target("models") + "/b", Noise(4'000'000, 2));
  ASSERT_TRUE(Unpublish("models").ok());
  EXPECT_TRUE(door_.WaitFor([](const State& s) {
    return s.Last()->problem.find("results of vision/train-u1") != std::string::npos;
  }));
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.results.contains("models/a"); }));
  ASSERT_TRUE(door_.WaitForBeats(2));
  door_.Change([](State& s) {
    EXPECT_EQ(s.Last()->results, 1) << "a was handed over once, whatever the attempts";
    EXPECT_THAT(s.Last()->released, IsEmpty());
  });
}

TEST_F(VolumesTest, AReadOnlyResultsVolumeGivesNothing) {
  Begin(Options());
  auto message = Message("results", "models");
  message.set_readonly(true);
  ASSERT_TRUE(Publish(message).ok());
  EXPECT_FALSE(std::ofstream(Target("models") + "/x").is_open());
  ASSERT_TRUE(Unpublish("models").ok());
  EXPECT_TRUE(WaitForReleased({"u1"}));
}

TEST_F(VolumesTest, AnEmptyDirectoryNeverPassesForTheData) {
  Begin(Options());
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  ASSERT_EQ(::umount2(Target("digits").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(Publish(Message("dataset", "digits")).error_code(), StatusCode::INTERNAL);
  EXPECT_EQ(Publish(Message("dataset", "digits", "u2")).error_code(), StatusCode::UNAVAILABLE);
  ASSERT_TRUE(Unpublish("digits").ok());
  ASSERT_TRUE(Publish(Message("dataset", "digits", "u2")).ok()) << "opened again";
  EXPECT_EQ(ReadFile(Target("digits", "u2") + "/a.txt"), files_.at("digits/a.txt"));
}

TEST_F(VolumesTest, AWipeTakesEverythingFromWhoeverStillReads) {
  Begin(Options());
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  ASSERT_TRUE(Publish(Message("dataset", "digits", "u2")).ok());
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  Put(Target("models") + "/model", "weights");
  std::ifstream input(Target("digits") + "/sub/big.bin"), output(Target("models") + "/model");
  ASSERT_TRUE(input.is_open() && output.is_open());
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  for (std::ifstream* file : {&input, &output}) EXPECT_EQ(file->peek(), EOF);
  for (const std::string& target : {Target("digits"), Target("digits", "u2"), Target("models")})
    EXPECT_FALSE(fs::exists(target)) << target;
  EXPECT_EQ(Publish(Message("dataset", "digits")).error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Unpublish("models").ok());
  door_.Change([](State& s) {
    EXPECT_THAT(s.Last()->released, IsEmpty()) << "its results are lost";
    EXPECT_TRUE(s.results.empty());
  });
}

TEST_F(VolumesTest, AnEndWithoutTheSiteUnmountsToo) {
  Begin(Options());
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  End();
  EXPECT_FALSE(fs::exists(Target("digits")));
  EXPECT_FALSE(fs::exists(dir_.File("k/plugins/data.spillway.dev/csi.sock")));
}

TEST_F(VolumesTest, WhatCannotBeServedIsRefusedWithItsReason) {
  AgentOptions options = Options();
  options.volumes.input_bytes = 310'000;
  options.volumes.volumes = 1;
  Begin(options);
  const auto refused = [&](const pb::NodePublishVolumeRequest& message, StatusCode code,
                           const std::string& why) {
    const grpc::Status status = Publish(message);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_THAT(status.error_message(), HasSubstr(why));
  };
  refused(Message("dataset", "other"), StatusCode::INVALID_ARGUMENT, "no file of claim \"other\"");
  refused(Message("dataset", "digits"), StatusCode::OK, "");
  auto conflict = Message("dataset", "labels");
  conflict.set_target_path(Target("digits"));
  refused(conflict, StatusCode::ALREADY_EXISTS, "vision/digits");
  refused(Message("dataset", "labels"), StatusCode::RESOURCE_EXHAUSTED, "the most there may be");
  grpc::ClientContext context;
  pb::NodeUnpublishVolumeRequest wrong;
  wrong.set_volume_id("vision/labels");
  wrong.set_target_path(Target("digits"));
  pb::NodeUnpublishVolumeResponse response;
  EXPECT_EQ(stub_->NodeUnpublishVolume(&context, wrong, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReadFile(Target("digits") + "/a.txt"), files_.at("digits/a.txt"));
}

TEST_F(VolumesTest, InputsBeyondTheMemoryAreRefused) {
  AgentOptions options = Options();
  options.volumes.input_bytes = 310'000;
  Begin(options);
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  ASSERT_TRUE(Publish(Message("dataset", "digits", "u2")).ok()) << "counted once";
  const grpc::Status status = Publish(Message("dataset", "labels"));
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("more memory"));
  EXPECT_FALSE(fs::exists(Target("labels")));
}

TEST_F(VolumesTest, LeftMemoryOfADeadAgentIsDropped) {
  const std::string target = Target("with blank");
  fs::create_directories(target);
  ASSERT_TRUE(MountMemory(target, 1 << 20, 0755));
  Put(target + "/secret", "plaintext");
  std::ifstream reader(target + "/secret");
  EXPECT_EQ(DropLeftVolumes(dir_.File("k/pods/u2")), 0);
  EXPECT_EQ(DropLeftVolumes(dir_.File("k/pods")), 1);
  EXPECT_FALSE(fs::exists(target));
  EXPECT_EQ(reader.peek(), EOF);
}

TEST(Mounts, OurMemoryIsFoundByItsName) {
  const std::string text =
      "30 1 0:26 / /k/pods/a\\040b/mount rw shared:5 - tmpfs spillway-volume rw,size=4k\n"
      "31 1 0:27 / /k/pods/c rw - tmpfs tmpfs rw\n"
      "32 1 0:28 / /k/podsother rw - tmpfs spillway-volume rw\n"
      "33 1 8:1 /x /k/pods/d rw - ext4 spillway-volume rw\n"
      "34 1 0:29 / /k/pods/e ro,nosuid shared:6 master:1 - tmpfs spillway-volume rw\n"
      "torn";
  EXPECT_THAT(VolumesIn(text, "/k/pods"), ElementsAre("/k/pods/e", "/k/pods/a b/mount"));
}

}  // namespace
}  // namespace spillway::node
