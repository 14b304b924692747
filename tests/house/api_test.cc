// The API document and the server say the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "server/answer_check.h"
#include "server/api_document.h"
#include "server/fake_backend.h"
#include "server/router.h"
#include "tests/house/source_files.h"

namespace spillway::house {
namespace {

std::string Upper(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  return upper;
}

// "GET /api/v1/status", sorted.
std::vector<std::string> Documented(const json::value& document) {
  std::set<std::string> routes;
  for (const auto& path : document.at("paths").as_object())
    for (const auto& member : path.value().as_object())
      if (member.key() != "parameters")
        routes.insert(Upper(member.key()) + " " + std::string(path.key()));
  return {routes.begin(), routes.end()};
}

TEST(ApiDocument, HasExactlyTheRoutesOfTheServer) {
  server::FakeBackend backend;
  const server::AnswerCheck check;
  EXPECT_THAT(server::MakeRouter(backend).List(),
              testing::UnorderedElementsAreArray(Documented(check.document())));
}

TEST(ApiDocument, IsCompiledInByteForByte) {
  EXPECT_EQ(server::ApiDocument(), ReadFile(Root() / "api/openapi.yaml"));
}

TEST(ApiDocument, EveryJsonAnswerHasAnExampleThatFitsItsSchema) {
  const server::AnswerCheck check;
  int examples = 0;
  for (const auto& path : check.document().at("paths").as_object())
    for (const auto& [method, operation] : path.value().as_object()) {
      if (method == "parameters") continue;
      for (const auto& [status, response] : operation.at("responses").as_object()) {
        if (Find(response, "$ref") != nullptr) continue;  // looked at below
        const json::value* content = FindPath(response, {"content", "application/json"});
        if (content == nullptr) continue;
        ++examples;
        ASSERT_NE(Find(*content, "example"), nullptr) << path.key() << " " << status;
        EXPECT_EQ(check.Check(content->at("schema"), content->at("example"), "example"), "")
            << method << " " << path.key() << " " << status;
      }
    }
  for (const auto& [name, response] :
       check.document().at("components").at("responses").as_object()) {
    ++examples;
    const json::value& content = response.at("content").at("application/json");
    EXPECT_EQ(check.Check(content.at("schema"), content.at("example"), "example"), "") << name;
  }
  EXPECT_GT(examples, 20);
}

}  // namespace
}  // namespace spillway::house
