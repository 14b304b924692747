// From flavors to offers: what of a flavor is a GPU, which product that is, and what it costs.
// OpenStack itself knows neither products nor prices: they come from the catalogue or from the
// CloudProvider object.
// https://docs.openstack.org/nova/latest/configuration/extra-specs.html
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "catalog/catalog.h"
#include "clouds/openstack/compute.h"
#include "model/offer.h"

namespace spillway::openstack {

// What flavors call a GPU: of "pci_passthrough:alias"="a100:1", "resources:CUSTOM_GPU_A100"="1",
// "resources:VGPU"="1" with "trait:CUSTOM_VGPU_NVIDIA_10C", and of a name of the SCS standard.
struct GpuNames {
  std::vector<std::string> names;  // in small letters: "a100", "vgpu", "vgpu_nvidia_10c"
  std::int64_t count = 0;
};
// nullopt: no GPU can be recognised.
std::optional<GpuNames> GpusOf(const Flavor& flavor);

struct GpuKind {
  std::string name;  // one of GpuNames::names, in small letters
  catalog::GpuFacts facts;
};

// What is said of a flavor by configuration; it wins over catalogue and extra specs.
struct FlavorRule {
  std::string name;
  std::optional<Money> price_per_hour;
  std::string gpu;        // name of a GpuKind; empty: as recognised
  std::int64_t gpus = 0;  // 0: as recognised
};

struct OfferRules {
  std::string provider;      // name of the CloudProvider
  std::string catalog;       // id of its catalogue entry
  catalog::Region region;    // of the catalogue
  std::vector<Offer> known;  // the catalogue's offers of this region, bound to the provider
  std::vector<GpuKind> gpus;
  std::vector<FlavorRule> flavors;
  std::int64_t volume_gib = 0;  // size of the root disk if it is a volume
};

struct Assortment {
  std::vector<Offer> offers;          // by name
  std::vector<std::string> left_out;  // flavors with GPUs that cannot be offered, and why
};
Assortment OffersFrom(const std::vector<Flavor>& flavors, const OfferRules& rules, Time now);

}  // namespace spillway::openstack
