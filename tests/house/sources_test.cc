// What may stand in src/.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/house/source_files.h"

namespace spillway::house {
namespace {

constexpr std::size_t kMaxLines = 700;

// The line without its comment; close enough, since our strings hold no "//" but in addresses.
std::string Code(const std::string& line) {
  const std::size_t comment = line.find("//");
  return line.substr(0, comment);
}

// "file:line: text" of every line of code that matches.
std::vector<std::string> Matches(const std::vector<std::string>& files, const std::regex& pattern) {
  std::vector<std::string> found;
  for (const std::string& file : files) {
    int number = 0;
    for (const std::string& line : Lines(ReadFile(Root() / file))) {
      ++number;
      if (std::regex_search(Code(line), pattern))
        found.push_back(file + ":" + std::to_string(number) + ": " + line);
    }
  }
  return found;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n" + line;
  return text;
}

// Calls that make a result depend on more than the arguments.
const std::regex& Impure() {
  static const std::regex pattern(
      R"(_clock::now\(|\btime\(nullptr\)|\b(s?rand|getenv|secure_getenv|usleep|sleep)\s*\()"
      R"(|sleep_(for|until)|std::random_device|std::unordered_)");
  return pattern;
}

TEST(Sources, PureLayersUseNoClockNoChanceAndNoEnvironment) {
  std::vector<std::string> files;
  for (const char* folder : {"src/base", "src/model", "src/plan", "src/control", "src/data"})
    for (std::string& file : SourceFiles(folder))
      // The system's clock and the log's time stamps live here, and nowhere else.
      if (!IsTest(file) && file != "src/base/duration.cc" && file != "src/base/log.cc")
        files.push_back(std::move(file));
  ASSERT_GT(files.size(), 30u);
  EXPECT_EQ(Joined(Matches(files, Impure())), "");
}

TEST(Sources, TheSearchForImpureCallsFindsThem) {
  for (const char* line : {"auto t = std::chrono::system_clock::now();", "int x = rand();",
                           "std::this_thread::sleep_for(1s);", "getenv(\"HOME\")",
                           "std::random_device device;", "std::unordered_map<int, int> map;"})
    EXPECT_TRUE(std::regex_search(Code(line), Impure())) << line;
  for (const char* line :
       {"int operand(int x);", "// calls rand()", "Time now = clock.Now();", "run_time(nullptr_t)"})
    EXPECT_FALSE(std::regex_search(Code(line), Impure())) << line;
}

TEST(Sources, NoFileIsTooLong) {
  for (const std::string& file : SourceFiles("src"))
    EXPECT_LE(Lines(ReadFile(Root() / file)).size(), kMaxLines)
        << file << ": split it by what its parts are for";
}

TEST(Sources, EveryTestIsBuilt) {
  for (const char* folder : {"src", "tests"}) {
    const std::vector<std::string> files = SourceFiles(folder);
    ASSERT_GT(files.size(), 30u);
    for (const std::string& file : files) {
      if (!file.ends_with("_test.cc")) continue;
      const std::filesystem::path path(file);
      const std::filesystem::path own = path.parent_path(), above = own.parent_path();
      const std::string build =
          ReadFile(Root() / own / "CMakeLists.txt") + ReadFile(Root() / above / "CMakeLists.txt");
      EXPECT_NE(build.find(path.filename()), std::string::npos)
          << file << " is in no CMakeLists.txt";
    }
  }
}

TEST(Sources, NoPathOfSomebodysMachine) {
  std::vector<std::string> files = SourceFiles("src");
  for (const char* folder : {"tests", "examples", "scripts", "catalog", "deploy", "api", "cmake"})
    if (std::filesystem::exists(Root() / folder))
      for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / folder))
        // Wrong files may say anything, and this test must name what it looks for.
        if (entry.is_regular_file() && entry.path().string().find("/bad/") == std::string::npos &&
            entry.path().filename() != "sources_test.cc")
          files.push_back(std::filesystem::relative(entry.path(), Root()));
  const std::regex pattern("(^|[^A-Za-z0-9_.-])/(work|root)/");
  for (const std::string& file : files)
    for (const std::string& line : Lines(ReadFile(Root() / file)))
      EXPECT_FALSE(std::regex_search(line, pattern)) << file << ": " << line;
}

TEST(Sources, EveryFolderSaysWhatItIsFor) {
  std::set<std::filesystem::path> folders;
  for (const std::string& file : SourceFiles("src"))
    folders.insert(std::filesystem::path(file).parent_path());
  for (const auto& folder : folders) {
    // A README, or a comment at the head of CMakeLists.txt, of the header of the same name, or of
    // a program's main.cc.
    const bool readme = std::filesystem::exists(Root() / folder / "README.md");
    const std::string build = ReadFile(Root() / folder / "CMakeLists.txt");
    const std::string header = ReadFile(Root() / folder / (folder.filename().string() + ".h"));
    const std::string program = ReadFile(Root() / folder / "main.cc");
    EXPECT_TRUE(readme || build.starts_with("#") || header.starts_with("//") ||
                program.starts_with("//"))
        << folder << ": add a README.md of one paragraph";
  }
}

}  // namespace
}  // namespace spillway::house
