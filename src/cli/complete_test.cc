#include "cli/complete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_support.h"

namespace spillway::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

using Words = std::vector<std::string>;

// Names are "KIND-a" and "KIND-b"; `asked` is the line's where.
Completion Of(const Words& line, Words* asked = nullptr) {
  return Complete(line, [&](const std::string& kind, const Words& where) {
    if (asked != nullptr) *asked = where;
    return Words{kind + "-a", kind + "-b"};
  });
}

TEST(Complete, CommandsAndKinds) {
  EXPECT_THAT(Of({"exp"}).words, ElementsAre("explain"));
  EXPECT_THAT(Of({""}).words, IsSupersetOf({"get", "audit", "status"}));
  EXPECT_THAT(Of({""}).words, Not(Contains("dial-stdio")));
  EXPECT_THAT(Of({"audit", "ver"}).words, ElementsAre("verify"));
  EXPECT_THAT(Of({"get", "burstn"}).words, ElementsAre("burstnodes"));
  EXPECT_THAT(Of({"cost", ""}).words, IsEmpty());
  EXPECT_THAT(Of({}).words, Contains("get"));
}

TEST(Complete, NamesOfWhereTheLineLooks) {
  Words where;
  EXPECT_THAT(Of({"--context", "prod", "get", "-n", "vision", "job", "job-a"}, &where).words,
              ElementsAre("job-a"));
  EXPECT_THAT(where, ElementsAre("--context", "prod", "-n", "vision"));
  EXPECT_THAT(Of({"get", "pods", "-A", ""}, &where).words, ElementsAre("pods-a", "pods-b"));
  EXPECT_THAT(where, ElementsAre("-A"));
  EXPECT_THAT(Of({"get", "-n", "namespaces-b"}).words, ElementsAre("namespaces-b"));
  EXPECT_THAT(Of({"logs", "-f", "pods-"}).words, ElementsAre("pods-a", "pods-b"));
  EXPECT_THAT(Of({"logs", "pods-a", ""}).words, IsEmpty());
}

TEST(Complete, TargetsGoOn) {
  const Completion open = Of({"wait", "jo"});
  EXPECT_THAT(open.words, ElementsAre("job/"));
  EXPECT_TRUE(open.open);
  const Completion whole = Of({"wait", "job/"});
  EXPECT_THAT(whole.words, ElementsAre("job/job-a", "job/job-b"));
  EXPECT_FALSE(whole.open);
}

TEST(Complete, FlagsAndTheirValues) {
  EXPECT_THAT(Of({"get", "--all"}).words, ElementsAre("--all-namespaces"));
  EXPECT_THAT(Of({"get", "--con"}).words, ElementsAre("--context"));
  EXPECT_THAT(Of({"cost", "--by", "bud"}).words, ElementsAre("budget"));
  EXPECT_THAT(Of({"wait", "job/x", "--for", "del"}).words, ElementsAre("delete"));
  EXPECT_THAT(Of({"wait", "job/x", "--timeout", ""}).words, IsEmpty());
  EXPECT_TRUE(Of({"apply", "-f", "x"}).files);
  EXPECT_TRUE(Of({"--kubeconfig", ""}).files);
  EXPECT_TRUE(Of({"audit", "verify", ""}).files);
  EXPECT_FALSE(Of({"get", ""}).files);
}

TEST(Complete, TheFormIsCobras) {
  EXPECT_EQ(CompletionText({{"a", "b"}, false, false}), "a\nb\n:4\n");
  EXPECT_EQ(CompletionText({{"job/"}, false, true}), "job/\n:6\n");
  EXPECT_EQ(CompletionText({{}, true, false}), ":0\n");
}

TEST(Complete, AsksTheDaemon) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/objects/jobs",
            R"({"items":[{"kind":"Job","metadata":{"name":"sweep","namespace":"vision"}}]})");
  EXPECT_EQ(daemon.Do({"complete", "get", "-n", "vision", "job", ""}).out, "sweep\n:4\n");
  EXPECT_THAT(daemon.asked(), ElementsAre("GET /api/v1/objects/jobs namespace=vision"));
  const Ran nobody = RunWords({"complete", "get", "job", ""}, "/tmp/no-such-socket");
  EXPECT_EQ(nobody.out, ":4\n");
  EXPECT_EQ(nobody.err, "");
}

}  // namespace
}  // namespace spillway::cli
