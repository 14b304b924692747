#include "net/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time.h"

namespace spillway::net {
namespace {

using testing::ElementsAre;

Handler Says(std::string text) {
  return [text](const Request& request) -> Result<Response> {
    std::string out = text;
    for (const auto& [name, value] : request.params) out += " " + name + "=" + value;
    return Response::Text(out);
  };
}

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    router_.Add("GET", "/objects/{kind}", Says("list"));
    router_.Add("GET", "/objects/{kind}/{name}", Says("get"));
    router_.Add("DELETE", "/objects/{kind}/{name}", Says("delete"));
    router_.Add("POST", "/objects/{kind}/apply", Says("apply"), {.body_bytes = 7});
    router_.Add("GET", "/objects/special/{name}", Says("special"));
    router_.Add("GET", "/fail", [](const Request&) -> Result<Response> {
      return Fail(Error{Code::kThrottled, "slowly", 3s});
    });
  }
  Response Ask(std::string method, std::string path) {
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    return router_.Handle(&request);
  }
  Router router_;
};

TEST_F(RouterTest, LiteralSegmentsWinAndParamsAreDecoded) {
  EXPECT_EQ(Ask("GET", "/objects/Dataset").body, "list kind=Dataset");
  EXPECT_EQ(Ask("GET", "/objects/Dataset/a%20b").body, "get kind=Dataset name=a b");
  EXPECT_EQ(Ask("GET", "/objects/special/x").body, "special name=x");
  EXPECT_EQ(Ask("POST", "/objects/Dataset/apply").body, "apply kind=Dataset");
  EXPECT_EQ(Ask("GET", "/objects/Dataset/apply").body, "get kind=Dataset name=apply");
  EXPECT_EQ(Ask("HEAD", "/objects/Dataset").body, "list kind=Dataset");
}

TEST_F(RouterTest, NothingIsNormalised) {
  EXPECT_EQ(Ask("GET", "/objects/x/..%2F..%2Fetc").body, "get kind=x name=../../etc");
  EXPECT_EQ(Ask("GET", "/objects/x/%2e%2e").body, "get kind=x name=..");
  for (const char* path : {"/objects", "/objects/", "//objects/x", "/objects//x", "/objects/x/",
                           "/objects/x/y/../z", "/Objects/x", "/"})
    EXPECT_EQ(Ask("GET", path).status, 404) << path;
}

TEST_F(RouterTest, FailuresAreJson) {
  const Response method = Ask("PUT", "/objects/x/y");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.Get("Allow"), "DELETE, GET, HEAD");
  const Response throttled = Ask("GET", "/fail");
  EXPECT_EQ(throttled.status, 429);
  EXPECT_EQ(throttled.headers.Get("Retry-After"), "3");
  EXPECT_EQ(throttled.body, "{\"error\":{\"code\":\"throttled\",\"message\":\"slowly\"}}\n");
  EXPECT_EQ(Ask("GET", "/nope").status, 404);
}

TEST_F(RouterTest, ListsRoutesAndKnowsTheirLimits) {
  EXPECT_THAT(router_.List(),
              ElementsAre("DELETE /objects/{kind}/{name}", "GET /fail",
                          "GET /objects/special/{name}", "GET /objects/{kind}",
                          "GET /objects/{kind}/{name}", "POST /objects/{kind}/apply"));
  EXPECT_EQ(router_.BodyBytes("POST", "/objects/x/apply"), 7);
  EXPECT_EQ(router_.BodyBytes("GET", "/objects/x/apply"), std::nullopt);
  EXPECT_EQ(router_.BodyBytes("POST", "/nope"), std::nullopt);
}

}  // namespace
}  // namespace spillway::net
