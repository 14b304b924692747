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

using ::testing::HasSubstr;

TEST(Completion, InstalledFileIsWhatIsPrinted) {
  std::ifstream file(SPILLWAY_SOURCE_DIR "/deploy/completion/spillway.bash");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, BashCompletion())
      << "run: build/bin/spillway completion bash > deploy/completion/spillway.bash";
}

// What bash offers for a line whose last word is being written.
std::string Offered(const std::vector<std::string>& line) {
  const TempDir dir;
  dir.Write("completion", BashCompletion());
  std::string words;
  for (const std::string& word : line) words += " '" + word + "'";
  const std::string script = dir.Write(
      "ask",
      "spillway() { [ \"$2\" = namespaces ] && printf 'namespace/vision\\nnamespace/nlp\\n'\n"
      "  [ \"$2\" = job ] && printf 'job/sweep\\n'; return 0; }\n"
      "compopt() { :; }\n. " +
          dir.path() + "/completion\nCOMP_WORDS=(" + words +
          ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_spillway\nprintf '%s ' "
          "\"${COMPREPLY[@]}\"\n");
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("bash " + script).c_str(), "r"), pclose);
  std::string out;
  std::array<char, 4096> piece{};
  while (const std::size_t got = fread(piece.data(), 1, piece.size(), pipe.get()))
    out.append(piece.data(), got);
  return out;
}

TEST(Completion, OffersCommandsFlagsKindsAndNames) {
  EXPECT_EQ(Offered({"spillway", "exp"}), "explain ");
  EXPECT_EQ(Offered({"spillway", "audit", "ver"}), "verify ");
  EXPECT_EQ(Offered({"spillway", "get", "burstn"}), "burstnodes ");
  EXPECT_EQ(Offered({"spillway", "get", "-n", "v"}), "vision ");
  EXPECT_EQ(Offered({"spillway", "get", "-n", "vision", "job", "s"}), "sweep ");
  EXPECT_EQ(Offered({"spillway", "wait", "job/"}), "job/sweep ");
  EXPECT_THAT(Offered({"spillway", "get", "-"}), HasSubstr("--all-namespaces"));
  EXPECT_EQ(Offered({"spillway", "cost", "--by", "bud"}), "budget ");
}

}  // namespace
}  // namespace spillway::cli
