#include "model/decode.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

json::value Parse(std::string_view text) {
  return *ParseJson(text);
}

TEST(DecodePod, LimitsCountAsRequestsAndInitContainersAsMaximum) {
  const auto r = DecodePodRequests(
      Parse(R"({"containers":[{"resources":{"limits":{"nvidia.com/gpu":1,"cpu":"2"}}},
      {"resources":{"requests":{"cpu":"500m","memory":"1Gi"}}}],
      "initContainers":[{"resources":{"requests":{"cpu":"4"}}}],"overhead":{"cpu":"100m"}})"));
  ASSERT_TRUE(r);
  EXPECT_EQ(r->gpus, 1);
  EXPECT_EQ(r->cpu_milli, 4100);
  EXPECT_EQ(r->memory_bytes, 1LL << 30);
}

TEST(DecodePolicy, DefaultsAreTheCautiousOnes) {
  const auto p =
      DecodePolicy(Parse(R"({"metadata":{"name":"p"},"spec":{"namespaces":["vision"]}})"));
  ASSERT_TRUE(p);
  EXPECT_EQ(p->data_classes, std::vector{DataClass::kPublic});
  EXPECT_EQ(p->areas, std::vector<std::string>{"EU"});
  EXPECT_EQ(p->max_us_nexus, UsNexus::kNone);
  EXPECT_FALSE(p->allow_spot);
}

TEST(DecodeDataset, PartOfABucket) {
  const auto d = DecodeDataset(
      Parse(R"({"metadata":{"name":"d","namespace":"n"},"spec":{"class":"public","source":{"s3":{
        "endpoint":"https://s3.example.org/","bucket":"data","prefix":"digits/train","region":"eu",
        "pathStyle":false,"profile":"ceph"}}}})"));
  ASSERT_TRUE(d && d->s3);
  EXPECT_EQ(*d->s3,
            (S3Place{"https://s3.example.org", "data", "digits/train/", "eu", false, "ceph"}));
  EXPECT_EQ(d->SourceName(), "s3://data/digits/train/");
  const auto least = DecodeDataset(Parse(
      R"({"metadata":{"name":"d"},"spec":{"source":{"s3":{"endpoint":"http://h","bucket":"b"}}}})"));
  EXPECT_EQ(*least->s3, (S3Place{"http://h", "b", "", "us-east-1", true, "default"}));
}

TEST(DecodeDataset, UnknownClassCountsAsRestricted) {
  const auto d = DecodeDataset(
      Parse(R"({"metadata":{"name":"d","namespace":"n"},"spec":{"source":{"directory":"/x"}}})"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->data_class, DataClass::kRestricted);
}

BurstNode Sample() {
  const Time t = *ParseTime("2026-11-24T08:00:00.123Z");
  BurstNode n;
  n.name = "bn-00007";
  n.serial = 7;
  n.ns = "vision";
  n.policy = "p";
  n.budget = "b";
  n.gang = "nlp/Job/g";
  n.gang_size = 2;
  n.workload = "vision/Job/sweep";
  n.why = "cheapest";
  n.pods = {{"vision/a", "u1"}, {"vision/b", "u2"}};
  n.offer = {.provider = "scaleway",
             .catalog = "scaleway",
             .region = "fr-par-2",
             .country = "FR",
             .area = "EU",
             .instance_type = "H100-1-80G",
             .stock = Stock::kScarce,
             .allocatable = {.cpu_milli = 24000,
                             .memory_bytes = 240LL << 30,
                             .gpus = 1,
                             .extended = {{"x.io/y", 3}}},
             .labels = {{"a", "b"}},
             .price_per_hour = Money::Micro(2'866'500),
             .source = "s",
             .read_at = t};
  n.billing = {.step = 1h,
               .clock_aligned = true,
               .minimum = 5min,
               .meter_starts = BillingTerms::MeterStart::kRunning,
               .meter_stops = BillingTerms::MeterStop::kDeleteAccepted};
  n.side_terms = {{"disk", Money::Micro(5100), false}};
  n.egress_per_gib = Money::Micro(10);
  n.forecast = {.boot = 1s,
                .stage = 2s,
                .start = 7s,
                .run = 3s,
                .give_back = 4s,
                .wipe = 5s,
                .paid = 60s,
                .compute = Money::Micro(1),
                .side_objects = Money::Micro(2),
                .egress = Money::Micro(3),
                .total = Money::Micro(6),
                .worst_case = Money::Micro(99),
                .failed_tries = Money::Micro(8)};
  n.deadlines.boot = 7min;
  n.deadlines.join = 6min;
  n.deadlines.start = 31min;
  n.deadlines.key = 29min;
  n.overwrite = Overwrite::kWhole;
  n.verify = WipeCheck::kSample;
  n.scratch = Scratch::kSealed;
  n.shards = {"", "digits=1/4"};
  n.phase = Phase::kWiping;
  n.failure = Failure::kNodeLost;
  n.failure_detail = "no heartbeat";
  n.instance_id = "i-1";
  n.instance_may_exist = n.pods_admitted = n.run_prepared = n.key_destroyed = n.delete_accepted =
      true;
  n.key_destroyed_at = n.delete_accepted_at = n.last_list_seen = n.created_at = n.phase_since = t;
  n.key_owed_since = t + 9s;
  n.absent_lists = 1;
  n.history = {{Phase::kPlanned, t}, {Phase::kWiping, t + 1s}};
  n.meter_start = t;
  n.registered_at = t + 1s;
  n.prepared_at = t + 3s;
  n.running_since = t + 2s;
  n.start_took = 4s;
  n.computed = 5s;
  n.paid = 60s;
  n.cost_compute = Money::Micro(4);
  n.cost = Money::Micro(10);
  n.settled = true;
  n.side_objects = {{"disk", "d-1", Money::Micro(5100), true, t}};
  n.bytes_in = 100;
  n.never_left_bytes = 3;
  n.results_receipted = 2;
  n.results_complete = true;
  n.wipe_class = WipeClass::kCryptoEraseOnly;
  n.certificate = "bn-00007.json";
  return n;
}

TEST(BurstNodeJson, TheDecisionStaysWhenPodsTakeTheirPlaces) {
  BurstNode n = Sample();
  n.pods = {{"vision/ahead:0:0", "r/0:0"}};
  const json::value decided = *Find(EncodeBurstNode(n), "spec");
  n.announced = n.pods;
  n.pods = {{"vision/hash", "uid-hash"}};
  const json::value encoded = EncodeBurstNode(n);
  EXPECT_EQ(CanonicalJson(*Find(encoded, "spec")), CanonicalJson(decided))
      << "the API server refuses any other";
  const auto back = DecodeBurstNode(encoded);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->pods, n.pods);
  EXPECT_EQ(back->announced, n.announced);
  EXPECT_EQ(CanonicalJson(EncodeBurstNode(*back)), CanonicalJson(encoded));
}

TEST(BurstNodeJson, RoundTripsExactly) {
  const BurstNode n = Sample();
  const json::value encoded = EncodeBurstNode(n);
  const auto back = DecodeBurstNode(encoded);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(CanonicalJson(EncodeBurstNode(*back)), CanonicalJson(encoded));
  EXPECT_EQ(back->billing, n.billing);
  EXPECT_EQ(back->forecast, n.forecast);
  EXPECT_EQ(back->deadlines, n.deadlines);
  EXPECT_EQ(back->side_objects, n.side_objects);
  EXPECT_EQ(back->offer.allocatable, n.offer.allocatable);
  EXPECT_EQ(back->history, n.history);
  EXPECT_EQ(back->phase, n.phase);
  EXPECT_EQ(back->failure, n.failure);
  EXPECT_EQ(back->wipe_class, n.wipe_class);
  EXPECT_EQ(back->scratch, n.scratch);
  EXPECT_EQ(back->shards, n.shards);
  EXPECT_EQ(back->key_destroyed_at, n.key_destroyed_at);
  EXPECT_EQ(back->key_owed_since, n.key_owed_since);
}

TEST(BurstNodeJson, AnOwedKeyIsAConditionAndNothingCountsAsWiped) {
  const auto condition = [](const BurstNode& n, std::string_view type) -> json::value {
    const json::value status = *Find(EncodeBurstNode(n), "status");
    for (const json::value& c : *FindArray(status, "conditions"))
      if (StringOr(c, "type", "") == type) return c;
    return nullptr;
  };
  BurstNode n = Sample();
  n.phase = Phase::kDeleting;
  n.instance_may_exist = n.key_destroyed = false;
  const json::value owed = condition(n, "KeyDestroyed");
  EXPECT_EQ(StringOr(owed, "status", ""), "False");
  EXPECT_EQ(StringOr(owed, "reason", ""), "Owed");
  EXPECT_EQ(StringOr(condition(n, "Gone"), "reason", ""), "KeyOwed") << "no meter runs";
  EXPECT_TRUE(condition(n, "Wiped").is_null());
  n.key_destroyed = true;
  EXPECT_EQ(StringOr(condition(n, "KeyDestroyed"), "status", ""), "True");
  EXPECT_EQ(StringOr(condition(n, "Wiped"), "reason", ""), "CryptoEraseOnly");
  n.key_owed_since.reset();
  EXPECT_TRUE(condition(n, "KeyDestroyed").is_null()) << "in time: nothing to tell";
}

}  // namespace
}  // namespace spillway
