#include "markdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::docs {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

TEST(Markdown, FindsHeadingsLinksSpansAndCode) {
  const Document document = ReadMarkdown("a.md",
                                         "# One `x`\n"
                                         "\n"
                                         "See [two](b.md#c) and `src/base`.\n"
                                         "\n"
                                         "    spillway status\n"
                                         "    # no heading\n"
                                         "\n"
                                         "- item\n"
                                         "    more of `it`\n"
                                         "\n"
                                         "```\n"
                                         "[no](link) `no`\n"
                                         "```\n"
                                         "## Two\n");
  EXPECT_THAT(document.headings,
              ElementsAre(Field(&Heading::text, "One `x`"), Field(&Heading::text, "Two")));
  EXPECT_THAT(document.links, ElementsAre(Field(&Link::target, "b.md#c")));
  EXPECT_THAT(document.spans,
              ElementsAre(Field(&CodeSpan::text, "x"), Field(&CodeSpan::text, "src/base"),
                          Field(&CodeSpan::text, "it")));
  EXPECT_THAT(document.code,
              ElementsAre(Field(&Line::text, "spillway status"), Field(&Line::text, "# no heading"),
                          Field(&Line::text, "[no](link) `no`")));
}

TEST(Markdown, AnchorsAreGitHubs) {
  EXPECT_EQ(Anchor("What is simulated"), "what-is-simulated");
  EXPECT_EQ(Anchor("Law before price: `usNexus`"), "law-before-price-usnexus");
}

}  // namespace
}  // namespace spillway::docs
