// A run that this program seals opens with the decoder that knows the format from its description
// alone, file by file; and what was changed does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/rng.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/seal_run.h"
#include "process/program.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using gateway::ReadText;
using gateway::TempDir;
using gateway::WriteText;
using ::testing::HasSubstr;

constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which has the modules
const Time kNow{Duration(1'800'000'000'000)};

struct ProgramResult {
  int code = -1;
  std::string out, err;
};

ProgramResult RunProgram(const std::vector<std::string>& argv) {
  ProgramResult result;
  process::ProgramPlan plan;
  plan.command.argv = argv;
  plan.timeout = 60s;
  plan.said = [&](std::string_view line) { result.err += std::string(line) + "\n"; };
  if (const auto end = process::RunProgram(plan);
      end && end->how == process::ProgramEnd::How::kExited) {
    result.code = end->status;
    result.out = end->output;
  }
  return result;
}

std::string Noise(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.Next() >> 32);
  return bytes;
}

class Decoder : public ::testing::Test {
 protected:
  void SetUp() override {
    if (RunProgram({kPython, "-c", "import cryptography, zstandard"}).code != 0)
      GTEST_SKIP() << "python3-cryptography and python3-zstandard are not installed";
    // Lengths around segments and chunks, content that shrinks and content that does not, and
    // names that need care.
    Put("empty", "");
    Put("one", "1");
    Put("text/lines", std::string(300'000, 'l'));
    Put("noise/segment", Noise(65'536, 1));
    Put("noise/segment+1", Noise(65'537, 2));
    Put("big/noise", Noise(9 << 20, 3));
    Put("big/zeros", std::string(5 << 20, '\0'));
    Put("names/a \"quoted\" \\ name", "q");
    Put("names/ümläut-数据-🙂", "u");
    for (int i = 0; i < 300; ++i) Put("many/" + std::to_string(i), Noise(i * 37 % 2000, 100 + i));
    Seal();
  }

  void Put(const std::string& path, const std::string& content) {
    WriteText(dir_ / ("data/" + path), content);
    chmod((dir_ / ("data/" + path)).c_str(), 0640);
    sources_[path] = content;
  }

  void Seal() {
    gateway::RunRequest request;
    request.run = "bn-00007";
    request.inputs = {
        {"vision/digits", "vision/digits", DataClass::kInternal, dir_ / "data", {}, {}, {}}};
    auto plan = gateway::PlanRun(request);
    ASSERT_TRUE(plan) << plan.error().message;
    const auto files = std::move(*gateway::KeyFiles::Open(dir_ / "keys"));
    const auto keys = std::move(*gateway::KeyStore::Open(dir_ / "keys", *files, kNow));
    ASSERT_TRUE(keys->Create("bn-00007", kNow));
    const auto site = data::SigningKey::FromSeed(*data::Secret::Generate());
    fs::create_directories(dir_ / "run");
    const Status sealed = gateway::SealRun(*plan, dir_ / "run", *keys, site);
    ASSERT_TRUE(sealed) << sealed.error().message;
    ASSERT_TRUE(keys->Use("bn-00007", [&](const data::Secret& key) {
      WriteText(dir_ / "key", AsText(key.bytes()));
      return Ok();
    }));
    site_ = site.public_key().Hex();
    version_ = plan->record.dataset_version;
  }

  ProgramResult Decode(const std::string& out) {
    return RunProgram({kPython, SPILLWAY_SOURCE_DIR "/tests/decoder/decoder.py", "--run",
                       "bn-00007", "--version", version_, "--key-file", dir_ / "key", "--site",
                       site_, "--manifest", dir_ / "run/manifest", "--chunks", dir_ / "run/chunks",
                       "--out", out});
  }
  void ExpectRefused(const std::string& why) {
    const ProgramResult result = Decode(dir_ / "refused");
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_FALSE(fs::exists(dir_ / "refused"));
  }
  void Flip(const std::string& file, std::size_t at) {
    std::string bytes = ReadText(dir_ / file);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    WriteText(dir_ / file, bytes);
  }

  TempDir dir_;
  std::map<std::string, std::string> sources_;
  std::string site_, version_;
};

TEST_F(Decoder, OpensWhatWasSealedFileByFile) {
  const ProgramResult result = Decode(dir_ / "out");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("309 files in "));
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "out/digits"))
    if (entry.is_regular_file()) ++found;
  EXPECT_EQ(found, sources_.size());
  for (const auto& [path, content] : sources_) {
    EXPECT_TRUE(ReadText(dir_ / ("out/digits/" + path)) == content) << path;
    struct stat info{}, source{};
    ASSERT_EQ(stat((dir_ / ("out/digits/" + path)).c_str(), &info), 0);
    ASSERT_EQ(stat((dir_ / ("data/" + path)).c_str(), &source), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0640u) << path;
    EXPECT_EQ(info.st_mtime, source.st_mtime) << path;
  }
  // Both codecs are in it.
  const std::string chunks = ReadText(dir_ / "run/chunks");
  EXPECT_LT(chunks.size(), 13u << 20) << "zeros and lines were compressed";
  EXPECT_GT(chunks.size(), 9u << 20) << "noise was not";
}

TEST_F(Decoder, RefusesWhatWasChanged) {
  const std::string key = ReadText(dir_ / "key");
  Flip("key", 3);
  ExpectRefused("not sealed with this key for this place");
  WriteText(dir_ / "key", key);
  Flip("run/chunks", 5000);
  ExpectRefused("segment 0 of 64 was changed");
  Flip("run/chunks", 5000);
  const std::size_t tag = 76 + 65'536;  // of the first segment
  Flip("run/chunks", tag);
  ExpectRefused("is not the one of the manifest");
  Flip("run/chunks", tag);
  Flip("run/manifest", 90);
  ExpectRefused("segment 0 of 1 was changed");
  Flip("run/manifest", 90);
  version_ += "x";
  ExpectRefused("not sealed with this key for this place");
}

}  // namespace
}  // namespace spillway
