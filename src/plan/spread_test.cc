#include "plan/spread.h"

#include <gtest/gtest.h>

namespace spillway::plan {
namespace {

TEST(SpreadCount, TheFewestOverTheDomainsThatCount) {
  SpreadCount count(0, 0);
  EXPECT_EQ(count.Fewest(1), 0);  // no domain at all
  count.AddNode(0, true);
  count.AddNode(1, true);
  count.AddNode(1, true);
  count.AddNode(2, false);
  count.Add(0, 0, 2);
  count.Add(1, 1, 1);
  count.Add(2, 1, 1);
  count.Add(3, 2, 5);  // not counted
  EXPECT_EQ(count.In(0), 2);
  EXPECT_EQ(count.In(1), 2);
  EXPECT_EQ(count.In(2), 0);
  EXPECT_EQ(count.In(7), 0);
  EXPECT_EQ(count.Fewest(1), 2);
  EXPECT_EQ(count.Fewest(3), 0);  // fewer domains than asked for
  count.Add(0, 0, -1);
  EXPECT_EQ(count.Fewest(2), 1);
}

TEST(SpreadCount, ANodeThatGoesTakesItsDomainWithIt) {
  SpreadCount count(0, 0);
  count.AddNode(0, true);
  count.Add(0, 0, 3);
  count.AddNode(1, true);
  EXPECT_EQ(count.Fewest(1), 0);
  count.DropLastNode(1);
  EXPECT_EQ(count.Fewest(1), 3);
  count.AddNode(0, true);  // a second node of the domain
  count.DropLastNode(0);
  EXPECT_EQ(count.In(0), 3);
}

}  // namespace
}  // namespace spillway::plan
