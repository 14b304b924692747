#include "gateway/source_s3.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <condition_variable>

#include "gateway/read_ahead.h"
#include "gateway/selection_cache.h"
#include "s3/fake_s3.h"

namespace spillway::gateway {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class S3SourceTest : public ::testing::Test {
 protected:
  std::shared_ptr<Source> Open(const std::string& prefix = "", s3::Patience patience = {}) {
    return MakeS3Source({"http://127.0.0.1:7480", "data", prefix}, store_.Open(patience));
  }
  static data::Selection Select(std::vector<std::string> include = {},
                                std::vector<std::string> exclude = {}) {
    return *data::Selection::Parse(include, exclude, {});
  }
  std::string WhyNot(const data::Selection& selection) {
    const auto listing = Open()->List(selection);
    if (listing) return "listed";
    EXPECT_EQ(listing.error().code, Code::kInvalid);
    return listing.error().message;
  }

  s3::FakeS3 store_;
};

TEST_F(S3SourceTest, MarksOfDirectoriesAreNoFiles) {
  store_.Set("set/", "");
  store_.Set("set/sub/", "");
  store_.Set("set/sub/a", "aa");
  store_.Set("settle", "not below the prefix");
  const auto listing = Open("set/")->List(Select());
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->objects, 1);
  EXPECT_EQ(listing->selected.at(0).path, "sub/a");
}

TEST_F(S3SourceTest, KeysThatAreNoPathsAreNamedUnlessExcluded) {
  store_.Set("ok/a", "a");
  for (const std::string& key : std::initializer_list<std::string>{
           std::string("/bad"), std::string("bad//b"), std::string("bad/../b"),
           std::string("bad/./b"), std::string("bad/\x01"), std::string("bad/\xff"),
           std::string("bad/slash/"), "bad/" + std::string(256, 'x')}) {
    store_.Set(key, "content");
    EXPECT_THAT(WhyNot(Select()),
                AllOf(HasSubstr("s3://data/"), HasSubstr("cannot be a file"), HasSubstr("exclude")))
        << key;
    EXPECT_EQ(WhyNot(Select({"ok/**"})), "listed") << key;
    store_.Remove(key);
  }
  std::string deep;
  for (int i = 0; i <= kMaxSourceDepth; ++i) deep += "d/";
  store_.Set(deep + "f", "x");
  EXPECT_THAT(WhyNot(Select()), HasSubstr("directories deep"));
  EXPECT_EQ(WhyNot(Select({}, {"d/**"})), "listed");
}

TEST_F(S3SourceTest, AnObjectThatIsAlsoADirectoryIsRefused) {
  store_.Set("a", "x");
  store_.Set("a/b", "x");
  RunRequest request{"bn-1", {{"ns/c", "ns/d", DataClass::kPublic, "", {}, {}, {}}}, {}};
  request.inputs[0].source = Open();
  const auto plan = PlanRun(request);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::kInvalid);
}

// Everything that a run reads, while the store misbehaves.
class S3TroubleTest : public S3SourceTest {
 protected:
  S3TroubleTest() {
    for (int i = 0; i < 200; ++i)
      store_.Set(fmt::format("f/{:03}", i), std::string(static_cast<std::size_t>(i) * 1000, 'x'));
  }
  Status ReadAll(s3::Patience patience = {}) {
    RunRequest request{"bn-1", {{"ns/c", "ns/d", DataClass::kPublic, "", {}, {}, {}}}, {}};
    request.inputs[0].source = Open("", patience);
    SPW_ASSIGN(const RunPlan plan, PlanRun(request));
    std::vector<std::unique_ptr<SourceReader>> readers;
    readers.push_back(std::move(*plan.inputs[0].source->Open()));
    ReadAhead ahead(plan, std::move(readers));
    for (std::size_t i = 0; i < plan.layout.chunks.size(); ++i) {
      SPW_ASSIGN(const ByteBuffer chunk, ahead.Next());
      EXPECT_EQ(chunk, ByteBuffer(chunk.size(), 'x'));
    }
    return Ok();
  }
  static bool IsRead(const net::WebRequest& request) {
    return !request.headers.Get("If-Match").empty();
  }
};

TEST_F(S3TroubleTest, ThrottledTornAndBrokenAnswersAreReadAgain) {
  std::atomic<int> count = 0;
  store_.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (!IsRead(request)) return std::nullopt;
    switch (count++ % 5) {
      case 0:
        return s3::FakeS3::Refusal(503, "SlowDown");
      case 1:
        return Fail(Code::kUnavailable, "the connection broke");
      case 2:
        return s3::FakeS3::Answer(500, "<html>");
      default:
        return std::nullopt;
    }
  };
  const Status read = ReadAll();
  EXPECT_TRUE(read) << read.error().message;
}

TEST_F(S3TroubleTest, AStoreThatStaysAwayEndsItAndCanBeAskedAgain) {
  store_.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (!IsRead(request)) return std::nullopt;
    return Fail(Code::kUnavailable, "cannot connect");
  };
  EXPECT_EQ(ReadAll({.total = 1s}).error().code, Code::kUnavailable);
}

TEST_F(S3TroubleTest, ARunOfOneVersionOrNone) {
  std::atomic<int> count = 0;
  store_.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (IsRead(request) && ++count == 50) store_.Set("f/150", std::string(150'000, 'y'));
    return std::nullopt;
  };
  const Status read = ReadAll();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kCorrupt);
  EXPECT_THAT(read.error().message, HasSubstr("s3://data/f/150: changed"));
}

// A far source is never waited for.
TEST_F(S3SourceTest, EstimatesComeFromAThreadOfTheirOwn) {
  store_.Set("a", "12345");
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  store_.before = [&](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    return std::nullopt;
  };
  SelectionCache cache(10s, 100s);
  const std::shared_ptr<Source> source = Open();
  const auto look = [&](Duration now) { return cache.Look(source, {}, {}, {}, now); };
  const auto wait_for_looks = [&](std::uint64_t looks) {
    while (cache.FarLooks() < looks) std::this_thread::yield();
  };
  EXPECT_EQ(look(0s).error().code, Code::kUnavailable);
  EXPECT_THAT(look(1s).error().message, HasSubstr("being looked at"));
  {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
  wait_for_looks(1);
  EXPECT_EQ(look(2s)->leaves_bytes, 5);
  store_.Set("b", "678");
  EXPECT_EQ(look(99s)->leaves_bytes, 5);
  EXPECT_EQ(cache.FarLooks(), 1u);
  EXPECT_EQ(look(101s)->leaves_bytes, 5) << "the old answer at once, a new one soon";
  wait_for_looks(2);
  EXPECT_EQ(look(102s)->leaves_bytes, 8);
}

}  // namespace
}  // namespace spillway::gateway
