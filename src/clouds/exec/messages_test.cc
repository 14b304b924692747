#include "clouds/exec/messages.h"

#include <gmock/gmock.h>

namespace spillway::exec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

OfferFrame Frame() {
  OfferFrame frame;
  frame.provider = "partner";
  frame.catalog = "partner-lab";
  frame.places = {{"ams-1", "NL", "EU", "Amsterdam"}};
  frame.now = Time{1000s};
  return frame;
}

json::object OneOffer() {
  return {{"type", "gpu-4"},
          {"region", "ams-1"},
          {"gpus", 4},
          {"product", "NVIDIA-A40"},
          {"gpuMemoryMiB", 46068},
          {"cudaDriverMajor", 12},
          {"vcpus", 32},
          {"memoryGiB", 128},
          {"pricePerHour", "3.10 EUR"},
          {"source", "contract of 2026-01-01"}};
}

Result<std::vector<Offer>> Read(json::object offer, const OfferFrame& frame = Frame()) {
  return ReadOffers(json::object{{"offers", json::array{std::move(offer)}}}, frame);
}

std::string Complaint(json::object offer, const OfferFrame& frame = Frame()) {
  const auto offers = Read(std::move(offer), frame);
  return offers ? "" : offers.error().message;
}

TEST(Messages, AnOfferIsRead) {
  const auto offers = Read(OneOffer());
  ASSERT_TRUE(offers) << offers.error().message;
  ASSERT_THAT(*offers, SizeIs(1));
  const Offer& offer = offers->front();
  EXPECT_EQ(offer.Key(), "partner/ams-1/gpu-4");
  EXPECT_EQ(offer.catalog, "partner-lab");
  EXPECT_EQ(offer.country, "NL");
  EXPECT_EQ(offer.area, "EU");
  EXPECT_EQ(offer.price_per_hour, Money::Micro(3'100'000));
  EXPECT_EQ(offer.allocatable.gpus, 4);
  EXPECT_EQ(offer.allocatable.cpu_milli, 32'000);
  EXPECT_EQ(offer.allocatable.memory_bytes, std::int64_t{128} << 30);
  EXPECT_EQ(offer.stock, Stock::kUnknown);
  EXPECT_EQ(offer.read_at, Time{1000s});
  EXPECT_EQ(offer.labels.at("nvidia.com/gpu.product"), "NVIDIA-A40");
  EXPECT_EQ(offer.labels.at("spillway.dev/provider"), "partner");
}

TEST(Messages, WhatAnOfferMayAlsoSay) {
  json::object full = OneOffer();
  full["capacity"] = "spot";
  full["stock"] = "scarce";
  full["diskGiB"] = 900;
  full["readAt"] = "2026-01-02T00:00:00Z";
  full["labels"] = json::object{{"example.org/rack", "7"}};
  full["country"] = nullptr;
  const auto offers = Read(full);
  ASSERT_TRUE(offers) << offers.error().message;
  EXPECT_EQ(offers->front().Key(), "partner/ams-1/gpu-4/spot");
  EXPECT_EQ(offers->front().stock, Stock::kScarce);
  EXPECT_EQ(offers->front().allocatable.ephemeral_bytes, std::int64_t{900} << 30);
  EXPECT_EQ(FormatTime(offers->front().read_at), "2026-01-02T00:00:00Z");
  EXPECT_EQ(offers->front().labels.at("example.org/rack"), "7");
}

TEST(Messages, ThePlaceOfARegionIsTheCatalogues) {
  json::object offer = OneOffer();
  offer["country"] = "US";
  EXPECT_THAT(Complaint(offer), HasSubstr("the catalogue's partner-lab has ams-1 in NL (EU)"));
  offer["region"] = "unlisted-1";
  EXPECT_THAT(Complaint(offer), HasSubstr("offers[0].area: is missing"));
  offer["area"] = "OTHER";
  EXPECT_EQ(Complaint(offer), "");
  offer["country"] = "usa";
  EXPECT_THAT(Complaint(offer), HasSubstr("two capital letters"));
}

TEST(Messages, RegionsThatAreNotOpenedAreLeftOut) {
  OfferFrame frame = Frame();
  frame.regions = {"fra-1"};
  const auto offers = Read(OneOffer(), frame);
  ASSERT_TRUE(offers);
  EXPECT_THAT(*offers, IsEmpty());
}

TEST(Messages, AWrongOfferIsNamed) {
  const auto with = [](std::string_view key, json::value value) {
    json::object offer = OneOffer();
    offer[key] = std::move(value);
    return Complaint(std::move(offer));
  };
  EXPECT_THAT(with("gpus", 0), HasSubstr("offers[0].gpus: 0 is outside 1..64"));
  EXPECT_THAT(with("gpus", 1.5), HasSubstr("must be a whole number"));
  EXPECT_THAT(with("pricePerHour", "3.10 USD"), HasSubstr("offers[0].pricePerHour: "));
  EXPECT_THAT(with("pricePerHour", "0 EUR"), HasSubstr("must be more than zero"));
  EXPECT_THAT(with("prise", "1 EUR"), HasSubstr("prise"));
  EXPECT_THAT(with("stock", "plenty"), HasSubstr("is not one of available, scarce"));
  EXPECT_THAT(with("labels", json::object{{"nvidia.com/gpu.product", "H100"}}),
              HasSubstr("nvidia.com/gpu.product follows from the other members"));
  EXPECT_THAT(with("source", ""), HasSubstr("offers[0].source: must not be empty"));
  const auto twice =
      ReadOffers(json::object{{"offers", json::array{OneOffer(), OneOffer()}}}, Frame());
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("is there twice"));
}

TEST(Messages, AnErrorIsToldWithItsCode) {
  const Answer answer = ReadAnswer(
      R"({"error": {"code": "throttled", "message": "slow down", "retryAfter": "30s"}})");
  EXPECT_EQ(answer.kind, Answer::Kind::kError);
  EXPECT_EQ(answer.error.code, Code::kThrottled);
  EXPECT_EQ(answer.error.message, "slow down");
  EXPECT_EQ(answer.error.retry_after, Duration{30s});
}

TEST(Messages, WhatIsNoAnswerIsNotReadable) {
  for (const char* text :
       {"", "ok", "[]", "{", R"({"error": "no"})", R"({"error": {"code": "oops", "message": "m"}})",
        R"({"error": {"code": "quota", "message": "m"}, "instance": {}})"}) {
    const Answer answer = ReadAnswer(text);
    EXPECT_EQ(answer.kind, Answer::Kind::kUnreadable) << text;
    EXPECT_NE(answer.error.message, "") << text;
  }
  EXPECT_EQ(ReadAnswer("{}").kind, Answer::Kind::kAnswer);
}

json::object OneInstance(const char* name, const char* cluster) {
  return {{"id", "i-1"},
          {"name", name},
          {"clusterId", cluster},
          {"state", "running"},
          {"created", "2026-01-02T03:04:05Z"},
          {"sideObjects", json::array{json::object{
                              {"kind", "disk"}, {"id", "d-1"}, {"pricePerHour", "0.01 EUR"}}}}};
}

TEST(Messages, AnInventoryHoldsOnlyThisCluster) {
  const json::value answer =
      json::object{{"instances", json::array{OneInstance("bn-1", "c1"), OneInstance("bn-1", "c2")}},
                   {"stray", json::array{json::object{{"name", "bn-7"},
                                                      {"clusterId", "c1"},
                                                      {"kind", "address"},
                                                      {"id", "a-1"},
                                                      {"pricePerHour", "0.004 EUR"}},
                                         json::object{{"name", "bn-8"},
                                                      {"clusterId", "c2"},
                                                      {"kind", "address"},
                                                      {"id", "a-2"},
                                                      {"pricePerHour", "0.004 EUR"}}}}};
  const auto inventory = ReadInventory(answer, "c1");
  ASSERT_TRUE(inventory) << inventory.error().message;
  ASSERT_THAT(inventory->instances, SizeIs(1));
  EXPECT_EQ(inventory->instances[0].side_objects[0].id, "bn-1/d-1");
  ASSERT_THAT(inventory->stray, SizeIs(1));
  EXPECT_EQ(inventory->stray[0].id, "bn-7/a-1");
}

TEST(Messages, AnInstanceWithoutAnOwnerIsRefused) {
  json::object instance = OneInstance("bn-1", "c1");
  instance.erase("clusterId");
  const auto inventory = ReadInventory(
      json::object{{"instances", json::array{instance}}, {"stray", json::array{}}}, "c1");
  ASSERT_FALSE(inventory);
  EXPECT_THAT(inventory.error().message, HasSubstr("instances[0].clusterId: is missing"));
}

TEST(Messages, FaultsBelongToTheStateError) {
  json::object instance = OneInstance("bn-1", "c1");
  const auto read = [&] {
    return ReadInventory(
        json::object{{"instances", json::array{instance}}, {"stray", json::array{}}}, "c1");
  };
  instance["state"] = "error";
  auto inventory = read();
  ASSERT_TRUE(inventory) << inventory.error().message;
  ASSERT_TRUE(inventory->instances[0].fault);
  EXPECT_EQ(inventory->instances[0].fault->code, Code::kInternal);
  instance["fault"] = json::object{{"code", "capacity"}, {"message", "none left"}};
  inventory = read();
  ASSERT_TRUE(inventory);
  EXPECT_EQ(inventory->instances[0].fault->code, Code::kCapacity);
  EXPECT_EQ(inventory->instances[0].fault->message, "none left");
  instance["state"] = "running";
  inventory = read();
  ASSERT_TRUE(inventory);
  EXPECT_FALSE(inventory->instances[0].fault);
}

TEST(Messages, AnotherInstanceThanTheOneAskedForIsNoAnswer) {
  ports::InstanceSpec spec;
  spec.name = "bn-1";
  spec.cluster_id = "c1";
  EXPECT_TRUE(ReadCreated(json::object{{"instance", OneInstance("bn-1", "c1")}}, spec));
  const auto other = ReadCreated(json::object{{"instance", OneInstance("bn-2", "c1")}}, spec);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("is bn-2 of c1, not bn-1 of c1"));
}

TEST(Messages, SecretsAreReplaced) {
  const std::vector<std::string> secrets =
      SecretsOf(R"({"name":"bn-1","token":"abcdef.0123456789abcdef","ca":"line1234567890\nx"})");
  EXPECT_THAT(secrets, ElementsAre("0123456789abcdef", "line1234567890"));
  EXPECT_EQ(Redact("+ join bn-1 abcdef.0123456789abcdef line1234567890!", secrets),
            "+ join bn-1 abcdef.*** ***!");
}

TEST(Messages, RequestsSayWhatIsAskedFor) {
  ports::InstanceSpec spec;
  spec.name = "bn-1";
  spec.cluster_id = "c1";
  spec.region = "ams-1";
  spec.instance_type = "gpu-4";
  spec.user_data = "{\"token\":\"t\"}";
  const auto request = ParseJson(CreateRequest("partner", spec));
  ASSERT_TRUE(request);
  EXPECT_EQ(IntOr(*request, "version", 0), 1);
  EXPECT_EQ(StringOr(*request, "provider", ""), "partner");
  const json::value* instance = Find(*request, "instance");
  ASSERT_NE(instance, nullptr);
  EXPECT_EQ(StringOr(*instance, "name", ""), "bn-1");
  EXPECT_EQ(StringOr(*instance, "capacity", ""), "on-demand");
  EXPECT_EQ(StringOr(*instance, "userData", ""), "{\"token\":\"t\"}");
}

}  // namespace
}  // namespace spillway::exec
