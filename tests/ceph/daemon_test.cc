// Jobs whose data is in a bucket of a real Ceph and whose results go to one: on a simulated
// machine, through the real programs, while the store and the daemon are killed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "tests/ceph/lab.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::ceph {
namespace {

using integration::AllNodesGone;
using integration::BurstComplete;
using integration::Daemon;

void Replace(std::string& text, std::string_view from, const std::string& to) {
  const std::size_t at = text.find(from);
  SPW_CHECK(at != std::string::npos, "the manifests are other ones");
  text.replace(at, from.size(), to);
}

class BucketJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SPW_NEEDS_CEPH();
    lab_ = std::make_unique<Lab>();
    // Outages are of real time, so the clock is not too fast.
    daemon_ = std::make_unique<Daemon>(integration::DaemonSetup{
        .time_scale = 10,
        .phase_hook = "",
        .extra = {"--s3-credentials", lab_->credentials_file(), "--verbose"}});
    const s3::Client client = lab_->Client();
    for (int i = 0; i < 5; ++i) {
      const std::string text = fmt::format("picture {} {}\n", i, Sha256Hex(std::to_string(i)));
      ASSERT_TRUE(client.Put(fmt::format("pictures/train/{}.txt", i), text, {}));
      all_ += text;
    }
    ASSERT_TRUE(client.Put("pictures/private/names.txt", "Ada Lovelace\n", {}));
  }
  void TearDown() override {
    if (lab_) Lab::Power("start");
  }

  // The burst manifests with the pictures and the results in the bucket.
  std::string Manifests() const {
    const auto place = [&](const std::string& prefix) {
      return fmt::format(
          "source: {{s3: {{endpoint: \"{}\", bucket: {}, prefix: {}, profile: dev}}}}",
          lab_->bucket().endpoint, lab_->bucket().name, prefix);
    };
    std::string text = integration::BurstManifests(false);
    Replace(text, "source: {directory: pictures}", place("pictures"));
    Replace(text, "spillway.dev/results: vision}",
            "spillway.dev/results: run-1, spillway.dev/results-dataset: models}");
    return text + fmt::format(
                      "---\napiVersion: spillway.dev/v1alpha1\nkind: Dataset\n"
                      "metadata: {{name: models, namespace: vision}}\n"
                      "spec: {{{}, class: internal}}\n",
                      place("models"));
  }
  void Begin(const std::function<void(std::string&)>& change = nullptr) {
    daemon_->Start();
    if (HasFatalFailure()) return;
    std::string manifests = Manifests();
    if (change) change(manifests);
    const auto applied = daemon_->Apply(manifests);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  std::string Away() const { return daemon_->dir() + "/away"; }
  void BringBackOnceAway() {
    ASSERT_TRUE(daemon_->WaitFor([&] { return std::filesystem::exists(Away()); }, 120s))
        << daemon_->Log();
    ASSERT_TRUE(Lab::Power("start"));
  }
  void ExpectObject() {
    const std::string expected = Sha256Hex(all_) + "  -\n";
    const s3::Client client = lab_->Client();
    const auto head = client.Head("models/run-1/hash-0");
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(*client.Get("models/run-1/hash-0", {0, std::ssize(expected)}, head->etag), expected);
    EXPECT_EQ(head->metadata.at("spillway-sha256"), Sha256Hex(expected));
    EXPECT_TRUE(client.ListUploads("")->empty());
  }
  void ExpectResults() {
    ASSERT_TRUE(
        daemon_->WaitFor([&] { return BurstComplete(*daemon_) && AllNodesGone(*daemon_); }, 240s))
        << daemon_->Log();
    ExpectObject();
    EXPECT_FALSE(std::filesystem::exists(daemon_->results() + "/run-1"));
    for (const json::value& node : daemon_->Items("burstnodes"))
      EXPECT_EQ(IntOr(*Find(node, "status"), "resultsReceipted", 0), 1);
    const auto keys = s3::CredentialsFile(lab_->credentials_file()).Find("dev");
    EXPECT_EQ(daemon_->Log().find(keys->secret_access_key.Reveal()), std::string::npos);
  }
  // A line of shell that takes the store away, and then says so.
  std::string PowerOff() const {
    return fmt::format("{}/scripts/partners/ceph-power stop --dir {} >/dev/null && touch {}",
                       SPILLWAY_SOURCE_DIR, Directory(), Away());
  }

  std::unique_ptr<Lab> lab_;
  std::unique_ptr<Daemon> daemon_;
  std::string all_;
};

TEST_F(BucketJobTest, DataFromABucketAndResultsIntoOne) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  ASSERT_NO_FATAL_FAILURE(ExpectResults());
  const auto dataset = daemon_->Get("/api/v1/objects/datasets/pictures?namespace=vision");
  ASSERT_TRUE(dataset);
  const json::value& status = *Find(*dataset, "status");
  EXPECT_EQ(StringOr(status, "source", ""), fmt::format("s3://{}/pictures/", lab_->bucket().name));
  EXPECT_EQ(IntOr(status, "files", 0), 5);
}

// On a machine of the site, which has a GPU here.
TEST_F(BucketJobTest, AtTheSiteItself) {
  ASSERT_NO_FATAL_FAILURE(Begin([](std::string& text) {
    Replace(text, "{cpu: \"4\", memory: 8Gi}, capacity: {cpu: \"4\", memory: 8Gi}",
            "{cpu: \"4\", memory: 8Gi, nvidia.com/gpu: \"1\"}, "
            "capacity: {cpu: \"4\", memory: 8Gi, nvidia.com/gpu: \"1\"}");
    // What is not selected is not there.
    Replace(text, "&& echo hashed", "&& test ! -e /data/private && echo hashed");
  }));
  ASSERT_TRUE(daemon_->WaitFor([&] { return BurstComplete(*daemon_); }, 120s)) << daemon_->Log();
  EXPECT_TRUE(daemon_->Items("burstnodes").empty());
  ExpectObject();
  EXPECT_TRUE(daemon_->WaitFor(
      [&] {
        return std::filesystem::is_empty(daemon_->state() + "/buckets/inputs") &&
               std::filesystem::is_empty(daemon_->state() + "/buckets/results");
      },
      30s))
      << "the pod's directories stay";
}

TEST_F(BucketJobTest, TheStoreIsAwayWhenTheDataIsWanted) {
  daemon_->DoOnceAt("Provisioned", PowerOff());
  ASSERT_NO_FATAL_FAILURE(Begin());
  ASSERT_NO_FATAL_FAILURE(BringBackOnceAway());
  ExpectResults();
}

TEST_F(BucketJobTest, TheStoreIsAwayWhenResultsComeHome) {
  daemon_->DoOnceAt("Running", PowerOff());
  ASSERT_NO_FATAL_FAILURE(Begin());
  ASSERT_NO_FATAL_FAILURE(BringBackOnceAway());
  ExpectResults();
}

TEST_F(BucketJobTest, TheDaemonIsKilledWhileResultsComeHome) {
  daemon_->DoOnceAt("Returning", "kill -9 $PPID");
  ASSERT_NO_FATAL_FAILURE(Begin());
  ASSERT_TRUE(daemon_->WaitForEnd(120s)) << daemon_->Log();
  ASSERT_NO_FATAL_FAILURE(daemon_->Start());
  ExpectResults();
}

}  // namespace
}  // namespace spillway::ceph
