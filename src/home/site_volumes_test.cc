#include "home/site_volumes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "node/fake_door.h"
#include "node/mount_test_util.h"
#include "node/mounts.h"

namespace spillway::home {
namespace {

namespace fs = std::filesystem;
using node::IsMountPoint;
using node::PrivateMounts;
using node::Put;
using node::ReadFile;
using node::TempDir;
using node::Unmount;
using ::testing::HasSubstr;

class SiteVolumesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = PrivateMounts(); !why.empty()) GTEST_SKIP() << why;
    fs::create_directories(dir_.File("data/vision/digits"));
    fs::create_directory(dir_.File("results"));
    fs::create_directory(dir_.File("pods"));
    Put(dir_.File("data/vision/digits/a.txt"), "seven");
    auto opened = SiteVolumes::Open(dir_.File("data"), dir_.File("results"), nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    volumes_ = std::move(*opened);
  }
  void TearDown() override {
    if (volumes_ == nullptr) return;
    for (const auto& entry : fs::directory_iterator(dir_.File("pods")))
      EXPECT_TRUE(Unmount(entry.path()));
  }
  csi::PublishRequest Request(const std::string& kind, const std::string& directory) const {
    csi::PublishRequest request;
    request.volume_id = "vision/c";
    request.target_path = dir_.File("pods/" + kind);
    request.context = {{"kind", kind},
                       {"claim", "c"},
                       {"namespace", "vision"},
                       {"directory", directory},
                       {"csi.storage.k8s.io/pod.name", "train-0"},
                       {"csi.storage.k8s.io/pod.namespace", "vision"},
                       {"csi.storage.k8s.io/pod.uid", "u1"}};
    return request;
  }
  Code CodeOf(const csi::PublishRequest& request) const {
    const Status status = volumes_->Publish(request);
    EXPECT_FALSE(status);
    EXPECT_FALSE(*IsMountPoint(request.target_path));
    return status ? Code::kInternal : status.error().code;
  }

  TempDir dir_;
  std::unique_ptr<SiteVolumes> volumes_;
};

TEST_F(SiteVolumesTest, ADatasetIsReadOnlyAndRepeatsAreHarmless) {
  const csi::PublishRequest request = Request("dataset", "vision/digits");
  for (int i = 0; i < 2; ++i) {
    const Status published = volumes_->Publish(request);
    ASSERT_TRUE(published) << published.error().message;
  }
  EXPECT_EQ(ReadFile(request.target_path + "/a.txt"), "seven");
  EXPECT_FALSE(std::ofstream(request.target_path + "/b").is_open());
  EXPECT_TRUE(std::ofstream(dir_.File("data/vision/digits/b")).is_open()) << "at home it is not";
  csi::PublishRequest other = request;
  other.context["directory"] = "vision";
  EXPECT_EQ(volumes_->Publish(other).error().code, Code::kConflict);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(volumes_->Unpublish("vision/c", request.target_path));
  EXPECT_FALSE(fs::exists(request.target_path));
  EXPECT_EQ(ReadFile(dir_.File("data/vision/digits/a.txt")), "seven");
}

TEST_F(SiteVolumesTest, AResultsPlaceIsMadeForPodsOfAnyUser) {
  // The site's daemon need not be root, and brings results to the same places.
  const uid_t owner =
      ::chown(dir_.File("results").c_str(), 65532, 65532) == 0 ? 65532 : ::geteuid();
  const csi::PublishRequest request = Request("results", "vision/run1");
  const mode_t before = ::umask(077);
  const Status published = volumes_->Publish(request);
  ::umask(before);
  ASSERT_TRUE(published) << published.error().message;
  Put(request.target_path + "/model", "weights");
  EXPECT_EQ(ReadFile(dir_.File("results/vision/run1/model")), "weights");
  struct stat info{};
  ASSERT_EQ(::stat(dir_.File("results/vision/run1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0777u);
  ASSERT_EQ(::stat(dir_.File("results/vision").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  EXPECT_EQ(info.st_uid, owner);
  ASSERT_TRUE(volumes_->Unpublish("vision/c", request.target_path));
  EXPECT_EQ(ReadFile(dir_.File("results/vision/run1/model")), "weights");
}

TEST_F(SiteVolumesTest, NothingOutsideTheRootsIsShown) {
  fs::create_directory_symlink(dir_.disk(), dir_.File("data/out"));
  fs::create_directory_symlink(dir_.disk(), dir_.File("results/out"));
  EXPECT_EQ(CodeOf(Request("dataset", "missing")), Code::kNotFound);
  EXPECT_EQ(CodeOf(Request("dataset", "../disk")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("dataset", "/etc")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("dataset", "out")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("dataset", "vision/digits/a.txt")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("results", "out")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("results", "out/x")), Code::kInvalid);
  EXPECT_EQ(CodeOf(Request("results", "")), Code::kInvalid);
  EXPECT_TRUE(fs::is_empty(dir_.disk()));
}

TEST_F(SiteVolumesTest, ContradictingAttributesAreNamed) {
  const auto refused = [&](const std::string& key, const std::string& value) {
    csi::PublishRequest request = Request("dataset", "vision/digits");
    request.context[key] = value;
    const Status status = volumes_->Publish(request);
    return status ? "" : status.error().message;
  };
  EXPECT_THAT(refused("kind", "other"), HasSubstr("kind \"other\""));
  EXPECT_THAT(refused("claim", "d"), HasSubstr("claim \"d\""));
  EXPECT_THAT(refused("namespace", "else"), HasSubstr("else"));
  EXPECT_THAT(refused("csi.storage.k8s.io/pod.namespace", "else"), HasSubstr("another namespace"));
  EXPECT_THAT(refused("csi.storage.k8s.io/pod.uid", ""), HasSubstr("pod.uid"));
  EXPECT_THAT(refused("bucket", "s3://data/digits/"), HasSubstr("is s3://data/digits/"));
  EXPECT_THAT(refused("directory", std::string(5000, 'x')), HasSubstr("directory"));
}

TEST(SiteVolumesRoots, MustBeDirectories) {
  TempDir dir;
  const auto opened = SiteVolumes::Open(dir.disk(), dir.File("missing"), nullptr);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kInvalid);
  EXPECT_THAT(opened.error().message, HasSubstr("results root"));
}

}  // namespace
}  // namespace spillway::home
