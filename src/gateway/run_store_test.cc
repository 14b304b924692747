#include "gateway/run_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>

#include "gateway/fetch_run.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/seal_run.h"

namespace spillway::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Time kNow{Duration(1'800'000'000'000)};

class RunsTest : public ::testing::Test {
 protected:
  RunsTest() : site_(*OpenSigningKey(dir_ / "site")) {
    WriteText(dir_ / "digits/train/a", "alpha");
    WriteText(dir_ / "digits/train/b", std::string(9 << 20, 'b'));
    WriteText(dir_ / "digits/train/empty", "");
    WriteText(dir_ / "digits/test/c", "gamma");
    WriteText(dir_ / "labels/l", "lambda");
    Reopen();
  }
  void Reopen() {
    runs_.reset();
    key_files_ = std::move(*KeyFiles::Open(dir_ / "keys"));
    keys_ = std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow));
    runs_ = std::move(*Runs::Open(dir_ / "runs", *keys_, site_));
  }
  RunInput Input(const std::string& claim, const std::string& dataset) const {
    return {
        "vision/" + claim, "vision/" + dataset, DataClass::kInternal, dir_ / dataset, {}, {}, {}};
  }
  RunRequest Request(const std::string& run) const {
    RunInput digits = Input("digits", "digits");
    digits.include = {"train/**"};
    return {run, {digits, Input("labels", "labels")}, {{"vision/models", "vision/models"}}};
  }
  static std::string All(Result<std::unique_ptr<SealedSlice>> slice) {
    auto bytes = AllOf(std::move(slice));
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes.value_or("");
  }
  // path -> content
  std::map<std::string, std::string> Fetch(const std::string& run) {
    auto files = FetchRun(*runs_, *keys_, site_.public_key(), run);
    EXPECT_TRUE(files) << files.error().message;
    return files ? std::move(*files) : std::map<std::string, std::string>();
  }

  static std::vector<std::string> PathsOf(const std::map<std::string, std::string>& files) {
    std::vector<std::string> paths;
    for (const auto& [path, content] : files) paths.push_back(path);
    return paths;
  }

  TempDir dir_;
  data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
};

TEST_F(RunsTest, PreparesExactlyWhatIsSelected) {
  EXPECT_FALSE(runs_->Report("bn-1").prepared);
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  const auto files = Fetch("bn-1");
  ASSERT_EQ(files.size(), 4u);
  EXPECT_EQ(files.at("digits/train/a"), "alpha");
  EXPECT_EQ(files.at("digits/train/b"), std::string(9 << 20, 'b'));
  EXPECT_EQ(files.at("digits/train/empty"), "");
  EXPECT_EQ(files.at("labels/l"), "lambda");
  const control::RunReport report = runs_->Report("bn-1");
  EXPECT_TRUE(report.prepared);
  EXPECT_EQ(report.never_left_objects, 1);
  EXPECT_EQ(report.never_left_bytes, 5);
  const auto record = runs_->Find("bn-1");
  EXPECT_EQ(report.bytes_in, record->SealedBytes() + record->manifest_bytes);
  EXPECT_EQ(record->data_class, DataClass::kInternal);
}

// Two machines of a gang: what one gets the other does not, and both together are the selection.
TEST_F(RunsTest, MachinesOfAShardedRunGetTheirShards) {
  for (int i = 0; i < 7; ++i)
    WriteText(dir_ / fmt::format("digits/train/{}.tar", i), std::string(100 << i, 'x'));
  const auto prepare = [&](const std::string& run, std::vector<data::Shard> shards) {
    RunRequest request = Request(run);
    request.inputs[0].needs = {{{"train/*.tar"}, std::move(shards)}};
    const Status prepared = runs_->Prepare(request, kNow);
    EXPECT_TRUE(prepared) << prepared.error().message;
    return Fetch(run);
  };
  // Three pods on two machines.
  const auto first = prepare("bn-1", {{0, 3}, {2, 3}}), second = prepare("bn-2", {{1, 3}});
  const auto whole = prepare("bn-3", {});
  EXPECT_THAT(PathsOf(second), ElementsAre("digits/train/1.tar", "digits/train/4.tar", "labels/l"));
  auto together = first;
  for (const auto& [path, content] : second)
    if (!together.emplace(path, content).second) {
      EXPECT_EQ(path, "labels/l") << "it is not cut";
    }
  EXPECT_EQ(together, whole);
  EXPECT_NE(runs_->Find("bn-1")->dataset_version, runs_->Find("bn-2")->dataset_version);
  // What went to the other machine did not stay.
  for (const char* run : {"bn-1", "bn-2", "bn-3"}) {
    EXPECT_EQ(runs_->Report(run).never_left_objects, 4) << run;
    EXPECT_EQ(runs_->Report(run).never_left_bytes, 5 + (9 << 20) + 0 + 5) << run;
  }
}

// Two claims on one place: what all read, and what is cut.
TEST_F(RunsTest, WhatAllMachinesReadComesWithAnotherClaim) {
  const auto files = [&](std::vector<std::string> patterns) {
    RunRequest request = Request("bn-" + std::to_string(patterns.size()));
    request.inputs[1] = Input("code", "digits");
    request.inputs[0].needs = {{{}, {{0, 3}}}};
    request.inputs[1].needs = {{std::move(patterns), {}}};
    EXPECT_TRUE(runs_->Prepare(request, kNow));
    return Fetch(request.run);
  };
  EXPECT_THAT(PathsOf(files({"test/**"})), ElementsAre("code/test/c", "digits/train/a"));
  EXPECT_EQ(runs_->Report("bn-1").never_left_objects, 0);
  EXPECT_EQ(runs_->Report("bn-1").never_left_bytes, 0);
  // Both claims read one file: never more than what stays.
  EXPECT_EQ(files({"train/a", "train/b"}).size(), 3u);
  EXPECT_EQ(runs_->Report("bn-2").never_left_objects, 0);
  EXPECT_EQ(runs_->Report("bn-2").never_left_bytes, 0);
}

TEST_F(RunsTest, AShardWithoutAFileIsToldOf) {
  RunRequest request = Request("bn-1");
  request.inputs[0].needs = {{{}, {{3, 4}}}};
  EXPECT_FALSE(runs_->Prepare(request, kNow));
  EXPECT_THAT(runs_->Report("bn-1").failed->message,
              HasSubstr("for claim vision/digits in shard 3 of 4; cut it into fewer shards than it "
                        "has files"));
}

// Every later file would be in another shard.
TEST_F(RunsTest, AShardIsOfOneVersion) {
  ASSERT_TRUE(keys_->Create("bn-1", kNow));
  std::filesystem::create_directories(dir_ / "runs/bn-1");
  RunRequest request = Request("bn-1");
  request.inputs[0].needs = {{{}, {{1, 2}}}};
  RunPlan plan = *PlanRun(request);
  ASSERT_EQ(plan.inputs[0].listing.selected.size(), 1u);
  EXPECT_EQ(plan.inputs[0].listing.selected[0].path, "train/b");
  std::filesystem::remove(dir_ / "digits/train/a");
  const Status sealed = SealRun(plan, dir_ / "runs/bn-1", *keys_, site_);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::kCorrupt);
}

TEST_F(RunsTest, SurvivesARestart) {
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  const auto before = Fetch("bn-1");
  const std::int64_t served = runs_->Report("bn-1").bytes_in;
  Reopen();
  EXPECT_TRUE(runs_->Report("bn-1").prepared);
  EXPECT_EQ(runs_->Report("bn-1").bytes_in, served);
  const std::string manifest = All(runs_->Manifest("bn-1", {}));
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow)) << "idempotent";
  EXPECT_EQ(All(runs_->Manifest("bn-1", {})), manifest);
  EXPECT_EQ(Fetch("bn-1"), before);
}

TEST_F(RunsTest, ACrashWhileSealingLeavesNothingThatCounts) {
  RunPlan plan = *PlanRun(Request("bn-1"));
  ASSERT_TRUE(keys_->Create("bn-1", kNow));
  std::filesystem::create_directories(dir_ / "runs/bn-1");
  ASSERT_TRUE(SealRun(plan, dir_ / "runs/bn-1", *keys_, site_));
  const std::string first = ReadText(dir_ / "runs/bn-1/chunks");
  Reopen();  // everything is there but run.json
  EXPECT_FALSE(runs_->Report("bn-1").prepared);
  EXPECT_EQ(runs_->Manifest("bn-1", {}).error().code, Code::kConflict);
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  EXPECT_NE(ReadText(dir_ / "runs/bn-1/chunks"), first) << "fresh salts";
  EXPECT_EQ(Fetch("bn-1").size(), 4u);
}

TEST_F(RunsTest, NeverMixesVersions) {
  ASSERT_TRUE(keys_->Create("bn-1", kNow));
  std::filesystem::create_directories(dir_ / "runs/bn-1");
  RunPlan changed = *PlanRun(Request("bn-1"));
  WriteText(dir_ / "digits/train/a", "ALPHA");
  const Status sealed = SealRun(changed, dir_ / "runs/bn-1", *keys_, site_);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::kCorrupt);
  EXPECT_THAT(sealed.error().message, HasSubstr("train/a"));
  RunPlan grown = *PlanRun(Request("bn-1"));
  WriteText(dir_ / "digits/train/new", "late");
  EXPECT_EQ(SealRun(grown, dir_ / "runs/bn-1", *keys_, site_).error().code, Code::kCorrupt);
  const std::string version = PlanRun(Request("bn-1"))->record.dataset_version;
  WriteText(dir_ / "digits/test/c", "what stays has no part in the version");
  EXPECT_EQ(PlanRun(Request("bn-1"))->record.dataset_version, version);
  WriteText(dir_ / "digits/train/a", "alpha!");
  EXPECT_NE(PlanRun(Request("bn-1"))->record.dataset_version, version);
}

TEST_F(RunsTest, FinalFailuresAreReported) {
  RunRequest restricted = Request("bn-1");
  restricted.inputs[1].data_class = DataClass::kRestricted;
  EXPECT_FALSE(runs_->Prepare(restricted, kNow));
  ASSERT_TRUE(runs_->Report("bn-1").failed);
  EXPECT_THAT(runs_->Report("bn-1").failed->message, HasSubstr("restricted"));

  RunRequest nothing = Request("bn-2");
  nothing.inputs[0].needs = {{{"absent/**"}, {}}};
  EXPECT_FALSE(runs_->Prepare(nothing, kNow));
  EXPECT_THAT(runs_->Report("bn-2").failed->message, HasSubstr("leave no file"));

  RunRequest missing = Request("bn-3");
  missing.inputs[0].directory = dir_ / "absent";
  EXPECT_FALSE(runs_->Prepare(missing, kNow));
  EXPECT_EQ(runs_->Report("bn-3").failed->code, Code::kNotFound);

  RunRequest outside = Request("bn-4");
  outside.outputs[0].directory = "../elsewhere";
  EXPECT_FALSE(runs_->Prepare(outside, kNow));
  RunRequest twice = Request("bn-5");
  twice.inputs[1].claim = "vision/digits";
  EXPECT_FALSE(runs_->Prepare(twice, kNow));
}

TEST_F(RunsTest, ARunWithoutInputsHasAnEmptyManifest) {
  ASSERT_TRUE(runs_->Prepare({"bn-1", {}, {{"vision/models", "m"}}}, kNow));
  EXPECT_TRUE(Fetch("bn-1").empty());
  EXPECT_TRUE(runs_->Find("bn-1")->chunk_ends.empty());
}

TEST_F(RunsTest, ServesSlicesAndRefusesOthers) {
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  const std::string whole = All(runs_->Chunk("bn-1", 1, {}));
  auto slice = runs_->Chunk("bn-1", 1, {100, 199});
  ASSERT_TRUE(slice);
  EXPECT_EQ((*slice)->first(), 100);
  EXPECT_EQ((*slice)->total(), static_cast<std::int64_t>(whole.size()));
  EXPECT_EQ(All(std::move(slice)), whole.substr(100, 100));
  const auto size = static_cast<std::int64_t>(whole.size());
  EXPECT_EQ(All(runs_->Chunk("bn-1", 1, {size - 1, size + 5})), whole.substr(whole.size() - 1));
  EXPECT_EQ(runs_->Chunk("bn-1", 1, {size, {}}).error().code, Code::kInvalid);
  EXPECT_EQ(runs_->Chunk("bn-1", 99, {}).error().code, Code::kNotFound);
  EXPECT_EQ(runs_->Chunk("bn-2", 0, {}).error().code, Code::kConflict) << "another run";
}

TEST_F(RunsTest, WhatIsNotReadDoesNotCountInTheEnd) {
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  auto slice = runs_->Chunk("bn-1", 1, {});
  ASSERT_TRUE(slice);
  EXPECT_EQ(runs_->Report("bn-1").bytes_in, (*slice)->bytes()) << "a crash now counts too much";
  std::string part(100, '\0');
  ASSERT_TRUE((*slice)->Read(0, part));
  slice->reset();
  EXPECT_EQ(runs_->Report("bn-1").bytes_in, 100);
}

TEST_F(RunsTest, AfterDestructionNothingIsServedOrPrepared) {
  ASSERT_TRUE(runs_->Prepare(Request("bn-1"), kNow));
  ASSERT_TRUE(runs_->Destroy("bn-1", kNow + 1h));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(runs_->Report("bn-1").key_destroyed);
    EXPECT_EQ(runs_->Report("bn-1").key_destroyed_at, kNow + 1h);
    EXPECT_FALSE(runs_->Served("bn-1"));
    EXPECT_EQ(runs_->Manifest("bn-1", {}).error().code, Code::kConflict);
    EXPECT_EQ(runs_->Chunk("bn-1", 0, {}).error().code, Code::kConflict);
    EXPECT_FALSE(std::filesystem::exists(dir_ / "runs/bn-1/chunks"));
    EXPECT_NE(runs_->Find("bn-1"), nullptr) << "the evidence stays";
    Reopen();
  }
  ASSERT_TRUE(runs_->Destroy("bn-2", kNow)) << "destroyed before it was prepared";
  EXPECT_EQ(runs_->Prepare(Request("bn-2"), kNow).error().code, Code::kConflict);
  EXPECT_TRUE(runs_->Report("bn-2").key_destroyed);
  EXPECT_FALSE(runs_->Report("bn-2").prepared);
}

TEST_F(RunsTest, TenThousandSmallFilesInBoundedTime) {
  for (int d = 0; d < 100; ++d) {
    const std::string folder = dir_ / ("many/" + std::to_string(d));
    std::filesystem::create_directories(folder);
    for (int i = 0; i < 100; ++i)
      std::ofstream(folder + "/" + std::to_string(i)) << "sample " << d << " " << i;
  }
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(runs_->Prepare({"bn-1", {Input("many", "many")}, {}}, kNow));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_EQ(runs_->Find("bn-1")->files, 10'000);
  EXPECT_EQ(runs_->Find("bn-1")->chunk_ends.size(), 1u);
}

}  // namespace
}  // namespace spillway::gateway
