#include "cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/json_path.h"
#include "cli/paths.h"
#include "cli/table.h"
#include "cli/test_support.h"
#include "cli/yaml_text.h"
#include "schema/yaml.h"

namespace spillway::cli {
namespace {

using ::testing::ElementsAre;

TEST(Text, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("2.67 €"), 6u);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1u);  // e and a combining accent
  EXPECT_EQ(DisplayWidth("数据"), 4u);
  EXPECT_EQ(DisplayWidth("\xFF\xC3"), 2u);  // broken bytes
}

TEST(Text, ClipsAtColumnsAndMarksTheCut) {
  EXPECT_EQ(Clip("scaleway", 8), "scaleway");
  EXPECT_EQ(Clip("scaleway", 5), "scal…");
  EXPECT_EQ(Clip("数据集", 4), "数…");  // a wide character is not halved
  EXPECT_EQ(Clip("x", 0), "");
  EXPECT_EQ(PadLeft("€", 3), "  €");
  EXPECT_EQ(PadRight("数", 3), "数 ");
}

TEST(Text, WrapsAtSpaces) {
  EXPECT_THAT(Wrap("waits for the  site", 9), ElementsAre("waits for", "the site"));
  EXPECT_THAT(Wrap("a-very-long-word b", 5), ElementsAre("a-very-long-word", "b"));
  EXPECT_THAT(Wrap("", 5), ElementsAre());
}

TEST(Text, NothingMovesTheCursor) {
  EXPECT_EQ(Safe("a\x1b[2Jb\nc\xC2\x9B"), "a?[2Jb?c?");
}

TEST(Text, AgesAreKubectls) {
  using namespace std::chrono;
  EXPECT_EQ(Age(-5s), "0s");
  EXPECT_EQ(Age(119s), "119s");
  EXPECT_EQ(Age(120s), "2m");
  EXPECT_EQ(Age(125s), "2m5s");
  EXPECT_EQ(Age(10min + 5s), "10m");
  EXPECT_EQ(Age(179min), "179m");
  EXPECT_EQ(Age(3h), "3h");
  EXPECT_EQ(Age(3h + 4min), "3h4m");
  EXPECT_EQ(Age(47h), "47h");
  EXPECT_EQ(Age(50h), "2d2h");
  EXPECT_EQ(Age(24h * 100), "100d");
  EXPECT_EQ(Age(24h * 800), "2y70d");
  EXPECT_EQ(Age(24h * 4000), "10y");
}

TEST(Text, BarsStayInTheirWidth) {
  EXPECT_EQ(Bar(60, 10), "██████░░░░");
  EXPECT_EQ(Bar(-1, 2), "░░");
  EXPECT_EQ(Bar(500, 2), "██");
}

TEST(Text, ColourOnlyWhenAsked) {
  EXPECT_EQ(Painter(false)(Style::kRed, "x"), "x");
  EXPECT_EQ(Painter(true)(Style::kRed, "x"), "\x1b[31mx\x1b[0m");
}

TEST(Table, AlignsLeavesOutEmptyColumnsAndShrinksFlexibleOnes) {
  const Table table{
      {{"NAME"}, {"NONE"}, {"COST", true}, {"WHY", false, true}},
      {{"a", "", "2.67 €", "the cheapest allowed offer"}, {"数据", "", "10.00 €", ""}}};
  EXPECT_EQ(table.Render(0, Painter(false)),
            "NAME      COST   WHY\n"
            "a       2.67 €   the cheapest allowed offer\n"
            "数据   10.00 €\n");
  EXPECT_EQ(table.Render(30, Painter(false)),
            "NAME      COST   WHY\n"
            "a       2.67 €   the cheapest…\n"
            "数据   10.00 €\n");
}

std::string At(const json::value& value, std::string_view path) {
  const auto values = Select(value, path);
  return values ? CellText(*values) : "error";
}

TEST(JsonPath, SelectsWhatPrinterColumnsUse) {
  const json::value v =
      Json(R"({"a":{"b.c/d":"x","n":3},"list":["p","q"],"status":{"conditions":[)"
           R"({"type":"Ready","status":"True"},{"type":"Full","status":"False"}]}})");
  EXPECT_EQ(At(v, ".a.n"), "3");
  EXPECT_EQ(At(v, ".a.b\\.c/d"), "x");
  EXPECT_EQ(At(v, ".list"), "p,q");
  EXPECT_EQ(At(v, ".list[1]"), "q");
  EXPECT_EQ(At(v, ".status.conditions[?(@.type==\"Ready\")].status"), "True");
  EXPECT_EQ(At(v, ".status.conditions[-1:].type"), "Full");
  EXPECT_EQ(At(v, ".status.conditions[*].type"), "Ready,Full");
  EXPECT_EQ(At(v, ".no.such"), "");
  for (const char* bad : {"a", ".", ".a[", ".a[x]", ".a[?(@.type>1)]"})
    EXPECT_EQ(At(v, bad), "error") << bad;
}

TEST(YamlText, IsBlockStyleAndQuotesWhatWouldBeReadOtherwise) {
  const json::value v = Json(
      R"({"name":"sweep","version":"1.0","yes":"no","memory":"480Gi","none":null,"empty":[],"deep":)"
      R"({"list":["a: b",{"x":1,"u":{"z":true}},[1,2]],"text":"one\ntwo\n"}})");
  EXPECT_EQ(YamlText(v),
            "name: sweep\nversion: \"1.0\"\n\"yes\": \"no\"\nmemory: 480Gi\nnone: null\nempty: []\n"
            "deep:\n  list:\n  - \"a: b\"\n  - x: 1\n    u:\n      z: true\n  -\n    - 1\n    - 2\n"
            "  text: |\n    one\n    two\n");
}

TEST(YamlText, ReadsBackAsTheSameValue) {
  const json::value v = Json(
      R"({"a":["","~","1e3","0x1F","08:15","2026-11-24","- x","#c","k: v","x #y","ä","10m","12e03",)"
      R"("4A100.88V","a:","null","line\n\nend\n","tab\t","quote\""],"b":{"c":[{"d":[{"e":"f"}]}]}})");
  const auto read = schema::ReadYaml("test", YamlText(v));
  ASSERT_TRUE(read) << schema::FormatProblem(read.error());
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ((*read)[0].value, v);
}

TEST(Paths, DaemonAndClientMeetWithoutAFlag) {
  EXPECT_EQ(DefaultSocket(Around({{"SPILLWAY_SOCKET", "/x/y"}}, true)), "/x/y");
  EXPECT_EQ(DefaultSocket(Around({}, true)), "/run/spillway/spillway.sock");
  EXPECT_EQ(DefaultSocket(Around({{"XDG_RUNTIME_DIR", "/run/user/7"}})),
            "/run/user/7/spillway/spillway.sock");
  EXPECT_EQ(DefaultSocket(Around({{"HOME", "/home/ada"}, {"XDG_RUNTIME_DIR", "rel"}})),
            "/home/ada/.local/state/spillway/spillway.sock");
  EXPECT_EQ(DefaultStateDir(Around({}, true)), "/var/lib/spillway");
  EXPECT_EQ(DefaultStateDir(Around({{"XDG_STATE_HOME", "/s"}, {"HOME", "/h"}})), "/s/spillway");
}

}  // namespace
}  // namespace spillway::cli
