#include "kubernetes/requests.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "site/promises.h"

namespace spillway::kubernetes {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RequestsTest : public ::testing::Test {
 protected:
  RequestsTest() { facts_.now = Moment("08:05:00"), facts_.pods = 2; }

  static Time Moment(std::string_view clock) {
    return *ParseTime(fmt::format("2026-11-24T{}Z", clock));
  }
  static std::string Text(std::string_view type, std::string_view status, std::string_view reason,
                          std::string_view clock = "08:00:00") {
    return fmt::format(R"({{"type":"{}","status":"{}","reason":"{}",)"
                       R"("lastTransitionTime":"2026-11-24T{}Z"}})",
                       type, status, reason, clock);
  }
  static json::value Request(const std::vector<std::string>& conditions,
                             std::string_view parameters = "{}") {
    return *ParseJson(fmt::format(
        R"({{"metadata":{{"name":"r","generation":3,"creationTimestamp":"2026-11-24T08:00:00Z"}},)"
        R"("spec":{{"provisioningClassName":"burst.spillway.dev","parameters":{}}},)"
        R"("status":{{"conditions":[{}]}}}})",
        parameters, fmt::join(conditions, ",")));
  }
  void Decide(Verdict verdict, Reason reason, const std::string& sentence) {
    decision_.verdict = verdict, decision_.reason = reason, decision_.sentence = sentence;
    facts_.decision = &decision_;
  }
  BurstNode& Node(const std::string& name, Phase phase) {
    BurstNode& node = nodes_.emplace_back();
    node.name = name, node.phase = phase;
    facts_.nodes.clear();
    for (const BurstNode& one : nodes_) facts_.nodes.push_back(&one);
    return node;
  }
  std::vector<RequestCondition> Next(const json::value& request) {
    return NextConditions(request, facts_);
  }

  RequestFacts facts_;
  Decision decision_;
  std::list<BurstNode> nodes_;
};

auto Is(const std::string& type, bool holds, const std::string& reason) {
  return ::testing::AllOf(Field(&RequestCondition::type, type),
                          Field(&RequestCondition::holds, holds),
                          Field(&RequestCondition::reason, reason));
}

TEST_F(RequestsTest, AcceptedThenRentingThenReady) {
  Decide(Verdict::kRent, Reason::kNone, "rents two");
  EXPECT_THAT(Next(Request({})),
              ElementsAre(Is("Accepted", true, "Accepted"), Is("Provisioned", false, "Renting")));
  const std::string accepted = Text("Accepted", "True", "Accepted");
  Node("bn-1", Phase::kRunning);
  Node("bn-2", Phase::kStaged);
  Decide(Verdict::kOnItsWay, Reason::kNone, "on its way");
  EXPECT_THAT(Next(Request({accepted, Text("Provisioned", "False", "Renting")})), IsEmpty());
  nodes_.back().phase = Phase::kRunning;
  const auto next = Next(Request({accepted, Text("Provisioned", "False", "Renting")}));
  ASSERT_THAT(next, ElementsAre(Is("Provisioned", true, "NodesReady")));
  EXPECT_THAT(next[0].message, HasSubstr("bn-1, bn-2"));
}

TEST_F(RequestsTest, AWaitIsToldOnceAndARefusalIsTheEnd) {
  Decide(Verdict::kWait, Reason::kBudget, "waits: Budget a has nothing left");
  const std::string accepted = Text("Accepted", "True", "Accepted");
  EXPECT_THAT(Next(Request({accepted})), ElementsAre(Is("Provisioned", false, "Budget")));
  EXPECT_THAT(Next(Request({accepted, Text("Provisioned", "False", "Budget")})), IsEmpty());
  Decide(Verdict::kRefuse, Reason::kNoPolicy, "no BurstPolicy admits it");
  EXPECT_THAT(Next(Request({accepted})), ElementsAre(Is("Failed", true, "NoPolicy")));
  EXPECT_THAT(Next(Request({accepted, Text("Failed", "True", "NoPolicy")})), IsEmpty());
}

TEST_F(RequestsTest, RoomAtTheSiteIsEnough) {
  Decide(Verdict::kFitsSite, Reason::kNone, "fits");
  EXPECT_THAT(Next(Request({Text("Accepted", "True", "Accepted")})),
              ElementsAre(Is("Provisioned", true, std::string(site::kSiteHasRoom))));
}

TEST_F(RequestsTest, WhatCannotBeUnderstood) {
  facts_.problem = Error{Code::kNotFound, "PodTemplate p does not exist", std::nullopt};
  EXPECT_THAT(Next(Request({})), ElementsAre(Is("Accepted", false, "PodTemplateMissing")));
  EXPECT_THAT(Next(Request({Text("Accepted", "False", "PodTemplateMissing")})), IsEmpty());
  facts_.problem = Error{Code::kInvalid, "spec.podSets[0].count: 5000", std::nullopt};
  EXPECT_THAT(Next(Request({})), ElementsAre(Is("Failed", true, "InvalidRequest")));
  facts_.problem.reset();
  EXPECT_THAT(Next(Request({}, R"({"BookingSeconds":"soon"})")),
              ElementsAre(Is("Failed", true, "InvalidParameter")));
}

TEST_F(RequestsTest, NotInTime) {
  Decide(Verdict::kWait, Reason::kNodeLimit, "waits");
  const std::string waits = Text("Provisioned", "False", "NodeLimit");
  const std::string accepted = Text("Accepted", "True", "Accepted");
  const json::value request = Request({accepted, waits}, R"({"ValidUntilSeconds":"300"})");
  EXPECT_EQ(LookAgainAt(request), Moment("08:05:00"));
  EXPECT_THAT(Next(request), ElementsAre(Is("Failed", true, "NotInTime")));
  facts_.now = Moment("08:04:59");
  EXPECT_THAT(Next(request), IsEmpty());
}

TEST_F(RequestsTest, TheBookingEndsAfterTenMinutesOrWhenAllCame) {
  const json::value request = Request({Text("Provisioned", "True", "NodesReady")});
  EXPECT_EQ(LookAgainAt(request), Moment("08:10:00"));
  EXPECT_THAT(Next(request), IsEmpty());
  facts_.came = 2;
  EXPECT_THAT(Next(request), ElementsAre(Is("BookingExpired", true, "AllPodsCame")));
  facts_.came = 1;
  facts_.now = Moment("08:10:00");
  EXPECT_THAT(Next(request), ElementsAre(Is("BookingExpired", true, "TimeIsOver")));
  const json::value longer =
      Request({Text("Provisioned", "True", "NodesReady")}, R"({"BookingSeconds":"1200"})");
  EXPECT_THAT(Next(longer), IsEmpty());
  EXPECT_EQ(LookAgainAt(longer), Moment("08:20:00"));
}

TEST_F(RequestsTest, ALostNodeRevokesTheCapacityUnlessItWasLostBefore) {
  const json::value request = Request({Text("Provisioned", "True", "NodesReady", "08:02:00")});
  BurstNode& node = Node("bn-1", Phase::kDeleting);
  node.failure = Failure::kNodeLost;
  node.failure_detail = "no heartbeat";
  node.pods_admitted = true;
  node.history = {{Phase::kRunning, Moment("08:00:30")}, {Phase::kDeleting, Moment("08:01:00")}};
  EXPECT_THAT(Next(request), IsEmpty()) << "an earlier attempt";
  node.history.back().second = Moment("08:04:00");
  EXPECT_THAT(Next(request), ElementsAre(Is("CapacityRevoked", true, "NodeLost")));
}

TEST_F(RequestsTest, ConditionsAreSetOnce) {
  json::value request = Request({Text("Accepted", "True", "Accepted", "08:00:07"),
                                 Text("Provisioned", "False", "Renting", "08:00:09")});
  EXPECT_FALSE(
      SetRequestConditions(request, {{"Accepted", true, "Accepted", "again"}}, Moment("08:09:00")));
  EXPECT_TRUE(SetRequestConditions(request, {{"Provisioned", false, "Budget", "none left"}},
                                   Moment("08:09:00")));
  EXPECT_TRUE(
      SetRequestConditions(request, {{"Failed", true, "NotInTime", "late"}}, Moment("08:09:30")));
  EXPECT_EQ(
      CanonicalJson(request.at("status").at("conditions")),
      R"([{"lastTransitionTime":"2026-11-24T08:00:07Z","reason":"Accepted","status":"True",)"
      R"("type":"Accepted"},{"lastTransitionTime":"2026-11-24T08:00:09Z","message":"none left",)"
      R"("observedGeneration":3,"reason":"Budget","status":"False","type":"Provisioned"},)"
      R"({"lastTransitionTime":"2026-11-24T08:09:30Z","message":"late","observedGeneration":3,)"
      R"("reason":"NotInTime","status":"True","type":"Failed"}])");
}

}  // namespace
}  // namespace spillway::kubernetes
