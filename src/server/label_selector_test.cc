#include "server/label_selector.h"

#include <gtest/gtest.h>

namespace spillway::server {
namespace {

bool Matches(std::string_view selector, json::object labels) {
  const auto parsed = ParseLabelSelector(selector);
  EXPECT_TRUE(parsed) << selector;
  const json::value object = json::object{{"metadata", json::object{{"labels", labels}}}};
  return parsed && Selects(*parsed, object);
}

TEST(LabelSelector, TakesAllFormsOfKubectl) {
  const json::object labels{{"app", "sweep"}, {"tier", "gold"}, {"example.org/team", "a"}};
  EXPECT_TRUE(Matches("", labels));
  EXPECT_TRUE(Matches("app=sweep", labels));
  EXPECT_TRUE(Matches("app == sweep , tier!=silver", labels));
  EXPECT_TRUE(Matches("app in (x, sweep),tier notin (silver)", labels));
  EXPECT_TRUE(Matches("example.org/team,!gone", labels));
  EXPECT_FALSE(Matches("app=other", labels));
  EXPECT_FALSE(Matches("app!=sweep", labels));
  EXPECT_FALSE(Matches("app in (x,y)", labels));
  EXPECT_FALSE(Matches("!app", labels));
  EXPECT_FALSE(Matches("gone", labels));
}

TEST(LabelSelector, AnObjectWithoutLabelsLacksEveryLabel) {
  const auto lacks = ParseLabelSelector("!app");
  const auto has = ParseLabelSelector("app");
  ASSERT_TRUE(lacks && has);
  EXPECT_TRUE(Selects(*lacks, json::object{{"kind", "Job"}}));
  EXPECT_FALSE(Selects(*has, json::object{{"kind", "Job"}}));
}

TEST(LabelSelector, NamesThePartThatIsWrong) {
  for (const char* wrong : {"app=sweep,=x", "app in sweep", "app near (a)", ",", "a b", "app=ä",
                            "app in (a", "app=a b"}) {
    const auto parsed = ParseLabelSelector(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_EQ(parsed.error().code, Code::kInvalid);
    EXPECT_NE(parsed.error().message.find("labelSelector"), std::string::npos);
  }
  std::string many = "a";
  for (int i = 0; i < 64; ++i) many += ",a";
  EXPECT_FALSE(ParseLabelSelector(many));
}

}  // namespace
}  // namespace spillway::server
