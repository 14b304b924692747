#include "schema/yaml.h"

#include <gmock/gmock.h>

namespace spillway::schema {
namespace {

using ::testing::HasSubstr;

json::value One(std::string_view text) {
  auto documents = ReadYaml("t.yaml", text);
  EXPECT_TRUE(documents.has_value()) << (documents ? "" : FormatProblem(documents.error()));
  if (!documents || documents->size() != 1) return nullptr;
  return (*documents)[0].value;
}
std::string Fault(std::string_view text, const YamlLimits& limits = {}) {
  const auto documents = ReadYaml("t.yaml", text, limits);
  return documents ? "accepted" : FormatProblem(documents.error());
}

TEST(Yaml, ScalarsGetTheTypeKubectlGivesThem) {
  EXPECT_EQ(One("[1, -2, 0x10, 0o17, +3, 1e3, 4.0]"), (json::array{1, -2, 16, 15, 3, 1000, 4}));
  EXPECT_EQ(One("[0.5, -1.25e-2, .5]"), (json::array{0.5, -0.0125, 0.5}));
  EXPECT_EQ(One("[true, False, yes, Off, n]"), (json::array{true, false, true, false, false}));
  EXPECT_EQ(One("[null, ~, , '', \"\"]"), (json::array{nullptr, nullptr, nullptr, "", ""}));
  EXPECT_EQ(One("['1', \"true\", 1.2.3, 1Gi, 2026-11-24, 0x, nope, '~', 1e]"),
            (json::array{"1", "true", "1.2.3", "1Gi", "2026-11-24", "0x", "nope", "~", "1e"}));
  EXPECT_EQ(One("[!!str 5, !!int 5, !!float 5, !!bool true, !!null ~]"),
            (json::array{"5", 5, 5, true, nullptr}));
  EXPECT_EQ(One("a: |\n  x\n  y\nb: >-\n  x\n  y\n"),
            (json::object{{"a", "x\ny\n"}, {"b", "x y"}}));
  EXPECT_EQ(One("9223372036854775807").as_int64(), INT64_MAX);
}

TEST(Yaml, NamesOfMembersAreAlwaysText) {
  const json::value value = One("{1: a, true: b, on: c, 'null': d}");
  EXPECT_EQ(value, (json::object{{"1", "a"}, {"true", "b"}, {"on", "c"}, {"null", "d"}}));
  EXPECT_THAT(Fault("{null: d}"), HasSubstr("a member without a name"));
}

TEST(Yaml, JsonIsYaml) {
  EXPECT_EQ(One("{\"a\": [1, {\"b\": \"\\u00e9\\n\"}], \"c\": null}"),
            (json::object{{"a", json::array{1, json::object{{"b", "é\n"}}}}, {"c", nullptr}}));
}

TEST(Yaml, EveryNodeHasItsPlaceInCharacters) {
  const auto documents = ReadYaml("t.yaml", "---\nä: {b: [x, ö, y]}\nc: 7\n");
  ASSERT_TRUE(documents.has_value());
  const Place& root = (*documents)[0].place;
  const Place& list = root.children.at(0).children.at(0);
  EXPECT_EQ(root.at.line, 2);
  EXPECT_EQ(root.children[0].key.column, 1);
  EXPECT_EQ(root.children[0].at.column, 4);
  EXPECT_EQ(list.key.column, 5);
  EXPECT_EQ(list.children.at(2).at.column, 15);
  EXPECT_EQ(root.children.at(1).at.line, 3);
  EXPECT_EQ(root.children[1].raw, "7");
}

TEST(Yaml, LongLinesHaveRightColumns) {
  std::string text = "[";
  for (int i = 0; i < 20'000; ++i) text += "é,";
  const auto documents = ReadYaml("t.yaml", text + "x]");
  ASSERT_TRUE(documents.has_value());
  EXPECT_EQ((*documents)[0].place.children.back().at.column, 40'002);
}

TEST(Yaml, AByteOrderMarkAndEmptyDocumentsAreSkipped) {
  EXPECT_EQ(One("\xef\xbb\xbf# only\n---\n---\na: b\n---\n"), (json::object{{"a", "b"}}));
  EXPECT_TRUE(ReadYaml("t.yaml", "").value().empty());
}

TEST(Yaml, AliasesAndMergeKeysAreResolved) {
  EXPECT_EQ(
      One("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\nd: {q: 4, <<: [*x, {r: 5, p: 6}]}\n"),
      (json::object{{"a", json::object{{"p", 1}, {"q", 2}}},
                    {"b", json::object{{"p", 1}, {"q", 2}}},
                    {"c", json::object{{"q", 3}, {"p", 1}}},
                    {"d", json::object{{"q", 4}, {"p", 1}, {"r", 5}}}}));
  EXPECT_THAT(Fault("{<<: 5}"), HasSubstr("<< does not name a map"));
  EXPECT_THAT(Fault("{<<: [5]}"), HasSubstr("<< lists something that is not a map"));
  EXPECT_THAT(Fault("&a {b: 1}: c"), HasSubstr("as the name of a member"));
  EXPECT_THAT(Fault("a: &a [b]\n*a : c"), HasSubstr("as the name of a member"));
}

TEST(Yaml, EachLimitHoldsExactly) {
  YamlLimits limits;
  limits.max_bytes = 10;
  EXPECT_EQ(Fault("[1, 2, 34]", limits), "accepted");
  EXPECT_EQ(Fault("[1, 2, 345]", limits), "t.yaml: larger than 10 bytes: several smaller files");
  limits = {};
  limits.max_depth = 3;
  EXPECT_EQ(Fault("[[[1]]]", limits), "accepted");
  EXPECT_THAT(Fault("[[[[1]]]]", limits), HasSubstr("t.yaml:1:4: nested deeper than 3 levels"));
  EXPECT_THAT(Fault("[&a [[1]], [*a]]", limits), HasSubstr("nested deeper"));
  limits = {};
  limits.max_nodes = 4;
  EXPECT_EQ(Fault("[1, 2, 3]", limits), "accepted");
  EXPECT_THAT(Fault("[1, 2, 3, 4]", limits), HasSubstr("t.yaml:1:11: more than 4 values"));
  limits = {};
  limits.max_documents = 2;
  EXPECT_EQ(Fault("--- a\n--- b\n", limits), "accepted");
  EXPECT_THAT(Fault("--- a\n--- b\n--- c\n", limits), HasSubstr("more than 2 documents"));
  limits = {};
  limits.max_scalar_bytes = 3;
  EXPECT_EQ(Fault("abc", limits), "accepted");
  EXPECT_THAT(Fault("abcd", limits), HasSubstr("a value longer than 3 bytes"));
  limits = {};
  limits.max_expanded_bytes = 8;
  EXPECT_EQ(Fault("[&a xy, *a, *a]", limits), "accepted");
  EXPECT_THAT(Fault("[&a xy, *a, *a, *a]", limits), HasSubstr("more than 8 bytes of text"));
}

TEST(Yaml, FaultsHaveTheirPlace) {
  EXPECT_EQ(Fault("a: 1\nb: 2\na: 3\n"),
            "t.yaml:3:1: \"a\" is named twice, first at line 1: one of the two");
  EXPECT_EQ(Fault("a: \"x\n"), "t.yaml:1:4: the quote is never closed: a quote at its end");
  EXPECT_EQ(Fault("a: 'x''\n"), "t.yaml:1:4: the quote is never closed: a quote at its end");
  EXPECT_EQ(Fault("a: 'x'''"), "accepted");
  EXPECT_EQ(Fault("a: &q \"\\\"\""), "accepted");
  EXPECT_THAT(Fault("a: [.inf]"), HasSubstr("t.yaml:1:5: infinity"));
  EXPECT_THAT(Fault("a: !!int x"), HasSubstr("t.yaml:1:4: the value is not what its tag"));
  EXPECT_THAT(Fault("a: !!set {b}"), HasSubstr("the tag"));
  EXPECT_THAT(Fault("a: \xed\xa0\x80"), HasSubstr("t.yaml:1:4: byte 0xed is not UTF-8"));
  EXPECT_THAT(Fault(std::string_view("a: \0", 4)), HasSubstr("control character 0x00"));
  EXPECT_THAT(Fault("a:\n\tb: c\n"), HasSubstr("spaces instead of the tab"));
}

TEST(Problems, AreOnePrintableLine) {
  EXPECT_EQ(FormatProblem({"f\n.yaml", {2, 3}, "a\x1b[1m", "b\xff", "c\u2028"}),
            "f\\x0a.yaml:2:3: a\\x1b[1m: b\\xff: c\\xe2\\x80\\xa8");
  EXPECT_EQ(FormatProblem({"", {}, "spec", "is wrong", "right"}), "spec: is wrong: right");
  EXPECT_EQ(Printable("ééé", 4), "éé...");
}

TEST(Problems, TheNearestNameIsSuggestedOnlyWhenNear) {
  const std::vector<std::string_view> known = {"gang", "namespaces", "EU", "maxPerGpuHour"};
  EXPECT_EQ(Nearest("gnag", known), "gang");
  EXPECT_EQ(Nearest("namespace", known), "namespaces");
  EXPECT_EQ(Nearest("MAXPERGPUHOUR", known), "maxPerGpuHour");
  EXPECT_EQ(Nearest("eu", known), "EU");
  EXPECT_EQ(Nearest("US", known), "");
  EXPECT_EQ(Nearest("price", known), "");
  EXPECT_EQ(Suggest("price", known, "one of "), "one of gang, namespaces, EU, maxPerGpuHour");
}

TEST(Problems, FieldPathsQuoteWhatNeedsIt) {
  EXPECT_EQ(MemberPath("", "spec"), "spec");
  EXPECT_EQ(MemberPath("a", "b/c"), "a[\"b/c\"]");
  EXPECT_EQ(ItemPath("a.b", 3), "a.b[3]");
}

}  // namespace
}  // namespace spillway::schema
