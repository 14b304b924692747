#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

#include "cli/test_support.h"

namespace spillway::cli {
namespace {

TEST(Completion, InstalledFileIsWhatIsPrinted) {
  std::ifstream file(SPILLWAY_SOURCE_DIR "/deploy/completion/spillway.bash");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, BashCompletion())
      << "run: build/bin/spillway completion bash > deploy/completion/spillway.bash";
}

// What bash offers for a line, and what it was told about the word, when `spillway` answers so.
std::string Offered(const std::string& line, const std::string& answer) {
  const TempDir dir;
  dir.Write("completion", BashCompletion());
  const std::string script =
      dir.Write("ask", "spillway() { echo \"asked: $*\"; printf '" + answer +
                           "'; }\ncompopt() { COMPREPLY+=(\"[$*]\"); }\n. " + dir.path() +
                           "/completion\nCOMP_WORDS=(" + line +
                           ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_spillway\nprintf '%s|' "
                           "\"${COMPREPLY[@]}\"\n");
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("bash " + script).c_str(), "r"), pclose);
  std::string out;
  std::array<char, 4096> piece{};
  while (const std::size_t got = fread(piece.data(), 1, piece.size(), pipe.get()))
    out.append(piece.data(), got);
  return out;
}

TEST(Completion, AsksAndFollowsTheDirective) {
  EXPECT_EQ(Offered("spillway get burst", "burstnodes\\nburstpolicies\\n:4\\n"),
            "asked: complete get burst|burstnodes|burstpolicies|");
  EXPECT_EQ(Offered("spillway wait ''", "job/\\n:6\\n"),
            "asked: complete wait |job/|[-o nospace]|");
  EXPECT_EQ(Offered("spillway apply -f ''", ":0\\n"), "asked: complete apply -f |[-o default]|");
}

}  // namespace
}  // namespace spillway::cli
