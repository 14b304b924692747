#include "demo/story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "demo/test_evidence.h"

namespace spillway::demo {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Texts(const std::vector<StoryLine>& lines) {
  std::vector<std::string> out;
  for (const StoryLine& line : lines)
    out.push_back(FormatTime(line.at).substr(11, 8) + " " + line.text);
  return out;
}

json::value StatusAt(std::string_view clock, std::string_view members) {
  return Json("{\"now\":\"2026-11-24T" + std::string(clock) + "Z\",\"simulated\":[\"GPUs: x\"]" +
              (members.empty() ? "" : ",") + std::string(members) + "}");
}

json::value NodeList(std::string_view status) {
  return Json(R"({"items":[{"metadata":{"name":"bn-1"},"spec":{"workload":"vision/Job/sweep",
    "why":"rents verda/FIN-03/4A100.88V for about 1.03 €","pods":[{},{}],
    "forecast":{"total":"1.027 EUR","worstCase":"3.08 EUR"}},"status":)" +
              std::string(status) + "}]}");
}

TEST(Story, TellsDecisionsOnceWithWhyAndCost) {
  Story story;
  Sight sight;
  sight.status = StatusAt("08:00:00", R"("waiting":[
    {"workload":"labs/Job/explore","verdict":"wait","reason":"budget","sentence":"the budget lacks 0.79 €",
     "estimate":{"text":"0.89 €"},"missing":{"text":"0.79 €"}},
    {"workload":"vision/Job/sweep","verdict":"rent","reason":"none","sentence":"rents"}])");
  EXPECT_THAT(
      Texts(story.Feed(sight)),
      ElementsAre(
          "08:00:00 labs/Job/explore does not fit: the budget lacks 0.79 €; renting would cost "
          "about 0.89 €"));
  EXPECT_THAT(story.Feed(sight), ElementsAre());
  EXPECT_EQ(story.decisions().at("labs/Job/explore").size(), 1u);
  EXPECT_EQ(story.decisions().at("vision/Job/sweep").size(), 1u);
}

TEST(Story, TellsEveryPhaseEvenThoseItDidNotSee) {
  Story story;
  Sight sight;
  sight.status = StatusAt("08:10:00", "");
  sight.nodes =
      NodeList(R"({"phase":"Requested","history":[{"phase":"Planned","at":"2026-11-24T08:00:01Z"},
    {"phase":"Requested","at":"2026-11-24T08:00:02Z"}]})");
  EXPECT_THAT(
      Texts(story.Feed(sight)),
      ElementsAre(
          "08:00:01 vision/Job/sweep does not fit: bn-1 rents verda/FIN-03/4A100.88V for about "
          "1.03 € (simulated); 3.08 € are reserved",
          "08:00:02 bn-1 was asked for; it boots"));
  sight.nodes =
      NodeList(R"({"phase":"Running","bytesIn":2048,"neverLeftObjects":4,"neverLeftBytes":1024,
    "history":[{"phase":"Planned","at":"2026-11-24T08:00:01Z"},{"phase":"Staged","at":"2026-11-24T08:03:00Z"},
    {"phase":"Running","at":"2026-11-24T08:03:01Z"}]})");
  EXPECT_THAT(
      Texts(story.Feed(sight)),
      ElementsAre(
          "08:03:00 bn-1 has its data, 2.0 KiB sealed; 4 files (1.0 KiB) never left the site",
          "08:03:01 bn-1 runs vision/Job/sweep: 2 pods"));
  sight.nodes = NodeList(R"({"phase":"Gone","paid":"10m","computed":"0s","cost":"1.03 EUR",
    "wipe":{"class":"full","verified":true},"history":[{"phase":"Gone","at":"2026-11-24T08:20:00Z"}]})");
  EXPECT_THAT(
      Texts(story.Feed(sight)),
      ElementsAre(
          "08:20:00 bn-1 is gone: paid 10m, computed 0s, cost 1.03 € (estimate 1.03 €); wipe: "
          "full, read back"));
}

TEST(Story, TellsFailuresStagingAndTheSite) {
  Story story;
  Sight sight;
  sight.status = StatusAt("08:10:00", R"("running":[{"workload":"ops/Job/weather","where":[
    {"node":"a100-01","rented":false},{"node":"bn-1","rented":true}]}],
    "rented":[{"name":"bn-1","progress":{"stagedBytes":1024,"totalBytes":4096}}])");
  sight.nodes = NodeList(R"({"phase":"Deleting","failure":"Capacity","failureDetail":"no host",
    "history":[{"phase":"Deleting","at":"2026-11-24T08:05:00Z"}]})");
  EXPECT_THAT(
      Texts(story.Feed(sight)),
      ElementsAre(
          "08:05:00 bn-1 failed (Capacity): no host; this offer rests, the next one is tried",
          "08:05:00 bn-1 is being deleted, with all that came with it",
          "08:10:00 bn-1 is being staged: 1.0 KiB of 4.0 KiB",
          "08:10:00 ops/Job/weather runs at the site, on a100-01"));
}

constexpr const char* kComplete =
    R"({"metadata":{"name":"sweep","namespace":"vision"},"status":{"conditions":[{"type":"Complete","status":"True"}]}})";
constexpr const char* kFailed =
    R"({"metadata":{"name":"broken","namespace":"vision"},"status":{"conditions":[)"
    R"({"type":"Failed","status":"True","message":"backoff limit"}]}})";
constexpr const char* kWaiting =
    R"({"metadata":{"name":"explore","namespace":"labs"},"status":{"active":1}})";

json::value Jobs(std::initializer_list<const char*> jobs) {
  json::array items;
  for (const char* job : jobs) items.push_back(Json(job));
  return json::object{{"items", std::move(items)}};
}

TEST(Story, TellsHowJobsEnd) {
  Story story;
  Sight sight;
  sight.status = StatusAt("08:10:00", "");
  sight.jobs = Jobs({kComplete, kFailed, kWaiting});
  EXPECT_THAT(Texts(story.Feed(sight)),
              ElementsAre("08:10:00 vision/Job/sweep is complete",
                          "08:10:00 vision/Job/broken failed: backoff limit"));
}

TEST(IsOver, WhenAllEndedOrWaitForGood) {
  Sight sight;
  sight.status =
      StatusAt("08:10:00",
               R"("waiting":[{"workload":"labs/Job/explore","verdict":"wait","reason":"budget"}])");
  sight.jobs = Jobs({kComplete, kFailed, kWaiting});
  sight.nodes = NodeList(R"({"phase":"Gone"})");
  EXPECT_TRUE(IsOver(sight));

  Sight live = sight;
  live.nodes = NodeList(R"({"phase":"Deleting"})");
  EXPECT_FALSE(IsOver(live));
  Sight none = sight;
  none.nodes = Json(R"({"items":[]})");
  EXPECT_FALSE(IsOver(none)) << "nothing was rented yet";
  Sight runs = sight;
  runs.status = StatusAt("08:10:00", R"("running":[{"workload":"ops/Job/weather","where":[]}])");
  EXPECT_FALSE(IsOver(runs));
  Sight soon = sight;
  soon.status =
      StatusAt("08:10:00", R"("waiting":[{"workload":"x","verdict":"fits-site","reason":"none"}])");
  EXPECT_FALSE(IsOver(soon));
}

}  // namespace
}  // namespace spillway::demo
