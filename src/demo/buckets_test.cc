#include "demo/buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "s3/fake_s3.h"

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(Buckets, ResultsAreReadBackWithWhoBroughtThem) {
  s3::FakeS3 store;
  store.Set("vision/sweep/a/model.bin", "weights",
            {{"spillway-sha256", Sha256Hex("weights")}, {"spillway-run", "bn-00001"}});
  store.Set("vision/sweep/log", "", {{"spillway-sha256", Sha256Hex("")}, {"spillway-run", "site"}});
  store.Set("vision/sweeper/x", "of another job");
  const auto read = ReadBucket(store.Open(), "vision/sweep/");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->files,
              ElementsAre(Pair("a/model.bin", Sha256Hex("weights")), Pair("log", Sha256Hex(""))));
  EXPECT_THAT(read->runs, ElementsAre("bn-00001", "site"));
}

TEST(Buckets, AnObjectThatIsNotWhatItSaysIsNamed) {
  s3::FakeS3 store;
  store.Set("vision/sweep/model.bin", "other", {{"spillway-sha256", Sha256Hex("weights")}});
  const auto read = ReadBucket(store.Open(), "vision/sweep/");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kCorrupt);
  EXPECT_THAT(read.error().message, ::testing::HasSubstr("s3://data/vision/sweep/model.bin"));
}

}  // namespace
}  // namespace spillway::demo
