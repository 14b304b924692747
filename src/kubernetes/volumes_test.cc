#include "kubernetes/volumes.h"

#include <gtest/gtest.h>

namespace spillway::kubernetes {
namespace {

json::value Claim() {
  return json::parse(
      R"({"metadata": {"namespace": "vision", "name": "digits", "uid": "u1",
                       "annotations": {"spillway.dev/dataset": "digits"}},
          "spec": {"storageClassName": "spillway", "accessModes": ["ReadOnlyMany"],
                   "resources": {"requests": {"storage": "1Gi"}}}})");
}

json::object AttributesOf(const json::value& volume) {
  return FindPath(volume, {"spec", "csi", "volumeAttributes"})->as_object();
}

TEST(Volumes, ADirectoryIsNamed) {
  ASSERT_TRUE(WantsVolume(Claim()));
  const json::value volume = VolumeFor(Claim(), {.directory = "digits"});
  EXPECT_EQ(AttributesOf(volume), (json::object{{"kind", "dataset"},
                                                {"namespace", "vision"},
                                                {"claim", "digits"},
                                                {"directory", "digits"}}));
  EXPECT_TRUE(FindPath(volume, {"spec", "csi", "readOnly"})->as_bool());
  EXPECT_TRUE(IsOurVolume(volume));
}

// The rest is in the Dataset, which no rented machine may read.
TEST(Volumes, OfABucketItsNameAndItsDataset) {
  EXPECT_EQ(
      AttributesOf(VolumeFor(
          Claim(),
          {.results = true, .directory = "run-1", .bucket = "s3://models/", .dataset = "models"})),
      (json::object{{"kind", "results"},
                    {"namespace", "vision"},
                    {"claim", "digits"},
                    {"directory", "run-1"},
                    {"bucket", "s3://models/"},
                    {"dataset", "models"}}));
}

}  // namespace
}  // namespace spillway::kubernetes
