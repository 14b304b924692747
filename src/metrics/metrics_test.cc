#include <gmock/gmock.h>

#include <thread>

#include "metrics/instruments.h"
#include "metrics/page.h"
#include "metrics/process.h"

namespace spillway::metrics {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

// What a test counts belongs to no other test.
constexpr Definition kPlain = kLeader;
constexpr Definition kLabelled = kApiRequests;

TEST(Value, IsExact) {
  EXPECT_EQ(Value(Money::Micro(12'345'678)).text(), "12.345678");
  EXPECT_EQ(Value(Money::Micro(-1)).text(), "-0.000001");
  EXPECT_EQ(Value(Money::Euro(3)).text(), "3");
  EXPECT_EQ(Value(Money::Micro(INT64_MIN)).text(), "-9223372036854.775808");
  EXPECT_EQ(Value(1500ms).text(), "1.5");
  EXPECT_EQ(Value(1ns).text(), "0.000000001");
  EXPECT_EQ(Value(0s).text(), "0");
  EXPECT_EQ(Value(std::int64_t{1} << 53 | 1).text(), "9007199254740993");
  EXPECT_EQ(Value(true).text(), "1");
}

TEST(Page, EscapesLabelsAndKeepsTheOrderOfDefinitions) {
  Page page;
  page.Add(kLabelled, {"a\\b", "c\"d", "e\nf"}, 1);
  page.Add(kPlain, {}, false);
  const std::string text = page.Text();
  EXPECT_THAT(text, HasSubstr("spillway_api_requests_total{verb=\"a\\\\b\",resource=\"c\\\"d\","
                              "code=\"e\\nf\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# HELP spillway_leader 1 if this replica may act"));
  EXPECT_THAT(text, HasSubstr("# TYPE spillway_leader gauge\nspillway_leader 0\n"));
  EXPECT_LT(text.find("spillway_leader"), text.find("spillway_api_requests_total"));
  EXPECT_THAT(text, Not(HasSubstr("process_open_fds")));
}

TEST(Page, ASeriesIsThereOnce) {
  Page page;
  page.Add(kPlain, {}, 1);
  page.Add(kPlain, {}, 7);
  EXPECT_THAT(page.Text(), HasSubstr("gauge\nspillway_leader 7\n"));
}

TEST(Page, BucketsAreCumulative) {
  Page page;
  const std::array<std::chrono::microseconds, 2> bounds{2500us, 1s};
  const std::array<std::int64_t, 3> counts{4, 0, 2};
  page.AddHistogram(kApiSeconds, {"get"}, bounds, counts, 1234567891ns);
  EXPECT_THAT(page.Text(),
              HasSubstr("spillway_api_request_seconds_bucket{verb=\"get\",le=\"0.0025\"} 4\n"
                        "spillway_api_request_seconds_bucket{verb=\"get\",le=\"1\"} 4\n"
                        "spillway_api_request_seconds_bucket{verb=\"get\",le=\"+Inf\"} 6\n"
                        "spillway_api_request_seconds_sum{verb=\"get\"} 1.234567891\n"
                        "spillway_api_request_seconds_count{verb=\"get\"} 6\n"));
}

TEST(Histogram, ABoundBelongsToItsBucket) {
  Histogram histogram(kReaction);
  histogram.Observe(1ms);
  histogram.Observe(1ms + 1ns);
  histogram.Observe(1h);
  Page page;
  histogram.WriteTo(page);
  const std::string text = page.Text();
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"0.0025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"300\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("_sum 3600.002000001\n"));
}

TEST(Histogram, WithoutLabelsItIsThereFromTheBeginning) {
  Page page;
  Histogram(kReaction).WriteTo(page);
  EXPECT_THAT(page.Text(), HasSubstr("_bucket{le=\"+Inf\"} 0\n"));
}

TEST(Age, IsAbsentUntilItHappensAndGrows) {
  Age age(kWatchSilence);
  Page before;
  age.WriteTo(before);
  EXPECT_EQ(before.Text(), "");
  age.Mark({"pods"});
  Page after;
  age.WriteTo(after);
  const std::string text = after.Text();
  const std::string name = "spillway_watch_silence_seconds{resource=\"pods\"} ";
  ASSERT_NE(text.find(name), std::string::npos) << text;
  const double seconds = std::stod(text.substr(text.find(name) + name.size()));
  EXPECT_GE(seconds, 0);
  EXPECT_LT(seconds, 60);
}

TEST(Counter, SeriesBeyondTheLimitAreCountedTogether) {
  Counter counter(kLabelled);
  for (int i = 0; i < static_cast<int>(kMostSeries) + 50; ++i)
    counter.Add({"get", std::to_string(i), "200"});
  counter.Add({"get", "0", "200"});
  Page page;
  counter.WriteTo(page);
  const std::string text = page.Text();
  EXPECT_THAT(text, HasSubstr("{verb=\"other\",resource=\"other\",code=\"other\"} 50\n"));
  EXPECT_THAT(text, HasSubstr("{verb=\"get\",resource=\"0\",code=\"200\"} 2\n"));
  EXPECT_EQ(std::ranges::count(text, '\n'), static_cast<std::ptrdiff_t>(kMostSeries) + 3);
}

TEST(Instruments, LoseNothingUnderManyThreads) {
  Counter counter(kLabelled);
  Histogram histogram(kApiSeconds);
  constexpr int kThreads = 8, kTimes = 2'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTimes; ++i) {
        counter.Add({t % 2 == 0 ? "get" : "list", "pods", "200"});
        histogram.Observe(1us, {"get"});
        if (i % 500 == 0) {
          Page page;
          counter.WriteTo(page);
          histogram.WriteTo(page);
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  Page page;
  counter.WriteTo(page);
  histogram.WriteTo(page);
  EXPECT_THAT(page.Text(), HasSubstr("{verb=\"get\",resource=\"pods\",code=\"200\"} 8000\n"));
  EXPECT_THAT(page.Text(), HasSubstr("_count{verb=\"get\"} 16000\n"));
  EXPECT_THAT(page.Text(), HasSubstr("_sum{verb=\"get\"} 0.016\n"));
}

TEST(Process, SaysWhatItUses) {
  Page page;
  WriteProcess(page);
  const std::string text = page.Text();
  const auto number = [&](const std::string& name) {
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  EXPECT_GT(number("process_resident_memory_bytes"), 1e6);
  EXPECT_GE(number("process_cpu_seconds_total"), 0);
  EXPECT_GT(number("process_open_fds"), 2);
  EXPECT_GT(number("process_max_fds"), 2);
  const double now = static_cast<double>(time(nullptr));
  EXPECT_LT(number("process_start_time_seconds"), now + 2);
  EXPECT_GT(number("process_start_time_seconds"), now - 3600);
}

TEST(Definitions, AreNamedAsPrometheusWantsThem) {
  for (const Definition* what : kAll) {
    EXPECT_EQ(what->type == Type::kCounter, what->name.ends_with("_total")) << what->name;
    EXPECT_TRUE(what->name.starts_with("spillway_") || what->name.starts_with("process_"));
    EXPECT_TRUE(what->help.ends_with('.')) << what->name;
    EXPECT_EQ(std::ranges::count(kAll, what->name, &Definition::name), 1) << what->name;
  }
}

}  // namespace
}  // namespace spillway::metrics
