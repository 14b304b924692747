#include "node/log_sender.h"

#include <gtest/gtest.h>

namespace spillway::node {
namespace {

TEST(LogBufferTest, OffsetsGoOnAndOnlyUnsentBytesAreKept) {
  LogBuffer buffer(100);
  buffer.AppendLine("one");
  buffer.AppendLine("two");
  EXPECT_EQ(buffer.Unsent(5), "one\nt");
  buffer.Sent(5);
  EXPECT_EQ(buffer.offset(), 5);
  EXPECT_EQ(buffer.Unsent(100), "wo\n");
  buffer.Sent(3);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.offset(), 8);
}

TEST(LogBufferTest, WhatDoesNotFitIsDroppedAndCounted) {
  LogBuffer buffer(10);
  buffer.AppendLine("12345678");
  buffer.AppendLine("lost");
  buffer.AppendLine("lost");
  EXPECT_EQ(buffer.Unsent(100), "12345678\n");
  buffer.Sent(9);
  EXPECT_FALSE(buffer.empty());
  const std::string told(buffer.Unsent(1000));
  EXPECT_NE(told.find("[10 bytes of this log were dropped"), std::string::npos) << told;
  EXPECT_EQ(buffer.offset(), 9);
}

}  // namespace
}  // namespace spillway::node
