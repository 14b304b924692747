#include "node/cache_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/fake_door.h"
#include "node/wiper.h"

namespace spillway::node {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CacheFileTest, RemembersWholeBlocksThatWereWritten) {
  TempDir dir;
  auto cache = *CacheFile::Create(dir.disk(), 10'000);
  EXPECT_EQ(*cache->Size(), 12'288);
  EXPECT_THAT(cache->Used(), IsEmpty());
  const std::string text(100, 'x');
  ASSERT_TRUE(cache->Store(8190, AsBytes(text)));  // over a border
  EXPECT_THAT(cache->Used(), ElementsAre(data::ByteRange{4096, 8192}));
  ASSERT_TRUE(cache->Store(0, AsBytes(text)));
  EXPECT_THAT(cache->Used(), ElementsAre(data::ByteRange{0, 12'288}));
  ASSERT_TRUE(cache->Grow(40'960));
  ASSERT_TRUE(cache->Store(40'000, AsBytes(text)));
  EXPECT_THAT(cache->Used(),
              ElementsAre(data::ByteRange{0, 12'288}, data::ByteRange{36'864, 4096}));
  EXPECT_EQ(cache->Store(*cache->Size() - 50, AsBytes(text)).error().code, Code::kInvalid);
}

TEST(CacheFileTest, MadeOnceAndFoundAgain) {
  TempDir dir;
  EXPECT_EQ(*CacheFile::OpenLeft(dir.disk()), nullptr);
  ASSERT_TRUE(CacheFile::Create(dir.disk(), 1));
  EXPECT_EQ(CacheFile::Create(dir.disk(), 1).error().code, Code::kConflict);
  auto left = *CacheFile::OpenLeft(dir.disk());
  EXPECT_THAT(left->Used(), ElementsAre(data::ByteRange{0, 4096})) << "nobody knows what was used";
}

TEST(CacheFileTest, WipeStopsWritesAndOverwritesWhatWasUsed) {
  TempDir dir;
  auto cache = *CacheFile::Create(dir.disk(), 1 << 20);
  const std::string text = Noise(5000, 7);
  ASSERT_TRUE(cache->Store(4096, AsBytes(text)));
  const CacheWipe wipe = WipeCache(*cache, false);
  EXPECT_TRUE(wipe.complete) << wipe.failure;
  EXPECT_EQ(wipe.statement.bytes_written, 8192);
  EXPECT_EQ(wipe.statement.cache_bytes, 1 << 20);
  EXPECT_FALSE(wipe.statement.filesystem.empty());
  EXPECT_EQ(FoundOnDisk(dir.disk(), {text}), 0);
  EXPECT_EQ(cache->Store(0, AsBytes(text)).error().code, Code::kUnavailable);
  const CacheWipe whole = WipeCache(*cache, true);
  EXPECT_EQ(whole.statement.bytes_read_back, 1 << 20);
  EXPECT_NE(whole.statement.seed_commitment, wipe.statement.seed_commitment);
}

TEST(CacheFileTest, WipeThatRunsOutOfTimeSaysSo) {
  TempDir dir;
  auto cache = *CacheFile::Create(dir.disk(), 1 << 20);
  const CacheWipe wipe = WipeCache(*cache, true, {}, Duration(0));
  EXPECT_FALSE(wipe.complete);
  EXPECT_EQ(wipe.statement.bytes_written, 0);
  EXPECT_FALSE(wipe.failure.empty());
}

}  // namespace
}  // namespace spillway::node
