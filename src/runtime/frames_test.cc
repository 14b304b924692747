#include "runtime/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace spillway::runtime {
namespace {

using ::testing::HasSubstr;

TEST(Frames, ComeBackWholeHoweverTheStreamIsTorn) {
  std::string stream;
  AppendFrame(stream, FrameType::kInputsEnd, "");
  AppendFrame(stream, FrameType::kData, std::string(70'000, 'x'));
  AppendFrame(stream, FrameType::kNote, "hello");
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{3}, std::size_t{4096}, stream.size()}) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.Feed(std::string_view(stream).substr(at, step));
      for (;;) {
        auto frame = reader.Next();
        ASSERT_TRUE(frame) << frame.error().message;
        if (!*frame) break;
        frames.push_back(**frame);
      }
    }
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].type, FrameType::kInputsEnd);
    EXPECT_EQ(frames[1].payload, std::string(70'000, 'x'));
    EXPECT_EQ(frames[2].payload, "hello");
    EXPECT_TRUE(reader.AtBoundary());
  }
}

TEST(Frames, AStreamThatEndsInsideAFrameIsSeen) {
  std::string stream;
  AppendFrame(stream, FrameType::kNote, "hello");
  FrameReader reader;
  reader.Feed(std::string_view(stream).substr(0, stream.size() - 1));
  EXPECT_FALSE(reader.Next()->has_value());
  EXPECT_FALSE(reader.AtBoundary());
}

TEST(Frames, AbsurdSizesAndUnknownTypesAreRefusedForGood) {
  for (const std::string& bytes : {std::string("\x03\xff\xff\xff\xff", 5),
                                   std::string("\x63\0\0\0\0", 5), std::string("\0\0\0\0\0", 5)}) {
    FrameReader reader;
    reader.Feed(bytes);
    ASSERT_FALSE(reader.Next());
    reader.Feed("more");
    EXPECT_EQ(reader.Next().error().code, Code::kCorrupt);
  }
}

TEST(Paths, OnlyCleanRelativeOnesPass) {
  const std::string deepest = [] {
    std::string path = "d";
    for (int i = 1; i < kMaxPathDepth; ++i) path += "/d";
    return path;
  }();
  for (const std::string& good : {std::string("a"), std::string("a/b/c.txt"),
                                  std::string("..a/b.."), std::string(255, 'n'), deepest})
    EXPECT_TRUE(CheckRelativePath(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("/etc/passwd"), std::string("../x"), std::string("a/../../x"),
        std::string("a/.."), std::string("./a"), std::string("a//b"), std::string("a/"),
        std::string("a\0b", 3), std::string(256, 'n'), deepest + "/d", std::string(5000, 'x')})
    EXPECT_FALSE(CheckRelativePath(bad)) << bad.substr(0, 40);
}

FileHeader Sample() {
  return {.volume = 1, .path = "a/b", .mode = 0640, .mtime_ms = -5, .size_bytes = 7};
}

TEST(FileFrames, RoundTrip) {
  const FileHeader back = *DecodeFile(EncodeFile(Sample()));
  EXPECT_EQ(back.volume, 1U);
  EXPECT_EQ(back.path, "a/b");
  EXPECT_EQ(back.mode, 0640U);
  EXPECT_EQ(back.mtime_ms, -5);
  EXPECT_EQ(back.size_bytes, 7);
}

TEST(FileFrames, MaliciousHeadersAreCorrupt) {
  const auto refused = [](auto change) {
    FileHeader file = Sample();
    change(file);
    const auto decoded = DecodeFile(EncodeFile(file));
    return !decoded && decoded.error().code == Code::kCorrupt;
  };
  EXPECT_TRUE(refused([](FileHeader& file) { file.path = "../../root/.ssh/authorized_keys"; }));
  EXPECT_TRUE(refused([](FileHeader& file) { file.path = "/etc/shadow"; }));
  EXPECT_TRUE(refused([](FileHeader& file) { file.mode = 04755; }));
  EXPECT_TRUE(refused([](FileHeader& file) { file.size_bytes = -1; }));
  EXPECT_TRUE(refused([](FileHeader& file) { file.size_bytes = INT64_MAX; }));
  EXPECT_FALSE(DecodeFile(EncodeFile(Sample()) + "x"));
}

// Every decoder meets every truncation and many random changes: refused or accepted, never a crash.
TEST(FileFrames, DecodersSurviveDamage) {
  InitConfig config;
  config.argv = {"sh", "-c", "true"};
  config.env = {"A=1"};
  config.volumes = {{"/data", InitVolume::Role::kInput}};
  const std::string good = EncodeConfig(config);
  ASSERT_TRUE(DecodeConfig(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(DecodeConfig(std::string_view(good).substr(0, size))) << size;
  Rng rng(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Below(256));
    const auto config_result = DecodeConfig(bytes);
    if (config_result) {
      EXPECT_FALSE(config_result->argv.empty());
    }
    const auto file = DecodeFile(bytes);
    if (file) {
      EXPECT_TRUE(CheckRelativePath(file->path));
    }
  }
}

TEST(CommandEndedFrames, RoundTripAndRange) {
  const CommandEnded back = *DecodeCommandEnded(EncodeCommandEnded({137, 9, 5, 8, 4096}));
  EXPECT_EQ(back.code, 137);
  EXPECT_EQ(back.signal, 9);
  EXPECT_EQ(back.ended_ms, 8);
  EXPECT_FALSE(DecodeCommandEnded(EncodeCommandEnded({256, 0, 0, 0, 0})));
  EXPECT_FALSE(DecodeCommandEnded(EncodeCommandEnded({0, 65, 0, 0, 0})));
  EXPECT_FALSE(DecodeGrace(EncodeGrace(-1)));
}

TEST(FileStream, SumsAndOrderAreHeld) {
  FileStreamGuard guard({.volumes = 2, .max_files = 2, .total_bytes = 10});
  ASSERT_TRUE(guard.OnFile(Sample()));
  EXPECT_EQ(guard.OnData(8).error().code, Code::kCorrupt);
  ASSERT_TRUE(guard.OnData(3));
  EXPECT_EQ(guard.OnEnd().error().code, Code::kCorrupt);
  EXPECT_EQ(guard.OnFile(Sample()).error().code, Code::kCorrupt) << "the last is not complete";
  ASSERT_TRUE(guard.OnData(4));
  EXPECT_THAT(guard.OnFile(Sample()).error().message, HasSubstr("limit of 10 bytes"));
  FileHeader small = Sample();
  small.size_bytes = 0;
  ASSERT_TRUE(guard.OnFile(small));
  EXPECT_EQ(guard.OnFile(small).error().code, Code::kQuota) << "two files at most";
  small.volume = 2;
  EXPECT_FALSE(FileStreamGuard({2, 9, 9}).OnFile(small));
}

}  // namespace
}  // namespace spillway::runtime
