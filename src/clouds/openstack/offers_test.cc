#include "clouds/openstack/offers.h"

#include <gmock/gmock.h>

namespace spillway::openstack {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Time kNow{std::chrono::hours{24 * 365 * 56}};
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

Flavor Make(const std::string& name, Texts specs) {
  Flavor flavor;
  flavor.id = "id-" + name;
  flavor.name = name;
  flavor.vcpus = 12;
  flavor.ram_mib = 122880;
  flavor.disk_gib = 200;
  flavor.extra_specs = std::move(specs);
  return flavor;
}

OfferRules Rules() {
  OfferRules rules;
  rules.provider = "lab";
  rules.catalog = "leafcloud";
  rules.region = {"europe-nl", "NL", "EU", "Amsterdam"};
  rules.gpus = {{"a100", {"NVIDIA-A100-SXM4-80GB", 81920, 550}},
                {"vgpu_nvidia_10c", {"GRID-A100-10C", 10240, 550}}};
  return rules;
}

// An offer of the catalogue for the flavor.
Offer Known(const std::string& type, std::int64_t gpus) {
  Offer offer;
  offer.region = "europe-nl";
  offer.instance_type = type;
  offer.allocatable.gpus = gpus;
  offer.allocatable.ephemeral_bytes = 20 * kGiB;
  offer.price_per_hour = Money::Cents(215);
  offer.source = "price list";
  offer.read_at = kNow - 24h;
  offer.labels = catalog::NodeLabels(offer, {"NVIDIA-A100-80GB-PCIe", 81920, 535});
  return offer;
}

TEST(Gpus, AreRecognisedInExtraSpecs) {
  struct Case {
    Texts specs;
    std::vector<std::string> names;
    std::int64_t count;
  };
  const Case cases[] = {
      {{{"pci_passthrough:alias", "a100:8"}}, {"a100"}, 8},
      {{{"pci_passthrough:alias", "nvidia-a30:2, nic:1"}}, {"nvidia-a30", "nic"}, 2},
      {{{"pci_passthrough:alias", "H100:1"}, {"trait:CUSTOM_GPU_H100", "required"}},
       {"h100", "h100"},
       1},
      {{{"resources:VGPU", "1"}, {"trait:CUSTOM_VGPU_NVIDIA_10C", "required"}},
       {"vgpu_nvidia_10c", "vgpu"},
       1},
      {{{"resources:CUSTOM_GPU_L40S", "2"}}, {"l40s"}, 2},
      {{{"resources1:CUSTOM_PCI_10DE_20B5", "4"}}, {"pci_10de_20b5"}, 4},
      {{{"trait:CUSTOM_GPU_ABSENT", "required"}}, {"absent"}, 1},
  };
  for (const Case& c : cases) {
    const auto gpus = GpusOf(Make("f", c.specs));
    ASSERT_TRUE(gpus) << c.names.front();
    EXPECT_EQ(gpus->names, c.names);
    EXPECT_EQ(gpus->count, c.count) << c.names.front();
  }
}

TEST(Gpus, AreNotSeenWhereThereAreNone) {
  for (const Texts& specs :
       {Texts{}, Texts{{"hw:cpu_policy", "dedicated"}},
        Texts{{"trait:CUSTOM_GPU_A100", "forbidden"}}, Texts{{"resources:CUSTOM_FPGA", "1"}},
        Texts{{"resources:VGPU", "0"}}, Texts{{"resources:VGPU", "many"}},
        Texts{{"pci_passthrough:alias", "a100:-1"}}, Texts{{"pci_passthrough:alias", ""}},
        Texts{{"resources", "VGPU"}}})
    EXPECT_FALSE(GpusOf(Make("f", specs)));
}

TEST(Offers, ACataloguedFlavorHasPriceAndProductFromThere) {
  OfferRules rules = Rules();
  rules.known = {Known("eg1.a100x1", 1)};
  const auto out = OffersFrom({Make("eg1.a100x1", {})}, rules, kNow);
  EXPECT_THAT(out.left_out, IsEmpty());
  ASSERT_EQ(out.offers.size(), 1u);
  const Offer& offer = out.offers[0];
  EXPECT_EQ(offer.Key(), "lab/europe-nl/eg1.a100x1");
  EXPECT_EQ(offer.country, "NL");
  EXPECT_EQ(offer.price_per_hour, Money::Cents(215));
  EXPECT_EQ(offer.source, "price list");
  EXPECT_EQ(offer.read_at, kNow - 24h);
  EXPECT_EQ(offer.labels.at("nvidia.com/gpu.product"), "NVIDIA-A100-80GB-PCIe");
  EXPECT_EQ(offer.labels.at("nvidia.com/cuda.driver.major"), "535");
  EXPECT_EQ(offer.labels.at("nvidia.com/gpu.count"), "1");
  EXPECT_EQ(offer.labels.at("spillway.dev/provider"), "lab");
  EXPECT_EQ(offer.allocatable.cpu_milli, 12'000);
  EXPECT_EQ(offer.allocatable.memory_bytes, std::int64_t{115'200} << 20);  // 15/16
  EXPECT_EQ(offer.allocatable.ephemeral_bytes, 180 * kGiB);
}

TEST(Offers, AFlavorNameOfTheScsStandardNamesItsGpu) {
  OfferRules rules = Rules();
  rules.gpus = {{"gna-64h", {"NVIDIA-A100-SXM4-80GB", 81920, 550}},
                {"gna", {"NVIDIA-A30", 24576, 550}}};
  const char* exact = "SCS-16V-64-500_GNa-64h";
  const char* other = "SCS-16V-64-500_GNa-56_ib";
  rules.flavors = {{exact, Money::Cents(300), "", 0},
                   {other, Money::Cents(60), "", 2},
                   {"gpu.large", Money::Cents(300), "", 0}};
  const auto out = OffersFrom({Make(exact, {}), Make(other, {}), Make("SCS-4V-16-50", {}),
                               Make("gpu.large", {{"scs:name-v2", exact}})},
                              rules, kNow);
  ASSERT_EQ(out.offers.size(), 3u) << testing::PrintToString(out.left_out);
  const auto product = [&](std::size_t i) {
    return out.offers[i].labels.at("nvidia.com/gpu.product");
  };
  EXPECT_EQ(product(0), "NVIDIA-A30");
  EXPECT_EQ(out.offers[0].allocatable.gpus, 2);
  EXPECT_EQ(product(1), "NVIDIA-A100-SXM4-80GB");
  EXPECT_EQ(out.offers[1].allocatable.gpus, 1);
  EXPECT_EQ(product(2), "NVIDIA-A100-SXM4-80GB");
}

TEST(Offers, ConfigurationSaysWhatNobodyElseKnows) {
  OfferRules rules = Rules();
  rules.flavors = {{"g", Money::Cents(300), "", 0}, {"plain", Money::Cents(100), "a100", 2}};
  const auto out = OffersFrom({Make("g", {{"pci_passthrough:alias", "a100:4"}}), Make("plain", {})},
                              rules, kNow);
  ASSERT_EQ(out.offers.size(), 2u) << testing::PrintToString(out.left_out);
  EXPECT_EQ(out.offers[0].allocatable.gpus, 4);
  EXPECT_EQ(out.offers[0].price_per_hour, Money::Cents(300));
  EXPECT_EQ(out.offers[0].labels.at("nvidia.com/gpu.product"), "NVIDIA-A100-SXM4-80GB");
  EXPECT_EQ(out.offers[0].source, "CloudProvider/lab spec.openstack.flavors");
  EXPECT_EQ(out.offers[1].allocatable.gpus, 2);
}

TEST(Offers, WhatCannotBeOfferedSaysWhy) {
  OfferRules rules = Rules();
  rules.known = {Known("two", 1)};
  rules.flavors = {{"h", Money::Cents(300), "", 0}, {"small", Money::Cents(1), "", 0}};
  Flavor small = Make("small", {{"pci_passthrough:alias", "a100:1"}});
  small.disk_gib = 0;
  const auto out =
      OffersFrom({Make("h", {{"pci_passthrough:alias", "h100:1"}}),
                  Make("free", {{"pci_passthrough:alias", "a100:1"}}),
                  Make("two", {{"pci_passthrough:alias", "a100:2"}}), small,
                  Make("SCS:g", {{"pci_passthrough:alias", "a100:1"}}), Make("cpu", {})},
                 rules, kNow);
  EXPECT_THAT(out.offers, IsEmpty());
  EXPECT_THAT(out.left_out,
              ElementsAre(HasSubstr("SCS:g: its name cannot be the label"),
                          "free: neither the catalogue nor spec.openstack.flavors has its price",
                          "h: spec.openstack.gpus does not say what its GPU (h100) is",
                          HasSubstr("small: its disk of 0 GiB has no room beside the system"),
                          "two: it has 2 GPUs and the catalogue says 1"));
}

TEST(Offers, ABootVolumeIsTheDisk) {
  OfferRules rules = Rules();
  rules.flavors = {{"g", Money::Cents(300), "", 0}};
  rules.volume_gib = 120;
  Flavor flavor = Make("g", {{"pci_passthrough:alias", "a100:1"}});
  flavor.disk_gib = 0;
  EXPECT_EQ(OffersFrom({flavor}, rules, kNow).offers.at(0).allocatable.ephemeral_bytes, 100 * kGiB);
}

TEST(Offers, ASoldOutFlavorIsShownAsSuch) {
  OfferRules rules = Rules();
  rules.flavors = {{"g", Money::Cents(300), "", 0}};
  for (const auto& [said, stock] :
       {std::pair("sellout", Stock::kNone), {"normal", Stock::kUnknown}}) {
    const Flavor flavor =
        Make("g", {{"pci_passthrough:alias", "a100:1"}, {"cond:operation:status", said}});
    EXPECT_EQ(OffersFrom({flavor}, rules, kNow).offers.at(0).stock, stock);
  }
}

}  // namespace
}  // namespace spillway::openstack
