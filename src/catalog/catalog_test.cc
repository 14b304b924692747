#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace spillway::catalog {
namespace {

const Catalog& Real() {
  static const Result<Catalog> catalog = Catalog::Load(SPILLWAY_SOURCE_DIR "/catalog");
  SPW_CHECK(catalog.has_value(), catalog ? std::string_view{} : catalog.error().message);
  return *catalog;
}

std::string RealText(const std::string& id) {
  std::ifstream stream(SPILLWAY_SOURCE_DIR "/catalog/" + id + ".yaml");
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

// The real file with `from` replaced by `to` (which must be there).
std::string Changed(const std::string& id, std::string_view from, std::string_view to) {
  std::string text = RealText(id);
  const std::size_t at = text.find(from);
  SPW_CHECK(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

std::string ErrorOf(const std::string& text) {
  const Result<Entry> entry = ReadEntry("x.yaml", text);
  return entry ? "" : entry.error().message;
}

TEST(Catalog, EveryProviderLoadsWithSourceAndDate) {
  ASSERT_GE(Real().entries().size(), 6u);
  std::size_t with_offers = 0;
  for (const Entry& entry : Real().entries()) {
    SCOPED_TRACE(entry.facts.id);
    EXPECT_FALSE(entry.facts.name.empty());
    EXPECT_NE(entry.facts.us_nexus_evidence.find('('), std::string::npos);
    for (const Evidence& evidence : entry.evidence) {
      EXPECT_FALSE(evidence.source.empty()) << evidence.what;
      EXPECT_EQ(evidence.date.size(), 10u) << evidence.what;
    }
    ASSERT_EQ(entry.offers.size(), entry.notes.size());
    with_offers += entry.offers.empty() ? 0 : 1;
    for (const Offer& offer : entry.offers) {
      EXPECT_FALSE(offer.source.empty()) << offer.Key();
      EXPECT_GT(offer.read_at, Time{}) << offer.Key();
      EXPECT_GT(offer.price_per_hour, Money{}) << offer.Key();
      EXPECT_FALSE(offer.area.empty()) << offer.Key();
      EXPECT_EQ(offer.labels.count("nvidia.com/gpu.product"), 1u) << offer.Key();
    }
  }
  EXPECT_GE(with_offers, 6u);
}

TEST(Catalog, TheCheapestOfSomeGpuHasUsNexus) {
  // A policy that forbids a US nexus must cost something, or it would prove nothing.
  std::map<std::string, std::pair<Money, UsNexus>> cheapest;
  for (const Entry& entry : Real().entries()) {
    for (const Offer& offer : entry.offers) {
      if (offer.capacity != CapacityType::kOnDemand) continue;
      const std::string key = offer.labels.at("nvidia.com/gpu.product") + " x" +
                              offer.labels.at("nvidia.com/gpu.count");
      const auto [it, fresh] =
          cheapest.try_emplace(key, offer.price_per_hour, entry.facts.us_nexus);
      if (!fresh && offer.price_per_hour < it->second.first) {
        it->second = {offer.price_per_hour, entry.facts.us_nexus};
      }
    }
  }
  const auto tainted = std::count_if(cheapest.begin(), cheapest.end(), [](const auto& item) {
    return item.second.second != UsNexus::kNone;
  });
  EXPECT_GT(tainted, 0);
  EXPECT_LT(static_cast<std::size_t>(tainted), cheapest.size());
}

TEST(Catalog, FactsOfScalewayAndOvh) {
  const Entry* scaleway = Real().Find("scaleway");
  ASSERT_NE(scaleway, nullptr);
  EXPECT_EQ(scaleway->facts.create_phases, 2);
  EXPECT_EQ(scaleway->facts.us_nexus, UsNexus::kNone);
  EXPECT_EQ(scaleway->facts.billing.step, 1min);
  // SecNumCloud is uncertain there and must not count.
  EXPECT_EQ(scaleway->facts.certificates, (std::vector<std::string>{"HDS", "ISO27001"}));
  const Entry* ovh = Real().Find("ovhcloud");
  ASSERT_NE(ovh, nullptr);
  EXPECT_TRUE(ovh->facts.billing.clock_aligned);
  EXPECT_EQ(ovh->facts.billing.step, 1h);
  EXPECT_EQ(Real().Find("scalewa"), nullptr);
}

TEST(Catalog, OffersAreBoundToAnAccount) {
  const Entry& entry = *Real().Find("scaleway");
  const auto offers = OffersOf(entry, "our-scaleway", {"fr-par-2"});
  ASSERT_FALSE(offers.empty());
  EXPECT_LT(offers.size(), OffersOf(entry, "our-scaleway", {}).size());
  const auto it = std::find_if(offers.begin(), offers.end(), [](const Offer& offer) {
    return offer.instance_type == "L40S-2-48G";
  });
  ASSERT_NE(it, offers.end());
  EXPECT_EQ(it->Key(), "our-scaleway/fr-par-2/L40S-2-48G");
  EXPECT_EQ(it->allocatable.gpus, 2);
  EXPECT_EQ(it->allocatable.cpu_milli, 16'000);
  EXPECT_EQ(it->price_per_hour, Money::Micro(2'939'832));
  EXPECT_EQ(it->labels.at("nvidia.com/gpu.memory"), "46068");
  EXPECT_EQ(it->labels.at("spillway.dev/provider"), "our-scaleway");
  EXPECT_EQ(it->country, "FR");
}

TEST(Catalog, ErrorsNameFileLineFieldAndRemedy) {
  const std::string unknown = ErrorOf(Changed("scaleway", "egress:\n", "egress:\n  vat: 0.2\n"));
  EXPECT_TRUE(unknown.starts_with("x.yaml:")) << unknown;
  EXPECT_NE(unknown.find(": egress.vat: "), std::string::npos) << unknown;
  const std::string price = ErrorOf(Changed("scaleway", "\"1.469916 EUR\"", "\"-1 EUR\""));
  EXPECT_NE(price.find("offers[0].price"), std::string::npos) << price;
  EXPECT_NE(ErrorOf(Changed("scaleway", "grade: none", "grade: maybe")).find("usNexus.grade"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "step: 1m", "step: 0s")).find("billing.step"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "date: 2026-05-11", "date: May")).find("is not a day"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "country: FR", "country: fr")).find("country"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "region: fr-par-2", "region: mars")).find("region"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "L40S-2-48G", "L40S-1-48G")).find("twice"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "phases: 2", "phases: 3")).find("create.phases"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "p90Seconds: 150", "p90Seconds: 9")).find("p90Seconds"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("nebius", "\"1.33023 EUR\"", "\"1.33024 EUR\"")).find("1.33023"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Changed("scaleway", "name: \"Scaleway\"\n", "")).find("name: is missing"),
            std::string::npos);
  EXPECT_FALSE(ErrorOf("[1, 2]").empty());
  EXPECT_FALSE(ErrorOf("").empty());
  EXPECT_EQ(Catalog::Load("/nonexistent").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace spillway::catalog
