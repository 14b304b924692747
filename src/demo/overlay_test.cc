#include "demo/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;

constexpr const char* kFirst =
    "# A comment.\napiVersion: v1\nkind: Namespace\nmetadata: {name: vision}\n";
constexpr const char* kSecond =
    "apiVersion: spillway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: digits, namespace: "
    "vision}\n"
    "spec: {source: {directory: digits}, class: internal}\n";
constexpr const char* kThird =
    "apiVersion: spillway.dev/v1alpha1\nkind: Dataset\nmetadata: {name: digits, namespace: nlp}\n"
    "spec: {source: {directory: digits}, class: internal}\n";

std::string All(std::initializer_list<const char*> documents) {
  std::string text;
  for (const char* document : documents)
    text += (text.empty() ? "" : "---\n") + std::string(document);
  return text;
}

TEST(Overlay, DocumentsOfTheSameNameGo) {
  const auto objects = ObjectsIn({"over.yaml", kSecond});
  ASSERT_TRUE(objects);
  EXPECT_THAT(*objects, ElementsAre("Dataset vision/digits"));
  EXPECT_EQ(Without(All({kFirst, kSecond, kThird}), *objects), All({kFirst, kThird}));
  EXPECT_EQ(Without(All({kSecond, kThird}), *objects), kThird);
  EXPECT_EQ(Without(All({kFirst, kSecond}), *objects), kFirst);
  EXPECT_EQ(Without(All({kFirst, kThird}), *objects), All({kFirst, kThird}));
  EXPECT_THAT(*ObjectsIn({"over.yaml", kFirst}), ElementsAre("Namespace vision"));
}

TEST(Overlay, WhatIsWrongInItIsTold) {
  const auto objects = ObjectsIn({"over.yaml", "kind: Dataset\n"});
  ASSERT_FALSE(objects);
  EXPECT_EQ(objects.error().code, Code::kInvalid);
  EXPECT_THAT(objects.error().message, ::testing::HasSubstr("over.yaml"));
}

}  // namespace
}  // namespace spillway::demo
