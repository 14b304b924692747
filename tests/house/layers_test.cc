// An arrow only points down: checked by CMake when it configures, and by the includes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <regex>
#include <set>

#include "tests/house/source_files.h"

namespace spillway::house {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string output;
};

// Configures a project of these libraries with the function of this repository. It has headers
// only, so no compiler is looked for.
Outcome Configure(const std::string& libraries) {
  std::string name = "/tmp/spw-layers-XXXXXX";
  const std::filesystem::path directory = mkdtemp(name.data());
  std::ofstream(directory / "CMakeLists.txt")
      << "cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES NONE)\n"
      << "include(" << (Root() / "cmake/SpillwayLibrary.cmake").string() << ")\n"
      << libraries;
  const std::string command = std::string("'") + SPILLWAY_CMAKE + "' -S " + directory.string() +
                              " -B " + (directory / "build").string() + " 2>&1";
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> bytes;
  while (const std::size_t got = fread(bytes.data(), 1, bytes.size(), pipe))
    outcome.output.append(bytes.data(), got);
  outcome.exit_code = WEXITSTATUS(pclose(pipe));
  std::filesystem::remove_all(directory);
  // CMake wraps its messages.
  outcome.output = std::regex_replace(outcome.output, std::regex("\\s+"), " ");
  return outcome;
}

TEST(Layers, AnEdgeDownConfigures) {
  const Outcome outcome = Configure(
      "spillway_library(low LAYER 0)\n"
      "spillway_library(high LAYER 3 DEPENDS low)\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST(Layers, AnEdgeUpDoesNot) {
  const Outcome outcome = Configure(
      "spillway_library(high LAYER 3)\n"
      "spillway_library(low LAYER 1 DEPENDS high)\n");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("layers: 'low' (layer 1) must not depend on 'high' "
                                        "(layer 3): an arrow only points down"));
}

TEST(Layers, NorDoesAnEdgeWithinALayer) {
  const Outcome outcome = Configure(
      "spillway_library(one LAYER 2)\n"
      "spillway_library(two LAYER 2 DEPENDS one)\n");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("'two' (layer 2) must not depend on 'one' (layer 2)"));
}

TEST(Layers, NorALibraryThatIsNotThereOrHasNoLayer) {
  EXPECT_THAT(Configure("spillway_library(one LAYER 2 DEPENDS none)\n").output,
              HasSubstr("depends on 'none', which is not a library declared before it"));
  EXPECT_THAT(Configure("spillway_library(one)\n").output,
              HasSubstr("library 'one' does not state its LAYER"));
}

struct Library {
  int layer = 0;
  std::set<std::string> depends;
};

// Library name -> what its CMakeLists.txt says. clouds/simulated is the library "simulated".
std::map<std::string, Library> Libraries() {
  std::map<std::string, Library> libraries;
  const std::regex call(R"(spillway_library\((\S+)\s+LAYER\s+(\d+)([^)]*)\))");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / "src")) {
    if (entry.path().filename() != "CMakeLists.txt") continue;
    const std::string text = ReadFile(entry.path());
    std::smatch match;
    if (!std::regex_search(text, match, call)) continue;
    Library& library = libraries[match[1]];
    library.layer = std::stoi(match[2]);
    bool in_depends = false;
    std::istringstream words(match[3]);
    for (std::string word; words >> word;) {
      if (word == "SOURCES" || word == "TESTS" || word == "LINK" || word == "DEPENDS")
        in_depends = word == "DEPENDS";
      else if (in_depends)
        library.depends.insert(word);
    }
  }
  return libraries;
}

// Everything the library may use: what it depends on, and what that depends on.
std::set<std::string> Reachable(const std::map<std::string, Library>& libraries,
                                const std::string& name) {
  std::set<std::string> all;
  std::vector<std::string> open{name};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (const auto it = libraries.find(next); all.insert(next).second && it != libraries.end())
      open.insert(open.end(), it->second.depends.begin(), it->second.depends.end());
  }
  return all;
}

// The library of a path below src/, without the file: "clouds/simulated" -> "simulated".
std::string LibraryOf(std::string folder) {
  if (folder.starts_with("clouds/")) folder.erase(0, 7);
  return folder;
}

TEST(Layers, NoIncludePointsPastWhatALibraryDependsOn) {
  const auto libraries = Libraries();
  ASSERT_GT(libraries.size(), 8u);
  const std::regex include(R"re(^#include "([^"]+)/[^/"]+")re");
  for (const std::string& file : SourceFiles("src")) {
    const std::string folder = std::filesystem::path(file.substr(4)).parent_path();
    const std::string own = LibraryOf(folder);
    if (!libraries.contains(own) || IsTest(file)) continue;  // programs wire everything
    const std::set<std::string> reachable = Reachable(libraries, own);
    for (const std::string& line : Lines(ReadFile(Root() / file))) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      EXPECT_TRUE(reachable.contains(LibraryOf(match[1])))
          << file << ": " << line << ": add it to DEPENDS, or do without";
    }
  }
}

}  // namespace
}  // namespace spillway::house
