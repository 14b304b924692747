// Everything a person can get wrong in a manifest: each file of tests/data/bad must give exactly
// the lines of its .expected file, and texts too large to keep are made here.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.h"
#include "model/decode.h"
#include "schema/manifest.h"

namespace spillway::schema {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kBad = fs::path(SPILLWAY_SOURCE_DIR) / "tests/data/bad";

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::vector<CatalogProvider>& Catalog() {
  static const std::vector<CatalogProvider> catalog = {
      {"scaleway", {"fr-par-1", "fr-par-2", "nl-ams-1"}}, {"upcloud", {"fi-hel2"}}};
  return catalog;
}

const std::vector<Manifest>& Existing() {
  static const std::vector<Manifest> objects = [] {
    Manifests read = ReadManifests("site.yaml", Slurp(kBad / "existing/site.yaml"), "default");
    EXPECT_EQ(FormatProblems(read.problems), "");
    return std::move(read.objects);
  }();
  return objects;
}

// What the server does with a text: read, and only when that is right, compare with what is there.
std::vector<Problem> Refusals(std::string_view file, std::string_view text) {
  const Manifests read = ReadManifests(file, text, "vision");
  if (!read.ok()) return read.problems;
  std::vector<const json::value*> existing;
  for (const Manifest& manifest : Existing()) existing.push_back(&manifest.document.value);
  return CheckTogether(read.objects, existing, Catalog());
}

std::vector<fs::path> WrongFiles() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kBad))
    if (entry.is_regular_file() && entry.path().extension() != ".expected")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(BadInput, ExistingObjectsAreRightThemselves) {
  std::vector<Problem> problems = CheckTogether(Existing(), {}, Catalog());
  EXPECT_EQ(FormatProblems(problems), "");
}

TEST(BadInput, EveryWrongFileIsRefusedWithItsLines) {
  const auto files = WrongFiles();
  EXPECT_GE(files.size(), 45u);
  for (const fs::path& path : files) {
    const std::string file = path.filename().string();
    const std::string expected = Slurp(fs::path(path) += ".expected");
    EXPECT_NE(expected, "") << file << " has no .expected file beside it";
    EXPECT_EQ(FormatProblems(Refusals(file, Slurp(path))), expected) << file;
  }
}

TEST(BadInput, EveryExpectationBelongsToAFile) {
  for (const auto& entry : fs::directory_iterator(kBad))
    if (entry.path().extension() == ".expected") {
      EXPECT_TRUE(fs::exists(fs::path(entry.path()).replace_extension())) << entry.path();
    }
}

// file:line:col: field: wrong: right, printable, one line each.
TEST(BadInput, EveryLineHasPlaceFaultAndRemedy) {
  for (const fs::path& path : WrongFiles())
    for (const Problem& problem : Refusals(path.filename().string(), Slurp(path))) {
      EXPECT_GT(problem.at.line, 0) << path;
      EXPECT_GT(problem.at.column, 0) << path;
      EXPECT_NE(problem.wrong, "") << path;
      EXPECT_NE(problem.right, "") << path;
      for (const char c : FormatProblem(problem))
        EXPECT_GE(static_cast<unsigned char>(c), 0x20) << path;
    }
}

TEST(BadInput, SecretsAreNotRepeated) {
  for (const char* name :
       {"secret-base64.yaml", "provider-inline-secret.yaml", "exec-secret.yaml"}) {
    const std::string text = FormatProblems(Refusals(name, Slurp(kBad / name)));
    EXPECT_NE(text, "");
    for (const char* secret : {"hunter2", "123456"})
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }
}

class HugeInput : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "spillway-bad-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path directory_;
};

TEST_F(HugeInput, AFileOf100MegabytesIsNotRead) {
  const fs::path path = directory_ / "huge.yaml";
  std::ofstream(path) << "apiVersion: v1\n";
  fs::resize_file(path, 100u << 20);
  const auto text = ReadManifestFile(path.string());
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(FormatProblem(text.error()),
            path.string() + ": larger than 4194304 bytes: several smaller files");
}

TEST_F(HugeInput, MissingFilesAndDirectoriesAreNamed) {
  EXPECT_THAT(FormatProblem(ReadManifestFile((directory_ / "none.yaml").string()).error()),
              HasSubstr("none.yaml: cannot be read: No such file or directory: a readable file"));
  EXPECT_THAT(FormatProblem(ReadManifestFile(directory_.string()).error()),
              HasSubstr("is a directory: a file"));
}

TEST_F(HugeInput, ARealFileIsReadWhole) {
  const fs::path path = directory_ / "small.yaml";
  std::ofstream(path) << "kind: Namespace\n";
  EXPECT_EQ(ReadManifestFile(path.string()).value_or(""), "kind: Namespace\n");
}

std::string Repeat(std::string_view piece, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += piece;
  return out;
}

// Each of these once took another parser minutes, gigabytes or its stack.
TEST(HugeText, IsRefusedQuickly) {
  std::string nested_blocks;
  for (int i = 0; i < 1'500; ++i)
    nested_blocks += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  const std::pair<std::string, std::string> cases[] = {
      {Repeat("[", 10'000) + Repeat("]", 10'000), "nested deeper than 64 levels"},
      {Repeat("{a: ", 10'000) + Repeat("}", 10'000), "nested deeper than 64 levels"},
      {Repeat("[", 10'000), "a bracket that is never closed"},
      {Repeat("- ", 10'000), "nested deeper than 64 levels"},
      {nested_blocks, "nested deeper than 64 levels"},
      {"a: [" + Repeat("1,", 300'000) + "1]", "more than 200000 values"},
      {Repeat("--- a\n", 2'000), "more than 1000 documents"},
      {"a: " + std::string(2u << 20, 'x'), "a value longer than 1048576 bytes"},
      {"a: &a " + std::string(1u << 20, 'x') + "\nb: [" + Repeat("*a, ", 100) + "]",
       "more than 16777216 bytes of text"},
      {std::string(5u << 20, ' '), "larger than 4194304 bytes"},
      {Repeat("? ", 10'000), ""},
      {Repeat("&a ", 10'000), ""},
      {Repeat("!a ", 10'000), ""},
      {Repeat("%TAG ! a\n", 10'000), ""},
      {Repeat("'", 99'999), ""},
      {Repeat("a: b\n\t", 10'000), ""}};
  for (const auto& [text, wrong] : cases) {
    const auto start = std::chrono::steady_clock::now();
    const auto problems = Refusals("huge.yaml", text);
    const auto took = std::chrono::steady_clock::now() - start;
    ASSERT_FALSE(problems.empty()) << text.substr(0, 20);
    EXPECT_THAT(FormatProblem(problems[0]), HasSubstr(wrong)) << text.substr(0, 20);
    EXPECT_LT(took, std::chrono::seconds(10)) << text.substr(0, 20);
  }
}

TEST(HugeText, ProblemsAreCapped) {
  std::string text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspec:\n";
  for (int i = 0; i < 5'000; ++i) text += "  f" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(Refusals("many.yaml", text).size(), kMaxProblems);
}

// Any prefix of a right file, and the file with any byte damaged, is answered and never crashes.
TEST(HugeText, DamagedFilesAreAnswered) {
  const std::string right = Slurp(kBad / "existing/site.yaml");
  for (std::size_t i = 0; i < right.size(); i += 7) {
    ReadManifests("cut.yaml", right.substr(0, i), "default");
    std::string damaged = right;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 7)));
    ReadManifests("damaged.yaml", damaged, "default");
  }
}

// A BurstNode as the controller writes it is one the definition allows.
TEST(Definitions, FitTheBurstNodeThatIsWritten) {
  BurstNode node;
  node.name = "bn-1";
  node.ns = "vision";
  node.policy = "research";
  node.workload = "vision/Job/sweep";
  node.pods = {{"vision/sweep-0", "u1"}};
  node.offer.provider = "scaleway";
  node.offer.catalog = "scaleway";
  node.offer.region = "fr-par-2";
  node.offer.country = "FR";
  node.offer.area = "EU";
  node.offer.instance_type = "L4-1-24G";
  node.offer.allocatable = {8000, 48LL << 30, 0, 1, {}};
  node.offer.labels["nvidia.com/gpu.product"] = "NVIDIA-L4";
  node.side_terms = {{"disk", Money::Cents(1), false}};
  node.side_objects = {{"disk", "d-1", Money::Cents(1), false, Time{}}};
  node.history = {{Phase::kPlanned, Time{Duration{1'000}}}};
  node.created_at = node.phase_since = Time{Duration{1'000}};
  node.failure = Failure::kNodeLost;
  node.failure_detail = "no heartbeat";
  node.wipe_class = WipeClass::kCryptoEraseOnly;
  Document document{EncodeBurstNode(node), {}};
  EXPECT_EQ(FormatProblems(Validate(Schemas::Embedded(), "", document)), "");
}

}  // namespace
}  // namespace spillway::schema
