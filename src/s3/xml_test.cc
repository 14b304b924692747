#include "s3/xml.h"

#include <gmock/gmock.h>

namespace spillway::s3 {
namespace {

using ::testing::HasSubstr;

TEST(Xml, ElementsTextsAndEntities) {
  const auto root = ParseXml(
      "<?xml version=\"1.0\"?>\n<a:R xmlns:a=\"x\"><K>one &amp; &quot;t&#x77;o&quot;</K><K>2</K>"
      "<N><M><![CDATA[<raw>]]></M></N></a:R>");
  ASSERT_TRUE(root) << root.error().message;
  EXPECT_EQ(root->name, "R");
  EXPECT_EQ(root->children.size(), 3u);
  EXPECT_EQ(root->Text("K"), "one & \"two\"");
  EXPECT_EQ(root->Child("N")->Text("M"), "<raw>");
  EXPECT_EQ(root->Text("X"), "");
}

std::string Why(std::string_view text, const XmlLimits& limits = {}) {
  const auto root = ParseXml(text, limits);
  if (root) return "accepted";
  EXPECT_EQ(root.error().code, Code::kUnavailable);
  return root.error().message;
}

TEST(Xml, LimitsHold) {
  std::string deep, closing;
  for (int i = 0; i < 9; ++i) deep += "<a>", closing += "</a>";
  EXPECT_THAT(Why(deep + closing), HasSubstr("8 levels deep"));
  EXPECT_EQ(Why(deep.substr(3) + closing.substr(4)), "accepted");
  EXPECT_THAT(Why("<a><b/><b/></a>", {.elements = 2}), HasSubstr("2 elements"));
  EXPECT_THAT(Why("<a>12345</a>", {.bytes = 11}), HasSubstr("12 bytes; 11 is the most"));
}

TEST(Xml, DocumentTypesAreRefused) {
  EXPECT_THAT(Why("<!DOCTYPE r [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>"),
              HasSubstr("document type"));
  EXPECT_THAT(Why("<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>"), HasSubstr("document type"));
}

TEST(Xml, WhatIsNoXml) {
  for (const char* text :
       {"", "<a>", "<a></b>", "{\"a\":1}", "<a>\x01</a>", "<a>\xff</a>", "<a/>x"})
    EXPECT_THAT(Why(text), HasSubstr("not XML")) << text;
}

}  // namespace
}  // namespace spillway::s3
